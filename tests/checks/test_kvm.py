"""KVM: whether it is there."""

from __future__ import annotations

from tests.checks.case import Case

CHECK = "hw-virt-unavailable"

CASES = [
    Case(CHECK, "pass", "kvm-host"),
    Case(CHECK, "critical host", "kvm-host", "dev/kvm -\nsys/class/misc/kvm -", reason="the CPU has vmx"),
    Case(CHECK, "critical host", "kvm-host", "dev/kvm = 020600 0 0", reason="0600"),
    Case(CHECK, "pass", "kvm-host", "dev/kvm = 020666 0 0"),
    # A file that stands for the device in somebody's tree tells nothing of who may open the device.
    Case(CHECK, "pass", "kvm-host", "dev/kvm = 100600 0 0"),
    # The flag proves nothing either way.
    Case(CHECK, "pass", "kvm-host", "proc/cpuinfo:\n  processor : 0\n  vendor_id : AuthenticAMD\n  flags : fpu lm"),
    Case(CHECK, "unknown", "kvm-host", "dev ! permission denied\nsys/class/misc ! permission denied"),
    Case(CHECK, "skip", "kvm-guest"),
]
