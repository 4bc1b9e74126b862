"""Where every fact comes from: the live machine, a captured directory or an archive.

A `Root` answers with three outcomes that are never folded together: a value; None, the thing is absent; or
`Unreadable`, nobody can say (permission, time-out, nonsense, not in this capture). It remembers all it was asked, so a
file is read once, evidence is the very text that was judged, and a capture holds exactly what the readers read.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Protocol

from vmtune.root.folder import Folder
from vmtune.root.unreadable import NOT_CAPTURED, Unreadable, reason_of

__all__ = ["NOT_CAPTURED", "Folder", "Root", "Unreadable", "live_root", "open_root"]

NO_HOST = "no host given"
"""Reason of every Unreadable where a domain or .vmx file is judged alone."""
FILE_LIMIT = 1 << 20
"""Bytes of a file that are read at most, unless the reader says otherwise."""
LINK_LIMIT = 40
"""Symbolic links that are followed in one path at most, as in the kernel (MAXSYMLINKS)."""

DEPTH_LIMIT = 100
"""Folders in one path that are believed at most."""


class Store(Protocol):
    """What a Root reads from. Folders are absolute and free of symbolic links; "" is the top.

    Each method raises OSError as the kernel would: ENOENT, ENOTDIR, EISDIR, EACCES; ELOOP for a name that is a link.
    """

    def read(self, folder: str, name: str, limit: int) -> bytes: ...

    def names(self, folder: str) -> list[str]: ...

    def readlink(self, folder: str, name: str) -> str: ...

    def is_folder(self, folder: str, name: str) -> bool: ...

    def status(self, folder: str, name: str) -> os.stat_result: ...

    def close(self) -> None: ...


class Witness(Protocol):
    """Who can say whether a file that a captured tree lacks was absent on the machine itself."""

    def absent(self, path: str, ancestor: str) -> bool:
        """Whether the machine lacked it; `ancestor` is the nearest folder that is there, and `path` is below it."""

    def unreadable(self, path: str) -> str | None:
        """Why it could not be read, where that is known."""

    def output(self, argv: tuple[str, ...]) -> str | None:
        """What a command printed, None where it was not installed. Raises Unreadable."""


class Root:
    """A machine's file system, read only, and the answers of the few commands that no file replaces.

    Links are followed below the top of the tree, wherever they lead. On the live machine, which may be read with more
    rights than those have who make links there, only such are followed that stand in /sys, or that root or the reading
    user made; and none that belongs to a process (/proc/PID/cwd, root, exe, fd/…), whose text can still be read.
    """

    def __init__(self, store: Store, *, name: str | None = None, witness: Witness | None = None) -> None:
        self.store = store
        self.name = name
        """The captured tree's path; None on the live machine."""
        self._witness = witness
        self.data: dict[str, bytes | Unreadable | None] = {}
        """What was read, by the path that no link is left in. None: absent."""
        self.listed: dict[str, list[str] | Unreadable | None] = {}
        self.links: dict[str, str | Unreadable | None] = {}
        """What each link says. None: it is no link, or absent (then it is in `absent` too)."""
        self.untrusted: dict[str, Unreadable] = {}
        """Links that are not followed, and why."""
        self.kinds: dict[str, bool] = {}
        """Whether it is a folder."""
        self.outputs: dict[tuple[str, ...], str | Unreadable | None] = {}
        self.modes: dict[str, tuple[int, int, int] | Unreadable | None] = {}
        self.absent: set[str] = set()
        """Paths, or folders on the way to them, that were looked for and are not there."""
        self._folders: dict[str, str | None] = {"": "", "/": ""}
        """Each folder's path with all links followed. None: a part of it is absent."""
        self._gaps: dict[str, tuple[str, str]] = {}
        """Of such a folder: the nearest one that is there, and the path below it that is not."""

    @property
    def live(self) -> bool:
        """Whether this is the machine that vmtune runs on."""
        return self.name is None

    @property
    def is_nowhere(self) -> bool:
        """Whether there is no machine at all: a domain or a .vmx file is judged alone."""
        return self.name is NO_HOST  # no path that a user gives is this very object

    def close(self) -> None:
        """Let go of what is held open; what was read stays known."""
        self.store.close()

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- files ---------------------------------------------------------------------------------------------------------

    def read(self, path: str, limit: int = FILE_LIMIT) -> str | None:
        """Text of a file without its trailing newline, None where it is absent. Raises Unreadable."""
        data = self.read_bytes(path, limit)
        return None if data is None else text_of(data)

    def read_bytes(self, path: str, limit: int = FILE_LIMIT) -> bytes | None:
        """Content of a file, None where it is absent. Raises Unreadable."""
        place = self._place(path)
        if place is not None:
            return self.read_in(*place, limit)
        self._lacks(path)
        return None

    def read_in(self, home: str, name: str, limit: int = FILE_LIMIT) -> bytes | None:
        """As `read_bytes`, of a name in a folder whose links are already followed (`Folder.home`)."""
        path = f"{home}/{name}"
        try:
            known = self.data[path]
        except KeyError:
            known = self.data[path] = self._fetch(home, name, path, limit)
        if isinstance(known, Unreadable):
            raise known.again()
        return known

    def _fetch(self, home: str, name: str, path: str, limit: int, anew: bool = False) -> bytes | Unreadable | None:
        try:
            return self.store.read(home, name, limit)
        except OSError as error:
            code = error.errno
            refused = error
        try:
            if code == errno.ELOOP:
                real = self.real(path)
                if real == path:
                    return Unreadable(path, "changes while it is read")
                if real is None:
                    return None
                home, _, name = real.rpartition("/")
                if not anew:
                    return self.read_in(home, name, limit)
                now = self._fetch(home, name, real, limit, anew)
                self.data.setdefault(real, now)
                return now
            if code in (errno.ENOENT, errno.ENOTDIR):
                self._lacks(path)
                return None
        except Unreadable as kept:
            return kept
        return self._refused(path, refused)

    def reread(self, path: str, limit: int = FILE_LIMIT) -> str | None:
        """Text of a file as it is now, whatever was read before. Raises Unreadable."""
        place = self._place(path)
        if place is None:
            self._lacks(path)
            return None
        home, name = place
        real = f"{home}/{name}"
        now = self.data.get(real, b"")
        if self._witness is None or isinstance(now, bytes):
            now = self._fetch(home, name, real, limit, anew=True)
            self.data.setdefault(real, now)
        if isinstance(now, Unreadable):
            raise now
        return None if now is None else text_of(now)

    def remember(self, path: str, data: bytes) -> None:
        """Take what a helper process read of a file as read."""
        folder, _, name = path.rpartition("/")
        self.data[f"{self._folder(folder)}/{name}"] = data

    def seen(self, path: str) -> str | None:
        """Text of a file as it was read, None where it was not read or could not be."""
        folder, _, name = path.rpartition("/")
        home = self._folders.get(folder)
        data = None if home is None else self.data.get(f"{home}/{name}")
        return text_of(data) if isinstance(data, bytes) else None

    # -- folders and links ---------------------------------------------------------------------------------------------

    def folder(self, path: str) -> Folder:
        """The folder at a path, whether it is there or not."""
        return Folder(self, path)

    def names(self, path: str) -> list[str] | None:
        """Sorted names in a folder, None where there is no such folder. Raises Unreadable."""
        home = self._folder(path)
        if home is None:
            self._lacks(path)
            return None
        try:
            known = self.listed[home]
        except KeyError:
            known = self.listed[home] = self._list(home, path)
        if isinstance(known, Unreadable):
            raise known.again()
        return known

    def _list(self, home: str, path: str) -> list[str] | Unreadable | None:
        try:
            return sorted(self.store.names(home))
        except OSError as error:
            if error.errno == errno.ENOTDIR:
                return None
            if error.errno != errno.ENOENT:
                return self._refused(path, error)
        try:
            self._lacks(path)
            return None
        except Unreadable as kept:
            return kept

    def link(self, path: str) -> str | None:
        """What a symbolic link says, None where there is none. Raises Unreadable."""
        place = self._place(path)
        if place is None:
            self._lacks(path)
            return None
        home, name = place
        target = self._readlink(home, name) if name else None
        if target is None and f"{home}/{name}" in self.absent:
            self._lacks(path)
            return None
        return target

    def real(self, path: str) -> str | None:
        """The path that remains when each link is followed, below this root. None where it leads nowhere."""
        asked = path
        for _ in range(LINK_LIMIT):
            place = self._place(path)
            if place is None:
                self._lacks(path)
                return None
            home, name = place
            target = self._readlink(home, name) if name else None
            if target is None and (real := f"{home}/{name}") not in self.absent:
                return real
            if target is None:
                self._lacks(path)
                return None
            self._trust(home, name)
            path = target if target[:1] == "/" else f"{home}/{target}"
        raise Unreadable(asked, "too many links")

    def exists(self, path: str) -> bool:
        """Whether there is a file, folder or device of that path. Raises Unreadable."""
        return self.real(path) is not None

    def is_folder(self, path: str) -> bool:
        """Whether a path leads to a folder. Raises Unreadable."""
        real = self.real(path)
        if real is None:
            return False
        if real == "/":
            return True
        if real not in self.kinds:
            folder, _, name = real.rpartition("/")
            try:
                self.kinds[real] = self.store.is_folder(folder, name)
            except OSError as error:
                if self._witness is not None:
                    self._lacks(real)
                raise self._refused(path, error) from None
        return self.kinds[real]

    def mode(self, path: str) -> tuple[int, int, int] | None:
        """Mode, owner and group (`st_mode`, `st_uid`, `st_gid`), None where it is absent. Raises Unreadable."""
        real = self.real(path)
        if real is None:
            return None
        if real not in self.modes:
            self.modes[real] = self._mode(real)
        known = self.modes[real]
        if isinstance(known, Unreadable):
            raise known.again()
        return known

    def _mode(self, real: str) -> tuple[int, int, int] | Unreadable:
        folder, _, name = real.rpartition("/")
        try:
            status = self.store.status(folder, name or ".")
        except OSError as error:
            return self._refused(real, error)
        return status.st_mode, status.st_uid, status.st_gid

    def _readlink(self, home: str, name: str) -> str | None:
        """What the link `name` in a resolved folder says; None where it is no link, or absent (then noted as such)."""
        path = f"{home}/{name}"
        try:
            known = self.links[path]
        except KeyError:
            known = None
            try:
                known = self.store.readlink(home, name)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR):
                    self.absent.add(path)
                elif error.errno != errno.EINVAL:
                    known = self._refused(path, error)
            self.links[path] = known
        if isinstance(known, Unreadable):
            raise known.again()
        return known

    def _trust(self, home: str, name: str) -> None:
        """Raise Unreadable where a link is not to be followed."""
        if home.startswith("/sys/"):
            return
        path = f"{home}/{name}"
        if self._witness is None and path not in self.untrusted:
            reason = self._distrust(home, name)
            if reason is None:
                return
            self.untrusted[path] = Unreadable(path, reason)
        if path in self.untrusted:
            raise self.untrusted[path].again()

    def _distrust(self, home: str, name: str) -> str | None:
        """Why a link of the live machine is not to be followed, None where it is."""
        if home.startswith("/proc/") and home[6:7].isdigit():
            return "a process's own link, which is not followed"
        try:
            owner = self.store.status(home, name).st_uid
        except OSError as error:
            return reason_of(error)
        return None if owner in (0, os.geteuid()) else "another user's link, which is not followed"

    def _place(self, path: str) -> tuple[str, str] | None:
        """A path's folder with all links followed, and its name there, "" for the top. None: that folder is absent."""
        folder, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            home = self._folder(path)
            if home is None:
                return None
            folder, _, name = home.rpartition("/")
            return folder, name
        home = self._folder(folder)
        return None if home is None else (home, name)

    def _folder(self, path: str) -> str | None:
        """A folder's path with all links followed; None where a part of it is absent."""
        try:
            return self._folders[path]
        except KeyError:
            pass
        if path.count("/") > DEPTH_LIMIT:
            raise Unreadable(path[:200], "too deep")
        known = path
        while known not in self._folders:
            known = known.rpartition("/")[0]
        home = self._folders[known]
        if home is not None:
            home = self._walk(home, path[len(known) :].split("/"), path)
        else:
            ancestor, missing = self._gaps[known]
            self._gaps[path] = ancestor, missing + path[len(known) :]
        self._folders[path] = home
        return home

    def _walk(self, home: str, parts: list[str], path: str) -> str | None:
        """Where one comes from a folder by these names, links followed as the kernel does; None where one is absent."""
        parts.reverse()
        followed = 0
        while parts:
            name = parts.pop()
            if name in ("", "."):
                continue
            if name == "..":
                home = home.rpartition("/")[0]
                continue
            target = self._readlink(home, name)
            if target is not None:
                followed += 1
                if followed > LINK_LIMIT or len(parts) > DEPTH_LIMIT:
                    raise Unreadable(path, "too many links")
                self._trust(home, name)
                if target[:1] == "/":
                    home = ""
                parts.extend(reversed(target.split("/")))
                continue
            found = f"{home}/{name}"
            if found in self.absent:
                self._gaps[path] = home, "/".join([found, *reversed(parts)])
                return None
            home = found
        if home.count("/") > DEPTH_LIMIT:
            raise Unreadable(path, "too deep")
        return home

    # -- what is not there ---------------------------------------------------------------------------------------------

    def _lacks(self, path: str) -> None:
        """Return for what is absent; raise Unreadable where a capture cannot tell whether it was."""
        witness = self._witness
        if witness is None:
            return
        refused = witness.unreadable(path)
        if refused is None:
            ancestor, real = self._gap(path)
            if real != path:
                refused = witness.unreadable(real)
            if refused is None and not witness.absent(real, ancestor):
                refused = NOT_CAPTURED
        if refused is not None:
            raise Unreadable(path, refused)

    def _gap(self, path: str) -> tuple[str, str]:
        """Of a path that is not there: the nearest folder that is, and the path below it, links followed."""
        if path in self._gaps:
            return self._gaps[path]
        folder, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            folder, name = path, ""
        home = self._folder(folder)
        if home is not None:
            return home, f"{home}/{name}"
        ancestor, missing = self._gaps[folder]
        return ancestor, f"{missing}/{name}".rstrip("/")

    def _refused(self, path: str, error: OSError) -> Unreadable:
        refused = None if self._witness is None else self._witness.unreadable(path)
        return Unreadable(path, refused or reason_of(error))

    # -- commands and slow attributes ----------------------------------------------------------------------------------

    def output(self, *argv: str) -> str | None:
        """What a command prints, None where it is not installed. Raises Unreadable (failed, timed out, not captured).

        `argv[0]` is a bare name, looked up in the system's folders only; the environment is clean, nothing is a shell.
        """
        try:
            known = self.outputs[argv]
        except KeyError:
            known = self.outputs[argv] = self._run(argv)
        if isinstance(known, Unreadable):
            raise known.again()
        return known

    def _run(self, argv: tuple[str, ...]) -> str | Unreadable | None:
        if self._witness is None:
            from vmtune.root.deadline import run

            return run(argv)
        try:
            return self._witness.output(argv)
        except Unreadable as kept:
            return kept

    def guarded(self, paths: Iterable[str]) -> None:
        """Read attributes that may block behind a device lock, each in time, so that later reads find them."""
        if not self.live:
            return
        from vmtune.root.deadline import read_all

        wanted = []
        for path in paths:
            try:
                real = self.real(path)
            except Unreadable:
                continue  # as each later read will say
            if real is not None and real not in self.data:
                wanted.append(real)
        self.data.update(read_all(wanted))


def text_of(data: bytes) -> str:
    """Text of a file's bytes, without trailing newlines and NULs; bytes that are no UTF-8 are escaped."""
    return data.rstrip(b"\n\0").decode("utf-8", "backslashreplace")


def live_root() -> Root:
    """The machine that vmtune runs on."""
    from vmtune.root.directory import Directory

    return Root(Directory("/"))


def open_root(path: str) -> Root:
    """A captured tree: a directory, or a .tar, .tar.gz, .tar.xz or .tar.zst archive.

    sys/ and proc/ stand at its top or inside its one top folder. Raises BadTree naming what is wrong.
    """
    from vmtune.root.capture import open_capture

    return open_capture(path)
