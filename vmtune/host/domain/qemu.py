"""QEMU processes, whoever started them, and their threads.

Source: man 5 proc; the names of threads are QEMU's (`-name …,debug-threads=on`, which libvirt and Proxmox set):
`CPU 0/KVM`, `IO iothread1`, `vhost-PID`. Whatever anybody may run could call itself QEMU: what counts is whose process
it is and whose file it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.cpuset import CpuSet
from vmtune.host.domain.document import unreadable
from vmtune.host.domain.values import Broken, Found
from vmtune.host.process import processes
from vmtune.root.folder import Folder, keep, known
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from vmtune.host import Host
    from vmtune.root import Root

OWNERS = ("root", "qemu", "libvirt-qemu")
"""Users that QEMU runs as: Proxmox, Red Hat's and SUSE's libvirt, Debian's libvirt; beside them who qemu.conf names."""
STATIC_OWNERS = (107, 64055)
"""Numbers that distributions give to qemu and libvirt-qemu; in a container the host has no name for them."""
DELETED = " (deleted)"


@value
class Process(NamedTuple):
    """A QEMU process (`/proc/PID`)."""

    pid: int
    path: str
    name: str
    """Its `comm`."""
    arguments: tuple[str, ...]
    """Its command line; `arguments[0]` is what it calls itself."""
    executable: str
    """The file it runs (`exe`), in its own mount namespace."""
    replaced: bool
    """Whether that file was replaced since it started."""
    uid: int
    owner: str | None
    """Name of its user; None: the host has none for it."""
    trusted: bool
    """Whether it counts as a VM: run by a user that QEMU is expected of, from a file that only root can write."""
    seccomp: int | None
    """0: no system call filter, 2: filtered."""
    swap_bytes: int | None
    """VmSwap."""
    anonymous_bytes: int | None
    """RssAnon: resident memory that is no file's; guest memory in hugepages is not in it."""
    page_table_bytes: int | None
    """VmPTE."""
    locked_bytes: int | None
    """VmLck."""


@value
class Thread(NamedTuple):
    """A thread of QEMU (`/proc/PID/task/TID/status`)."""

    tid: int
    path: str
    name: str
    kind: str
    """vcpu, iothread, vhost or emulator (QEMU's own)."""
    number: int | None
    """Of a vCPU, or of an IOThread with libvirt's naming."""
    cpus: CpuSet
    """CPUs it may use (`Cpus_allowed_list`)."""


def read(host: Host) -> Found[Process]:
    """All QEMU processes. Raises Unreadable where no process can be seen at all."""
    return find(host)


def find(host: Host, leave_out: Container[int] = ()) -> Found[Process]:
    """QEMU processes but those left out. Raises Unreadable where no process can be seen at all."""
    found, broken = [], []
    for pid, name in processes(host).items():
        if pid in leave_out or not looks_like_qemu(name):
            continue
        try:
            process = process_of(host, pid, name)
        except Unreadable as kept:
            broken.append(Broken(name, kept.path, kept.reason))
            continue
        if process is not None:
            found.append(process)
    return Found.of(found, broken)


def looks_like_qemu(name: str) -> bool:
    """Whether a `comm` may be QEMU's: qemu-system-x86, qemu-kvm, kvm (Debian's and Proxmox's link), .qemu-system-x."""
    return name.startswith(("qemu-", ".qemu-")) or name == "kvm"


def process_of(host: Host, pid: int, name: str) -> Process | None:
    """A process by its pid; None where it has ended or runs no VM (a kernel thread, qemu-img). Raises Unreadable."""
    path = f"/proc/{pid}"
    command = host.root.read(f"{path}/cmdline")
    if not command:
        return None
    arguments = tuple(command.split("\0"))
    called = arguments[0].rpartition("/")[2]
    if not (called.startswith(("qemu-system-", ".qemu-system-", "qemu-kvm")) or called in ("kvm", "qemu")):
        return None
    text = host.root.read(f"{path}/status")
    if text is None:
        return None
    status = parse_status(text)
    uids = status.get("Uid", "").split()
    if len(uids) != 4 or not all(each.isdecimal() for each in uids):
        raise Unreadable(f"{path}/status", "no user ids")
    executable = _executable(host.root, path)
    replaced = executable.endswith(DELETED) if isinstance(executable, str) else keep(executable)
    if isinstance(executable, str):
        executable = executable.removesuffix(DELETED)
    owner = _user(host.root, int(uids[1]))
    return Process(
        pid=pid,
        path=path,
        name=name,
        arguments=arguments,
        executable=executable,
        replaced=replaced,
        uid=int(uids[1]),
        owner=owner,
        trusted=_trusted(host.root, executable, int(uids[1]), owner),
        seccomp=_count(status, "Seccomp", path),
        swap_bytes=_kib(status, "VmSwap", path),
        anonymous_bytes=_kib(status, "RssAnon", path),
        page_table_bytes=_kib(status, "VmPTE", path),
        locked_bytes=_kib(status, "VmLck", path),
    )


def parse_status(text: str) -> dict[str, str]:
    """Fields of a `status` file."""
    return {name: rest.strip() for name, colon, rest in (line.partition(":") for line in text.splitlines()) if colon}


def _count(status: dict[str, str], name: str, path: str) -> int | None:
    text = status.get(name)
    if text is None or text.isdecimal():
        return None if text is None else int(text)
    return keep(Unreadable(f"{path}/status", f"{name}: {text[:60]!r} is not a number"))


def _kib(status: dict[str, str], name: str, path: str) -> int | None:
    text = status.get(name)
    if text is None:
        return None
    count, _, unit = text.partition(" ")
    if unit != "kB" or not count.isdecimal():
        return keep(Unreadable(f"{path}/status", f"{name}: {text[:60]!r} is not a size"))
    return int(count) * 1024


def _executable(root: Root, path: str) -> str:
    try:
        target = root.link(f"{path}/exe")
    except Unreadable as kept:
        return keep(kept)
    return keep(Unreadable(f"{path}/exe", "no such link")) if target is None else target


def _trusted(root: Root, executable: str, uid: int, owner: str | None) -> bool:
    """Whether only root could write the file, and its user is one that QEMU is expected to run as."""
    if (wrong := unreadable(executable, owner)) is not None:
        return keep(wrong)
    if not (
        uid == 0 or (uid in STATIC_OWNERS if owner is None else owner in OWNERS or owner == _configured_user(root))
    ):
        return False
    try:
        mode = root.mode(executable)
    except Unreadable as kept:
        return keep(kept)
    if mode is None:
        return keep(Unreadable(executable, "no such file here: it may run in a container"))
    return mode[1] == 0 and not mode[0] & 0o022


def _user(root: Root, uid: int) -> str | None:
    """A user's name by /etc/passwd."""
    if uid == 0:
        return "root"
    try:
        text = root.read("/etc/passwd")
    except Unreadable as kept:
        return keep(kept)
    for line in (text or "").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(uid):
            return fields[0]
    return None


def _configured_user(root: Root) -> str | None:
    """`user` of /etc/libvirt/qemu.conf."""
    try:
        text = root.read("/etc/libvirt/qemu.conf")
    except Unreadable:
        return None
    for line in (text or "").splitlines():
        name, equals, rest = line.partition("=")
        if equals and name.strip() == "user":
            return rest.strip().strip('"').lstrip("+")
    return None


def threads(host: Host, pid: int) -> tuple[Thread, ...]:
    """Threads of a process, in order of number. Raises Unreadable; one that has ended meanwhile is left out."""
    folder = host.root.folder(f"/proc/{pid}/task")
    names = folder.names()
    return tuple(_threads(folder, known(names) if names is not None else []))


def _threads(folder: Folder, names: list[str]) -> Iterator[Thread]:
    for name in sorted((each for each in names if each.isdecimal() and each.isascii() and len(each) <= 10), key=int):
        path = f"{folder.path}/{name}"
        text = folder.text(f"{name}/status")
        if isinstance(text, Unreadable):
            raise text.again()
        if text is None:
            continue
        status = parse_status(text)
        comm = status.get("Name", "")
        kind, number = thread_kind(comm)
        yield Thread(int(name), path, comm, kind, number, _cpus(status, path))


def _cpus(status: dict[str, str], path: str) -> CpuSet:
    text = status.get("Cpus_allowed_list", "")
    try:
        cpus = CpuSet.parse(text)
    except ValueError:
        cpus = CpuSet()
    return cpus or keep(Unreadable(f"{path}/status", f"Cpus_allowed_list: {text[:60]!r} is not a list of CPUs"))


def thread_kind(comm: str) -> tuple[str, int | None]:
    """What a thread does, by its name, and its number."""
    if comm.startswith("CPU ") and comm[4:].partition("/")[0].isdecimal():
        return "vcpu", int(comm[4:].partition("/")[0])
    if comm.startswith("IO ") and comm != "IO mon_iothread":
        number = comm.removeprefix("IO iothread")
        return "iothread", int(number) if number.isdecimal() else None
    return ("vhost", None) if comm.startswith("vhost-") else ("emulator", None)
