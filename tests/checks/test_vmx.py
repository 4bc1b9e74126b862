"""VMware .vmx files."""

from __future__ import annotations

from tests import machines
from tests.checks.case import Case, alone
from vmtune.audit import Options
from vmtune.check import Workload

CHECK = "vmx-legacy-controller"

GOOD = """
displayName = "db01"
numvcpus = "4"
scsi0.present = "TRUE"
scsi0.virtualDev = "pvscsi"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "db01.vmdk"
sata0.present = "TRUE"
sata0:0.present = "TRUE"
sata0:0.deviceType = "cdrom-image"
sata0:0.fileName = "/vmfs/iso/install.iso"
"""


GENERAL = Workload.GENERAL
LSI = GOOD.replace("pvscsi", "lsilogic")
UNTYPED = GOOD.replace('scsi0.virtualDev = "pvscsi"\n', "")
IDE = GOOD + 'ide0:0.present = "TRUE"\nide0:0.fileName = "data.vmdk"\n'
MANY = GOOD + "".join(f'scsi0:{n}.present = "TRUE"\nscsi0:{n}.fileName = "d{n}.vmdk"\n' for n in (1, 2))


def case(expect: str, text: str, workload: Workload = Workload.DB, reason: str = "") -> Case:
    return Case(CHECK, expect, "", vmx=text, workload=workload, reason=reason)


CASES = [
    case("pass", GOOD),
    case("pass", GOOD.upper().replace("PVSCSI", "PvScsi")),
    case("pass", GOOD.replace("pvscsi", "lsilogic").replace('scsi0.present = "TRUE"', 'scsi0.present = "FALSE"')),
    case("high db01.vmx:scsi0", LSI, reason="lsilogic"),
    case("medium db01.vmx:scsi0", LSI, GENERAL),
    case("high db01.vmx:scsi0", GOOD.replace("pvscsi", "BusLogic")),
    case("medium db01.vmx:scsi0", UNTYPED, reason="no virtualDev"),
    case("high db01.vmx:ide0", IDE, reason="ide0:0"),
    case("medium db01.vmx:scsi0", MANY, reason="share scsi0"),
    case("pass", MANY, GENERAL),
    case("unknown", GOOD + 'encryption.keySafe = "vmware:key/list/x"\nencryption.data = "x"\n', reason="encrypted"),
]


def test_evidence_names_file_and_line() -> None:
    (row,) = machines.audit(alone(LSI), only=CHECK, options=Options(workload=Workload.DB))
    assert row.evidence == (("/vms/db01.vmx:5", 'scsi0.virtualDev = "lsilogic"'),)
