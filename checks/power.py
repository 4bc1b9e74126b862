"""CPU frequency and idle states."""

from __future__ import annotations

from collections import defaultdict

from vmtune.check import PHYSICAL, Finding, Info, Outcome, Severity, Skip, Unknown, Workload, check
from vmtune.cpuset import CpuSet, union
from vmtune.host import Host

POLICIES = "/sys/devices/system/cpu/cpufreq"
HARDWARE_DRIVEN = ("intel_pstate", "amd-pstate-epp", "amd_pstate_epp")
"""Drivers whose `powersave` leaves the choice to the processor, by its energy/performance preference."""
MEND = "for policy in /sys/devices/system/cpu/cpufreq/policy*; do echo performance > $policy/scaling_governor; done"


@check(
    "cpu-governor-slow",
    Severity.MEDIUM,
    over=Host,
    roles=PHYSICAL,
    workloads=(Workload.DB, Workload.NETWORK, Workload.LATENCY, Workload.GENERAL),
    raised={Workload.LATENCY: Severity.HIGH},
    see="https://docs.kernel.org/admin-guide/pm/cpufreq.html",
)
def cpu_governor_slow(host: Host, workload: Workload) -> Outcome:
    """The frequency governor ramps up late or saves power.

    Why: a transaction that meets a slow core pays for the ramp-up; vCPUs that look idle keep the clock low.
    Fix now: write `performance` to scaling_governor of every policy, or cpupower frequency-set -g performance.
    Fix for good: a TuneD profile, the boot parameter cpufreq.default_governor=performance, or a unit that runs at boot.
    Traps: a switch of intel_pstate or amd_pstate between active and passive resets all policies. A CPU that goes
        offline and comes back has the default governor again. Nova's cpu_power_management puts idle dedicated cores
        on powersave by design.
    Source: Documentation/admin-guide/pm/{cpufreq,intel_pstate,amd-pstate}.rst.
    """
    if host.platform.is_guest:
        raise Skip("a guest does not control the frequency of its CPUs")
    policies = host.power.policies
    if not policies:
        yield Info("no cpufreq policy: the platform or its firmware manages the frequency", (POLICIES,))
        return
    groups: dict[tuple[str, str], list[CpuSet]] = defaultdict(list)
    files: dict[tuple[str, str], str] = {}
    for policy in policies:
        if policy.governor is None:
            raise Unknown(f"{policy.path}/scaling_governor: absent")
        group = policy.governor, policy.driver or ""
        groups[group].append(policy.cpus)
        files.setdefault(group, f"{policy.path}/scaling_governor")
    slow = False
    for (governor, driver), sets in sorted(groups.items()):
        severity = _judged(governor, driver, workload)
        if severity is None:
            continue
        slow = True
        cpus = union(sets)
        yield Finding(
            f"governor {governor} ({driver}) on CPUs {cpus}",
            (files[governor, driver],),
            severity=severity,
            expected="performance",
            actual=governor,
            now=(MEND,),
            for_good=("grubby --update-kernel=ALL --args=cpufreq.default_governor=performance",),
            setting="sysfs:cpufreq/scaling_governor",
            key=governor,
        )
    if not slow and len({governor for governor, _ in groups}) > 1:
        mixed = ", ".join(f"{governor} on {union(sets)}" for (governor, _), sets in sorted(groups.items()))
        yield Finding(
            f"CPUs run different governors: {mixed}",
            tuple(files.values()),
            severity=Severity.LOW,
            expected="one governor",
            now=(MEND,),
            key="mixed",
        )


def _judged(governor: str, driver: str, workload: Workload) -> Severity | None:
    """Severity of a governor, None where it is good for the workload."""
    if governor == "powersave" and not driver:
        raise Unknown(f"{POLICIES}: without its driver, the governor powersave may be the slow one or not")
    if governor == "performance" or (governor == "powersave" and driver in HARDWARE_DRIVEN):
        return None
    if governor in ("schedutil", "ondemand"):
        return {Workload.DB: Severity.LOW, Workload.LATENCY: Severity.MEDIUM}.get(workload)
    if governor in ("conservative", "powersave"):
        return Severity.LOW if workload is Workload.GENERAL else Severity.MEDIUM
    if governor == "userspace":
        return Severity.LOW
    raise Unknown(f"{POLICIES}: {governor!r} is no governor that is known here")
