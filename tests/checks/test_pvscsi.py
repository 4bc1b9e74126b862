"""VMware's PVSCSI adapters, and legacy ones in their place."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

RING, LEGACY = "pvscsi-ring-small", "legacy-scsi-controller"
HOST0 = "sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host0"
HOST1 = "sys/devices/pci0000:00/0000:00:16.0/0000:0b:00.0/host1"
SMALL = f"{HOST1}/scsi_host/host1/can_queue: 256"
LSI = f"{HOST1}/scsi_host/host1/proc_name: mptspi\n{HOST1}/target1:0:1/1:0:1:0/block/sdc/size: 0"
LSI_ROOT = f"{HOST0}/scsi_host/host0/proc_name: mptspi"

CASES = [
    Case(RING, "pass", "vmware-guest"),
    Case(RING, "medium host1", "vmware-guest", SMALL, reason="takes 256"),
    Case(RING, "high host1", "vmware-guest", SMALL, workload=Workload.DB),
    # One disk of 254 fits a ring of 256.
    Case(RING, "pass", "vmware-guest", f"{HOST0}/scsi_host/host0/can_queue: 256", workload=Workload.DB),
    Case(RING, "unknown", "vmware-guest", f"{HOST1}/scsi_host/host1/can_queue ! permission denied"),
    Case(RING, "unknown", "vmware-guest", f"{HOST1}/target1:0:0/1:0:0:0/queue_depth -"),
    Case(RING, "skip", "kvm-guest"),
    Case(LEGACY, "pass", "vmware-guest"),
    Case(LEGACY, "medium sdb", "vmware-guest", LSI),
    Case(LEGACY, "high sdb", "vmware-guest", LSI, workload=Workload.DB),
    Case(LEGACY, "medium sda", "vmware-guest", LSI_ROOT, workload=Workload.DB, reason="root file system"),
    Case(LEGACY, "unknown", "vmware-guest", f"{HOST0}/scsi_host/host0/proc_name ! permission denied"),
    Case(LEGACY, "skip", "kvm-guest"),
]
