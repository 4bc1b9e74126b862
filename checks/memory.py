"""Memory of the host and of guests."""

from __future__ import annotations

from vmtune.check import Finding, Info, Outcome, Role, Severity, Skip, Unknown, Workload, check
from vmtune.host import Host
from vmtune.root import NOT_CAPTURED, Unreadable

SWAPPINESS = "/proc/sys/vm/swappiness"
ENGINES = {"postgresql": 3, "mssql": 1}
"""Engines whose vendors ask for less than 10."""


@check(
    "swappiness-high",
    Severity.MEDIUM,
    over=Host,
    workloads=(Workload.DB, Workload.LATENCY, Workload.GENERAL),
    see="https://docs.kernel.org/admin-guide/sysctl/vm.html#swappiness",
)
def swappiness_high(
    host: Host, workload: Workload, *, db_max: int = 10, host_max: int = 10, general_max: int = 30
) -> Outcome:
    """vm.swappiness does not suit the role.

    Why: the higher it is, the sooner the kernel swaps out memory of VMs and databases in favour of page cache;
        getting it back costs a disk read where memory was expected.
    Fix now: sysctl -w vm.swappiness=10; what is swapped out already comes back only when it is touched.
    Fix for good: a line in /etc/sysctl.d.
    Traps: 0 means that nothing is swapped until memory is nearly gone, and then the OOM killer may be faster. With
        zram or zswap a value above 100 is legitimate. Groups of cgroup v1 have a memory.swappiness of their own.
    Source: Documentation/admin-guide/sysctl/vm.rst; TuneD's virtual-host and database profiles.
    """
    swappiness = host.sysctl_number("vm.swappiness")
    if swappiness is None:
        raise Skip("this kernel has no vm.swappiness")
    if swappiness < 0:
        raise Unknown(f"{SWAPPINESS}: {swappiness} is no value that the kernel knows")
    if swappiness == 0:
        yield Info(
            "vm.swappiness is 0: nothing is swapped until memory is nearly gone, then the OOM killer may act first",
            (SWAPPINESS,),
        )
        return
    wanted = _wanted(host, workload, db_max, host_max, general_max)
    if swappiness <= wanted:
        return
    if host.memory.swap_bytes == 0:
        yield Info(
            f"vm.swappiness is {swappiness}, above {wanted}; without swap it has no effect",
            (SWAPPINESS, "/proc/meminfo"),
        )
        return
    if _swaps_to_memory(host):
        raise Skip("swap is compressed memory (zram or zswap): a high value is legitimate")
    yield Finding(
        f"vm.swappiness is {swappiness}, above {wanted}",
        (SWAPPINESS,),
        severity=Severity.LOW,
        expected=f"at most {wanted}",
        actual=str(swappiness),
        now=(f"sysctl -w vm.swappiness={wanted}",),
        for_good=(f"echo 'vm.swappiness = {wanted}' > /etc/sysctl.d/90-swappiness.conf",),
        setting="sysctl:vm.swappiness",
    )


def _wanted(host: Host, workload: Workload, db_max: int, host_max: int, general_max: int) -> int:
    """The largest value that suits what the machine does."""
    if workload is Workload.DB:
        asked = [ENGINES.get(database.engine, db_max) for database in host.databases]
        return max(asked, default=db_max) if asked else db_max
    return host_max if Role.HOST in host.roles.found else general_max


def _swaps_to_memory(host: Host) -> bool:
    """Whether what is swapped out stays in memory, compressed. That nobody captured zswap is no sign of it."""
    memory = host.memory
    if any(swap.zram for swap in memory.swaps or ()):
        return True
    try:
        return bool(memory.zswap and memory.zswap.enabled)
    except Unreadable as kept:
        if kept.reason == NOT_CAPTURED:
            return False
        raise
