"""A domain's memory: what backs it, where it lies, what limits it.

Source: libvirt's formatdomain: Memory Allocation, Memory Backing, Memory Tuning, NUMA Node Tuning, Memory devices.
"""

from typing import NamedTuple
from xml.etree.ElementTree import Element

from vmtune.cpuset import CpuSet
from vmtune.host.domain.document import Place
from vmtune.value import value


@value
class HugePage(NamedTuple):
    """A size of hugepages that the domain asks for (`hugepages/page`)."""

    size_bytes: int | None
    """None: the host's default size."""
    cells: CpuSet | None
    """Cells of the guest that use it (`nodeset`, which names no host nodes); None: all others."""


@value
class Backing(NamedTuple):
    """What the guest's memory is made of (`<memoryBacking>`)."""

    hugepages: tuple[HugePage, ...] | None
    """Sizes asked for, empty for the host's default size; None: no hugepages."""
    nosharepages: bool
    """Whether KSM is kept away."""
    locked: bool
    source: str | None
    """anonymous, file or memfd."""
    access: str | None
    """shared or private."""
    allocation: str | None
    """immediate or ondemand."""
    allocation_threads: int | None
    discard: bool


@value
class Limits(NamedTuple):
    """Limits of all that QEMU uses (`<memtune>`), in bytes."""

    hard_limit_bytes: int | None
    """Also the limit of locked memory: libvirt gives it to VFIO domains as RLIMIT_MEMLOCK."""
    soft_limit_bytes: int | None
    swap_hard_limit_bytes: int | None
    min_guarantee_bytes: int | None


@value
class CellMemory(NamedTuple):
    """Host nodes for one cell's memory (`numatune/memnode`)."""

    cell: int | None
    mode: str
    nodes: CpuSet | None


@value
class NumaTune(NamedTuple):
    """Host nodes for the domain's memory (`<numatune>`)."""

    mode: str
    """strict (also where it is not said), preferred, interleave or restrictive."""
    nodeset: CpuSet | None
    """Host nodes; None: not said."""
    placement: str | None
    """static or auto (numad decides)."""
    cells: tuple[CellMemory, ...]
    """What is said for single cells."""


@value
class MemoryDevice(NamedTuple):
    """A module of memory beside the plain one (`devices/memory`)."""

    model: str | None
    """dimm, nvdimm, virtio-mem, virtio-pmem or sgx-epc."""
    size_bytes: int | None
    requested_bytes: int | None
    """Of a virtio-mem device what the guest shall have."""
    cell: int | None
    nodes: CpuSet | None
    """Host nodes it lies on."""
    page_bytes: int | None
    path: str | None
    """File or device behind it."""


def parse_backing(section: Element | None, source: str) -> Backing | None:
    """What `<memoryBacking>` says, None where there is none."""
    if section is None:
        return None
    at = Place(source, "memoryBacking")
    children = {child.tag: child for child in section}
    hugepages, allocation = children.get("hugepages"), children.get("allocation")
    return Backing(
        hugepages=None
        if hugepages is None
        else tuple(HugePage(at.size(page, "size"), at.cpus(page, "nodeset")) for page in hugepages.findall("page")),
        nosharepages="nosharepages" in children,
        locked="locked" in children,
        source=at.word(children.get("source"), "type"),
        access=at.word(children.get("access"), "mode"),
        allocation=at.word(allocation, "mode"),
        allocation_threads=at.number(allocation, "threads"),
        discard="discard" in children,
    )


def parse_limits(section: Element | None, source: str) -> Limits | None:
    """What `<memtune>` says, None where there is none."""
    if section is None:
        return None
    at = Place(source, "memtune")
    names = ("hard_limit", "soft_limit", "swap_hard_limit", "min_guarantee")
    return Limits(*(at.size(section.find(name)) for name in names))


def parse_numatune(section: Element | None, source: str) -> NumaTune | None:
    """What `<numatune>` says, None where there is none."""
    if section is None:
        return None
    at = Place(source, "numatune")
    memory = section.find("memory")
    return NumaTune(
        mode=at.word(memory, "mode") or "strict",
        nodeset=at.cpus(memory, "nodeset"),
        placement=at.word(memory, "placement"),
        cells=tuple(
            CellMemory(at.number(each, "cellid"), at.word(each, "mode") or "strict", at.cpus(each, "nodeset"))
            for each in section.findall("memnode")
        ),
    )


def parse_memory_device(element: Element, source: str, index: int) -> MemoryDevice:
    """One `devices/memory`."""
    at = Place(source, "devices/memory", index)
    origin, target = element.find("source"), element.find("target")
    return MemoryDevice(
        model=at.word(element, "model"),
        size_bytes=at.size(target.find("size")) if target is not None else None,
        requested_bytes=at.size(target.find("requested")) if target is not None else None,
        cell=at.number(target.find("node")) if target is not None else None,
        nodes=at.cpus(origin.find("nodemask")) if origin is not None else None,
        page_bytes=at.size(origin.find("pagesize")) if origin is not None else None,
        path=at.word(origin.find("path")) if origin is not None else None,
    )
