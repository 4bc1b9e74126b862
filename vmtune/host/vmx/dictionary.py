"""The lines of a .vmx file, as VMware's own dictionary reader takes them.

Source: open-vm-tools lib/dict/dictll.c (the form of a line) and lib/misc/escape.c (`|XX` escapes, undone on bytes).
"""

from __future__ import annotations

import re
from typing import NamedTuple

SIZE_LIMIT = 4 << 20
"""Bytes of a file that are parsed at most; a .vmx holds some kilobytes, one with guestinfo some hundred."""

_LINE = re.compile(rb'[ \t]*([^\s=#"\0]+)[ \t]*=(?:[ \t]*"([^"\0]*)"|[ \t]*([^\s#"\0]+))?[ \t]*(?:#.*)?')
_ENCODINGS = "utf8 windows cp iso8859 latin ascii usascii gb big5 shiftjis euc koi8 mac"
"""How the names of the encodings begin that VMware writes."""


class VmxError(ValueError):
    """A file that is no .vmx: where, and what is wrong with it."""

    def __init__(self, source: str, line: int | None, what: str) -> None:
        super().__init__(source, line, what)
        self.source, self.line, self.what = source, line, what

    def __str__(self) -> str:
        return f"{self.source}{f', line {self.line}' if self.line else ''}: {self.what}"


class Entry(NamedTuple):
    """One setting as it is written."""

    name: str
    """In the file's own letter case."""
    value: str
    line: int


class Duplicate(NamedTuple):
    """A key that is set more than once, in any letter case: the last one counts here, VMware refuses such a file."""

    entries: tuple[Entry, ...]

    @property
    def same(self) -> bool:
        """Whether each says the same."""
        return len({entry.value for entry in self.entries}) == 1


def read_dictionary(data: bytes, source: str) -> tuple[dict[str, Entry], tuple[Duplicate, ...]]:
    """Settings by key in small letters, in the order of the file, and those set twice. Raises VmxError."""
    if len(data) > SIZE_LIMIT:
        raise VmxError(source, None, f"larger than {SIZE_LIMIT >> 20} MiB: no .vmx file")
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = _narrowed(data, source) if wide else data.removeprefix(b"\xef\xbb\xbf")
    lines = [
        (number, found) for number, line in enumerate(text.split(b"\n"), 1) if (found := _setting(line, number, source))
    ]
    declared = next((value for _, (name, value) in reversed(lines) if name.lower() == b".encoding"), b"UTF-8")
    encoding = "utf-8" if wide else _codec(declared.decode("ascii", "replace"), source)
    every: dict[str, list[Entry]] = {}
    for number, (name, value) in lines:
        entry = Entry(name.decode(encoding, "backslashreplace"), value.decode(encoding, "backslashreplace"), number)
        every.setdefault(entry.name.lower(), []).append(entry)
    if not every:
        raise VmxError(source, None, "holds no setting: no .vmx file")
    duplicates = tuple(Duplicate(tuple(entries)) for entries in every.values() if len(entries) > 1)
    return {key: entries[-1] for key, entries in every.items()}, duplicates


def _setting(line: bytes, number: int, source: str) -> tuple[bytes, bytes] | None:
    """Name and value of a line; None for a blank one or a comment."""
    line = line.removesuffix(b"\r")
    stripped = line.strip(b" \t")
    if not stripped or stripped.startswith(b"#"):
        return None
    found = _LINE.fullmatch(line)
    if found is None:
        shown = stripped[:60].decode("utf-8", "backslashreplace")
        raise VmxError(source, number, f'{shown!r} is not of the form key = "value"')
    name, quoted, bare = found.groups()
    return name, _unescaped(quoted or bare or b"")


def _unescaped(value: bytes) -> bytes:
    """`|22` stands for the byte 0x22; a `|` without two hexadecimal digits stands for itself, with what follows it."""
    if b"|" not in value:
        return value
    made, at = bytearray(), 0
    while at < len(value):
        digits = value[at + 1 : at + 3]
        if value[at] != 0x7C:
            made.append(value[at])
            at += 1
        elif len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits):
            made.append(int(digits, 16))
            at += 3
        else:
            made += value[at : at + 2]
            at += 2
    return bytes(made)


def _narrowed(data: bytes, source: str) -> bytes:
    """A UTF-16 file as UTF-8."""
    try:
        return data.decode("utf-16").encode()
    except UnicodeError:
        raise VmxError(source, None, "begins as UTF-16 and is not") from None


def _codec(declared: str, source: str) -> str:
    """A declared encoding that Python knows, in which ASCII is as it is."""
    plain = "".join(letter for letter in declared.lower() if letter.isalnum())
    if plain.startswith(tuple(_ENCODINGS.split())):
        try:
            if b"a=|".decode(declared) == "a=|":
                return declared
        except (LookupError, ValueError):
            pass
    raise VmxError(source, None, f".encoding {declared[:40]!r} is not known")
