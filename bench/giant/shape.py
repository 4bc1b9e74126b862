"""How large the machine is, and what that means: which CPU is on which core, which device on which bus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

NODE_GIB = 1536
NODE_PAGES = 1280
"""Pages of 1 GiB in each node's pool."""
KERNEL = "6.12.48-amd64"


class Shape(NamedTuple):
    """Two NUMA nodes a package, as with sub-NUMA clustering. CPU `c` and `c + cores` are the threads of core `c`."""

    nodes: int = 8
    cores_per_node: int = 32
    pfs: int = 64
    vfs: int = 64
    """Of each PF."""
    nvmes: int = 128
    domains: int = 4096

    @property
    def cores(self) -> int:
        """All cores."""
        return self.nodes * self.cores_per_node

    @property
    def cpus(self) -> int:
        """All CPUs: two threads a core."""
        return 2 * self.cores

    @property
    def nodes_per_package(self) -> int:
        """Nodes of a package; one where their number is odd."""
        return 2 - self.nodes % 2

    @property
    def packages(self) -> int:
        """All packages."""
        return self.nodes // self.nodes_per_package

    @property
    def queues(self) -> int:
        """Queues of an NVMe controller and of a PF, the same number on each node."""
        return max(1, min(32, self.cpus) // self.nodes) * self.nodes

    @property
    def bus_pfs(self) -> int:
        """PFs on each node's root bus, the last one may have fewer."""
        return -(-self.pfs // self.nodes)

    @property
    def bus_nvmes(self) -> int:
        """NVMe controllers on each node's root bus, the last one may have fewer."""
        return -(-self.nvmes // self.nodes)

    def core(self, core: int) -> tuple[int, int]:
        """CPUs of a core."""
        return core, core + self.cores

    def node(self, node: int) -> list[int]:
        """CPUs of a node."""
        return self.some(node * self.cores_per_node, self.cores_per_node)

    def package(self, package: int) -> list[int]:
        """CPUs of a package."""
        cores = self.nodes_per_package * self.cores_per_node
        return self.some(package * cores, cores)

    def some(self, first: int, count: int) -> list[int]:
        """CPUs of some cores in a row."""
        return [*range(first, first + count), *range(first + self.cores, first + self.cores + count)]

    def queue(self, queue: int) -> list[int]:
        """CPUs that one of a device's queues serves: its share of the cores of a node."""
        a_node = self.queues // self.nodes
        node, share = divmod(queue, a_node)
        first, last = share * self.cores_per_node // a_node, (share + 1) * self.cores_per_node // a_node
        return self.some(node * self.cores_per_node + first, max(1, last - first))

    def node_of_core(self, core: int) -> int:
        """Node of a core."""
        return core // self.cores_per_node

    def distance(self, one: int, other: int) -> int:
        """Between two nodes: within a package, or across."""
        if one == other:
            return 10
        return 12 if one // self.nodes_per_package == other // self.nodes_per_package else 21

    def pf_places(self) -> Iterator[tuple[int, int]]:
        """Node and place on the node's root bus of each PF."""
        for number in range(self.pfs):
            yield divmod(number, self.bus_pfs)

    def nvme_places(self) -> Iterator[tuple[int, int]]:
        """Node and place on the node's root bus of each NVMe controller, behind the PFs."""
        for number in range(self.nvmes):
            node, place = divmod(number, self.bus_nvmes)
            yield node, place + self.bus_pfs


def scaled(scale: float) -> Shape:
    """The full machine, or a part of it: everything there is so many times as often."""
    whole = Shape()
    nodes = max(1, round(whole.nodes * scale))
    return Shape(
        nodes=nodes,
        cores_per_node=max(1, round(whole.cores_per_node * whole.nodes * scale / nodes)),
        pfs=max(1, round(whole.pfs * scale)),
        nvmes=max(1, round(whole.nvmes * scale)),
        domains=max(1, round(whole.domains * scale)),
    )
