"""NUMA nodes, and whether VMs fit them."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

HIDDEN, SPAN = "numa-layout-hidden", "vcpus-span-nodes"
NODE = "sys/devices/system/node"
PINNED = ("<vcpupin vcpu='0' cpuset='3'/>", "<vcpupin vcpu='0' cpuset='1'/>")
GARBLED = ("<vcpupin vcpu='0' cpuset='3'/>", "<vcpupin vcpu='0' cpuset='x'/>")
REMOTE = ("medium vf-remote-node",)
TOPOLOGY = "<topology sockets='1' dies='1' cores='1' threads='2'/>"
CELLS = "<numa><cell id='0' cpus='0' memory='8' unit='GiB'/><cell id='1' cpus='1' memory='{}' unit='GiB'/></numa>"
EQUAL, UNEQUAL = ((TOPOLOGY, TOPOLOGY + CELLS.format(size)) for size in (8, 12))


def meminfo(node: int, gib: int) -> str:
    return f"{NODE}/node{node}/meminfo:\n  Node {node} MemTotal: {gib << 20} kB\n  Node {node} MemFree: {gib << 19} kB"


FLAT = f"{NODE}/node0/distance: 10 10\n{NODE}/node1/distance: 10 10"

CASES = [
    Case(HIDDEN, "pass", "kvm-host"),
    Case(HIDDEN, "medium host", "kvm-host", meminfo(0, 32), reason="% off"),
    Case(HIDDEN, "high node0", "kvm-host", meminfo(0, 0), workload=Workload.DB, reason="no memory"),
    Case(HIDDEN, "medium host", "kvm-host", f"{NODE}/node0/distance: 10 31", reason="back it is 21"),
    Case(HIDDEN, "medium host", "kvm-host", FLAT, reason="near from far"),
    Case(HIDDEN, "high host", "kvm-host", swap=("iommu=pt", "iommu=pt numa=off"), reason="numa=off"),
    Case(HIDDEN, "unknown", "kvm-host", f"{NODE}/node1/distance ! permission denied"),
    Case(HIDDEN, "unknown", "kvm-host", f"{NODE}/node1/meminfo -"),
    Case(HIDDEN, "skip", "kvm-guest", workload=Workload.DB),
    Case(SPAN, "pass", "kvm-host"),
    Case(SPAN, "medium domain/db01", "kvm-host", swap=PINNED, reason="fits one node", also=REMOTE),
    Case(SPAN, "high domain/db01", "kvm-host", swap=PINNED, workload=Workload.LATENCY, also=REMOTE),
    Case(SPAN, "high domain/db01", "kvm-host", swap=UNEQUAL, reason="not equal"),
    Case(SPAN, "pass", "kvm-host", swap=EQUAL),
    Case(SPAN, "unknown", "kvm-host", f"{NODE}/online: garbage"),
    Case(SPAN, "unknown", "kvm-host", swap=GARBLED),
]
