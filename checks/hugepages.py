"""Huge pages: hugetlb pools and transparent ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from vmtune.check import HOST, Finding, Info, Outcome, Severity, Skip, Unknown, Workload, check
from vmtune.host import Host
from vmtune.host.domain import require_all
from vmtune.host.hugepages import Pool, Wish, wishes
from vmtune.host.numa import Node
from vmtune.root import NOT_CAPTURED, Unreadable
from vmtune.shell import remark
from vmtune.sizing import PageDemand, page_demands, total
from vmtune.value import peek

LARGEST_POOL = 0.9
"""Share of the memory that a proposed pool may take."""
THP = "/sys/kernel/mm/transparent_hugepage"


@check(
    "hugepages-pool-short",
    Severity.HIGH,
    over=Host,
    see="https://docs.kernel.org/admin-guide/mm/hugetlbpage.html",
)
def hugepages_pool_short(host: Host) -> Outcome:
    """Fewer huge pages were allocated than requested.

    Why: asking for huge pages succeeds even when the kernel finds fewer; what is short shows only when a VM or a
        database does not start, or silently runs on small pages.
    Fix now: write the number per node, read it back; if it is short, echo 1 > /proc/sys/vm/compact_memory and try
        again.
    Fix for good: hugepagesz= and hugepages= on the kernel command line (the size before the count), or a unit that runs
        before libvirt and the databases.
    Traps: vm.nr_hugepages speaks of the default size alone. Pages in use turn into surplus when the pool is shrunk.
        Pages of 1 GiB are rarely found at run time.
    Source: Documentation/admin-guide/mm/hugetlbpage.rst; mm/hugetlb.c (__nr_hugepages_store_common).
    """
    wished, gap, unclear = _sorted_out(host)
    asked = _asked(host, wished)
    pools = {pool.size_bytes: pool for pool in host.hugepages}
    for (size, node), wish in sorted(asked.items(), key=lambda item: (item[0][0], item[0][1] or 0)):
        pool = pools.get(size) if node is None else _pool_of_node(host, node, size)
        wanted = (wish.nodes or {}).get(node, 0) if node is not None else wish.total or 0
        have = 0 if pool is None else pool.total - pool.surplus
        if have < 0:
            raise Unknown(f"{pool.path if pool else size}: {have} pages is no number of pages")
        where = "" if node is None else f" on node {node}"
        path = f"{pool.path}/nr_hugepages" if pool else f"/sys/kernel/mm/hugepages/hugepages-{size >> 10}kB"
        evidence = (path if pool else (path, "absent"), (wish.source, wish.text))
        if have > wanted:
            yield Info(f"{have} pages of {_size(size)}{where}, {wanted} asked for", evidence)
        elif have < wanted:
            needed = _needed(host, size, node)
            yield Finding(
                f"{have} of {wanted} pages of {_size(size)}{where}; VMs here need {needed}",
                evidence,
                severity=None if have < needed else Severity.MEDIUM,
                expected=str(wanted),
                actual=str(have),
                now=(f"echo {wanted} > {path} && cat {path}",) if pool and _is_bearable(host, wanted * size) else (),
                for_good=(remark(f"{wish.source}: {wish.text}; a reboot finds more memory in one piece"),),
                setting=f"hugepages:{'host' if node is None else f'node{node}'}/{size >> 10}kB",
                key=f"{size >> 10}kB" + ("" if node is None else f"/node{node}"),
            )
    if unclear:
        raise Unknown("; ".join(unclear))
    if not asked:
        raise Skip("nothing asks for huge pages: no boot parameter, no sysctl" + (f" ({gap})" if gap else ""))


def _sorted_out(host: Host) -> tuple[list[Wish], str | None, list[str]]:
    """Wishes that are clear, the gap of a capture that lacks the sysctl files, and what else nobody can read.

    Where nobody captured /etc, the command line alone is judged.
    """
    clear: list[Wish] = []
    gap, unclear = None, []
    for wish in wishes(host):
        try:
            if wish.total is not None or wish.nodes:
                clear.append(wish)
            else:
                unclear.append(f"{wish.source}: {wish.text}: how many pages are asked for is not known")
        except Unreadable as kept:
            if kept.reason == NOT_CAPTURED and f"{kept.path}/".startswith(("/etc/", "/run/", "/usr/", "/lib/")):
                gap = str(kept)
            else:
                unclear.append(str(kept))
    return clear, gap, unclear


def _asked(host: Host, wished: list[Wish]) -> dict[tuple[int, int | None], Wish]:
    """The wish that holds for each size and node (None: all nodes together); a later one takes an earlier one's
    place."""
    asked: dict[tuple[int, int | None], Wish] = {}
    for wish in wished:
        size = wish.size_bytes or _default_size(host)
        for key in [key for key in asked if key[0] == size]:
            if not (wish.nodes and key[1] is not None):
                del asked[key]
        for node in wish.nodes or (None,):
            asked[size, node] = wish
    return asked


def _is_bearable(host: Host, size_bytes: int) -> bool:
    """Whether a pool of that size leaves the machine enough to live on."""
    total_bytes = peek(lambda: host.memory.total_bytes)
    return total_bytes is not None and size_bytes <= LARGEST_POOL * total_bytes


def _needed(host: Host, size: int, node: int | None) -> int:
    """Pages that VMs need, of a size and on a node (None: all). Where nobody captured domains, none are supposed."""
    try:
        return total(d for d in _demands(host) if d.size_bytes == size and node in (None, d.node))
    except Unreadable as kept:
        if kept.reason == NOT_CAPTURED:
            return 0
        raise


def _default_size(host: Host) -> int:
    size = host.memory.fields.get("Hugepagesize")
    if size is None:
        raise Unknown("/proc/meminfo: no Hugepagesize")
    return size


def _pool_of_node(host: Host, node: int, size: int) -> Pool | None:
    there = host.numa.node(node)
    return next((pool for pool in there.hugepages if pool.size_bytes == size), None) if there is not None else None


def _demands(host: Host) -> Iterator[PageDemand]:
    """What all domains need. Raises Unreadable where they are not known."""
    for domain in host.domains:
        if domain.backing is not None and domain.backing.hugepages is not None:
            yield from page_demands(domain, _default_size(host))


def _size(size_bytes: int) -> str:
    return f"{size_bytes >> 30} GiB" if size_bytes >= 1 << 30 else f"{size_bytes >> 20} MiB"


@check(
    "hugepages-node-short",
    Severity.HIGH,
    over=Node,
    roles=HOST,
    workloads=(Workload.DB, Workload.LATENCY),
    see="https://docs.kernel.org/admin-guide/mm/hugetlbpage.html",
)
def hugepages_node_short(node: Node, host: Host) -> Outcome:
    """A node has fewer huge pages than the VMs bound to it need.

    Why: at boot pages are spread evenly over the nodes; a VM that is bound to one of them then fails to start while the
        other one has pages to spare.
    Fix now: write the number into the node's own nr_hugepages, read it back.
    Fix for good: hugepages=0:N,1:M on the kernel command line (Linux 5.16 and later), or a unit before libvirt.
    Traps: pages are promised machine-wide only, so the free ones of a node may be promised elsewhere. Surplus pages
        vanish.
    Source: Documentation/admin-guide/mm/hugetlbpage.rst (node specific attributes); libvirt's formatdomain (numatune).
    """
    demands = [demand for demand in _demands(host) if demand.node is not None]
    pools = {pool.size_bytes: pool for pool in node.hugepages}
    here: dict[int, list[PageDemand]] = defaultdict(list)
    for demand in demands:
        if demand.node == node.id:
            here[demand.size_bytes].append(demand)
    for size, bound in sorted(here.items()):
        yield from _short(node, host, size, bound, pools.get(size))
    require_all(host)
    yield from _misplaced(node, host, here, demands)


def _short(node: Node, host: Host, size: int, bound: list[PageDemand], pool: Pool | None) -> Outcome:
    if pool is None and any(each.size_bytes == size for each in host.hugepages):
        raise Unknown(f"{node.path}/hugepages: the node's own pool of {_size(size)} pages is not known")
    have = 0 if pool is None else pool.total - pool.surplus
    free = 0 if pool is None else pool.free
    needed = total(bound)
    running = {domain.name for domain in host.domains if domain.is_running}
    stuck = sorted({demand.domain for demand in bound if demand.domain not in running and demand.pages > free})
    if needed <= have and not stuck:
        return
    path = f"{pool.path}/nr_hugepages" if pool else f"{node.path}/hugepages/hugepages-{size >> 10}kB"
    names = ", ".join(sorted({demand.domain for demand in bound}))
    wanted = max(needed, have + sum(d.pages for d in bound if d.domain in stuck) - free)
    yield Finding(
        f"node {node.id} has {have} pages of {_size(size)}, {free} free; {names} need {needed}"
        + (f": {', '.join(stuck)} will not start" if stuck else ""),
        ((path, f"{pool.path}/free_hugepages") if pool else ((path, "absent"),)),
        severity=Severity.CRITICAL if stuck else None,
        expected=f"at least {needed}",
        actual=str(have),
        now=(f"echo {wanted} > {path} && cat {path}",) if pool else (),
        for_good=(f"grubby --update-kernel=ALL --args='{_boot_line(host, size, node, wanted)}'",),
        setting=f"hugepages:node{node.id}/{size >> 10}kB",
        key=f"{size >> 10}kB",
    )


def _boot_line(host: Host, size: int, node: Node, wanted: int) -> str:
    """Boot parameters for the pages of all nodes, in one value: a second one would undo the first."""
    have = {other.id: _pool_of_node(host, other.id, size) for other in host.numa.nodes}
    counts = {id: pool.total for id, pool in have.items() if pool is not None and pool.total} | {node.id: wanted}
    return f"hugepagesz={_boot_size(size)} hugepages=" + ",".join(f"{id}:{n}" for id, n in sorted(counts.items()))


def _boot_size(size_bytes: int) -> str:
    return f"{size_bytes >> 30}G" if size_bytes >= 1 << 30 else f"{size_bytes >> 20}M"


def _misplaced(node: Node, host: Host, here: dict[int, list[PageDemand]], demands: list[PageDemand]) -> Outcome:
    """Pages on a node that no VM can use: one without CPUs, or one of an even split while all VMs sit elsewhere."""
    for pool in node.hugepages:
        if not pool.total or pool.size_bytes in here:
            continue
        count = f"{pool.total} pages of {_size(pool.size_bytes)}"
        path = f"{pool.path}/nr_hugepages"
        alike = [_pool_of_node(host, other.id, pool.size_bytes) for other in host.numa.nodes if other.id != node.id]
        users = {demand.node for demand in _demands(host) if demand.size_bytes == pool.size_bytes}
        if not node.cpus:
            message = f"{count} lie on node {node.id}, which has no CPUs"
        elif len(users) == 1 and None not in users and demands and any(a and a.total == pool.total for a in alike):
            message = f"{count} lie on node {node.id} by an even split, all VMs that use them are on node {users.pop()}"
        else:
            continue
        yield Finding(
            message,
            (path,),
            severity=Severity.MEDIUM,
            expected="0",
            actual=str(pool.total),
            now=(f"echo 0 > {path} && cat {path}",),
            setting=f"hugepages:node{node.id}/{pool.size_bytes >> 10}kB",
            key=f"{pool.size_bytes >> 10}kB/idle",
        )


@check(
    "thp-unsuited",
    Severity.MEDIUM,
    over=Host,
    roles=HOST,
    workloads=(Workload.DB, Workload.LATENCY, Workload.GENERAL),
    see="https://docs.kernel.org/admin-guide/mm/transhuge.html",
)
def thp_unsuited(host: Host, workload: Workload) -> Outcome:
    """Transparent huge pages do not suit the VMs of this host.

    Why: where VMs sit on hugetlb pages, khugepaged scans and compacts memory for nothing; where they sit on ordinary
        memory, `never` loses the large mappings that halve the cost of a page walk. defrag=always lets a page fault
        wait for compaction.
    Fix now: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; the same for defrag with defer+madvise.
    Fix for good: transparent_hugepage=madvise on the kernel command line, or a tmpfiles.d line.
    Traps: only future faults change; pages that are huge already stay so. Switching it on raises vm.min_free_kbytes.
        Memory that is shared (memfd) follows shmem_enabled.
    Source: Documentation/admin-guide/mm/transhuge.rst; mm/khugepaged.c.
    """
    thp = host.memory.thp
    if thp is None:
        raise Skip("this kernel has no transparent huge pages")
    if thp.enabled is None:
        raise Unknown(f"{THP}/enabled: absent")
    domains = host.domains
    on_hugetlb = [domain for domain in domains if domain.backing is not None and domain.backing.hugepages is not None]
    enabled = thp.enabled.active
    wanted = None
    if domains and len(on_hugetlb) == len(domains) and enabled == "always" and workload is not Workload.GENERAL:
        wanted = f"all {len(domains)} VMs sit on hugetlb pages, but enabled is always"
    elif len(on_hugetlb) < len(domains) and enabled == "never":
        wanted = f"{len(domains) - len(on_hugetlb)} VMs sit on ordinary memory, but enabled is never"
    if wanted:
        yield _thp_finding(wanted, "enabled", enabled, "madvise")
    require_all(host)
    if thp.defrag is None:
        raise Unknown(f"{THP}/defrag: absent")
    if thp.defrag.active == "always" and workload in (Workload.DB, Workload.LATENCY):
        yield _thp_finding(
            "a page fault may wait for compaction: defrag is always", "defrag", "always", "defer+madvise"
        )


def _thp_finding(message: str, name: str, actual: str, wanted: str) -> Finding:
    path = f"{THP}/{name}"
    return Finding(
        message,
        (path,),
        severity=Severity.LOW,
        expected=wanted,
        actual=actual,
        now=(f"echo {wanted} > {path}",),
        for_good=(f"echo 'w {path} - - - - {wanted}' > /etc/tmpfiles.d/thp-{name}.conf",),
        setting=f"sysfs:{path}",
        key=name,
    )
