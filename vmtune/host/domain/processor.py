"""A domain's processors: vCPUs and where they may run, the CPU the guest sees, its cells.

Source: libvirt's formatdomain: CPU Allocation, IOThreads Allocation, CPU Tuning, CPU model and topology, Guest NUMA.
"""

from typing import NamedTuple
from xml.etree.ElementTree import Element

from vmtune.cpuset import EMPTY, CpuSet
from vmtune.host.domain.document import Place, unreadable
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

VCPU_LIMIT = 65_535
"""vCPUs of a domain at most: libvirt keeps the count in 16 bits."""


@value
class Scheduling(NamedTuple):
    """A real-time or other scheduler for some threads (`vcpusched`, `iothreadsched`, `emulatorsched`)."""

    threads: CpuSet | None
    """vCPUs or IOThreads by number; None: the emulator."""
    scheduler: str | None
    """batch, idle, fifo or rr."""
    priority: int | None


@value
class Quotas(NamedTuple):
    """CPU bandwidth: run time (quota) in each period, in microseconds. None: not said; a quota below 0 is no cap.

    `vcpu` counts for each vCPU, `iothread` for each IOThread, `global` for all of the domain together.
    """

    vcpu_period_us: int | None
    vcpu_quota_us: int | None
    global_period_us: int | None
    global_quota_us: int | None
    emulator_period_us: int | None
    emulator_quota_us: int | None
    iothread_period_us: int | None
    iothread_quota_us: int | None

    def cap(self, group: str) -> float | None:
        """CPUs that `vcpu`, `global`, `emulator` or `iothread` threads may use, each; None: as many as there are.

        The period is 100 ms where it is not said (the kernel's default).
        """
        quota: int | None = getattr(self, f"{group}_quota_us")
        if quota is None or quota <= 0:
            return None
        return quota / (getattr(self, f"{group}_period_us") or 100_000)


@value
class Tuning(NamedTuple):
    """`<cputune>`: which CPUs each thread of QEMU may use, and how much of them."""

    vcpupin: dict[int, CpuSet]
    """CPUs by vCPU, as written: a vCPU that the domain does not have is ignored by libvirt."""
    emulatorpin: CpuSet | None
    iothreadpin: dict[int, CpuSet]
    """CPUs by IOThread id."""
    vcpusched: tuple[Scheduling, ...]
    iothreadsched: tuple[Scheduling, ...]
    emulatorsched: Scheduling | None
    shares: int | None
    """Relative weight against other VMs."""
    quotas: Quotas
    cache_ways: bool
    """Whether cache or memory bandwidth is allotted (`cachetune`, `memorytune`: resctrl)."""


@value
class Topology(NamedTuple):
    """Sockets and cores that the guest sees (`cpu/topology`)."""

    sockets: int | None
    dies: int | None
    clusters: int | None
    cores: int | None
    threads: int | None

    @property
    def cpus(self) -> int:
        """vCPUs it has room for: the product. What is not said counts 1."""
        product = 1
        for count in (self.sockets, self.dies, self.clusters, self.cores, self.threads):
            product *= count or 1
        return product


@value
class GuestCpu(NamedTuple):
    """The CPU that the guest sees (`<cpu>`)."""

    mode: str | None
    """custom, host-model, host-passthrough or maximum; None where only a topology or cells are said."""
    match: str | None
    check: str | None
    migratable: bool | None
    model: str | None
    """A CPU model's name; in a running domain also what host-model became."""
    fallback: str | None
    vendor: str | None
    vendor_id: str | None
    topology: Topology | None
    cache_mode: str | None
    """passthrough, emulate or disable; None: nothing is said."""
    cache_level: int | None
    features: dict[str, str]
    """Policy by feature: force, require, optional, disable, forbid."""
    physical_address_mode: str | None


@value
class Cell(NamedTuple):
    """A guest's NUMA node (`cpu/numa/cell`)."""

    id: int
    cpus: CpuSet
    """Its vCPUs; empty for a cell of memory alone."""
    memory_bytes: int
    distances: dict[int, int]
    """Distance to other cells, where it is said."""
    memory_access: str | None
    """shared or private."""


def parse_tuning(section: Element | None, source: str) -> Tuning:
    """What `<cputune>` says; all empty where there is none."""
    at = Place(source, "cputune")
    children = {} if section is None else {child.tag: child for child in section}
    return Tuning(
        vcpupin=_pins(section, "vcpupin", "vcpu", at),
        emulatorpin=at.cpus(children.get("emulatorpin"), "cpuset"),
        iothreadpin=_pins(section, "iothreadpin", "iothread", at),
        vcpusched=_schedulings(section, "vcpusched", "vcpus", at),
        iothreadsched=_schedulings(section, "iothreadsched", "iothreads", at),
        emulatorsched=next(iter(_schedulings(section, "emulatorsched", "", at)), None),
        shares=at.number(children.get("shares")),
        quotas=Quotas(*(at.number(children.get(name), least=-1 << 63) for name in _QUOTAS))
        if section is not None
        else _NONE,
        cache_ways="cachetune" in children or "memorytune" in children,
    )


_QUOTAS = (
    "period",
    "quota",
    "global_period",
    "global_quota",
    "emulator_period",
    "emulator_quota",
    "iothread_period",
    "iothread_quota",
)
_NONE = Quotas(*(None for _ in _QUOTAS))


def _pins(section: Element | None, tag: str, attribute: str, at: Place) -> dict[int, CpuSet]:
    """CPUs by number; two entries that disagree cannot both be believed."""
    pins: dict[int, CpuSet] = {}
    for element in section.findall(tag) if section is not None else ():
        number, cpus = at.number(element, attribute), at.cpus(element, "cpuset")
        if (wrong := unreadable(number, cpus)) is not None:
            return keep(wrong)
        if number is None or cpus is None:
            return at.missing(element, attribute if number is None else "cpuset")
        if pins.setdefault(number, cpus) != cpus:
            return at.wrong(element, attribute, str(number), "pinned once")
    return pins


def _schedulings(section: Element | None, tag: str, attribute: str, at: Place) -> tuple[Scheduling, ...]:
    if section is None:
        return ()
    return tuple(
        Scheduling(at.cpus(element, attribute), at.word(element, "scheduler"), at.number(element, "priority"))
        for element in section.findall(tag)
    )


def parse_vcpu_ids(vcpus: int, section: Element | None, source: str) -> CpuSet:
    """vCPUs that are there from the start: of `<vcpus>` those enabled, else the first ones."""
    if (wrong := unreadable(vcpus)) is not None:
        return keep(wrong)
    first = CpuSet.of_bits((1 << vcpus) - 1)
    if section is None:
        return first
    at = Place(source, "vcpus/vcpu")
    enabled = 0
    for element in section:
        number, flag = at.number(element, "id"), at.flag(element, "enabled")
        if (wrong := unreadable(number, flag)) is not None:
            return keep(wrong)
        if number is None:
            return at.missing(element, "id")
        if number >= VCPU_LIMIT:
            return at.wrong(element, "id", str(number), "a vCPU")
        enabled |= (flag is not False) << number
    return CpuSet.of_bits(enabled) if enabled else first


def parse_iothread_ids(count: int | None, section: Element | None, source: str) -> CpuSet:
    """Ids of IOThreads: those that `<iothreadids>` names, and the lowest others until the count is met."""
    if (wrong := unreadable(count)) is not None:
        return keep(wrong)
    if count is not None and count > VCPU_LIMIT:
        return keep(Unreadable(source, f"iothreads: {count} is not a number of threads"))
    at = Place(source, "iothreadids/iothread")
    named = 0
    for element in section if section is not None else ():
        number = at.number(element, "id", least=1)
        if (wrong := unreadable(number)) is not None:
            return keep(wrong)
        if number is None:
            return at.missing(element, "id")
        if number >= VCPU_LIMIT:
            return at.wrong(element, "id", str(number), "an IOThread")
        named |= 1 << number
    lowest = 1
    while named.bit_count() < (count or 0):
        named |= 1 << lowest
        lowest += 1
    return CpuSet.of_bits(named)


def parse_cpu(section: Element | None, source: str) -> GuestCpu | None:
    """What `<cpu>` says, None where there is none."""
    if section is None:
        return None
    at = Place(source, "cpu")
    children = {child.tag: child for child in section}
    model, topology, cache = children.get("model"), children.get("topology"), children.get("cache")
    return GuestCpu(
        mode=at.word(section, "mode") or ("custom" if model is not None else None),
        match=at.word(section, "match"),
        check=at.word(section, "check"),
        migratable=at.flag(section, "migratable"),
        model=at.word(model) or None,
        fallback=at.word(model, "fallback"),
        vendor=at.word(children.get("vendor")),
        vendor_id=at.word(model, "vendor_id"),
        topology=None
        if topology is None
        else Topology(
            *(at.number(topology, name, least=1) for name in ("sockets", "dies", "clusters", "cores", "threads"))
        ),
        cache_mode=at.word(cache, "mode"),
        cache_level=at.number(cache, "level"),
        features={element.get("name", ""): element.get("policy", "require") for element in section.findall("feature")},
        physical_address_mode=at.word(children.get("maxphysaddr"), "mode"),
    )


def parse_cells(section: Element | None, source: str) -> tuple[Cell, ...]:
    """Cells of `<cpu><numa>`, empty where there are none. A cell without id has that of its place."""
    numa = None if section is None else section.find("numa")
    if numa is None:
        return ()
    cells = []
    for place, element in enumerate(numa.findall("cell")):
        at = Place(source, "cpu/numa/cell", place + 1)
        number, memory, cpus = at.number(element, "id"), at.size(element, "memory"), at.cpus(element, "cpus")
        cells.append(
            Cell(
                id=place if number is None else number,
                cpus=EMPTY if cpus is None else cpus,
                memory_bytes=at.missing(element, "memory") if memory is None else memory,
                distances=_distances(element.find("distances"), at),
                memory_access=at.word(element, "memAccess"),
            )
        )
    if len({cell[0] for cell in cells}) < len(cells):
        return keep(Unreadable(source, "cpu/numa/cell@id: two cells of one id"))
    return tuple(cells)


def _distances(section: Element | None, at: Place) -> dict[int, int]:
    distances: dict[int, int] = {}
    for element in section if section is not None else ():
        other, distance = at.number(element, "id"), at.number(element, "value")
        if (wrong := unreadable(other, distance)) is not None:
            return keep(wrong)
        if other is None or distance is None:
            return at.missing(element, "id" if other is None else "value")
        distances[other] = distance
    return distances
