"""Database servers that run here, and what they are configured to use. None of their programs is ever run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.host.database.process import Process, kept, servers
from vmtune.root.unreadable import Unreadable
from vmtune.value import peek, value

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.host.database.postgresql_settings import Setting
    from vmtune.root import Root

_SEGMENT_LEAST = 1 << 20
_ANONYMOUS = ("/dev/zero ", "/anon_hugepage ", "/SYSV")
"""How segments without a file are named, all with ` (deleted)` at the end."""
_SHARING = ("postgresql", "oracle")
"""Engines whose memory of note is shared between processes."""


class Limit(NamedTuple):
    """A process's limit; None is no limit."""

    soft_bytes: int | None
    hard_bytes: int | None


class Place(NamedTuple):
    """Where a server keeps what. Each may be an Unreadable, kept."""

    instance: str | None = None
    version: str | None = None
    data_directory: str | None = None
    config_files: tuple[str, ...] = ()


class Configured(NamedTuple):
    """What a server is configured to use. Each may be an Unreadable, kept."""

    settings: dict[str, Setting] | None = None
    hugepages: str | None = None
    huge_page_size_bytes: int | None = None
    shared_memory_bytes: int | None = None


@value
class Database(NamedTuple):
    """A running database server: its one parent process."""

    engine: str
    """postgresql, mariadb, mysql, oracle, mssql, mongodb, redis or hana."""
    pid: int
    path: str
    """/proc/PID."""
    user: str | None
    uid: int
    executable: str | None
    instance: str | None
    """What tells it from others of its kind: cluster name or `15/main`, an Oracle SID; None where nothing does."""
    version: str | None
    """From PG_VERSION or the executable's path; None where neither tells."""
    data_directory: str | None
    config_files: tuple[str, ...]
    """Those that were read, or of another engine than PostgreSQL those that it is started with."""
    settings: dict[str, Setting] | None
    """Those of PostgreSQL's settings that are known here and set. None: of this engine none are read."""
    hugepages: str | None
    """PostgreSQL's `huge_pages`: on, off or try. None: not known of this engine."""
    huge_page_size_bytes: int | None
    """PostgreSQL's `huge_page_size`; None: the system's default."""
    shared_memory_bytes: int | None
    """What PostgreSQL 15 asks for at its next start, by its configuration. None: not known of this engine."""
    mapped_bytes: int | None
    """Shared memory that a PostgreSQL or Oracle server has mapped now (/proc/PID/maps: segments of 1 MiB or more)."""
    hugetlb_bytes: int | None
    """Hugepages that it has mapped now (/proc/PID/status)."""
    memlock: Limit | None
    """`Max locked memory` of /proc/PID/limits."""
    may_lock: bool
    """Whether it may lock memory whatever the limit (CAP_IPC_LOCK)."""
    groups: tuple[int, ...]
    """Its groups, one of which `vm.hugetlb_shm_group` may name."""

    @property
    def name(self) -> str:
        """Engine and instance, the same after a restart where it has one."""
        return f"{self.engine}/{peek(lambda: self.instance) or peek(lambda: self.data_directory) or self.pid}"

    @property
    def major(self) -> int | None:
        """Number before the first point of the version."""
        return int(self.version.partition(".")[0]) if self.version else None

    @property
    def demand_bytes(self) -> int | None:
        """Shared memory to be held in hugepages: by the configuration, else what is mapped now. None: not known."""
        mapped = peek(lambda: self.mapped_bytes)
        if mapped is not None and peek(lambda: self.shared_memory_bytes) is None:
            return mapped
        return self.shared_memory_bytes

    def pages(self, page_bytes: int) -> int | None:
        """Hugepages of a size that it needs, counted as PostgreSQL does (`shared_memory_size_in_huge_pages`)."""
        demand = self.demand_bytes
        if demand is None:
            return None
        counted = peek(lambda: self.shared_memory_bytes) is not None
        return demand // page_bytes + 1 if counted else -(-demand // page_bytes)

    def evidence(self, name: str) -> tuple[str, str]:
        """Where a setting is set and to what, or that it is not."""
        found = (self.settings or {}).get(name)
        return (self.path, f"{name} is not set") if found is None else (found.source, f"{found.name} = {found.value}")


def read(host: Host) -> tuple[Database, ...]:
    """The database servers, by pid. Raises Unreadable where nobody can say whether there is one."""
    found = servers(host)
    if not found:
        return ()
    from vmtune.host.database.elsewhere import place
    from vmtune.host.database.postgresql import describe

    made = []
    for process in found:
        if process.engine == "postgresql":
            where, what = describe(host.root, process)
        else:
            where, what = place(host.root, process), Configured()
        made.append(_database(host.root, process, where, what))
    return tuple(made)


def _database(root: Root, process: Process, where: Place, what: Configured) -> Database:
    path = process.path
    return Database(
        process.engine,
        process.pid,
        path,
        process.user,
        process.uid,
        kept(lambda: process.executable),
        *where,
        *what,
        kept(lambda: parse_maps(root.read(f"{path}/maps"), path)) if process.engine in _SHARING else None,
        process.hugetlb_bytes,
        kept(lambda: parse_memlock(root.read(f"{path}/limits"), path)),
        process.capable,
        process.groups,
    )


def parse_maps(text: str | None, path: str) -> int | None:
    """Bytes of the large shared segments of a process, None where it has none. Raises Unreadable."""
    total = 0
    for line in (text or "").splitlines():
        fields = line.split(None, 5)
        if len(fields) < 6 or fields[1][3:] != "s" or not fields[5].endswith(" (deleted)"):
            continue
        if fields[5].startswith(_ANONYMOUS):
            low, _, high = fields[0].partition("-")
            try:
                size = int(high, 16) - int(low, 16)
            except ValueError:
                raise Unreadable(f"{path}/maps", f"{line[:60]!r} is not a line of maps") from None
            total += size if size >= _SEGMENT_LEAST else 0
    if not text:
        raise Unreadable(f"{path}/maps", "empty or absent")
    return total or None


def parse_memlock(text: str | None, path: str) -> Limit | None:
    """`Max locked memory`, soft and hard, None where there is no such line. Raises Unreadable."""
    for line in (text or "").splitlines():
        if line.startswith("Max locked memory"):
            fields = line.split()[3:5]
            if len(fields) != 2 or not all(
                field == "unlimited" or (field.isascii() and field.isdigit()) for field in fields
            ):
                raise Unreadable(f"{path}/limits", f"{line[:60]!r} is not a limit")
            soft, hard = (None if field == "unlimited" else int(field) for field in fields)
            return Limit(soft, hard)
    return None
