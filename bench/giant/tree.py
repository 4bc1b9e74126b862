"""A tree of files that is written fast: files of the same content are one file under many names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

_NAMES = 60_000
"""Names of one file at most: ext4 allows 65,000."""


class Tree:
    """A folder that takes a machine's files. They are read-only: a change of one would change its like."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.entries = 0
        self._folders: set[str] = set()
        self._like: dict[bytes, tuple[str, int]] = {}

    def folder(self, path: str) -> None:
        """Make a folder and those above it."""
        if path not in self._folders:
            os.makedirs(self.top + path, exist_ok=True)
            while path and path not in self._folders:
                self._folders.add(path)
                path = path.rpartition("/")[0]
                self.entries += 1

    def file(self, path: str, text: str | bytes) -> None:
        """Write a file; text gets the newline that the kernel ends it with."""
        data = text if isinstance(text, bytes) else f"{text}\n".encode()
        self.folder(path.rpartition("/")[0])
        self.entries += 1
        like, names = self._like.get(data, ("", _NAMES))
        if names < _NAMES:
            os.link(like, self.top + path)
            self._like[data] = (like, names + 1)
            return
        with open(self.top + path, "xb") as file:
            file.write(data)
        os.chmod(self.top + path, 0o444)
        if len(data) <= 4096:
            self._like[data] = (self.top + path, 1)

    def files(self, folder: str, texts: Mapping[str, object]) -> None:
        """Write several files of one folder."""
        self.folder(folder)
        for name, text in texts.items():
            self.file(f"{folder}/{name}", text if isinstance(text, bytes) else str(text))

    def text(self, path: str, text: str) -> None:
        """Make a symbolic link that says this and nothing else."""
        self.folder(path.rpartition("/")[0])
        os.symlink(text, self.top + path)
        self.entries += 1

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link to another path of the tree, relative as sysfs makes it."""
        here, there = path.split("/")[1:-1], target.split("/")[1:]
        same = 0
        while same < min(len(here), len(there)) and here[same] == there[same]:
            same += 1
        self.text(path, "/".join([".."] * (len(here) - same) + there[same:]))


def attributes(text: str) -> dict[str, str]:
    """Names and texts of attributes, one a line; a name without a text is an empty attribute."""
    pairs = (line.strip().partition(" ") for line in text.strip().splitlines())
    return {name: said.strip() for name, _, said in pairs}


def ranges(numbers: Iterable[int]) -> str:
    """The kernel's list format: `0-3,8`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def mask(numbers: Iterable[int], width: int) -> str:
    """The kernel's mask format of so many bits: words of eight hexadecimal digits, the highest first."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    digits = f"{bits:0{-(-width // 4)}x}"
    head = len(digits) % 8
    return ",".join([digits[:head]] * bool(head) + [digits[at : at + 8] for at in range(head, len(digits), 8)])
