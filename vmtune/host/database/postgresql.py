"""What a PostgreSQL server is configured to use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from vmtune.host.database import Configured, Place
from vmtune.host.database.postgresql_memory import BLOCK, KNOWN_LIBRARIES, MAJOR, shared_memory_bytes
from vmtune.host.database.postgresql_settings import (
    NUMBERS,
    Configuration,
    Setting,
    configuration,
    libraries,
    number,
    word,
)
from vmtune.host.database.process import Process, kept, read_as
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable
from vmtune.value import peek

if TYPE_CHECKING:
    from vmtune.root import Root

_PROGRAM = re.compile(r"/(?:postgresql/|pgsql-|postgres(?:ql)?-|as)([0-9]{1,2})(?:\.[0-9]+)*/")
_CLUSTER = re.compile(r"/postgresql/([0-9]{1,2}(?:\.[0-9])?/[^/]{1,60})/?")
_CONTROL = "global/pg_control"
_CONTROL_VERSION = 1300
_SEGMENT_LEAST, _SEGMENT_MOST = 1 << 20, 1 << 30
SEGMENT_DEFAULT = 16 << 20
"""Size of a WAL segment where initdb is told no other: taken where a capture lacks the control file."""


def describe(root: Root, process: Process) -> tuple[Place, Configured]:
    """Where it keeps what, and what it is configured to use."""
    try:
        read = configuration(root, process)
    except Unreadable as refused:
        folder = kept(lambda: process.folder)
        away: Any = keep(refused)
        return Place(
            away, kept(lambda: _version(root, process, peek(lambda: process.folder))), folder, away
        ), Configured(*[away] * 4)
    data, settings = read.data_directory, read.settings
    version = kept(lambda: _version(root, process, data))
    return (
        Place(_instance(read), version, data, read.files),
        Configured(
            settings,
            kept(lambda: word(settings, "huge_pages")),
            kept(lambda: number(settings, "huge_page_size") << 10 or None),
            kept(lambda: _shared_memory(root, process, read, _version(root, process, data))),
        ),
    )


def control_segment_bytes(data: bytes, path: str) -> int:
    """Size of a WAL segment, from the control file (pg_control.h, version 1300). Raises Unreadable."""

    def at(offset: int) -> int:
        return int.from_bytes(data[offset : offset + 4], "little")

    if len(data) < 296 or at(8) != _CONTROL_VERSION or (at(216), at(224)) != (BLOCK, BLOCK):
        raise Unreadable(path, f"not a control file of version {_CONTROL_VERSION} with blocks of {BLOCK} bytes")
    size = at(228)
    if size & (size - 1) or not _SEGMENT_LEAST <= size <= _SEGMENT_MOST:
        raise Unreadable(path, f"WAL segments of {size} bytes are not possible")
    return size


def _version(root: Root, process: Process, data: str | None) -> str | None:
    """The major version, of the data where they can be read, else of the program's folder."""
    path = f"{data}/PG_VERSION"
    try:
        text = read_as(root, process, path) if data else None
    except Unreadable:
        text = None
    if text is not None:
        stated = text.decode("ascii", "replace").strip()
        if stated and len(stated) < 6 and stated.replace(".", "", 1).isdigit():
            return stated
    found = _PROGRAM.search(process.executable or "")
    return found[1] if found else None


def _instance(read: Configuration) -> str | None:
    """The cluster's name: its own, or Debian's (`15/main`)."""
    named = read.settings.get("cluster_name")
    if named is not None and named.value:
        return named.value
    found = _CLUSTER.search(read.data_directory) or (_CLUSTER.search(read.files[0]) if read.files else None)
    return found[1] if found else None


def _shared_memory(root: Root, process: Process, read: Configuration, version: str | None) -> int:
    if version != str(MAJOR):
        raise Unreadable(process.path, f"what PostgreSQL {version or '?'} asks for is not known, only that of {MAJOR}")
    loaded = libraries(read.settings)
    others = sorted(loaded - KNOWN_LIBRARIES)
    if others:
        raise Unreadable(_source(read, "shared_preload_libraries"), f"what {', '.join(others)} asks for is not known")
    numbers = {name: number(read.settings, name) for name in NUMBERS}
    numbers["hot_standby"] = word(read.settings, "hot_standby") == "on"
    segment = _SEGMENT_LEAST
    if numbers["wal_buffers"] == -1 and numbers["shared_buffers"] // 32 > _SEGMENT_LEAST // BLOCK:
        path = f"{read.data_directory}/{_CONTROL}"
        control = peek(lambda: read_as(root, process, path))
        segment = SEGMENT_DEFAULT if control is None else control_segment_bytes(control, path)
    return shared_memory_bytes(numbers, loaded, segment)


def _source(read: Configuration, name: str) -> str:
    setting: Setting = read.settings[name]
    return setting.source
