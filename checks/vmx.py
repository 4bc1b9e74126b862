"""VMware .vmx files."""

from __future__ import annotations

from vmtune.check import Finding, Outcome, Severity, Unknown, Workload, check
from vmtune.host.vmx import Controller, Vmx
from vmtune.shell import remark

MODERN = ("pvscsi", "nvme")
MOST_CONTROLLERS = 4
MOST_DB_DISKS = 2


@check("vmx-legacy-controller", Severity.HIGH, over=Vmx)
def vmx_legacy_controller(vmx: Vmx, workload: Workload) -> Outcome:
    """The .vmx puts disks on legacy controllers.

    Why: LSI Logic, BusLogic, IDE and SATA controllers take 32 to 128 requests at once and cost the host CPU for each;
        PVSCSI takes up to 1024, and each adapter has a queue and an interrupt of its own.
    Fix for good: with the VM off, set the controller's type to VMware Paravirtual or NVMe; the driver must be in the
        guest's initramfs before.
    Traps: a controller without a type gets the default of the guest's operating system, mostly LSI Logic. The order of
        disks may change. A CD-ROM on IDE or SATA is harmless.
    Source: libvirt's src/vmx/vmx.c (virtualDev); VMware's guide to paravirtual SCSI controllers.
    """
    if vmx.encrypted:
        raise Unknown(f"{vmx.source}: a part of it is encrypted; controllers may stand there")
    with_disks = [controller for controller in vmx.controllers if controller.disks]
    name = vmx.source.rpartition("/")[2]
    for controller in with_disks:
        yield from _legacy(vmx, controller, f"{name}:{controller.name}", workload)
    if workload is Workload.DB and len(with_disks) < MOST_CONTROLLERS:
        for controller in with_disks:
            if len(controller.disks) > MOST_DB_DISKS:
                names = ", ".join(disk.name for disk in controller.disks)
                yield Finding(
                    f"{len(controller.disks)} database disks share {controller.name} of {MOST_CONTROLLERS} possible",
                    tuple(vmx.evidence(f"{disk.name}.fileName") for disk in controller.disks),
                    severity=Severity.MEDIUM,
                    expected=f"at most {MOST_DB_DISKS} on one controller",
                    actual=names,
                    for_good=(remark("with the VM off: spread the disks over scsi0 to scsi3"),),
                    disruption="vm-restart",
                    key="shared",
                    target=f"{name}:{controller.name}",
                )


def _legacy(vmx: Vmx, controller: Controller, target: str, workload: Workload) -> Outcome:
    """Judge one controller that holds disks."""
    kind = controller.virtual_dev or controller.kind
    if kind in MODERN:
        return
    unsaid = controller.kind == "scsi" and controller.virtual_dev is None
    disks = ", ".join(disk.name for disk in controller.disks)
    message = (
        f"{controller.name} has no virtualDev: its type is the guest's default" if unsaid else f"{disks}: on {kind}"
    )
    evidence = (
        vmx.evidence(f"{controller.name}.virtualDev")
        if controller.kind == "scsi"
        else vmx.evidence(f"{controller.disks[0].name}.fileName")
    )
    yield Finding(
        message,
        (evidence,),
        severity=Severity.MEDIUM if unsaid or workload is not Workload.DB else None,
        expected="pvscsi or nvme",
        actual="not said" if unsaid else kind,
        for_good=(
            (remark(f'with the VM off: {controller.name}.virtualDev = "pvscsi"'),)
            if controller.kind == "scsi"
            else (remark(f"with the VM off: move {disks} to a controller of the type pvscsi"),)
        ),
        disruption="vm-restart",
        target=target,
    )
