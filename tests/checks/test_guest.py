"""What a guest sees of its hypervisor."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

LIMITS, STEAL = "platform-limits", "steal-time-high"


def stat(steal: int, worst: int | None = None) -> str:
    """/proc/stat of four CPUs up for 1,000 s, with that steal time in per mille; `worst` for the last CPU."""
    shares = [steal, steal, steal, steal if worst is None else worst]
    each = [
        f"  cpu{cpu} {50000 - 50 * share} 0 0 {50000 - 50 * share} 0 0 0 {100 * share} 0 0"
        for cpu, share in enumerate(shares)
    ]
    total = sum(shares)
    return "\n".join(
        ["proc/stat:", f"  cpu {200000 - 50 * total} 0 0 {200000 - 50 * total} 0 0 0 {100 * total} 0 0", *each]
    )


CASES = [
    Case(LIMITS, "info", "kvm-host", reason="a host of VMs, bare metal"),
    Case(LIMITS, "info", "kvm-guest", reason="a guest under kvm"),
    Case(LIMITS, "info", "vmware-guest", reason="guest under vmware"),
    Case(LIMITS, "unknown", "kvm-guest", "proc ! permission denied\nsys ! permission denied"),
    Case(STEAL, "pass", "kvm-guest"),
    Case(STEAL, "pass", "kvm-guest", stat(49)),
    Case(STEAL, "medium host", "kvm-guest", stat(50)),
    Case(STEAL, "high host", "kvm-guest", stat(100)),
    Case(STEAL, "medium host", "kvm-guest", stat(20), workload=Workload.DB),
    Case(STEAL, "high host", "kvm-guest", stat(10, 60), workload=Workload.LATENCY, reason="CPU 3"),
    Case(STEAL, "info", "kvm-guest", stat(0), reason="does not tell"),
    Case(
        STEAL,
        "skip",
        "kvm-guest",
        "proc/stat:\n  cpu 10 0 0 90 0 0 0 50 0 0\n  cpu0 10 0 0 90 0 0 0 50 0 0",
        reason="less than 30",
    ),
    Case(STEAL, "unknown", "kvm-guest", "proc/stat ! permission denied"),
    Case(STEAL, "unknown", "kvm-guest", "proc/stat: nonsense"),
    Case(STEAL, "unknown", "kvm-guest", "proc/stat:\n  cpu a b c"),
    Case(STEAL, "skip", "kvm-host"),
]
