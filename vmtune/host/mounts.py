"""Mounted file systems, from /proc/self/mountinfo (man 5 proc), and the disks beneath the root file system."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.host import Host

PATH = "/proc/self/mountinfo"
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


class Mount(NamedTuple):
    """One mounted file system."""

    point: str
    filesystem: str
    """Its type: ext4, nfs4, …"""
    source: str
    device: str
    """Major and minor number, `8:1`."""


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
    text = host.root.read(PATH)
    if text is None:
        raise Unreadable(PATH, "absent")
    mounts = parse(text)
    root = next((mount.device for mount in reversed(mounts) if mount.point == "/"), None)
    return Mounts(mounts, frozenset(_disks(host, f"/sys/dev/block/{root}")) if root else frozenset())


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
