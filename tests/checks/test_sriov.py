"""VFs and other passed-through functions."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

CHECK = "vf-remote-node"
VF = "sys/devices/pci0000:80/0000:80:02.0/0000:81:02.0"
BOTH = ("<vcpupin vcpu='0' cpuset='3'/>", "<vcpupin vcpu='0' cpuset='1'/>")
ADDRESS = "<address type='pci' domain='0x0000' bus='0x81' slot='0x02' function='0x0'/>"
NO_HOSTDEV = (
    f"type='hostdev' managed='yes'><mac address='52:54:00:11:22:33'/><source>{ADDRESS}</source>",
    "type='bridge'>",
)

CASES = [
    Case(CHECK, "pass", "kvm-host"),
    Case(CHECK, "high domain/db01", "kvm-host", f"{VF}/numa_node: 0", reason="on node 0, db01 is on node 1"),
    Case(CHECK, "medium domain/db01", "kvm-host", swap=BOTH, workload=Workload.NETWORK, reason="spans nodes 0-1"),
    Case(CHECK, "unknown", "kvm-host", f"{VF}/numa_node: -1", reason="names no node that there is"),
    Case(CHECK, "unknown", "kvm-host", f"{VF}/numa_node ! permission denied"),
    Case(CHECK, "skip", "kvm-host", swap=NO_HOSTDEV),
    Case(CHECK, "skip", "kvm-host", workload=Workload.GENERAL),
    Case(CHECK, "unknown", "kvm-host", "sys/bus/pci/devices/0000:81:02.0 -", reason="not on this host"),
    Case(CHECK, "unknown", "kvm-host", f"{VF}/numa_node: 999"),
]
