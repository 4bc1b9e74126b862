"""How much of the host its VMs ask for: pure arithmetic over what domains say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vmtune.cpuset import CpuSet
from vmtune.host.domain import Domain
from vmtune.host.numa import Node

GIB = 1 << 30
RESERVE_SHARE = 0.08
"""Share of a node's memory that stays with the host: SUSE's guides ask for 5 to 10 % (EPYC 9004), 8 % (SAP HANA on
KVM)."""
RESERVE_FLOOR_FIRST = 4 * GIB
RESERVE_FLOOR = 2 * GIB
"""Least memory that stays with the host, on the first node and on each other one."""
HOUSEKEEPING_SHARE = 0.05
"""Share of a node's cores that stays with the host, at least one core."""


class PageDemand(NamedTuple):
    """Hugepages of one size that a domain needs on one node."""

    domain: str
    node: int | None
    """None: wherever there are some."""
    size_bytes: int
    pages: int


def page_demands(domain: Domain, default_size_bytes: int) -> tuple[PageDemand, ...]:
    """What a domain with hugepages needs, cell by cell where it has cells; () where it asks for none."""
    backing = domain.backing
    if backing is None or backing.hugepages is None:
        return ()
    tune = domain.numatune
    anywhere = _one_node(tune.mode, tune.nodeset) if tune is not None and tune.placement != "auto" else None
    of_cell = {cell.cell: _one_node(cell.mode, cell.nodes) for cell in tune.cells} if tune is not None else {}

    def size(cell: int | None) -> int:
        pages = backing.hugepages or ()
        fitting = [page for page in pages if page.cells is not None and cell is not None and cell in page.cells]
        fitting += [page for page in pages if page.cells is None or not domain.cells]
        return (fitting[0].size_bytes if fitting else None) or default_size_bytes

    parts: list[tuple[int | None, int, int]] = []
    for cell in domain.cells:
        parts.append((of_cell.get(cell.id, anywhere), size(cell.id), cell.memory_bytes))
    if not parts:
        parts = [(anywhere, size(None), domain.memory_bytes)]
    return tuple(PageDemand(domain.name, node, page, -(-memory // page)) for node, page, memory in parts)


def _one_node(mode: str, nodes: CpuSet | None) -> int | None:
    """The node that memory is bound to; None where it may lie on several, or elsewhere when that one is full."""
    return nodes.first if mode in ("strict", "restrictive") and nodes is not None and len(nodes) == 1 else None


def host_reserve_bytes(node: Node) -> int:
    """Memory of a node that should stay with the host."""
    return max(int(RESERVE_SHARE * node.memory_bytes), RESERVE_FLOOR if node.id else RESERVE_FLOOR_FIRST)


def housekeeping_cores(cores: int) -> int:
    """Cores of a node with so many that should stay with the host when databases are dedicated theirs."""
    return max(1, -(-int(100 * HOUSEKEEPING_SHARE) * cores // 100))


def total(demands: Iterable[PageDemand]) -> int:
    """Pages of all demands together."""
    return sum(demand.pages for demand in demands)
