"""Captured trees: where their top is, and what their gaps mean."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from stat import S_ISDIR
from typing import Any

from vmtune.root import NOT_CAPTURED, Root, Unreadable
from vmtune.root.archive import BadTree, read_archive
from vmtune.root.directory import Directory
from vmtune.root.memory import Memory

__all__ = ["MANIFEST", "SCHEMA", "BadTree", "open_capture"]

MANIFEST = "vmtune-capture.json"
"""Stands at the top of vmtune's own captures and tells what the files cannot."""
SCHEMA = "vmtune.capture/1"
MANIFEST_LIMIT = 64 << 20
PARTS = ("sys", "proc")


def open_capture(path: str) -> Root:
    """The root of a captured directory or archive. Raises BadTree."""
    try:
        is_folder = S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        raise _bad(path, error) from None
    store = _directory(path) if is_folder else _archive(path)
    try:
        manifest = _manifest(store, path)
        if manifest is None:
            return Root(store, name=path, witness=Foreign(store))
        return _restored(store, manifest, path)
    except BaseException:
        store.close()
        raise


def _directory(path: str) -> Directory:
    top = path
    try:
        found = _folders(top)
        if not _is_top(found) and len(found) == 1:
            top = os.path.join(path, found[0])
            found = _folders(top)
            if not _is_top(found):
                found = _folders(path)
        if not _is_top(found):
            raise _no_tree(path, found)
        return Directory(top)
    except OSError as error:
        raise _bad(path, error) from None


def _folders(path: str) -> list[str]:
    with os.scandir(path) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _archive(path: str) -> Memory:
    store = read_archive(path)
    found = [name for name in store.names("") if store.is_folder("", name)]
    if _is_top(found):
        return store
    if len(found) == 1:
        inside = f"/{found[0]}"
        if _is_top([name for name in store.names(inside) if store.is_folder(inside, name)]):
            return store.moved(inside)
    raise _no_tree(path, found)


def _is_top(folders: list[str]) -> bool:
    return any(part in folders for part in PARTS)


def _no_tree(path: str, folders: list[str]) -> BadTree:
    if len(folders) > 1:
        return BadTree(path, f"holds {len(folders)} folders and neither sys/ nor proc/: name the one of a machine")
    return BadTree(path, "holds neither sys/ nor proc/, at its top or inside its one top folder")


def _bad(path: str, error: Exception) -> BadTree:
    said = error.strerror if isinstance(error, OSError) else str(error)
    return BadTree(path, (said or "cannot be read").lower())


# -- somebody else's capture -------------------------------------------------------------------------------------------


class Foreign:
    """Witness of a tree that somebody else captured: a gap proves nothing unless the folder around it was captured.

    A folder of /sys or /proc counts as captured where it directly holds a file or a link; one of folders alone is just
    a way to something. Nobody captures the whole of /proc, /etc, /run, /dev or /var.
    """

    def __init__(self, store: Memory | Directory) -> None:
        self._store = store
        self._captured: dict[str, bool] = {}

    def absent(self, path: str, ancestor: str) -> bool:  # noqa: ARG002
        """Whether the machine lacked what this tree lacks; `ancestor` is the nearest folder that is there."""
        known = self._captured.get(ancestor)
        if known is None:
            known = self._captured[ancestor] = self._whole(ancestor)
        return known

    def _whole(self, folder: str) -> bool:
        if not folder.startswith(("/sys/", "/proc/")):
            return False
        above, _, name = folder.rpartition("/")
        try:
            return not self._store.is_folder(above, name) or self._store.holds_files(folder)
        except OSError:
            return False

    def unreadable(self, path: str) -> str | None:  # noqa: ARG002
        """Nothing is known of why a file is missing."""
        return None

    def output(self, argv: tuple[str, ...]) -> str | None:
        """No command was recorded."""
        raise Unreadable(" ".join(argv), NOT_CAPTURED)


# -- our own -----------------------------------------------------------------------------------------------------------


class Own:
    """Witness of vmtune's own capture: its manifest says what was asked for and not found."""

    def __init__(self, absent: frozenset[str], listed: dict[str, frozenset[str]]) -> None:
        self._absent = absent
        self._listed = listed

    def absent(self, path: str, ancestor: str) -> bool:
        """Whether the machine lacked it, or a folder above it."""
        names = self._listed.get(ancestor)
        if names is not None and path[len(ancestor) + 1 :].partition("/")[0] not in names:
            return True
        while len(path) > len(ancestor):
            if path in self._absent:
                return True
            path = path.rpartition("/")[0]
        return False

    def unreadable(self, path: str) -> str | None:  # noqa: ARG002
        """What could not be read is remembered by the Root itself."""
        return None

    def output(self, argv: tuple[str, ...]) -> str | None:
        """Each command that was recorded is remembered by the Root itself."""
        raise Unreadable(" ".join(argv), NOT_CAPTURED)


def _restored(store: Memory | Directory, manifest: dict[str, Any], path: str) -> Root:
    """A root that remembers what was asked when the capture was made. Raises BadTree."""
    try:
        absent = _texts(manifest["absent"])
        listed = {folder: _names(names) for folder, names in _object(manifest["listed"])}
        witness = Own(frozenset(absent), {folder: frozenset(names) for folder, names in listed.items()})
        root = Root(_Recorded(store), name=path, witness=witness)
        root.data.update(dict.fromkeys(absent))
        root.data.update(_refusals(manifest["unreadable"]))
        root.links.update(_refusals(manifest["closed"]))
        root.untrusted.update(_refusals(manifest["untrusted"]))
        root.absent.update(absent)
        root.links.update(dict.fromkeys(absent))
        for there, is_folder in _object(manifest["present"]):
            root.absent.discard(there)
            root.links[there] = None
            if is_folder is not None:
                root.kinds[there] = bool(is_folder)
        root.listed.update(listed)
        root.listed.update(_refusals(manifest["unlisted"]))
        root.listed.update(dict.fromkeys(_texts(manifest["no_folder"])))
        for file, mode in _object(manifest["modes"]):
            root.modes[file] = Unreadable(file, mode) if isinstance(mode, str) else _mode(mode)
        for each in manifest["outputs"]:
            argv = tuple(_texts(each["argv"]))
            refused, text = each.get("unreadable"), each.get("text")
            root.outputs[argv] = _text(text) if refused is None else Unreadable(" ".join(argv), str(refused))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else "is not of its form"
        raise BadTree(path, f"its {MANIFEST} {said}") from None
    return root


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError
    return values


def _names(values: Any) -> list[str]:
    names = _texts(values)
    if any(not name or "/" in name or name in (".", "..") for name in names):
        raise ValueError
    return names


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _object(value: Any) -> Iterator[tuple[str, Any]]:
    return iter(value.items())


def _refusals(value: Any) -> dict[str, Unreadable]:
    return {path: Unreadable(path, str(reason)) for path, reason in _object(value)}


def _mode(value: Any) -> tuple[int, int, int]:
    mode, owner, group = value
    return int(mode), int(owner), int(group)


class _Recorded:
    """The store of our own capture. It cannot tell what folders hold that were not listed then, nor anything's mode."""

    def __init__(self, store: Memory | Directory) -> None:
        self._names = store.names
        self.read = store.read
        self.readlink = store.readlink
        self.is_folder = store.is_folder
        self.close = store.close

    def names(self, folder: str) -> list[str]:
        self._names(folder)
        raise OSError(errno.ENODATA, NOT_CAPTURED)

    def status(self, folder: str, name: str) -> os.stat_result:  # noqa: ARG002
        raise OSError(errno.ENODATA, NOT_CAPTURED)


def _manifest(store: Memory | Directory, path: str) -> dict[str, Any] | None:
    """The manifest of vmtune's own capture; None in anybody else's tree. Raises BadTree."""
    import json

    try:
        text = store.read("", MANIFEST, MANIFEST_LIMIT)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadTree(path, f"its {MANIFEST}: {(error.strerror or 'cannot be read').lower()}") from None
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        raise BadTree(path, f"its {MANIFEST} is no JSON") from None
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if not isinstance(schema, str) or schema.partition(".capture/")[0] != "vmtune":
        raise BadTree(path, f"its {MANIFEST} is none of vmtune")
    if schema != SCHEMA and not schema.startswith(SCHEMA + "."):
        raise BadTree(path, f"was made by another vmtune: {schema[:40]!r}, this one reads {SCHEMA}")
    return manifest  # type: ignore[no-any-return]
