"""Mounted file systems, from /proc/self/mountinfo (man 5 proc), and the disks beneath the root file system."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable
from vmtune.value import peek, value

if TYPE_CHECKING:
    from vmtune.host import Host

PATH = "/proc/self/mountinfo"
OLDER = ("/proc/self/mounts", "/proc/mounts")
"""The same without device numbers: what some captures hold instead."""
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


class Mount(NamedTuple):
    """One mounted file system."""

    point: str
    filesystem: str
    """Its type: ext4, nfs4, …"""
    source: str
    device: str
    """Major and minor number, `8:1`; empty where only the older list was captured."""


@value
class Mounts(NamedTuple):
    """What is mounted where."""

    all: tuple[Mount, ...]
    root_disks: frozenset[str]
    """Names of the disks that hold the root file system, beneath LVM and the like; empty where it is on none."""

    def of(self, path: str) -> Mount | None:
        """The file system that holds a path, judged by its text."""
        best = None
        for mount in self.all:
            below = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
            if below and (best is None or len(mount.point) >= len(best.point)):
                best = mount
        return best


def read(host: Host) -> Mounts:
    """The mounts of vmtune's own mount namespace. Raises Unreadable."""
    mounts = _mounts(host)
    root = next((mount for mount in reversed(mounts) if mount.point == "/"), None)
    if root is None:
        return Mounts(mounts, frozenset())
    try:
        return Mounts(mounts, frozenset(_root_disks(host, root)))
    except Unreadable as kept:
        return Mounts(mounts, keep(kept))


def _mounts(host: Host) -> tuple[Mount, ...]:
    try:
        text = host.root.read(PATH)
    except Unreadable as kept:
        for path in OLDER:
            text = peek(partial(host.root.read, path))
            if text is not None:
                return parse_older(text, path)
        raise kept.again() from None
    if text is None:
        raise Unreadable(PATH, "absent")
    return parse(text)


def _root_disks(host: Host, root: Mount) -> list[str]:
    """Disks beneath the root file system: by its device's number, else by its name (`/dev/sda1`). Raises Unreadable."""
    try:
        disks = _disks(host, f"/sys/dev/block/{root.device}") if root.device else []
        if disks or not root.source.startswith("/dev/"):
            return disks
    except Unreadable:
        if not root.source.startswith("/dev/"):
            raise
    name = root.source.removeprefix("/dev/")
    return [disk for disk in host.root.names("/sys/block") or () if re.fullmatch(re.escape(disk) + r"p?\d*", name)]


def parse(text: str) -> tuple[Mount, ...]:
    """The mounts of a mountinfo text, in order. Raises Unreadable where a line is not of its form."""
    mounts = []
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        head, tail = left.split(), right.split()
        if not dash or len(head) < 5 or len(tail) < 2:
            raise Unreadable(PATH, f"{line[:60]!r} is not a line of mounts")
        mounts.append(Mount(_unescaped(head[4]), tail[0], _unescaped(tail[1]), head[2]))
    return tuple(mounts)


def parse_older(text: str, path: str) -> tuple[Mount, ...]:
    """The mounts of a /proc/mounts text, in order. Raises Unreadable where a line is not of its form."""
    mounts = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3:
            raise Unreadable(path, f"{line[:60]!r} is not a line of mounts")
        mounts.append(Mount(_unescaped(words[1]), words[2], _unescaped(words[0]), ""))
    return tuple(mounts)


def _unescaped(text: str) -> str:
    if "\\" in text:
        for escape, character in _ESCAPES.items():
            text = text.replace(escape, character)
    return text


def _disks(host: Host, path: str, depth: int = 0) -> list[str]:
    """Whole disks beneath a block device: a partition's disk, the legs of a mapped device."""
    real = host.root.real(path)
    if real is None or depth > 8:
        return []
    if host.root.exists(f"{real}/partition"):
        real = real.rpartition("/")[0]
    legs = host.root.names(f"{real}/slaves") or []
    if not legs:
        return [real.rpartition("/")[2]]
    return [disk for leg in legs for disk in _disks(host, f"{real}/slaves/{leg}", depth + 1)]
