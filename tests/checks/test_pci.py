"""PCI Express links."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Role

CHECK = "pcie-link-degraded"
NIC = "sys/devices/pci0000:80/0000:80:02.0/0000:81:00.0"
NVME = "sys/devices/pci0000:80/0000:80:03.0/0000:82:00.0"
PORT = "sys/devices/pci0000:80/0000:80:03.0"
SECOND = f"""
sys/bus/pci/devices/0000:82:00.1 -> ../../../devices/pci0000:80/0000:80:03.0/0000:82:00.1
sys/devices/pci0000:80/0000:80:03.0/0000:82:00.1/class: 0x020000
sys/devices/pci0000:80/0000:80:03.0/0000:82:00.1/current_link_width: 2
sys/devices/pci0000:80/0000:80:03.0/0000:82:00.1/max_link_width: 4
sys/devices/pci0000:80/0000:80:03.0/0000:82:00.1/current_link_speed: 16.0 GT/s PCIe
sys/devices/pci0000:80/0000:80:03.0/0000:82:00.1/max_link_speed: 16.0 GT/s PCIe
{NVME}/current_link_width: 2
"""

CASES = [
    Case(CHECK, "pass", "kvm-host"),
    Case(CHECK, "high 0000:82:00.0", "kvm-host", f"{NVME}/current_link_width: 2", reason="2 of 4 lanes"),
    Case(CHECK, "medium 0000:81:00.0", "kvm-host", f"{NIC}/current_link_speed: 2.5 GT/s PCIe", reason="2.5 of 8 GT/s"),
    # Ports that together are faster than the link.
    Case(CHECK, "high 0000:81:00.0", "kvm-host", f"{NIC}/net/ens1f0/speed: 100000", reason="100 Gb/s"),
    # The slot is slower than the card: somebody's choice.
    Case(CHECK, "info", "kvm-host", f"{PORT}/max_link_width: 2\n{NVME}/current_link_width: 2", reason="slot"),
    # A GPU slows its link down when idle.
    Case(CHECK, "info", "kvm-host", f"{NVME}/class: 0x030000\n{NVME}/current_link_speed: 2.5 GT/s PCIe", reason="GPU"),
    # One card, one finding.
    Case(CHECK, "high 0000:82:00.0", "kvm-host", SECOND),
    Case(CHECK, "skip", "kvm-host", f"{NVME}/current_link_speed: Unknown"),
    Case(CHECK, "unknown", "kvm-host", f"{NVME}/current_link_width ! permission denied"),
    Case(CHECK, "unknown", "kvm-host", f"{NVME}/max_link_speed: fast"),
    Case(CHECK, "skip", "kvm-guest"),
    Case(CHECK, "skip", "kvm-guest", roles=(Role.HOST,)),
]
