"""What the owner of a machine declares, and no tool can find out: /etc/vmtune/vmtune.toml."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from vmtune.check import Role, Workload
from vmtune.root import Root, Unreadable

SITE_FILE = "/etc/vmtune/vmtune.toml"
SIZE_LIMIT = 16 << 10
ASSUMPTIONS = ("ha", "migration", "multi-tenant", "passthrough")
"""What may be declared: HA is wanted, VMs shall move, tenants do not trust each other, devices are to be passed
through."""


class BadSite(Exception):
    """A site file that cannot be used: the file, the place in it, and what is wrong."""


class Site(NamedTuple):
    """Declarations of one site. Nothing is declared by default."""

    source: str | None = None
    assume: frozenset[str] = frozenset()
    workload: Workload | None = None
    roles: tuple[Role, ...] = ()
    domains: tuple[tuple[str, Workload], ...] = ()
    """Workload of the domains whose name matches a pattern; the first match holds."""
    thresholds: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - never changed

    def wants(self, what: str) -> bool:
        """Whether one of ASSUMPTIONS is declared."""
        return what in self.assume

    def workload_of(self, domain: str) -> Workload | None:
        """The declared workload of a domain."""
        return next((workload for pattern, workload in self.domains if fnmatchcase(domain, pattern)), None)


def load(root: Root, path: str = SITE_FILE, *, must_exist: bool = False) -> Site:
    """Read a site file through a root; an absent one declares nothing. Raises BadSite with all that is wrong in it."""
    try:
        text = root.read(path, SIZE_LIMIT)
        mode = root.mode(path) if root.live and text is not None and not must_exist else None
    except Unreadable as kept:
        if not root.live:
            return Site()
        raise BadSite(str(kept)) from None
    if text is None:
        if must_exist:
            raise BadSite(f"{path}: no such file")
        return Site()
    if mode is not None and (mode[1] != 0 or mode[0] & 0o022):
        raise BadSite(f"{path}: must belong to root and be writable by root alone")
    return parse(text, path)


def parse(text: str, path: str) -> Site:
    """The declarations of a site file's text. Raises BadSite."""
    import tomllib

    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, brackets without end
        raise BadSite(f"{path}: {error}") from None
    reader = _Reader(data)
    site = Site(
        source=path,
        assume=frozenset(reader.words("assume", ASSUMPTIONS)),
        workload=reader.workload("workload", data),
        roles=tuple(Role(word) for word in reader.words("roles", tuple(Role))),
        domains=tuple(
            (pattern, workload)
            for pattern, table in reader.tables("domains")
            if (workload := reader.workload(f"domains.{pattern!r}.workload", table)) is not None
        ),
        thresholds=dict(reader.tables("checks")),
    )
    for pattern, table in reader.tables("domains"):
        reader.wrong += [f"domains.{pattern!r}.{key}: no such key" for key in sorted(table.keys() - {"workload"})]
    unknown = sorted(data.keys() - {"assume", "workload", "roles", "domains", "checks"})
    reader.wrong += [f"{key}: no such key" for key in unknown]
    if reader.wrong:
        raise BadSite(f"{path}: " + "; ".join(reader.wrong))
    return site


class _Reader:
    """Takes keys out of a parsed file and collects what is wrong with them, so that all errors are told at once."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.wrong: list[str] = []

    def words(self, key: str, allowed: tuple[str, ...]) -> list[str]:
        words = self.data.get(key, [])
        if not isinstance(words, list):
            self.wrong.append(f"{key}: expected a list of {', '.join(allowed)}")
            return []
        self.wrong += [f"{key}: {word!r} is none of {', '.join(allowed)}" for word in words if word not in allowed]
        return [word for word in words if word in allowed]

    def workload(self, place: str, table: dict[str, Any]) -> Workload | None:
        word = table.get("workload")
        if word is None or word in tuple(Workload):
            return None if word is None else Workload(word)
        self.wrong.append(f"{place}: {word!r} is none of {', '.join(Workload)}")
        return None

    def tables(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        tables = self.data.get(key, {})
        if isinstance(tables, dict) and all(isinstance(table, dict) for table in tables.values()):
            return list(tables.items())
        self.wrong.append(f"{key}: expected a table of tables")
        return []
