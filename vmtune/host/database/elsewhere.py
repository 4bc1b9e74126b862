"""Where engines other than PostgreSQL keep configuration and data, as far as command line and folders tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vmtune.host.database import Place
from vmtune.host.database.process import Process, kept
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.root import Root

_ORACLE_VERSION = re.compile(r"/product/([0-9]{1,2}(?:\.[0-9]{1,3}){0,4})c?/")
_HANA_SYSTEM = re.compile(r"/usr/sap/([A-Z][A-Z0-9]{2})/HDB([0-9]{2})/")
_USUAL = {
    "mysql": ("/etc/my.cnf", "/etc/mysql/my.cnf"),
    "mariadb": ("/etc/my.cnf", "/etc/mysql/my.cnf"),
    "mssql": ("/var/opt/mssql/mssql.conf",),
    "mongodb": ("/etc/mongod.conf",),
    "redis": (),
}
"""Files that are read where the command line names none."""
_NAMED = {
    "mysql": ("--defaults-file", "--defaults-extra-file"),
    "mariadb": ("--defaults-file", "--defaults-extra-file"),
    "mongodb": ("--config", "-f"),
}
_DATA = {"mysql": ("--datadir", "-h"), "mariadb": ("--datadir", "-h"), "mongodb": ("--dbpath",)}
_AT_HOME = ("mysql", "mariadb", "redis")
"""Engines that make their data directory their working folder."""


def place(root: Root, process: Process) -> Place:
    """Where a server keeps what."""
    if process.engine == "oracle":
        return _oracle(root, process)
    if process.engine == "hana":
        return _hana(process)
    engine = process.engine
    data = option(process.argv, _DATA.get(engine, ()))
    if data is None and engine in _AT_HOME:
        data = kept(lambda: process.folder)
    return Place(None, None, data, _files(root, process))


def option(argv: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    """The last absolute path given to one of these options, `--name=path` or `--name path`."""
    found = None
    for at, word in enumerate(argv[1:], 1):
        name, equals, given = word.partition("=")
        if name in names:
            given = given if equals else argv[at + 1] if at + 1 < len(argv) else ""
            found = given if given.startswith("/") else found
    return found


def _files(root: Root, process: Process) -> tuple[str, ...]:
    named = option(process.argv, _NAMED.get(process.engine, ()))
    return (named,) if named is not None else _there(root, _USUAL[process.engine])


def _there(root: Root, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the files that are there."""
    there = []
    for path in paths:
        try:
            if root.exists(path):
                there.append(path)
        except Unreadable:
            continue
    return tuple(there)


def _oracle(root: Root, process: Process) -> Place:
    """The instance is in the process's title; its files are in the home, two folders above the program."""
    instance = (process.argv[0] or process.comm).rpartition("ora_pmon_")[2]
    try:
        program = process.executable or ""
    except Unreadable as refused:
        return Place(instance or None, keep(refused), None, keep(refused))
    home = program.rpartition("/")[0].rpartition("/")[0]
    found = _ORACLE_VERSION.search(program)
    names = (f"spfile{instance}.ora", f"init{instance}.ora") if "/" not in instance else ()
    files = _there(root, tuple(f"{home}/dbs/{name}" for name in names))
    return Place(instance or None, found[1] if found else None, None, files)


def _hana(process: Process) -> Place:
    try:
        found = _HANA_SYSTEM.search(process.executable or "")
    except Unreadable as refused:
        return Place(keep(refused))
    return Place(f"{found[1]}{found[2]}" if found else None)
