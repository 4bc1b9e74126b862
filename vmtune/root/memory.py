"""Files kept in memory: what an archive holds."""

from __future__ import annotations

import errno
import os
from stat import S_IFDIR, S_IFREG
from typing import NamedTuple


class Link(NamedTuple):
    """A symbolic link: what it says."""

    target: str


class Special(NamedTuple):
    """A device, pipe or socket: nothing but its mode is known of it."""

    mode: int
    owner: int
    group: int


Node = bytes | Link | Special | int
"""A file's content, a link, a device, or the errno of a file that is there and cannot be read."""

_NODE_COST = 100
_FOLDER_COST = 400


class Memory:
    """A store over dictionaries. Folders follow from the paths of what is in them."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, Node | None]] = {"": {}}
        """What each folder holds, by name; None is a folder."""
        self.size = 0
        """Bytes that all this takes, about."""

    def put(self, path: str, node: Node) -> None:
        """Add a file, link or device in place of another. The path is absolute, without `..`.

        A folder of that path stays what it is; a file or link that stands where one of its folders should be gives way.
        """
        folder, _, name = path.rpartition("/")
        try:
            inside = self._folders[folder]
        except KeyError:
            self.put_folder(folder)
            inside = self._folders[folder]
        if inside.get(name, 0) is not None:
            inside[name] = node
            held = node if isinstance(node, bytes) else node.target if isinstance(node, Link) else ""
            self.size += _NODE_COST + len(name) + len(held)

    def put_folder(self, path: str) -> None:
        """Add a folder and those above it."""
        missing = []
        while path not in self._folders:
            missing.append(path)
            path = path.rpartition("/")[0]
        for folder in reversed(missing):
            parent, _, name = folder.rpartition("/")
            self._folders[parent][name] = None
            self._folders[folder] = {}
            self.size += _FOLDER_COST + len(folder)

    def remove(self, path: str) -> None:
        """Take out a file, a link, or a folder with all that is in it, if it is there."""
        for name in list(self._folders.pop(path, ())):
            self.remove(f"{path}/{name}")
        folder, _, name = path.rpartition("/")
        self._folders.get(folder, {}).pop(name, None)

    def entries(self) -> list[tuple[str, Node | None]]:
        """Every path and what is there, None for a folder, those above before those below."""
        every = (
            (f"{folder}/{name}", node) for folder, inside in self._folders.items() for name, node in inside.items()
        )
        return sorted(every, key=lambda entry: entry[0])

    def file(self, path: str) -> bytes | None:
        """Content of a file, None where there is no file of that path."""
        folder, _, name = path.rpartition("/")
        node = self._folders.get(folder, {}).get(name)
        return node if isinstance(node, bytes) else None

    def moved(self, top: str) -> Memory:
        """What stands below a folder, as if that folder were the top."""
        below = Memory()
        below.size = self.size
        start = len(top)
        below._folders = {
            path[start:]: inside
            for path, inside in self._folders.items()
            if path.startswith(top) and path[start : start + 1] in ("", "/")
        }
        return below

    def read(self, folder: str, name: str, limit: int) -> bytes:
        node = self._node(folder, name)
        if isinstance(node, bytes):
            if len(node) > limit:
                raise OSError(errno.EFBIG, "too large")
            return node
        if node is None:
            raise OSError(errno.EISDIR, "is a folder")
        if isinstance(node, Link):
            raise OSError(errno.ELOOP, "is a link")
        code = node if isinstance(node, int) else errno.EINVAL
        raise OSError(code, os.strerror(code))

    def names(self, folder: str) -> list[str]:
        try:
            return list(self._folders[folder])
        except KeyError:
            parent, _, name = folder.rpartition("/")
            self._node(parent, name)
            raise OSError(errno.ENOTDIR, "is no folder") from None

    def readlink(self, folder: str, name: str) -> str:
        node = self._node(folder, name)
        if isinstance(node, Link):
            return node.target
        raise OSError(errno.EINVAL, "is no link")

    def is_folder(self, folder: str, name: str) -> bool:
        return self._node(folder, name) is None

    def status(self, folder: str, name: str) -> os.stat_result:
        node = self._node(folder, name)
        if isinstance(node, Special):
            mode, owner, group = node
            return os.stat_result((mode, 0, 0, 1, owner, group, 0, 0, 0, 0))
        mode = S_IFDIR | 0o755 if node is None else S_IFREG | 0o444
        return os.stat_result((mode, 0, 0, 1, 0, 0, 0, 0, 0, 0))

    def holds_files(self, folder: str) -> bool:
        """Whether anything but folders stands directly in a folder."""
        return any(node is not None for node in self._folders.get(folder, {}).values())

    def close(self) -> None:
        """Nothing is held open."""

    def _node(self, folder: str, name: str) -> Node | None:
        """The node of that name, None for a folder."""
        try:
            return self._folders[folder][name]
        except KeyError:
            raise OSError(errno.ENOENT, "no such file") from None
