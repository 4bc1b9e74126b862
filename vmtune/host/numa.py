"""NUMA nodes: their CPUs, memory, distances and huge pages.

Sources: ABI/stable/sysfs-devices-node, admin-guide/mm/numaperf. Node numbers have holes, nodes may lack CPUs (CXL,
HBM, GPU memory) or memory; a kernel without NUMA has no folder at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.cpuset import EMPTY, CpuSet
from vmtune.host import memory
from vmtune.host.cpu import numbers, online_cpus
from vmtune.host.hugepages import Pool, pools
from vmtune.root.folder import Folder, keep, known, nonsense
from vmtune.root.unreadable import NOT_CAPTURED, Unreadable
from vmtune.value import value

if TYPE_CHECKING:
    from vmtune.host import Host

PATH = "/sys/devices/system/node"


@value
class Node(NamedTuple):
    """One NUMA node (`node/nodeN`)."""

    id: int
    """The kernel's number."""
    path: str
    cpus: CpuSet
    """CPUs it names (`cpulist`), offline ones as well where the kernel lists them; empty: memory only."""
    memory_bytes: int
    """Memory of the node (`meminfo`, MemTotal); 0: CPUs only. Where memory is initialised late the sum of the nodes
    differs from what /proc/meminfo says."""
    free_bytes: int
    """MemFree."""
    fields: dict[str, int]
    """All of the node's `meminfo`: bytes, but for HugePages_*, which are counts."""
    distances: dict[int, int]
    """Distance to each online node, by node number (`distance`): 10 is itself."""
    hugepages: tuple[Pool, ...]
    """Pools of the node (`hugepages/`): sizes, total, free and surplus. Pages of a size are reserved machine-wide
    only."""


@value
class Numa(NamedTuple):
    """The machine's NUMA nodes."""

    path: str
    nodes: tuple[Node, ...]
    """Online nodes in order of number."""
    online: CpuSet
    possible: CpuSet | None
    has_cpu: CpuSet | None
    """Nodes with CPUs by the file of that name, which some kernels leave empty: `Node.cpus` is the better witness."""
    has_memory: CpuSet | None
    """Nodes with memory (`has_memory`); None: an older kernel, which has `has_normal_memory` alone."""
    has_normal_memory: CpuSet | None
    synthetic: bool
    """Whether the kernel knows no nodes (CONFIG_NUMA is off): then one node 0 stands for the whole machine."""

    def node(self, number: int) -> Node | None:
        """An online node by its number."""
        return next((node for node in self.nodes if node.id == number), None)

    def node_of_cpu(self, cpu: int) -> int | None:
        """Number of the node that names a CPU. Raises Unreadable where a node's CPUs are not known and none names
        it."""
        refused: Unreadable | None = None
        for node in self.nodes:
            try:
                if cpu in node.cpus:
                    return node.id
            except Unreadable as kept:
                refused = kept
        if refused is not None:
            raise refused.again()
        return None

    def cpus_nodes(self, cpus: CpuSet) -> CpuSet:
        """Numbers of the nodes that some of these CPUs belong to. Raises Unreadable."""
        return CpuSet(node.id for node in self.nodes if node.cpus & cpus)


def read(host: Host) -> Numa:
    """The machine's NUMA nodes. Raises Unreadable."""
    folder = host.root.folder(PATH)
    online = online_nodes(folder)
    if online is None:
        return _single(host)
    return Numa(
        path=PATH,
        nodes=tuple(_node(folder.folder(f"node{number}"), number, online) for number in online),
        online=online,
        possible=folder.cpus("possible"),
        has_cpu=folder.cpus("has_cpu"),
        has_memory=folder.cpus("has_memory"),
        has_normal_memory=folder.cpus("has_normal_memory"),
        synthetic=False,
    )


def nodes_of_cpus(host: Host) -> tuple[dict[int, int], int | None]:
    """Node of each CPU that a node names, and what is known of the others: None, or why nobody can say. Raises
    Unreadable."""
    folder = host.root.folder(PATH)
    online = online_nodes(folder)
    if online is None:
        return {}, _single(host).nodes[0].id
    found: dict[int, int] = {}
    others: int | None = None
    for number in online:
        try:
            cpus = known(_cpus(folder.folder(f"node{number}")))
        except Unreadable as kept:
            others = keep(kept)
            continue
        for cpu in cpus:
            found.setdefault(cpu, number)
    return found, others


def online_nodes(folder: Folder) -> CpuSet | None:
    """Numbers of the online nodes (`node/online`, else the nodeN folders); None where there is no NUMA. Raises
    Unreadable."""
    listed = folder.cpus("online")
    if isinstance(listed, CpuSet) and listed:
        return listed
    if isinstance(listed, Unreadable) and listed.reason != NOT_CAPTURED:
        raise listed.again()
    names = known(folder.names())
    if names is None:
        return None
    there = CpuSet(numbers(names, "node"))
    if not there:
        raise listed.again() if isinstance(listed, Unreadable) else Unreadable(folder.path, "no node is listed")
    return there


def _node(folder: Folder, number: int, online: CpuSet) -> Node:
    fields = _fields(folder)
    return Node(
        id=number,
        path=folder.path,
        cpus=_cpus(folder),
        memory_bytes=memory.field(fields, "MemTotal", f"{folder.path}/meminfo"),
        free_bytes=memory.field(fields, "MemFree", f"{folder.path}/meminfo"),
        fields=fields,
        distances=_distances(folder, online),
        hugepages=pools(folder.folder("hugepages")),
    )


def _cpus(folder: Folder) -> CpuSet:
    """CPUs of a node: its list, else its mask, else its links to CPUs."""
    listed = folder.cpus("cpulist")
    if isinstance(listed, CpuSet):
        return listed
    mask = folder.mask("cpumap")
    if isinstance(mask, CpuSet):
        return mask
    # A node's folder names each block of its memory too, so it is listed in need only.
    names = folder.names()
    links = CpuSet(numbers(names, "cpu")) if isinstance(names, list) else EMPTY
    if links:
        return links
    return listed or mask or keep(Unreadable(f"{folder.path}/cpulist", "its CPUs are not told"))


def _fields(folder: Folder) -> dict[str, int]:
    """Fields of a node's meminfo, whose lines begin with `Node N`."""
    text = folder.text("meminfo")
    if not isinstance(text, str):
        return text or keep(Unreadable(f"{folder.path}/meminfo", "its memory is not told"))
    return memory.fields(text, f"{folder.path}/meminfo")


def _distances(folder: Folder, online: CpuSet) -> dict[int, int]:
    """Distances by node number: the row has a number for each online node, in order."""
    text = folder.text("distance")
    if not isinstance(text, str):
        return text or keep(Unreadable(f"{folder.path}/distance", "its distances are not told"))
    words = text.split()
    if len(words) != len(online) or not all(word.isascii() and word.isdigit() and len(word) <= 3 for word in words):
        return nonsense(f"{folder.path}/distance", f"{len(online)} distances", text)
    return dict(zip(online, map(int, words), strict=True))


def _single(host: Host) -> Numa:
    """The one node of a kernel that knows none. Raises Unreadable where the machine's CPUs or memory are not known."""
    whole = host.memory
    node = Node(
        id=0,
        path=PATH,
        cpus=online_cpus(host.root),
        memory_bytes=whole.total_bytes,
        free_bytes=memory.field(whole.fields, "MemFree", whole.path),
        fields=whole.fields,
        distances={0: 10},
        hugepages=_shared(host),
    )
    only = CpuSet((0,))
    return Numa(PATH, (node,), only, only, only, only, only, True)


def _shared(host: Host) -> tuple[Pool, ...]:
    """The machine's pools, as those of its only node."""
    try:
        return tuple(pool._replace(reserved=None, overcommit=None) for pool in host.hugepages)
    except Unreadable as kept:
        return keep(kept)
