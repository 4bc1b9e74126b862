"""Power: the frequency governor."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Role, Workload

POLICY = "sys/devices/system/cpu/cpufreq/policy"


def policies(driver: str, governor: str, count: int = 8) -> str:
    """All policies of the host with that driver and governor; the rest keeps its own governor."""
    drivers = [f"{POLICY}{cpu}/scaling_driver: {driver}" for cpu in range(8)]
    return "\n".join([*drivers, *(f"{POLICY}{cpu}/scaling_governor: {governor}" for cpu in range(count))])


CHECK = "cpu-governor-slow"
CASES = [
    Case(CHECK, "pass", "kvm-host"),
    # The hardware chooses: powersave of an active driver is not the slow one.
    Case(CHECK, "pass", "kvm-host", policies("intel_pstate", "powersave")),
    Case(CHECK, "pass", "kvm-host", policies("amd-pstate-epp", "powersave")),
    Case(CHECK, "medium host", "kvm-host", policies("acpi-cpufreq", "powersave"), reason="0-7"),
    Case(CHECK, "medium host", "kvm-host", policies("acpi-cpufreq", "conservative", 1), reason="CPUs 0"),
    Case(CHECK, "low host", "kvm-host", policies("intel_cpufreq", "schedutil"), workload=Workload.DB),
    Case(CHECK, "high host", "kvm-host", policies("acpi-cpufreq", "ondemand"), workload=Workload.LATENCY),
    Case(CHECK, "pass", "kvm-host", policies("acpi-cpufreq", "ondemand"), workload=Workload.GENERAL),
    Case(CHECK, "low host", "kvm-host", policies("acpi-cpufreq", "powersave"), workload=Workload.GENERAL),
    Case(CHECK, "low host", "kvm-host", policies("acpi-cpufreq", "userspace")),
    Case(
        CHECK,
        "low host",
        "kvm-host",
        policies("acpi-cpufreq", "ondemand", 4),
        workload=Workload.NETWORK,
        reason="differ",
    ),
    Case(CHECK, "unknown", "kvm-host", f"{POLICY}3/scaling_governor ! permission denied"),
    Case(CHECK, "unknown", "kvm-host", f"{POLICY}3/scaling_governor -"),
    Case(CHECK, "info", "kvm-host", "\n".join(f"{POLICY}{cpu} -" for cpu in range(8)), reason="firmware"),
    Case(CHECK, "skip", "kvm-guest"),
    Case(CHECK, "skip", "kvm-guest", roles=(Role.HOST,), reason="a guest does not control"),
    Case(CHECK, "unknown", "kvm-host", policies("acpi-cpufreq", "gibberish")),
]
