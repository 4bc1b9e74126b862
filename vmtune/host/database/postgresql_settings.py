"""PostgreSQL's configuration, as the server itself would take it at its next start.

Sources: src/backend/utils/misc/guc-file.l (lines, includes, escapes) and guc.c (numbers, units) of PostgreSQL 15. Of
each file only settings that are named here are kept, and a file is read only where the server's own user may read it:
neither a link nor an `include` can make anybody else's file show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from vmtune.host.database.process import Process, read_as
from vmtune.root import text_of
from vmtune.root.folder import nonsense
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.root import Root

DEPTH_LIMIT, FILE_LIMIT = 10, 200
"""Nested includes, as the server allows; files in all."""

_LINE = re.compile(
    r"\s*([A-Za-z_][\w$.]*)(?:\s*=\s*|\s+|(?='))('(?:[^'\\\n]|\\.|'')*'|[-+]?[\w.:/-]+)\s*(?:#.*)?", re.ASCII
)
_NUMBER = re.compile(
    r"\s*([-+]?(?:0[xX][0-9a-fA-F]{1,12}|[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}))\s*([A-Za-z]{0,3})\s*"
)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)|''", re.DOTALL)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BYTES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}

NUMBERS = {
    "shared_buffers": (8192, 16384),
    "wal_buffers": (8192, -1),
    "min_dynamic_shared_memory": (1 << 20, 0),
    "huge_page_size": (1 << 10, 0),
    "track_activity_query_size": (1, 1024),
    "old_snapshot_threshold": (0, -1),
    "max_connections": (None, 100),
    "max_prepared_transactions": (None, 0),
    "max_wal_senders": (None, 10),
    "max_replication_slots": (None, 10),
    "max_worker_processes": (None, 8),
    "autovacuum_max_workers": (None, 3),
    "max_locks_per_transaction": (None, 64),
    "max_pred_locks_per_transaction": (None, 64),
    "max_logical_replication_workers": (None, 4),
    "pg_stat_statements.max": (None, 5000),
}
"""Unit in bytes (0: minutes, None: a plain number) and default of the settings that are numbers."""
WORDS = {
    "huge_pages": "try",
    "shared_memory_type": "mmap",
    "hot_standby": "on",
    "shared_preload_libraries": "",
    "cluster_name": "",
}
"""Defaults of the settings that are words."""
_PATHS = ("data_directory", "config_file")
_INCLUDES = ("include", "include_if_exists", "include_dir")
_SHORT = {
    "B": "shared_buffers",
    "N": "max_connections",
    "D": "",
    "c": "",
    "k": "",
    "h": "",
    "p": "",
    "S": "",
    "r": "",
    "W": "",
}
"""Options of the command line that take a value."""


class Setting(NamedTuple):
    """What a setting is set to, and where: `/etc/…/postgresql.conf:12`, or the process whose command line says so."""

    name: str
    value: str
    source: str


class Configuration(NamedTuple):
    """What was read of the configuration."""

    settings: dict[str, Setting]
    """Of the known ones those that are set; the last one counts."""
    files: tuple[str, ...]
    data_directory: str


def configuration(root: Root, process: Process) -> Configuration:
    """The configuration of a running server. Raises Unreadable where a file of it cannot be read."""
    overrides = command_line(process.argv, f"{process.path}/cmdline")
    start = _argument_of(process.argv, "-D")
    if not start.startswith("/"):
        start = process.folder or ""
    named = overrides.get("config_file")
    main = named.value if named else f"{start}/postgresql.conf"
    if not main.startswith("/"):
        raise Unreadable(f"{process.path}/cmdline", "does not tell where the configuration is")
    reader = _Reader(root, process)
    reader.file(main, 0, needed=True)
    moved = overrides.get("data_directory") or reader.settings.get("data_directory")
    data = moved.value if moved and moved.value.startswith("/") else start or main.rpartition("/")[0]
    reader.file(f"{data}/postgresql.auto.conf", 0, needed=False)
    return Configuration(reader.settings | overrides, tuple(reader.files), data)


class _Reader:
    """Settings of files that include each other."""

    def __init__(self, root: Root, process: Process) -> None:
        self.root = root
        self.process = process
        self.settings: dict[str, Setting] = {}
        self.files: list[str] = []

    def file(self, path: str, depth: int, *, needed: bool) -> None:
        if depth > DEPTH_LIMIT or len(self.files) >= FILE_LIMIT:
            raise Unreadable(path, "too many files include each other")
        data = read_as(self.root, self.process, path)
        if data is None:
            if needed:
                raise Unreadable(path, "absent")
            return
        self.files.append(path)
        for number, name, value in lines(text_of(data)):
            if name in _INCLUDES:
                self._include(name, _absolute(value, path), depth)
            elif name in NUMBERS or name in WORDS or name in _PATHS:
                self.settings[name] = Setting(name, value, f"{path}:{number}")

    def _include(self, kind: str, path: str, depth: int) -> None:
        if kind != "include_dir":
            self.file(path, depth + 1, needed=kind == "include")
            return
        for name in self.root.names(path) or ():
            if name.endswith(".conf") and not name.startswith(".") and not self.root.is_folder(f"{path}/{name}"):
                self.file(f"{path}/{name}", depth + 1, needed=True)


def lines(text: str) -> Iterable[tuple[int, str, str]]:
    """Line number, name in small letters and value of each setting; what is none is passed over."""
    for number, line in enumerate(text.split("\n"), 1):
        found = _LINE.fullmatch(line)
        if found is not None:
            value = found[2]
            yield number, found[1].lower(), _unquoted(value) if value.startswith("'") else value


def command_line(argv: tuple[str, ...], source: str) -> dict[str, Setting]:
    """Known settings on a server's command line: `-c name=value`, `--name=value`, `-B`, `-N`."""
    found: dict[str, Setting] = {}
    at = 1
    while at < len(argv):
        word, at = argv[at], at + 1
        if word.startswith("--"):
            stated = word[2:]
        elif len(word) > 1 and word[0] == "-" and word[1] in _SHORT:
            stated = word[2:]
            if not stated:
                stated, at = (argv[at] if at < len(argv) else ""), at + 1
            if word[1] != "c":
                stated = f"{_SHORT[word[1]]}={stated}"
        else:
            continue
        name, equals, value = stated.partition("=")
        name = name.replace("-", "_").lower()
        if equals and (name in NUMBERS or name in WORDS or name in _PATHS):
            found[name] = Setting(name, value, source)
    return found


def number(settings: Mapping[str, Setting], name: str) -> int:
    """A setting's number in its own unit, or its default. Raises Unreadable where it is none."""
    unit, default = NUMBERS[name]
    setting = settings.get(name)
    if setting is None:
        return default
    found = _NUMBER.fullmatch(setting.value)
    if found is not None:
        digits, suffix = found.groups()
        plain = digits.lstrip("+-")
        base = 16 if plain[:2].lower() == "0x" else 8 if plain[0] == "0" and plain.isdigit() else 10
        try:
            stated = float(digits) if "." in plain else int(digits, base)
        except ValueError:
            stated = -2
        scale = 1.0 if not suffix else _scale(unit, suffix)
        result = round(stated * scale) if scale is not None else -2
        if min(default, 0) <= result < 1 << 31:
            return result
    raise _wrong(setting, "a number" if unit is None else "a number with a unit")


def word(settings: Mapping[str, Setting], name: str) -> str:
    """A setting's word in small letters, or its default; the spellings of yes and no are on and off."""
    setting = settings.get(name)
    text = WORDS[name] if setting is None else setting.value.strip().lower()
    if name in ("huge_pages", "hot_standby"):
        text = "on" if text in ("on", "true", "yes", "1", "t", "y") else text
        text = "off" if text in ("off", "false", "no", "0", "f", "n") else text
        if setting is not None and text not in ("on", "off", "try"):
            raise _wrong(setting, "on or off")
    return text


def libraries(settings: Mapping[str, Setting]) -> frozenset[str]:
    """Names of the libraries that are loaded at the start."""
    names = word(settings, "shared_preload_libraries").split(",")
    return frozenset(name.strip(" \t\n\"'").rpartition("/")[2].removesuffix(".so") for name in names)


def _scale(unit: int | None, suffix: str) -> float | None:
    """How much of a setting's own unit a written unit is."""
    if unit is None:
        return None
    if unit == 0:
        return _MILLISECONDS[suffix] / 60_000 if suffix in _MILLISECONDS else None
    return _BYTES[suffix] / unit if suffix in _BYTES else None


def _unquoted(value: str) -> str:
    return _ESCAPE.sub(_letter, value[1:-1]) if "\\" in value or "''" in value else value[1:-1]


def _letter(found: re.Match[str]) -> str:
    escaped = found[1]
    if escaped is None:
        return "'"
    return chr(int(escaped, 8) & 0xFF) if escaped[0] in "01234567" else _LETTERS.get(escaped, escaped)


def _absolute(value: str, path: str) -> str:
    return value if value.startswith("/") else f"{path.rpartition('/')[0]}/{value}"


def _argument_of(argv: tuple[str, ...], option: str) -> str:
    """The last value of `-D x` or `-Dx`."""
    found = ""
    for at, word in enumerate(argv[1:], 1):
        if word == option and at + 1 < len(argv):
            found = argv[at + 1]
        elif word.startswith(option) and len(word) > len(option):
            found = word[len(option) :]
    return found


def _wrong(setting: Setting, wanted: str) -> Unreadable:
    kept: Unreadable = nonsense(setting.source, f"{wanted} ({setting.name})", setting.value)
    return kept
