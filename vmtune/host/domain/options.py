"""QEMU's options: `key=value,key=value` with `,,` for a comma, or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable

VALUED = frozenset(
    (
        *("name", "uuid", "smbios", "machine", "M", "accel", "kernel", "bios", "rtc"),
        *("cpu", "smp", "m", "mem-path", "object", "numa", "overcommit"),
        *("drive", "blockdev", "device", "netdev", "tpmdev", "watchdog-action", "vnc", "spice"),
    )
)
"""Options whose argument is asked for."""
SWITCHES = frozenset(("enable-kvm", "mem-prealloc"))


class Options(dict[str, str]):
    """Options by key, the last one of a key; `all` gives each of them."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)
        super().__init__(self.pairs)

    @classmethod
    def merged(cls, several: Iterable[Options]) -> Options:
        """Those of several options of one name."""
        return cls(pair for each in several for pair in each.pairs)

    def all(self, key: str) -> list[str]:
        """Each value of a key, in order."""
        return [held for name, held in self.pairs if name == key]

    def number(self, key: str, source: str) -> int | None:
        """A number; kept Unreadable where it is none."""
        text = self.get(key)
        if text is None:
            return None
        if text.isascii() and text.isdecimal() and len(text) <= 20:
            return int(text)
        return keep(Unreadable(source, f"{key}: {text[:60]!r} is not a number"))

    def is_on(self, key: str) -> bool | None:
        """Whether a switch is on."""
        return self[key] in ("on", "yes", "true") if key in self else None


def arguments_of(arguments: tuple[str, ...]) -> dict[str, list[str]]:
    """What is given of each option that is asked for, in order; `-machine` also of `-M`."""
    given: dict[str, list[str]] = {}
    rest = iter(arguments[1:])
    for each in rest:
        name = each.removeprefix("-").removeprefix("-") if each.startswith("-") else ""
        if name in SWITCHES:
            given[name] = []
        elif name in VALUED:
            given.setdefault("machine" if name == "M" else name, []).append(next(rest, ""))
    return given


def options(text: str, implied: str = "") -> Options:
    """Options of an argument; `implied` is the key of a first value without one."""
    if text.startswith("{"):
        return _json(text)
    return Options(_pairs(text, implied))


def _pairs(text: str, implied: str) -> Iterator[tuple[str, str]]:
    for place, part in enumerate(text.replace(",,", "\0").split(",") if text else ()):
        key, equals, held = part.replace("\0", ",").partition("=")
        if equals:
            yield key, held
        elif place == 0 and implied:
            yield implied, key
        elif key:
            yield (key[2:], "off") if key.startswith("no") and len(key) > 2 else (key, "on")


def _json(text: str) -> Options:
    import json

    try:
        return Options(_flat(json.loads(text), ""))
    except (ValueError, RecursionError):
        return Options()


def _flat(held: object, key: str) -> Iterator[tuple[str, str]]:
    """Leaves of a JSON value by dotted key; elements of a list share theirs."""
    if isinstance(held, dict):
        for name, each in held.items():
            yield from _flat(each, f"{key}.{name}" if key else name)
    elif isinstance(held, list):
        for each in held:
            yield from _flat(each, key)
    elif held is not None:
        yield key, ("on" if held else "off") if isinstance(held, bool) else str(held)
