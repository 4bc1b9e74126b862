"""A guest that takes itself for one of VMware."""

from __future__ import annotations

import pytest

from tests.lab.judged import failing, passes, rows
from tests.lab.machine import Machine

pytestmark = pytest.mark.machine("vmware")


def test_kernel_and_vmtune_agree(m: Machine) -> None:
    assert "Hypervisor detected: VMware" in m.shell("dmesg")
    assert rows(m, "platform-limits")[0]["message"] == "a guest under vmware"


def test_legacy_controller(m: Machine) -> None:
    (found,) = failing(m, "legacy-scsi-controller")
    disks = m.disks()
    assert (disks[found["target"]], found["actual"]) == ("boot", "ata_piix")
    for name in disks.keys() - {found["target"]}:
        passes(m, "legacy-scsi-controller", target=name)


def test_small_ring(m: Machine) -> None:
    """Mended by the option that the finding prints; loading the module anew stands for the reboot."""
    (found,) = failing(m, "pvscsi-ring-small")
    assert (found["actual"], found["severity"]) == ("256", "high")
    command, remark = found["remedy"]["for_good"]
    assert remark.startswith("#")
    m.shell(f"mkdir -p /etc/modprobe.d; {command}; rmmod vmw_pvscsi && modprobe vmw_pvscsi && sleep 2")
    passes(m, "pvscsi-ring-small")
    m.shell("rm /etc/modprobe.d/60-pvscsi.conf; rmmod vmw_pvscsi && modprobe vmw_pvscsi && sleep 2")
    failing(m, "pvscsi-ring-small")
