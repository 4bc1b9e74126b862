"""SR-IOV, and devices that are passed through."""

from __future__ import annotations

from vmtune.check import Evidence, Finding, Info, Outcome, Severity, Skip, Unknown, Workload, check
from vmtune.host import Host
from vmtune.host.domain import Domain
from vmtune.host.numa import Numa
from vmtune.host.pci import Function
from vmtune.shell import virsh_edit


@check(
    "vf-remote-node",
    Severity.HIGH,
    over=Domain,
    workloads=(Workload.DB, Workload.NETWORK, Workload.LATENCY),
    see="https://libvirt.org/formatdomain.html",
)
def vf_remote_node(domain: Domain, host: Host, workload: Workload) -> Outcome:
    """A VF or other passed-through function is on another node than its VM.

    Why: the DMA and the interrupts of each packet or block cross the link between the sockets.
    Fix now: nothing: an assigned function cannot change its node, and pins alone do not move the VM's memory.
    Fix for good: give the VM a VF of a PF on its own node, or move its pins and its memory to the device's node.
    Traps: numa_node -1 says that the firmware names no node, not node 0. Nodes of one package (sub-NUMA clusters)
        count as near. A VM over several nodes needs a pcie-expander-bus to tell its guest where the device is.
    Source: Documentation/ABI/testing/sysfs-bus-pci (numa_node); libvirt's formatdomain (numatune, hostdev).
    """
    if not domain.host_addresses:
        raise Skip("no device is passed through")
    numa = host.numa
    if len(numa.nodes) < 2:
        return
    functions = [host.pci.function(address) for address in domain.host_addresses]
    nowhere, gone = [], False
    for function in functions:
        if function is None:
            gone = True
            continue
        if function.node is None or numa.node(function.node) is None:
            nowhere.append(function.address)
            continue
        yield from _judged(domain, function, function.node, host, workload)
    if gone:
        raise Unknown("an assigned device is not on this host")
    if nowhere:
        raise Unknown(f"the firmware names no node that there is for {', '.join(nowhere)}")


def _judged(domain: Domain, function: Function, device_node: int, host: Host, workload: Workload) -> Outcome:
    numa = host.numa
    nodes = domain.nodes(numa)
    evidence: tuple[Evidence, ...] = (
        f"{function.path}/numa_node",
        (domain.source, f"{function.address} assigned; confined to node {nodes or 'none'}"),
    )
    if not nodes or len(nodes) > 1:
        if device_node in nodes and domain.cells:
            return
        if not nodes or not domain.cells:
            where = f"spans nodes {nodes}" if nodes else "may run on every node"
            yield _finding(
                domain,
                function,
                device_node,
                f"{domain.name} {where} and shows its guest no nodes",
                evidence,
                Severity.MEDIUM,
            )
            return
    if device_node in nodes:
        return
    near = _same_package(numa, host, device_node, nodes.first or 0)
    where = f"{domain.name} is on node {nodes}"
    if near:
        yield Info(
            f"{function.address} is on node {device_node}, {where}, of the same package", evidence, key=function.address
        )
        return
    explicit = bool(domain.vcpupin) or bool(domain.memory_nodes)
    severity = None if explicit or workload is not Workload.DB else Severity.MEDIUM
    yield _finding(domain, function, device_node, where, evidence, severity)


def _finding(
    domain: Domain,
    function: Function,
    device_node: int,
    where: str,
    evidence: tuple[Evidence, ...],
    severity: Severity | None,
) -> Finding:
    kind = "VF" if function.is_vf else "function"
    return Finding(
        f"{kind} {function.address} is on node {device_node}, {where}",
        evidence,
        severity=severity,
        expected=f"device and VM on one node, here {device_node}",
        for_good=(virsh_edit(domain.name, f"pins and <numatune> on node {device_node}, or a device of its own node"),),
        setting=f"domain:{domain.name}",
        disruption="vm-restart",
        key=function.address,
    )


def _same_package(numa: Numa, host: Host, one: int, other: int) -> bool:
    """Whether two nodes belong to one package."""
    packages = []
    for number in (one, other):
        node = numa.node(number)
        first = (node.cpus & host.cpu.online).first if node is not None else None
        cpu = host.cpu.cpu(first) if first is not None else None
        packages.append(None if cpu is None else cpu.package)
    return packages[0] is not None and packages[0] == packages[1]
