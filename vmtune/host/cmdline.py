"""The kernel command line, read by the kernel's own rules.

Sources: /proc/cmdline; `next_arg` and `parse_args` (lib/cmdline.c, kernel/params.c); `hugepagesz_setup`,
`hugepages_setup` and `default_hugepagesz_setup` (mm/hugetlb.c); admin-guide/kernel-parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.host import Host

PATH = "/proc/cmdline"

_DEFAULT = "default_hugepagesz"
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}
_DIGITS = {8: "01234567", 10: "0123456789", 16: "0123456789abcdefABCDEF"}


class Token(NamedTuple):
    """One parameter. `value` is None where there was no `=`."""

    name: str
    value: str | None


class HugepageRequest(NamedTuple):
    """What one `hugepages=` asks for at boot."""

    size_bytes: int | None
    """Of a page; None: the kernel's default size, which the command line does not name."""
    total: int | None
    """Pages in all; None where the number cannot be read."""
    nodes: dict[int, int] | None
    """Pages of each node, where the node form `0:16,1:16` was used (kernel 5.16 and later)."""
    text: str
    """The parameter as it was written."""
    ignored: str | None
    """Why the kernel does not heed it; None where it does."""


class Cmdline(NamedTuple):
    """Parameters in the order they were given."""

    path: str
    text: str
    tokens: tuple[Token, ...]
    init: tuple[str, ...]
    """Words after `--`: they are init's, no parameters."""

    def get(self, name: str) -> str | None:
        """Value of the last parameter of that name: "" where it has none, None where it is not given."""
        wanted = _same(name)
        for token in reversed(self.tokens):
            if _same(token.name) == wanted:
                return token.value or ""
        return None

    def all(self, name: str) -> tuple[str, ...]:
        """Values of each parameter of that name, in order."""
        wanted = _same(name)
        return tuple(token.value or "" for token in self.tokens if _same(token.name) == wanted)

    def has(self, name: str) -> bool:
        """Whether a parameter of that name is given."""
        return self.get(name) is not None

    def module(self, name: str) -> dict[str, str]:
        """Parameters given to a module (`kvm_intel.nested=1`), by name with underscores, the last of each."""
        prefix = _same(name) + "."
        return {
            _same(token.name)[len(prefix) :]: token.value or ""
            for token in self.tokens
            if _same(token.name).startswith(prefix)
        }

    @property
    def default_hugepage_bytes(self) -> int | None:
        """Size that `default_hugepagesz=` names; None where it is not given."""
        return size_bytes(self.get("default_hugepagesz") or "") or None

    @property
    def hugepages(self) -> tuple[HugepageRequest, ...]:
        """Huge pages to be set aside at boot."""
        return _requests(self.tokens)


def read(host: Host) -> Cmdline:
    """The command line that the running kernel was started with. Raises Unreadable."""
    text = host.root.read(PATH)
    if text is None:
        raise Unreadable(PATH, "there is no command line")
    return parse(text)


def parse(text: str) -> Cmdline:
    """Split a command line as the kernel does."""
    tokens: list[Token] = []
    at, end = 0, len(text)
    while True:
        while at < end and text[at].isspace():
            at += 1
        if at == end:
            return Cmdline(PATH, text, tuple(tokens), ())
        token, at = _next(text, at)
        if token == Token("--", None):
            return Cmdline(PATH, text, tuple(tokens), tuple(text[at:].split()))
        tokens.append(token)


def _next(text: str, start: int) -> tuple[Token, int]:
    """The parameter that begins at `start`, and where it ends: quotes keep blanks together and are not part of it."""
    quoted = text[start] == '"'
    at = start = start + quoted
    inside = quoted
    equals = -1
    while at < len(text) and (inside or not text[at].isspace()):
        if text[at] == "=" and equals < 0:
            equals = at
        elif text[at] == '"':
            inside = not inside
        at += 1
    stop = at
    if quoted and text[start:stop].endswith('"'):
        stop -= 1
    if equals < 0:
        return Token(text[start:stop], None), at
    value = text[equals + 1 : stop]
    if value.startswith('"'):
        value = value[1:].removesuffix('"')
    return Token(text[start:equals], value), at


def _same(name: str) -> str:
    """A name as the kernel compares it: `-` and `_` are one."""
    return name.replace("-", "_")


def size_bytes(text: str) -> int | None:
    """A number with a unit, as `memparse` reads it: `2M`, `1G`, `0x200000`. None where it begins with no number."""
    base, at = 10, 0
    if text[:2] in ("0x", "0X"):
        base, at = 16, 2
    elif text[:1] == "0":
        base = 8
    start = at
    digits = _DIGITS[base]
    while at < len(text) and at < 24 and text[at] in digits:
        at += 1
    if at == start:
        return None
    return int(text[start:at], base) << _UNITS.get(text[at : at + 1].upper(), 0)


def page_counts(text: str) -> tuple[int | None, dict[int, int] | None]:
    """Pages in all and of each node, of `hugepages=`: `16` or `0:16,1:16`. (None, None) where it is neither."""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text), None
    nodes: dict[int, int] = {}
    for part in text.split(","):
        node, colon, pages = part.partition(":")
        if not (
            colon and part.isascii() and node.isdigit() and pages.isdigit() and len(node) <= 5 and len(pages) <= 18
        ):
            return None, None
        nodes[int(node)] = nodes.get(int(node), 0) + int(pages)
    return sum(nodes.values()), nodes


def _requests(tokens: tuple[Token, ...]) -> tuple[HugepageRequest, ...]:
    """Each `hugepages=`, with the size that it belongs to: the one named before it, else the default size."""
    implicit = next((size_bytes(token.value or "") for token in tokens if _same(token.name) == _DEFAULT), None) or None
    found: list[HugepageRequest] = []
    default: int | None = None
    sizes: set[int] = set()
    counted: set[int | None] = set()
    size = last = asked = None
    refused: str | None = None
    for token in tokens:
        name, value = _same(token.name), token.value or ""
        if name in ("hugepagesz", _DEFAULT):
            asked = named = size_bytes(value) or None
            refused = None
            if named is None:
                refused = f"{name}={value} before it names no size"
            elif name == _DEFAULT and default is not None:
                refused = "default_hugepagesz is given twice"
            elif name == "hugepagesz" and named in sizes and (named != default or default in counted):
                refused = f"hugepagesz={value} before it comes too late: that size was named already"
            else:
                size = named
                sizes.add(size)
            if name == _DEFAULT and refused is None:
                default = size
                counted.update((size,) if None in counted else ())
        elif name == "hugepages":
            total, nodes = page_counts(value)
            if refused is None and total is None:
                refused = "it is no number of pages"
            elif refused is None and last is not None and last == (size,):
                refused = "a number of pages was already given for that size"
            elif refused is None:
                counted.add(size)
                last = (size,)
            found.append(HugepageRequest(asked or size or implicit, total, nodes, f"hugepages={value}", refused))
            asked = refused = None
    return tuple(found)
