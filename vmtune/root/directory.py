"""Files below a directory: the live machine's `/`, or a captured tree.

Every name is opened below a handle of its folder and never through a symbolic link, so that nobody who may write to a
captured tree can lead a reader out of it, not even while it reads.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISDIR, S_ISREG

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_HANDLES = 128
_CHUNK = 1 << 16


class Directory:
    """A store over a real directory. Folder handles are kept, the oldest let go first."""

    def __init__(self, top: str) -> None:
        self._handles: dict[str, int] = {}
        self._wary = os.path.normpath(top) != "/"
        """Whether anybody may have put a device there: merely to open one can do things."""
        self._handles[""] = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let all handles go; nothing can be read any more."""
        while self._handles:
            os.close(self._handles.popitem()[1])

    __del__ = close

    def _handle(self, folder: str) -> int:
        handle = self._handles.get(folder)
        if handle is not None:
            return handle
        if not folder:
            raise OSError(errno.EBADF, "is closed")
        parent, _, name = folder.rpartition("/")
        handle = _open(name, _FOLDER, self._handle(parent))
        if len(self._handles) >= _HANDLES:
            self._let_go()
        self._handles[folder] = handle
        return handle

    def _let_go(self) -> None:
        oldest = list(self._handles)[1 : _HANDLES // 2]
        for folder in oldest:
            os.close(self._handles.pop(folder))

    def read(self, folder: str, name: str, limit: int) -> bytes:
        above = self._handles.get(folder)
        if above is None:
            above = self._handle(folder)
        if self._wary and not S_ISREG(mode := self.status(folder, name).st_mode):
            raise _no_file(mode)
        handle = _open(name, _FILE, above)
        try:
            status = os.fstat(handle)
            if not S_ISREG(status.st_mode):
                raise _no_file(status.st_mode)
            size = status.st_size
            if size > limit:
                raise OSError(errno.EFBIG, "too large")
            # A sysfs attribute says that it is one page, whatever it holds: one read brings it whole. A file of procfs
            # says that it is empty, and a real one may grow meanwhile.
            data = os.read(handle, size + 1) if size else b""
            return data if len(data) <= size and size else _read_on(handle, data, limit)
        finally:
            os.close(handle)

    def names(self, folder: str) -> list[str]:
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._handle(folder))
        try:
            return os.listdir(handle)
        finally:
            os.close(handle)

    def readlink(self, folder: str, name: str) -> str:
        if "/" in name:
            raise _no_name()
        try:
            return os.readlink(name, dir_fd=self._handle(folder))
        except ValueError:
            raise _no_name() from None

    def is_folder(self, folder: str, name: str) -> bool:
        return S_ISDIR(self.status(folder, name).st_mode)

    def status(self, folder: str, name: str) -> os.stat_result:
        if "/" in name or name == "..":
            raise _no_name()
        try:
            return os.stat(name, dir_fd=self._handle(folder), follow_symlinks=False)
        except ValueError:
            raise _no_name() from None

    def holds_files(self, folder: str) -> bool:
        """Whether anything but folders stands directly in a folder."""
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._handle(folder))
        try:
            with os.scandir(handle) as entries:
                return any(not entry.is_dir(follow_symlinks=False) for entry in entries)
        finally:
            os.close(handle)


def _open(name: str, flags: int, above: int) -> int:
    """A handle of a name in a folder."""
    if "/" in name or name == "..":
        raise _no_name()
    try:
        return os.open(name, flags, dir_fd=above)
    except ValueError:
        raise _no_name() from None


def _no_name() -> OSError:
    """Of a name that no file can have: it holds a slash, a NUL, or letters of no encoding; or that leads out."""
    return OSError(errno.ENOENT, "no such file")


def _no_file(mode: int) -> OSError:
    if S_ISDIR(mode):
        return OSError(errno.EISDIR, "is a folder")
    return OSError(errno.EINVAL, "is no file") if mode & 0o170000 != 0o120000 else OSError(errno.ELOOP, "is a link")


def _read_on(handle: int, data: bytes, limit: int) -> bytes:
    """All the rest of a file whose size the kernel does not tell, or that grows."""
    parts = [data]
    total = len(data)
    while chunk := os.read(handle, _CHUNK):
        total += len(chunk)
        if total > limit:
            raise OSError(errno.EFBIG, "too large")
        parts.append(chunk)
    return b"".join(parts)
