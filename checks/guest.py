"""What only a guest can see of its hypervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmtune.check import GUEST, Finding, Info, Outcome, Role, Severity, Skip, Workload, check
from vmtune.host import Host
from vmtune.host.stat import PATH, TICKS_PER_SECOND, CpuTime, parse
from vmtune.value import peek

if TYPE_CHECKING:
    from vmtune.audit import Sample

MEANT_BY_CONTAINER = "sysctl and sysfs values are the host's and cannot be changed from here"


@check("platform-limits", Severity.INFO, over=Host)
def platform_limits(host: Host) -> Outcome:
    """The platform limits what can be read or tuned.

    Why: what a machine runs on decides which questions arise: a guest has no frequency governor, a container sees its
        host's settings, a host of VMs under another hypervisor is both.
    Fix now: nothing is wrong; --role judges the machine as something else.
    Traps: /.dockerenv and a missing DMI table prove nothing; /dev/kvm exists on machines without vmx or svm.
    Source: systemd-detect-virt(1); Documentation/virt/kvm/x86/cpuid.rst; Documentation/ABI/testing/sysfs-hypervisor.
    """
    platform = host.platform
    sources = tuple((layer.source, f"{layer.kind}: {layer.value}") for layer in platform.layers)
    beneath = f"a guest under {platform.hypervisor or 'an unnamed hypervisor'}" if platform.is_guest else "bare metal"
    said = f"a host of VMs, {beneath}" if Role.HOST in host.roles.found else beneath
    if peek(lambda: platform.container):
        said += f", in a {platform.container} container: {MEANT_BY_CONTAINER}"
    yield Info(said, sources)


@check(
    "steal-time-high",
    Severity.HIGH,
    over=Host,
    roles=GUEST,
    see="https://docs.kernel.org/filesystems/proc.html",
)
def steal_time_high(
    host: Host,
    workload: Workload,
    sample: Sample,
    *,
    dedicated_percent: tuple[float, float] = (2.0, 5.0),
    shared_percent: tuple[float, float] = (5.0, 10.0),
    window_seconds: float = 30.0,
) -> Outcome:
    """The guest loses CPU time to the host.

    Why: a vCPU that is ready but waits for a CPU of the host stands still, with whatever locks it holds.
    Fix now: nothing inside the guest helps.
    Fix for good: on the host, fewer vCPUs per CPU, pins, no CPU quota, or another host; at a provider, a dedicated
        size.
    Traps: 0 is no proof: VMware shows steal only where its steal clock is offered, arm64 needs pvtime, Hyper-V and Xen
        often show none. Burstable cloud sizes show spent credits as steal.
    Source: Documentation/filesystems/proc.rst §1.7; Documentation/virt/kvm/arm/pvtime.rst.
    """
    times = host.cpu_times
    everything, each = times[0], times[1:] or times
    if everything.total < window_seconds * TICKS_PER_SECOND * len(each):
        raise Skip(f"up for less than {window_seconds:g} s")
    if not everything.steal:
        yield Info("no steal time since boot: either none was taken, or the hypervisor does not tell", (PATH,))
        return
    medium, high = dedicated_percent if workload in (Workload.DB, Workload.LATENCY) else shared_percent
    since = "since boot"
    worst = max((everything, *each), key=_percent)
    if worst.steal_percent < medium and sample.root.live and sample.seconds >= window_seconds:
        before = {time.number: time for time in times}
        now = parse(sample.again(PATH, window_seconds) or "")
        worst = max((time.since(before[time.number]) for time in now if time.number in before), key=_percent)
        since = f"within {sample.seconds:g} s"
    percent = worst.steal_percent
    if percent < medium:
        return
    where = "all CPUs together" if worst.number is None else f"CPU {worst.number}"
    yield Finding(
        f"{percent:.1f} % of the time of {where} went to others {since}",
        (PATH,),
        severity=Severity.HIGH if percent >= high else Severity.MEDIUM,
        expected=f"below {medium:g} %",
        actual=f"{percent:.1f} %",
    )


def _percent(time: CpuTime) -> float:
    return time.steal_percent
