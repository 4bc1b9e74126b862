"""Memory: swappiness."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

SWAPPINESS = "proc/sys/vm/swappiness"

CASES = [
    Case("swappiness-high", "pass", "kvm-host"),
    Case("swappiness-high", "low host", "kvm-host", f"{SWAPPINESS}: 60", reason="60, above 10"),
    Case("swappiness-high", "low host", "kvm-host", f"{SWAPPINESS}: 11"),
    Case("swappiness-high", "pass", "kvm-guest", f"{SWAPPINESS}: 30"),
    Case("swappiness-high", "low host", "kvm-guest", f"{SWAPPINESS}: 31", reason="above 30"),
    Case("swappiness-high", "low host", "kvm-guest", f"{SWAPPINESS}: 11", workload=Workload.DB),
    Case("swappiness-high", "skip", "kvm-guest", f"{SWAPPINESS}: 60", workload=Workload.NETWORK),
    Case("swappiness-high", "info", "kvm-guest", f"{SWAPPINESS}: 0", reason="OOM"),
    Case("swappiness-high", "unknown", "kvm-guest", f"{SWAPPINESS} ! permission denied"),
    Case("swappiness-high", "unknown", "kvm-guest", f"{SWAPPINESS}: high", reason="not a number"),
    Case("swappiness-high", "skip", "kvm-guest", f"{SWAPPINESS} -"),
    # Without swap the value means nothing; where swap is compressed memory a high one is right.
    Case(
        "swappiness-high",
        "info",
        "kvm-guest",
        f"{SWAPPINESS}: 60\nproc/meminfo:\n  MemTotal: 8 kB\n  MemFree: 1 kB\n  SwapTotal: 0 kB\n  SwapFree: 0 kB",
        reason="no effect",
    ),
    Case("swappiness-high", "skip", "kvm-guest", f"{SWAPPINESS}: 180\nsys/module/zswap/parameters/enabled: Y"),
    Case(
        "swappiness-high",
        "skip",
        "kvm-guest",
        f"{SWAPPINESS}: 180\nproc/swaps:\n  Filename Type Size Used Priority\n  /dev/zram0 partition 1024 0 100",
    ),
    # What nobody captured is no sign of compressed swap; a value that no kernel prints says nothing.
    Case("swappiness-high", "low host", "kvm-guest", f"{SWAPPINESS}: 60\nsys/module/zswap ! not in this capture"),
    Case("swappiness-high", "unknown", "kvm-guest", f"{SWAPPINESS}: 60\nsys/module/zswap ! permission denied"),
    Case("swappiness-high", "unknown", "kvm-guest", f"{SWAPPINESS}: -5"),
]
