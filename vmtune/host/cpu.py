"""CPUs: which are there and online, what cores and packages they form, what they are.

Sources: ABI/testing/sysfs-devices-system-cpu, ABI/stable/sysfs-devices-system-cpu, admin-guide/cputopology;
/proc/cpuinfo of each architecture. Ids of cores and packages lie (-1, constant, firmware handles), so both are counted
by the sets of sibling CPUs; ids serve only where a kernel tells no sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from vmtune.cpuset import EMPTY, LIMIT, CpuSet
from vmtune.host import cpuinfo
from vmtune.root.folder import Folder, keep, known, nonsense
from vmtune.root.unreadable import NOT_CAPTURED, Unreadable
from vmtune.value import peek, value

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.root import Root

PATH = "/sys/devices/system/cpu"

_CORE = ("core_cpus_list", "thread_siblings_list", "core_cpus", "thread_siblings")
_PACKAGE = ("package_cpus_list", "core_siblings_list", "package_cpus", "core_siblings")
_CACHE = ("shared_cpu_list", "shared_cpu_map")


@value
class Cpu(NamedTuple):
    """One online CPU and its place among the others (`cpuN/topology`, `cpuN/cache`)."""

    number: int
    path: str
    core: CpuSet | None
    """Online CPUs of its core, itself among them."""
    package_cpus: CpuSet | None
    """Online CPUs of its package, itself among them."""
    package: int | None
    """Place of the package among the packages, 0 and up: no id of the firmware's."""
    llc: CpuSet | None
    """Online CPUs that share its last-level cache; None where no caches are told."""
    node: int | None
    """Its NUMA node; None where no node names it."""


class CpuClass(NamedTuple):
    """CPUs of one kind, on a machine that tells kinds apart."""

    name: str
    """`core`, `atom`, `lowpower` of a hybrid x86 (`/sys/devices/cpu_core/cpus`), else the capacity as text."""
    cpus: CpuSet
    capacity: int | None
    """1024 is the largest core of the machine (`cpuN/cpu_capacity`); None where it is not told."""
    path: str


@value
class Cpus(NamedTuple):
    """The machine's CPUs."""

    path: str
    online: CpuSet
    """CPUs that run (`cpu/online`; without that file the cpuN folders whose own `online` is not 0)."""
    present: CpuSet | None
    """CPUs that are plugged in (`cpu/present`)."""
    possible: CpuSet | None
    """CPUs that there may ever be (`cpu/possible`): often more than are present."""
    offline: CpuSet | None
    """CPUs that are present and not online. The file `cpu/offline` also names ones that never were there."""
    isolated: CpuSet | None
    """CPUs without scheduler domains (`cpu/isolated`, of isolcpus=); may name CPUs that are not present."""
    nohz_full: CpuSet | None
    """CPUs without a tick (`cpu/nohz_full`). None: the kernel cannot; empty: none."""
    smt_active: bool | None
    """Whether some core runs two threads (`cpu/smt/active`)."""
    smt_control: str | None
    """`on`, `off`, `forceoff`, `notsupported`, `notimplemented` or a number of threads (`cpu/smt/control`)."""
    topology: tuple[Cpu, ...]
    """Online CPUs in order of number."""
    packages: int | None
    """Packages with an online CPU; None where the kernel does not tell."""
    cores: int | None
    """Cores with an online CPU; None where the kernel does not tell."""
    threads_per_core: int | None
    """Online CPUs of the fullest core."""
    classes: tuple[CpuClass, ...] | None
    """Kinds of CPUs; one kind where all are equal, None where nothing is told of it."""
    vendor: str | None
    model: str | None
    """Name of the model: what a hypervisor or an old firmware says here may be anything."""
    family: int | None
    model_number: int | None
    stepping: int | None
    """Family, model and stepping as x86 counts them."""
    flags: frozenset[str]
    """Features of the first CPU, by the architecture's names (`flags`, `Features`, `isa`)."""
    microcode: str | None

    def cpu(self, number: int) -> Cpu | None:
        """An online CPU by its number."""
        if number not in self.online:
            return None
        return self.topology[(self.online.bits & ((1 << number) - 1)).bit_count()]

    @property
    def is_hybrid(self) -> bool:
        """Whether there are CPUs of several kinds."""
        return len(self.classes or ()) > 1


def read(host: Host) -> Cpus:
    """The machine's CPUs. Raises Unreadable where neither the online ones can be known nor what they are."""
    folder = host.root.folder(PATH)
    info = _info(host.root)
    try:
        online = online_cpus(host.root)
        topology = _topology(host, online)
    except Unreadable as kept:
        if peek(lambda: known(info.fields)) is None:
            raise
        online, topology = keep(kept), keep(kept)
    present = folder.cpus("present")
    return Cpus(
        path=PATH,
        online=online,
        present=present,
        possible=folder.cpus("possible"),
        offline=_offline(folder, online, present),
        isolated=folder.cpus("isolated"),
        nohz_full=folder.cpus("nohz_full"),
        smt_active=folder.flag("smt/active"),
        smt_control=word(folder, "smt/control"),
        topology=topology,
        packages=_count(topology, "package_cpus"),
        cores=_count(topology, "core"),
        threads_per_core=_threads(topology),
        classes=_classes(host.root, online),
        vendor=info.vendor,
        model=info.model,
        family=info.family,
        model_number=info.model_number,
        stepping=info.stepping,
        flags=info.flags,
        microcode=_microcode(folder, info, online),
    )


def online_cpus(root: Root) -> CpuSet:
    """CPUs that run. Raises Unreadable."""
    folder = root.folder(PATH)
    listed = folder.cpus("online")
    if isinstance(listed, CpuSet) and listed:
        return listed
    if isinstance(listed, Unreadable) and listed.reason != NOT_CAPTURED:
        raise listed.again()
    there = _folders(folder)
    if not there:
        raise listed.again() if isinstance(listed, Unreadable) else Unreadable(PATH, "no CPU is listed")
    offline = folder.cpus("offline")
    without = offline.bits if isinstance(offline, CpuSet) else 0
    for number in there:
        if folder.flag(f"cpu{number}/online") is False:
            without |= 1 << number
    return CpuSet.of_bits(CpuSet(there).bits & ~without)


def word(folder: Folder, name: str) -> str | None:
    """An attribute that is a word: an empty answer is none, and is kept as Unreadable."""
    text = folder.text(name)
    return text if text != "" else nonsense(f"{folder.path}/{name}", "a word", text)


def numbers(names: Iterable[str], prefix: str) -> list[int]:
    """Numbers of the names that are the prefix and a number: `cpu3`, `node0`, `policy12`."""
    found = []
    for name in names:
        digits = name.removeprefix(prefix)
        if digits != name and digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) < LIMIT:
            found.append(int(digits))
    return sorted(found)


def _folders(folder: Folder) -> list[int]:
    """Numbers of the cpuN folders."""
    names = folder.names()
    return [] if names is None else numbers(known(names), "cpu")


def _offline(folder: Folder, online: CpuSet, present: CpuSet | None) -> CpuSet | None:
    """CPUs that are there and do not run; without a list of those present, their folders tell."""
    try:
        running = known(online)
        return (present if isinstance(present, CpuSet) else CpuSet(_folders(folder))) - running
    except Unreadable as kept:
        return keep(kept)


def _topology(host: Host, online: CpuSet) -> tuple[Cpu, ...]:
    folder = host.root.folder(PATH)
    cores, packages = _Sets(online, _CORE), _Sets(online, _PACKAGE)
    caches = _Sets(online, _CACHE)
    for number in online:
        place = folder.folder(f"cpu{number}/topology")
        cores.add(number, place)
        packages.add(number, place)
        if number not in caches.found:
            caches.add(number, _last_cache(folder, number), shared=True)
    if packages.lacking:
        packages.complete(_by_id(folder, packages.lacking, "physical_package_id", {}))
    if cores.lacking:
        cores.complete(_by_id(folder, cores.lacking, "core_id", packages.found))
    if cores.lacking or packages.lacking:
        cores_told, packages_told = cpuinfo.siblings(host.root, online)
        cores.complete(cores_told)
        packages.complete(packages_told)
    nodes, unknown = _nodes(host)
    order: dict[int, int] = {}
    topology = []
    for number in online:
        package = packages.of(number)
        ordinal = order.setdefault(package.bits, len(order)) if isinstance(package, CpuSet) else package
        topology.append(
            Cpu(
                number=number,
                path=f"{PATH}/cpu{number}",
                core=cores.of(number),
                package_cpus=package,
                package=ordinal,
                llc=caches.of(number),
                node=nodes.get(number, unknown),
            )
        )
    return tuple(topology)


class _Sets:
    """Sibling sets of one kind, by CPU."""

    def __init__(self, online: CpuSet, names: tuple[str, ...]) -> None:
        self.online = online
        self.names = names
        self.found: dict[int, CpuSet] = {}
        self.lacking: dict[int, CpuSet | None] = {}
        """CPUs of which nothing is told, or nothing that can be read."""
        self.parsed: dict[str, CpuSet] = {}

    def add(self, number: int, folder: Folder | None, *, shared: bool = False) -> None:
        """Read the set of a CPU; a `shared` one is believed for all its members."""
        refused: CpuSet | None = None
        for name in self.names if folder is not None else ():
            siblings = self._read(folder, name, number)  # type: ignore[arg-type]
            if isinstance(siblings, CpuSet):
                for member in siblings if shared else (number,):
                    self.found.setdefault(member, siblings)
                if name != self.names[0]:
                    self.names = (name, *(other for other in self.names if other != name))
                return
            refused = refused or siblings
        self.lacking[number] = refused

    def _read(self, folder: Folder, name: str, number: int) -> CpuSet | None:
        text = folder.text(name)
        if not isinstance(text, str):
            return text
        siblings = self.parsed.get(text)
        if siblings is None:
            try:
                siblings = CpuSet.parse(text) if name.endswith("_list") else CpuSet.parse_mask(text)
            except ValueError:
                return nonsense(f"{folder.path}/{name}", "a set of CPUs", text)
            siblings = self.parsed[text] = siblings & self.online
        return siblings if number in siblings else nonsense(f"{folder.path}/{name}", f"a set with CPU {number}", text)

    def complete(self, sets: Iterable[CpuSet]) -> None:
        """Take from another source the sets of CPUs of which nothing was told."""
        lacking = CpuSet(self.lacking)
        for siblings in sets:
            for member in siblings & lacking:
                self.found.setdefault(member, siblings & lacking)
                self.lacking.pop(member, None)

    def of(self, number: int) -> CpuSet | None:
        """Set of a CPU, None where nothing is told of it."""
        return self.found.get(number) or self.lacking.get(number)


def _last_cache(folder: Folder, number: int) -> Folder | None:
    """Folder of the CPU's last-level cache, None where no cache is told."""
    caches = folder.folder(f"cpu{number}/cache")
    names = caches.names()
    if not isinstance(names, list):
        return caches if isinstance(names, Unreadable) else None
    best: tuple[int, Folder] | None = None
    for name in names:
        if name[:5] != "index" or not name[5:].isdecimal():
            continue
        cache = caches.folder(name)
        level = cache.number("level")
        if isinstance(level, int) and (best is None or level > best[0]):
            if level == 1 and cache.text("type") == "Instruction":
                continue
            best = level, cache
    return best[1] if best else None


def _by_id(folder: Folder, numbers: Iterable[int], name: str, within: dict[int, CpuSet]) -> list[CpuSet]:
    """CPUs that name the same id inside the same set of `within`; -1 is no id."""
    groups: dict[tuple[int, int], int] = {}
    for number in numbers:
        found = folder.number(f"cpu{number}/topology/{name}")
        if isinstance(found, int) and found >= 0:
            key = within.get(number, EMPTY).bits, found
            groups[key] = groups.get(key, 0) | 1 << number
    return [CpuSet.of_bits(bits) for bits in groups.values()]


def _nodes(host: Host) -> tuple[dict[int, int], int | None]:
    """Node of each CPU, and what is known of the node of a CPU that none names."""
    from vmtune.host import numa

    try:
        return numa.nodes_of_cpus(host)
    except Unreadable as kept:
        return {}, keep(kept)


def _count(topology: tuple[Cpu, ...], field: str) -> int | None:
    """How many different sets there are in a field; None where one CPU's is not told."""
    try:
        sets = {getattr(cpu, field) for cpu in known(topology)}
    except Unreadable as kept:
        return keep(kept)
    return None if None in sets else len(sets)


def _threads(topology: tuple[Cpu, ...]) -> int | None:
    """Size of the largest core."""
    try:
        sizes = [len(cpu.core or ()) for cpu in known(topology)]
    except Unreadable as kept:
        return keep(kept)
    return None if 0 in sizes else max(sizes)


def _classes(root: Root, online: CpuSet) -> tuple[CpuClass, ...] | None:
    """Kinds of CPUs, by the hybrid PMUs of x86, else by capacity."""
    try:
        running = known(online)
    except Unreadable as kept:
        return keep(kept)
    found = []
    for name in ("core", "atom", "lowpower"):
        path = f"/sys/devices/cpu_{name}"
        cpus = root.folder(path).cpus("cpus")
        if isinstance(cpus, CpuSet) and cpus & running:
            found.append(CpuClass(name, cpus & running, None, f"{path}/cpus"))
    return tuple(found) or _capacities(root.folder(PATH), running)


def _capacities(folder: Folder, online: CpuSet) -> tuple[CpuClass, ...] | None:
    kinds: dict[int, list[int]] = {}
    for number in online:
        capacity = folder.number(f"cpu{number}/cpu_capacity")
        if not isinstance(capacity, int):
            return keep(capacity) if isinstance(capacity, Unreadable) else None
        kinds.setdefault(capacity, []).append(number)
    return tuple(
        CpuClass(str(capacity), CpuSet(kinds[capacity]), capacity, f"{PATH}/cpu{kinds[capacity][0]}/cpu_capacity")
        for capacity in sorted(kinds, reverse=True)
    )


def _microcode(folder: Folder, info: cpuinfo.Info, online: CpuSet) -> str | None:
    if isinstance(info.microcode, str):
        return info.microcode
    first = peek(lambda: known(online).first) or 0
    return folder.text(f"cpu{first}/microcode/version")


def _info(root: Root) -> cpuinfo.Info:
    """What CPUs these are; where nobody can say, each field keeps why."""
    try:
        return cpuinfo.read(root)
    except Unreadable as kept:
        return cpuinfo.Info(*[keep(kept)] * len(cpuinfo.Info._fields))
