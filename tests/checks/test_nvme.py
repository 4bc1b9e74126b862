"""NVMe controllers."""

from __future__ import annotations

from tests.checks.case import Case

CHECK = "nvme-controller-down"
NVME = "sys/devices/pci0000:80/0000:80:03.0/0000:82:00.0/nvme/nvme0"

CASES = [
    Case(CHECK, "pass", "kvm-host"),
    Case(CHECK, "critical nvme0", "kvm-host", f"{NVME}/state: dead"),
    Case(CHECK, "critical nvme0", "kvm-host", f"{NVME}/state: deleting (no IO)"),
    # Once seen, these two prove nothing.
    Case(CHECK, "unknown", "kvm-host", f"{NVME}/state: resetting", reason="one moment"),
    Case(CHECK, "unknown", "kvm-host", f"{NVME}/state: connecting"),
    Case(CHECK, "unknown", "kvm-host", f"{NVME}/state ! permission denied"),
    Case(CHECK, "unknown", "kvm-host", f"{NVME}/state -"),
    Case(CHECK, "skip", "kvm-host", f"{NVME}/cntrltype: discovery\n{NVME}/state: dead"),
    Case(CHECK, "unknown", "kvm-host", f"{NVME}/state: gibberish"),
    Case(CHECK, "unknown", "kvm-host", f"{NVME}/state:"),
    # A capture that lacks the class, and shows in other places that there is none.
    Case(CHECK, "skip", "kvm-guest", "sys/class/nvme ! not in this capture"),
    Case(
        CHECK, "unknown", "kvm-guest", "sys/class/nvme ! not in this capture\nsys/bus/pci/devices ! not in this capture"
    ),
]
