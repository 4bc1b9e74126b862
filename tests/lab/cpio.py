"""Writing archives that a kernel unpacks as its first root.

Source: Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO


class Cpio:
    """An archive in the form `newc`, in which everything belongs to root. Several may follow each other in one file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.count = 0
        self.folders: set[str] = set()

    def put(self, path: str, data: bytes, mode: int = 0o100644) -> None:
        """A file, link or folder by its absolute path; the folders above it are made."""
        name = path.strip("/")
        above = os.path.dirname(name)
        if above and above not in self.folders:
            self.put(above, b"", 0o40755)
        if stat.S_ISDIR(mode):
            if name in self.folders:
                return
            self.folders.add(name)
        self.count += 1
        self._write(name.encode(), data, mode, self.count)

    def tree(self, folder: Path, top: str = "") -> None:
        """All files and links below a folder, to stand below `top`."""
        for path in sorted(folder.rglob("*")):
            status = path.lstat()
            name = f"{top}/{path.relative_to(folder)}"
            if stat.S_ISLNK(status.st_mode):
                self.put(name, os.readlink(path).encode(), status.st_mode)
            elif stat.S_ISDIR(status.st_mode):
                self.put(name, b"", stat.S_IFDIR | 0o755)
            elif stat.S_ISREG(status.st_mode):
                self.put(name, path.read_bytes(), status.st_mode)

    def end(self) -> None:
        self._write(b"TRAILER!!!", b"", 0, 0)
        self.file.write(b"\0" * (-self.file.tell() % 512))

    def _write(self, name: bytes, data: bytes, mode: int, inode: int) -> None:
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
        self.file.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))
