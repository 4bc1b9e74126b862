"""Emulated controllers in the place of paravirtual ones."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

CHECK = "emulated-controller"
TARGET = "<target dev='vda' bus='virtio'/>"
SCSI = "<target dev='sda' bus='scsi'/>"
FUNCTION = "sys/devices/pci0000:00/0000:00:05.0"
IDE = f"""
{FUNCTION}/driver -> ../../../bus/pci/drivers/ata_piix
sys/block/vda -> ../devices/pci0000:00/0000:00:05.0/ata9/host9/target9:0:0/9:0:0:0/block/vda
{FUNCTION}/ata9/host9/target9:0:0/9:0:0:0/block/vda/size: 41943040
{FUNCTION}/ata9/host9/target9:0:0/9:0:0:0/block/vda/queue/scheduler: [none]
{FUNCTION}/ata9/host9/target9:0:0/9:0:0:0/block/vda/device -> ../../../9:0:0:0
{FUNCTION}/ata9/host9/target9:0:0/9:0:0:0/type: 0
sys/class/scsi_host/host9 -> ../../devices/pci0000:00/0000:00:05.0/ata9/host9/scsi_host/host9
{FUNCTION}/ata9/host9/scsi_host/host9/proc_name: ata_piix
"""
REAL_AHCI = IDE.replace("ata_piix", "ahci") + f"{FUNCTION}/vendor: 0x8086\n{FUNCTION}/device: 0xa182"

CASES = [
    Case(CHECK, "pass", "kvm-guest"),
    Case(CHECK, "medium vda", "kvm-guest", IDE, reason="ata_piix"),
    Case(CHECK, "high vda", "kvm-guest", IDE, workload=Workload.DB),
    # A controller that is passed through is no emulated one.
    Case(CHECK, "pass", "kvm-guest", REAL_AHCI),
    Case(CHECK, "medium vda", "kvm-guest", REAL_AHCI.replace("0xa182", "0x2922")),
    Case(
        CHECK,
        "unknown",
        "kvm-guest",
        f"{IDE}{FUNCTION}/driver ! permission denied\nsys/class/scsi_host ! permission denied",
    ),
    Case(CHECK, "skip", "vmware-guest", reason="legacy-scsi-controller"),
    Case(CHECK, "pass", "kvm-host"),
    Case(CHECK, "high domain/db01", "kvm-host", swap=(TARGET, "<target dev='sda' bus='sata'/>"), reason="SATA"),
    Case(CHECK, "high domain/db01", "kvm-host", swap=(TARGET, SCSI), reason="LSI Logic"),
    Case(
        CHECK,
        "pass",
        "kvm-host",
        swap=(
            "<memballoon model='none'/>",
            "<controller type='scsi' index='0' model='virtio-scsi'/><memballoon model='none'/>",
        ),
    ),
    Case(
        CHECK,
        "medium domain/db01",
        "kvm-host",
        swap=(TARGET, "<target dev='hda' bus='ide'/>"),
        workload=Workload.GENERAL,
    ),
    Case(CHECK, "pass", "kvm-host", swap=("device='disk'", "device='cdrom'")),
]
