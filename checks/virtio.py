"""Paravirtual devices, and emulated ones in their place."""

from __future__ import annotations

from vmtune.check import GUEST, Finding, Outcome, Severity, Skip, Unknown, Workload, check
from vmtune.host import Host
from vmtune.host.block import Disk
from vmtune.host.domain import Domain
from vmtune.host.domain import disks as domain_disks
from vmtune.shell import remark, virsh_edit

EMULATED_DRIVERS = (
    "ata_piix",
    "pata_acpi",
    "ata_generic",
    "mptspi",
    "mptsas",
    "mptscsih",
    "sym53c8xx",
    "BusLogic",
    "am53c974",
)
EMULATED_AHCI = ((0x8086, 0x2922), (0x8086, 0x2829), (0x15AD, 0x07E0))
"""PCI ids of AHCI controllers that QEMU, VirtualBox and VMware emulate; any other one in a guest is passed through."""
EMULATED_BUSES = ("ide", "sata", "usb")
EMULATED_SCSI = ("lsilogic", "lsisas1068", "lsisas1078", "buslogic", "ncr53c90", "dc390", "am53c974", "auto")
X86 = ("x86_64", "i686")


@check("emulated-controller", Severity.HIGH, over=Disk, roles=GUEST)
def emulated_controller(disk: Disk, host: Host, workload: Workload) -> Outcome:
    """A disk hangs on an emulated controller.

    Why: each access to a register of an emulated controller leaves the VM for the emulator; virtio and PVSCSI hand over
        whole batches of requests.
    Fix for good: change the device's model on the hypervisor with the VM off (virtio, virtio-scsi, PVSCSI or NVMe); the
        driver must be in the guest's initramfs before.
    Traps: disk names change (sda becomes vda): use UUIDs in fstab. A CD-ROM on SATA or IDE is harmless. A real
        controller that is passed through is not emulated.
    Source: libvirt's formatdomain (disk target bus, SCSI controller model); QEMU's hw/ide and hw/scsi.
    """
    hypervisor = host.platform.hypervisor
    if hypervisor == "vmware":
        raise Skip("in a guest of VMware, legacy-scsi-controller judges this")
    if disk.is_cdrom:
        raise Skip("a CD-ROM")
    driver = disk.controller_driver or disk.scsi_driver
    if driver is None:
        if disk.transport is None:
            raise Skip("made by software, on no controller")
        if disk.transport in ("virtio", "xen", "nvme"):
            return
        raise Unknown(f"{disk.path}: the driver of its controller is not known")
    if driver == "ahci":
        controller = host.pci.function(disk.controller) if disk.controller else None
        if controller is None or controller.vendor is None:
            raise Unknown(f"{disk.path}: whether its AHCI controller is emulated is not known")
        if (controller.vendor, controller.device) not in EMULATED_AHCI:
            return
    elif driver not in EMULATED_DRIVERS:
        return
    yield Finding(
        f"{disk.name} hangs on {driver}, emulated by {hypervisor or 'the hypervisor'}",
        ((f"{disk.path}/device", f"controller {disk.controller}, driver {driver}"),),
        severity=None if workload is Workload.DB else Severity.MEDIUM,
        expected="virtio, NVMe or PVSCSI",
        actual=driver,
        for_good=(remark("on the hypervisor, with the VM off: change the disk's bus to virtio"),),
        disruption="vm-restart",
    )


@check("emulated-controller", Severity.HIGH, over=Domain)
def emulated_controller_of_domain(domain: Domain, workload: Workload) -> Outcome:
    """A disk hangs on an emulated controller.

    Why: each access to a register of an emulated controller leaves the VM for QEMU, which serves it in its main loop.
    Fix for good: virsh edit DOMAIN: <target bus='virtio'/>, or a SCSI controller of the model virtio-scsi; holds from
        the next cold start. The driver must be in the guest's initramfs before.
    Traps: disk names change in the guest (sda becomes vda): use UUIDs in fstab. A CD-ROM on SATA or IDE is harmless.
        Without a model, libvirt gives x86 guests an LSI Logic SCSI controller.
    Source: libvirt's formatdomain (disk target bus, SCSI controller model), src/qemu/qemu_domain.c.
    """
    for disk in domain.disks:
        if not disk.is_plain:
            continue
        emulated = _emulated(domain, disk)
        if emulated is None:
            continue
        yield Finding(
            f"disk {disk.target} hangs on {emulated}",
            ((domain.source, f"<target dev='{disk.target}' bus='{disk.bus}'/>, {emulated}"),),
            severity=None if workload is Workload.DB else Severity.MEDIUM,
            expected="virtio or virtio-scsi",
            actual=disk.bus,
            for_good=(virsh_edit(domain.name, f"disk {disk.target}: <target dev='vda' bus='virtio'/>"),),
            setting=f"domain:{domain.name}",
            disruption="vm-restart",
            key=disk.target,
        )


def _emulated(domain: Domain, disk: domain_disks.Disk) -> str | None:
    """What emulated controller a disk hangs on; None where it is paravirtual."""
    if disk.bus in EMULATED_BUSES:
        return f"an emulated {disk.bus.upper()} controller"
    if disk.bus != "scsi":
        return None
    number = disk.controller or 0
    models = [each.model for each in domain.controllers if each.type == "scsi" and (each.number or 0) == number]
    model = models[0] if models else None
    if model is None:
        return "an LSI Logic controller, the default" if domain.firmware.architecture in X86 else None
    return f"a SCSI controller of the model {model}" if model in EMULATED_SCSI else None
