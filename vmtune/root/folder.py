"""A folder of attributes, each read as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from vmtune.cpuset import CpuSet
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.root import Root

T = TypeVar("T")


class Choice(NamedTuple):
    """A word chosen from several: `always [madvise] never`."""

    active: str
    options: tuple[str, ...]


class Folder:
    """Attributes below one path. Its methods never raise: they keep what could not be read.

    Each returns its value, None where the attribute is absent, or an `Unreadable` in the value's place, whatever the
    signature says: it is meant for a field of a `@value` class, which raises it when the field is used. To use a result
    at once, pass it through `known`.
    """

    __slots__ = ("_home", "path", "root")

    def __init__(self, root: Root, path: str) -> None:
        self.root = root
        self.path = path
        try:
            self._home: str | Unreadable | None = root._folder(path)
        except Unreadable as kept:
            self._home = kept

    def text(self, name: str) -> str | None:
        """Text without the trailing newline."""
        try:
            if "/" in name or not isinstance(self._home, str):
                return self.root.read(f"{self.path}/{name}")
            data = self.root.read_in(self._home, name)
        except Unreadable as kept:
            return keep(kept)
        if data is None:
            return None
        try:
            return data.rstrip(b"\n\0").decode()
        except UnicodeDecodeError:
            return data.rstrip(b"\n\0").decode("utf-8", "backslashreplace")

    def number(self, name: str) -> int | None:
        """A decimal or 0x number."""
        text = self.text(name)
        if not isinstance(text, str):
            return text
        try:
            if "_" in text or not text.isascii():  # int() takes both
                raise ValueError
            return int(text, 16) if text[:2] == "0x" else int(text)
        except ValueError:
            return self._nonsense(name, "a number", text)

    def node(self, name: str = "numa_node") -> int | None:
        """A node number; -1, which says that the firmware named none, is None."""
        number = self.number(name)
        return None if number == -1 else number

    def flag(self, name: str) -> bool | None:
        """Y, N, 1 or 0."""
        text = self.text(name)
        if not isinstance(text, str):
            return text
        if text in ("Y", "y", "1"):
            return True
        return False if text in ("N", "n", "0") else self._nonsense(name, "Y, N, 1 or 0", text)

    def cpus(self, name: str) -> CpuSet | None:
        """A list of CPUs or nodes: `0-3,8`."""
        text = self.text(name)
        if not isinstance(text, str):
            return text
        try:
            return CpuSet.parse(text)
        except ValueError:
            return self._nonsense(name, "a list of CPUs", text)

    def mask(self, name: str) -> CpuSet | None:
        """A hexadecimal mask of CPUs: `ff,ffffffff`."""
        text = self.text(name)
        if not isinstance(text, str):
            return text
        try:
            return CpuSet.parse_mask(text)
        except ValueError:
            return self._nonsense(name, "a mask of CPUs", text)

    def choice(self, name: str) -> Choice | None:
        """A bracketed word among others. Alone and without brackets the kernel prints `none` only (bio-based disks)."""
        text = self.text(name)
        if not isinstance(text, str):
            return text
        words = text.split()
        chosen = [word[1:-1] for word in words if len(word) > 2 and word[0] == "[" and word[-1] == "]"]
        if len(chosen) == 1:
            return Choice(chosen[0], tuple(word.strip("[]") for word in words))
        if words == ["none"]:
            return Choice("none", ("none",))
        return self._nonsense(name, "one word in brackets", text)

    def link_name(self, name: str) -> str | None:
        """Last part of what a symbolic link says: `driver` → `nvme`."""
        try:
            target = self.root.link(f"{self.path}/{name}")
        except Unreadable as kept:
            return keep(kept)
        return None if target is None else target.rpartition("/")[2]

    def names(self, name: str = "") -> list[str] | None:
        """Sorted names in the folder, or in one inside it."""
        try:
            return self.root.names(f"{self.path}/{name}" if name else self.path)
        except Unreadable as kept:
            return keep(kept)

    def has(self, name: str) -> bool | None:
        """Whether there is such a name."""
        try:
            return self.root.exists(f"{self.path}/{name}")
        except Unreadable as kept:
            return keep(kept)

    def folder(self, name: str) -> Folder:
        """A folder inside this one."""
        return Folder(self.root, f"{self.path}/{name}")

    def _nonsense(self, name: str, wanted: str, text: str) -> T:  # type: ignore[type-var]
        return nonsense(f"{self.path}/{name}", wanted, text)


def keep(kept: Unreadable) -> T:  # type: ignore[type-var]
    """An Unreadable that stands in a value's place, to be raised by the `@value` field that holds it."""
    return cast("T", kept)


def known(value: T) -> T:
    """The value itself, or the Unreadable that is kept in its place, raised."""
    if isinstance(value, Unreadable):
        raise value.again()
    return value


def nonsense(path: str, wanted: str, text: str) -> T:  # type: ignore[type-var]
    """What is kept of an attribute whose text is not of its form: an empty or garbled answer is no answer."""
    shown = text if len(text) <= 60 else text[:60] + "…"
    return keep(Unreadable(path, f"{shown!r} is not {wanted}" if text else f"empty, expected {wanted}"))
