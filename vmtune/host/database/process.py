"""Which processes are database servers: by name, and only with the owner and the executable that one has."""

from __future__ import annotations

from collections.abc import Callable
from stat import S_IROTH, S_IWOTH, S_IXOTH, S_IXUSR
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from vmtune.host.process import processes, unseen
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.root import Root

T = TypeVar("T")

PASSWD = "/etc/passwd"
FIRST_PERSON = 1000
"""Smallest user number that is no system account's (login.defs, UID_MIN)."""
_CAP_IPC_LOCK = 14


class Engine(NamedTuple):
    """How a kind of database server is recognised."""

    name: str
    executables: tuple[str, ...]
    """File names of its executable; a process's `comm` is the first 15 characters of one."""
    owners: tuple[str, ...]
    own_executable: bool = False
    """Whether its executable belongs to its own user, as its installer makes it."""


ENGINES = (
    Engine(
        "postgresql", ("postgres", "postmaster", "edb-postgres"), ("postgres", "postgresql", "pgsql", "enterprisedb")
    ),
    Engine("mariadb", ("mariadbd",), ("mysql", "mariadb")),
    Engine("mysql", ("mysqld",), ("mysql",)),
    Engine("oracle", ("oracle",), ("oracle",), own_executable=True),
    Engine("mssql", ("sqlservr",), ("mssql",)),
    Engine("mongodb", ("mongod",), ("mongod", "mongodb")),
    Engine("redis", ("redis-server", "valkey-server"), ("redis", "valkey")),
    Engine("hana", ("hdbnameserver",), (), own_executable=True),
)
_BY_COMM = {name[:15]: engine for engine in ENGINES for name in engine.executables if engine.name != "oracle"}
_ORACLE = next(engine for engine in ENGINES if engine.name == "oracle")
_ORACLE_MONITOR = "ora_pmon_"
"""How an Oracle instance's one process monitor is named, its instance after it."""
_BY_EXECUTABLE = {name: engine for engine in ENGINES for name in engine.executables}


@value
class Process(NamedTuple):
    """A process, from /proc/PID (man 5 proc)."""

    engine: str
    pid: int
    path: str
    comm: str
    uid: int
    user: str | None
    """The owner's name, None where /etc/passwd has none."""
    groups: tuple[int, ...]
    """Its group and further groups."""
    capable: bool
    """Whether it may lock memory without limit (CAP_IPC_LOCK)."""
    hugetlb_bytes: int | None
    """Hugepages it has mapped now (`HugetlbPages`)."""
    executable: str | None
    """What /proc/PID/exe leads to; root alone may ask."""
    folder: str | None
    """Its working folder, /proc/PID/cwd; root alone may ask."""
    argv: tuple[str, ...]


def servers(host: Host) -> tuple[Process, ...]:
    """The database servers here, by pid, without those in containers. Raises Unreadable where nobody can say."""
    found: dict[Engine, list[int]] = {}
    seen = processes(host)
    for pid, comm in seen.items():
        engine = _BY_COMM.get(comm) or (_ORACLE if comm.startswith(_ORACLE_MONITOR) else None)
        if engine is not None:
            found.setdefault(engine, []).append(pid)
    doubt = unseen(host)
    made: list[Process] = []
    for engine, pids in found.items():
        for pid in _parents(host.root, pids):
            try:
                process = _process(host.root, engine, pid, seen[pid])
            except Unreadable as kept:
                doubt = doubt or kept
                continue
            if process is not None:
                made.append(process)
    if not made and doubt is not None:
        raise doubt.again()
    return tuple(sorted(made, key=lambda process: process.pid))


def read_as(root: Root, process: Process, path: str) -> bytes | None:
    """Content of a file that the process's own user may reach and read, None where it is absent. Raises Unreadable.

    A captured tree has no owners: there each file may be read.
    """
    real = root.real(path) if root.live and process.uid != 0 else None
    if real is not None:
        folder, may = real.rpartition("/")[0], _may(root, process, real, S_IROTH)
        while folder and may:
            folder, may = folder.rpartition("/")[0], _may(root, process, folder, S_IXOTH)
        if not may:
            raise Unreadable(path, f"not a file that {process.user or process.uid} may read")
    return root.read_bytes(path)


def _may(root: Root, process: Process, path: str, permission: int) -> bool:
    """Whether a process's user has a permission, given as the one of others."""
    mode, uid, gid = root.mode(path) or (0, 0, 0)
    if uid == process.uid:
        return bool(mode & permission << 6)
    return bool(mode & (permission << 3 if gid in process.groups else permission))


def kept(read: Callable[[], T]) -> T:
    """What a function returns, or the Unreadable that it raises, to stand in a value's place."""
    try:
        return read()
    except Unreadable as refused:
        return keep(refused)


def _parents(root: Root, pids: list[int]) -> list[int]:
    """Those that are no child of another: a server, and not the process it keeps for each client."""
    if len(pids) == 1:
        return pids
    among = set(pids)
    return [pid for pid in pids if _parent(root, pid) not in among]


def _parent(root: Root, pid: int) -> int | None:
    try:
        fields = (root.read(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()
        return int(fields[1])
    except (Unreadable, ValueError, IndexError):
        return None


def _process(root: Root, engine: Engine, pid: int, comm: str) -> Process | None:
    """The process, None where it has ended, stands in a container or is somebody's who only named it so."""
    path = f"/proc/{pid}"
    text = root.read(f"{path}/status")
    if text is None:
        return None
    status = dict(line.partition(":")[::2] for line in text.splitlines())
    if len(status.get("NSpid", "").split()) > 1:
        return None
    try:
        uid = int(status["Uid"].split()[1])
        groups = {int(status["Gid"].split()[1]), *map(int, status.get("Groups", "").split())}
        capabilities = int(status.get("CapEff", "0"), 16)
        hugetlb = status.get("HugetlbPages", "").split()
        hugetlb_bytes = int(hugetlb[0]) << 10 if hugetlb else None
    except (KeyError, ValueError, IndexError):
        raise Unreadable(f"{path}/status", "is not the status of a process") from None
    executable = kept(lambda: root.link(f"{path}/exe"))
    file = executable.removesuffix(" (deleted)") if isinstance(executable, str) else None
    if file is not None:
        actual = _BY_EXECUTABLE.get(file.rpartition("/")[2])
        if actual is None or (actual is not engine and actual.name != "mariadb"):
            return None
        engine = actual
    user = _user(root, uid)
    if not _expected(root, engine, uid, user, executable):
        return None
    return Process(
        engine.name,
        pid,
        path,
        comm,
        uid,
        user,
        tuple(sorted(groups)),
        bool(capabilities >> _CAP_IPC_LOCK & 1),
        hugetlb_bytes,
        file if file is not None else executable,
        kept(lambda: root.link(f"{path}/cwd")),
        tuple((root.read(f"{path}/cmdline") or "").split("\0")),
    )


def _expected(root: Root, engine: Engine, uid: int, user: str | None, executable: str | None) -> bool:
    """Whether owner and executable are those of a server. A captured tree is taken at its word."""
    if not root.live:
        return True
    if isinstance(executable, str) and not executable.endswith(" (deleted)"):
        try:
            status = root.mode(executable)
        except Unreadable:
            status = None
        if status is None:
            return False
        mode, owner, _ = status
        own = engine.own_executable and owner == uid
        if mode & S_IWOTH or not mode & S_IXUSR or (owner != 0 and not own):
            return False
        if uid < FIRST_PERSON:
            return True
    return uid == 0 or user in engine.owners or (engine.name == "hana" and (user or "").endswith("adm"))


def _user(root: Root, uid: int) -> str | None:
    try:
        text = root.read(PASSWD) or ""
    except Unreadable:
        return None
    for line in text.splitlines():
        fields = line.split(":", 3)
        if len(fields) == 4 and fields[2] == str(uid):
            return fields[0]
    return None
