"""NUMA nodes, and whether VMs fit them."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

HIDDEN, SPAN = "numa-layout-hidden", "vcpus-span-nodes"
NODE = "sys/devices/system/node"
TWO_CELLS = (
    "<topology sockets='1' dies='1' cores='1' threads='2'/>",
    "<numa><cell id='0' cpus='0' memory='8' unit='GiB'/><cell id='1' cpus='1' memory='8' unit='GiB'/></numa>",
)


def meminfo(node: int, gib: int) -> str:
    return f"{NODE}/node{node}/meminfo:\n  Node {node} MemTotal: {gib << 20} kB\n  Node {node} MemFree: {gib << 19} kB"


ONE_NODE = f"""
{NODE}/online: 0
{NODE}/has_cpu: 0
{NODE}/node0/cpulist: 0-7
{NODE}/node0/distance: 10
"""

CASES = [
    Case(HIDDEN, "pass", "kvm-host"),
    Case(HIDDEN, "medium host", "kvm-host", meminfo(0, 32), reason="apart"),
    Case(HIDDEN, "high node0", "kvm-host", meminfo(0, 0), workload=Workload.DB, reason="no memory"),
    Case(HIDDEN, "medium host", "kvm-host", f"{NODE}/node0/distance: 10 31", reason="back it is 21"),
    Case(HIDDEN, "medium host", "kvm-host", f"{NODE}/node0/distance: 10 10\n{NODE}/node1/distance: 10 10", reason="near from far"),
    Case(HIDDEN, "high host", "kvm-host", swap=("intel_iommu=on iommu=pt", "intel_iommu=on iommu=pt numa=off"), reason="numa=off"),
    Case(HIDDEN, "unknown", "kvm-host", f"{NODE}/node1/distance ! permission denied"),
    Case(HIDDEN, "unknown", "kvm-host", f"{NODE}/node1/meminfo -"),
    Case(HIDDEN, "skip", "kvm-guest", workload=Workload.DB),
    Case(SPAN, "pass", "kvm-host"),
    Case(SPAN, "medium domain/db01", "kvm-host", swap=("<vcpupin vcpu='0' cpuset='3'/>", "<vcpupin vcpu='0' cpuset='1'/>"), reason="fits one node", also=("medium vf-remote-node",)),
    Case(SPAN, "high domain/db01", "kvm-host", swap=("<vcpupin vcpu='0' cpuset='3'/>", "<vcpupin vcpu='0' cpuset='1'/>"), workload=Workload.LATENCY, also=("medium vf-remote-node",)),
    Case(SPAN, "high domain/db01", "kvm-host", swap=(TWO_CELLS[0], TWO_CELLS[0] + TWO_CELLS[1].replace("memory='8'", "memory='12'", 1)), reason="not equal"),
    Case(SPAN, "pass", "kvm-host", swap=(TWO_CELLS[0], "".join(TWO_CELLS))),
    Case(SPAN, "unknown", "kvm-host", f"{NODE}/online: garbage"),
    Case(SPAN, "unknown", "kvm-host", swap=("<vcpupin vcpu='0' cpuset='3'/>", "<vcpupin vcpu='0' cpuset='x'/>")),
]  # fmt: skip
