"""NUMA nodes, and whether VMs fit them."""

from __future__ import annotations

from vmtune.check import PHYSICAL, Evidence, Finding, Outcome, Severity, Skip, Unknown, Workload, check
from vmtune.cpuset import CpuSet, union
from vmtune.host import Host
from vmtune.host.domain import Domain
from vmtune.host.numa import Node
from vmtune.shell import quoted, virsh_edit
from vmtune.sizing import host_reserve_bytes, housekeeping_cores

NODES = "/sys/devices/system/node"
LOCAL_DISTANCE = 10
FIRST_NUMA_INTEL_MODEL = 26
"""Nehalem: Intel processors before it reach memory through one front-side bus (arch/x86/include/asm/intel-family.h)."""
LATE_CORE2_MODELS = (29,)


@check(
    "numa-layout-hidden",
    Severity.HIGH,
    over=Host,
    roles=PHYSICAL,
    workloads=(Workload.DB, Workload.NETWORK, Workload.LATENCY),
    see="https://docs.kernel.org/admin-guide/mm/numaperf.html",
)
def numa_layout_hidden(host: Host, workload: Workload, *, uneven_percent: float = 10.0) -> Outcome:
    """The NUMA layout is hidden, faked or uneven.

    Why: with interleaved or hidden nodes all memory is half remote, and nothing can be placed any more.
    Fix now: nothing at run time.
    Fix for good: switch node interleaving off in the firmware, take numa=off or numa=fake off the command line,
        populate the nodes' memory slots alike.
    Traps: node numbers have holes. Sub-NUMA clusters show several nodes a package. Processors before Nehalem, and many
        arm64 machines and partitions, have one node for two packages rightly.
    Source: Documentation/admin-guide/kernel-parameters.txt (numa=); Documentation/ABI/stable/sysfs-devices-node.
    """
    if host.platform.is_guest:
        raise Skip("a guest's nodes are what its definition says")
    numa = host.numa
    asked = host.cmdline.get("numa")
    if asked is not None and (asked == "off" or asked.startswith("fake")):
        yield Finding(
            f"the kernel was told numa={asked}",
            ("/proc/cmdline",),
            expected="no numa= on the command line",
            actual=f"numa={asked}",
            for_good=(f"grubby --update-kernel=ALL --remove-args={quoted(f'numa={asked}')}",),
            disruption="host-reboot",
            key="cmdline",
        )
    elif len(numa.nodes) == 1 and (host.cpu.packages or 1) > 1 and _has_numa(host):
        yield Finding(
            f"{host.cpu.packages} packages, but one NUMA node: node interleaving, or NUMA is off in the firmware",
            (f"{NODES}/online", "/proc/cmdline"),
            severity=Severity.MEDIUM,
            expected="a node for each package at least",
            actual="1 node",
            disruption="firmware",
            key="interleaved",
        )
    yield from _memory(host, workload, uneven_percent)
    yield from _distances(host)


def _has_numa(host: Host) -> bool:
    """Whether two packages of this processor must show two nodes: x86 with a memory controller in each package."""
    if not host.platform.is_x86:
        return False
    cpu = host.cpu
    if cpu.vendor == "GenuineIntel":
        if cpu.family is None or cpu.model_number is None:
            raise Unknown("/proc/cpuinfo: CPU family and model are not known")
        old = cpu.family < 6 or (cpu.family == 6 and cpu.model_number < FIRST_NUMA_INTEL_MODEL)
        return cpu.family != 15 and not old and cpu.model_number not in LATE_CORE2_MODELS
    return cpu.vendor in ("AuthenticAMD", "HygonGenuine")


def _memory(host: Host, workload: Workload, uneven_percent: float) -> Outcome:
    sizes = {}
    for node in host.numa.nodes:
        if not node.cpus or host.numa.synthetic:
            continue
        if node.memory_bytes is None:
            raise Unknown(f"{node.path}/meminfo: absent")
        sizes[node.id] = node.memory_bytes
        if node.memory_bytes == 0 and workload is Workload.DB:
            yield Finding(
                f"node {node.id} has CPUs {node.cpus} and no memory",
                (f"{node.path}/meminfo", f"{node.path}/cpulist"),
                expected="memory on every node with CPUs",
                actual="0 bytes",
                disruption="firmware",
                key=f"node{node.id}",
                target=f"node{node.id}",
            )
    filled = {node: size for node, size in sizes.items() if size}
    if len(filled) > 1:
        small, large = min(filled, key=lambda node: filled[node]), max(filled, key=lambda node: filled[node])
        percent = 100.0 * (filled[large] - filled[small]) / filled[large]
        if percent > uneven_percent:
            yield Finding(
                f"node {small} has {filled[small] >> 20} MiB, node {large} {filled[large] >> 20}: {percent:.0f} % off",
                (f"{NODES}/node{small}/meminfo", f"{NODES}/node{large}/meminfo"),
                severity=Severity.MEDIUM,
                expected=f"at most {uneven_percent:g} % apart",
                actual=f"{percent:.0f} %",
                disruption="firmware",
                key="uneven",
            )


def _distances(host: Host) -> Outcome:
    nodes = host.numa.nodes
    if len(nodes) < 2:
        return
    rows = {node.id: node.distances for node in nodes}
    known = {id: row for id, row in rows.items() if row}
    if len(known) < len(rows):
        raise Unknown(f"{NODES}/node{min(rows.keys() - known.keys())}/distance: absent")
    evidence = tuple(f"{node.path}/distance" for node in nodes[:8])
    odd = [(a, b) for a, row in known.items() for b, far in row.items() if b in known and known[b].get(a) != far]
    if odd:
        a, b = odd[0]
        yield Finding(
            f"the distance from node {a} to {b} is {known[a][b]}, back it is {known[b].get(a)}",
            evidence,
            severity=Severity.MEDIUM,
            expected="a symmetric matrix",
            disruption="firmware",
            key="asymmetric",
        )
    elif all(far == LOCAL_DISTANCE for row in known.values() for far in row.values()):
        yield Finding(
            f"all distances of {len(nodes)} nodes are {LOCAL_DISTANCE}: the firmware does not tell near from far",
            evidence,
            severity=Severity.MEDIUM,
            expected="more than 10 between nodes",
            actual="10",
            disruption="firmware",
            key="flat",
        )


@check(
    "vcpus-span-nodes",
    Severity.HIGH,
    over=Domain,
    workloads=(Workload.DB, Workload.LATENCY, Workload.GENERAL),
    see="https://libvirt.org/formatdomain.html",
)
def vcpus_span_nodes(domain: Domain, host: Host, workload: Workload, *, spread_on_purpose: bool = False) -> Outcome:
    """A VM spans NUMA nodes without a matching vNUMA layout.

    Why: memory of a VM whose guest sees one node is strewn over several; a database cannot place memory that it
        cannot see the nodes of.
    Fix for good: pin a VM that fits a node to that node; give a wider one equal cells in <cpu><numa>, each with its
        vCPUs and memory on one node; holds from the next cold start.
    Traps: cells are part of the machine that the guest knows. The balloon works against them. A VM that is bound by
        memory bandwidth may be spread on purpose: say so in the site file (spread_on_purpose).
    Source: libvirt's formatdomain (guest NUMA topology, numatune); SUSE's tuning guide for EPYC 9004.
    """
    yield from _page_multiples(domain, host)
    nodes = [node for node in host.numa.nodes if node.cpus]
    if len(nodes) < 2 or spread_on_purpose:
        return
    pinned = domain.pinned_cpus or domain.floor
    spans = host.numa.cpus_nodes(pinned) if pinned else CpuSet(node.id for node in nodes)
    confined = len(spans) == 1
    if domain.cells and len(domain.cells) > 1:
        yield from _cells(domain, host, workload)
        return
    if confined:
        return
    where = f"nodes {spans}" if pinned else "every node: nothing pins it"
    evidence = (
        (
            domain.source,
            f"{domain.vcpus} vCPUs, {domain.memory_bytes >> 20} MiB, {len(domain.cells)} cells, CPUs {pinned or 'any'}",
        ),
        f"{NODES}/online",
    )
    if _fits(domain, host, nodes):
        severity = {Workload.DB: Severity.MEDIUM, Workload.LATENCY: Severity.HIGH}.get(workload)
        if severity is not None:
            yield _span_finding(
                domain, f"{domain.name} fits one node but runs on {where}", evidence, severity, "one node"
            )
        return
    severity = Severity.MEDIUM if workload is Workload.GENERAL else Severity.HIGH
    message = f"{domain.name} runs on {where} and its guest sees no nodes"
    yield _span_finding(domain, message, evidence, severity, "a cell for each node")


def _page_multiples(domain: Domain, host: Host) -> Outcome:
    """Cells whose memory is no whole number of their hugepages."""
    if domain.backing is None or domain.backing.hugepages is None or not domain.cells:
        return
    default = None if domain.backing.hugepages else host.memory.fields.get("Hugepagesize")
    for cell in domain.cells:
        sizes = [page.size_bytes for page in domain.backing.hugepages if page.cells is None or cell.id in page.cells]
        size = (sizes[0] if sizes else None) or default
        if size and cell.memory_bytes % size:
            yield _span_finding(
                domain,
                f"cell {cell.id} of {domain.name} has {cell.memory_bytes >> 20} MiB, no multiple of {size >> 20} MiB",
                ((domain.source, f"cell {cell.id}: {cell.memory_bytes >> 10} KiB"),),
                Severity.HIGH,
                f"a multiple of {size >> 20} MiB",
                key=f"cell{cell.id}",
            )


def _cells(domain: Domain, host: Host, workload: Workload) -> Outcome:
    """Cells against each other, against the host's nodes, and against the pins."""
    severity = Severity.MEDIUM if workload is Workload.GENERAL else Severity.HIGH
    with_cpus = [cell for cell in domain.cells if cell.cpus]
    shown = "; ".join(f"cell {cell.id}: vCPUs {cell.cpus}, {cell.memory_bytes >> 20} MiB" for cell in domain.cells)
    evidence = ((domain.source, shown),)
    if len({(len(cell.cpus), cell.memory_bytes) for cell in with_cpus}) > 1:
        yield _span_finding(
            domain, f"the cells of {domain.name} are not equal: {shown}", evidence, severity, "equal cells", "equal"
        )
    largest = max(len(node.cpus & host.cpu.online) for node in host.numa.nodes)
    roomy = max(node.memory_bytes for node in host.numa.nodes)
    for cell in with_cpus:
        nodes = host.numa.cpus_nodes(union(cpus for vcpu in cell.cpus if (cpus := domain.cpus_of(vcpu)) is not None))
        if len(cell.cpus) > largest or cell.memory_bytes > roomy:
            message = f"cell {cell.id} of {domain.name} is larger than any node of the host"
            yield _span_finding(domain, message, evidence, severity, "a cell that fits a node", f"cell{cell.id}/size")
        elif len(nodes) > 1:
            message = f"the vCPUs of cell {cell.id} of {domain.name} are pinned to nodes {nodes}"
            yield _span_finding(
                domain, message, evidence, Severity.HIGH, "one node for each cell", f"cell{cell.id}/pins"
            )


def _fits(domain: Domain, host: Host, nodes: list[Node]) -> bool:
    """Whether some node has the threads and the memory for it beside what the host keeps for itself."""
    for node in nodes:
        online = node.cpus & host.cpu.online
        cores = {cpu.core for cpu in host.cpu.topology if cpu.number in online and cpu.core}
        spare = housekeeping_cores(len(cores)) * (host.cpu.threads_per_core or 1) if cores else 1
        if domain.vcpus <= len(online) - spare and domain.memory_bytes <= node.memory_bytes - host_reserve_bytes(node):
            return True
    return False


def _span_finding(
    domain: Domain,
    message: str,
    evidence: tuple[Evidence, ...],
    severity: Severity,
    expected: str,
    key: str | None = None,
) -> Finding:
    return Finding(
        message,
        evidence,
        severity=severity,
        expected=expected,
        for_good=(virsh_edit(domain.name, f"<cputune>, <numatune> and <cpu><numa> for {expected}"),),
        setting=f"domain:{domain.name}",
        disruption="vm-restart",
        key=key,
    )
