"""VMware's paravirtual SCSI adapter, and what stands where it should be."""

from __future__ import annotations

from vmtune.check import GUEST, Finding, Outcome, Severity, Skip, Unknown, Workload, check
from vmtune.host import Host
from vmtune.host.block import Disk
from vmtune.host.scsi import ScsiHost
from vmtune.shell import remark
from vmtune.value import peek

DRIVER = "vmw_pvscsi"
LEGACY = ("mptspi", "mptsas", "mptscsih", "BusLogic", "buslogic", "ata_piix", "ahci")
SMALL_RING = 256
BUSY_DEPTH = 254


@check("legacy-scsi-controller", Severity.HIGH, over=Disk, roles=GUEST)
def legacy_scsi_controller(disk: Disk, host: Host, workload: Workload) -> Outcome:
    """A disk of a VMware guest hangs on a legacy controller.

    Why: the emulated LSI Logic, IDE and AHCI controllers take 32 to 128 requests at once and cost the host CPU for each
        register access; PVSCSI takes up to 1024.
    Fix for good: with the VM off, change the controller's type to VMware Paravirtual; the driver must be in the
        initramfs before.
    Traps: the PCI id of PVSCSI also exists under QEMU, so the adapter proves no VMware. Disk names may change: use
        UUIDs in fstab.
    Source: drivers/scsi/vmw_pvscsi.{c,h}; drivers/message/fusion/mptspi.c.
    """
    if host.platform.hypervisor != "vmware":
        raise Skip("asked of guests of VMware")
    if disk.is_cdrom:
        raise Skip("a CD-ROM")
    if disk.transport in ("nvme", None):
        raise Skip("does not hang on a SCSI or ATA controller")
    driver = disk.scsi_driver or disk.controller_driver
    if driver is None:
        raise Unknown(f"{disk.path}: the driver of its controller is not known")
    if driver not in LEGACY:
        return
    holds_root = disk.name in (peek(lambda: host.mounts.root_disks) or ())
    data_of_db = workload is Workload.DB and not holds_root
    yield Finding(
        f"{disk.name}{', which holds the root file system,' if holds_root else ''} hangs on {driver}",
        (
            (f"/sys/class/scsi_host/host{disk.scsi_host}/proc_name", driver)
            if disk.scsi_driver
            else (f"{disk.path}/device", f"controller {disk.controller}, driver {driver}"),
        ),
        severity=None if data_of_db else Severity.MEDIUM,
        expected=f"{DRIVER} or nvme",
        actual=driver,
        for_good=(remark('in the .vmx, with the VM off: scsiN.virtualDev = "pvscsi"'),),
        disruption="vm-restart",
    )


@check("pvscsi-ring-small", Severity.HIGH, over=ScsiHost, roles=GUEST)
def pvscsi_ring_small(scsi_host: ScsiHost, host: Host, workload: Workload) -> Outcome:
    """The PVSCSI adapter ring is too small for its disks.

    Why: all disks of an adapter share its ring; when it is full, requests wait in the guest however deep a disk's own
        queue is.
    Fix for good: options vmw_pvscsi ring_pages=32 in modprobe.d, rebuild the initramfs, reboot; or spread the disks
        over more adapters.
    Traps: newer virtual hardware gives 1024 without any option. ring_pages holds for all adapters.
    Source: drivers/scsi/vmw_pvscsi.c (pvscsi_probe: ring_pages, can_queue).
    """
    if scsi_host.driver != DRIVER:
        raise Skip("no PVSCSI adapter")
    if scsi_host.can_queue is None:
        raise Unknown(f"{scsi_host.path}/can_queue: absent")
    disks = [disk for disk in host.disks if disk.scsi_host == scsi_host.host and not disk.is_cdrom]
    depths = {disk.name: disk.queue_depth for disk in disks}
    if None in depths.values():
        raise Unknown(f"{scsi_host.path}: the queue depth of a disk is not known")
    wanted = sum(depth or 0 for depth in depths.values())
    if scsi_host.can_queue >= wanted:
        return
    deep = [name for name, depth in depths.items() if (depth or 0) >= BUSY_DEPTH]
    starved = scsi_host.can_queue <= SMALL_RING and len(deep) > 1 and workload is Workload.DB
    yield Finding(
        f"the ring takes {scsi_host.can_queue} requests, its disks {', '.join(sorted(depths))} may send {wanted}",
        (f"{scsi_host.path}/can_queue", *(f"{disk.path}/device/queue_depth" for disk in disks)),
        severity=None if starved else Severity.MEDIUM,
        expected=f"at least {wanted}",
        actual=str(scsi_host.can_queue),
        for_good=(
            "echo 'options vmw_pvscsi ring_pages=32' > /etc/modprobe.d/60-pvscsi.conf",
            remark("rebuild the initramfs"),
        ),
        setting="modprobe:vmw_pvscsi/ring_pages",
        disruption="host-reboot",
    )
