"""CPUs of the host, and the vCPUs that run on them."""

from __future__ import annotations

from collections import Counter

from vmtune.check import HOST, Finding, Info, Outcome, Severity, Unknown, Workload, check
from vmtune.cpuset import CpuSet, union
from vmtune.host import Host
from vmtune.host.cpu import Cpus
from vmtune.host.domain import Domain, require_all
from vmtune.shell import quoted, virsh_edit

CPUS = "/sys/devices/system/cpu"
NAMED = 3
"""Other domains that a message names; the rest is a count."""
SMALL_CORES = ("atom", "lowpower")


@check(
    "smt-siblings-offline",
    Severity.MEDIUM,
    over=Host,
    see="https://docs.kernel.org/core-api/cpu_hotplug.html",
)
def smt_siblings_offline(host: Host, workload: Workload) -> Outcome:
    """Some cores run with a sibling offline.

    Why: a VM that is pinned in pairs of siblings finds half a core; an accidental hot-unplug takes capacity away
        silently.
    Fix now: echo 1 > /sys/devices/system/cpu/cpuN/online, or echo on > /sys/devices/system/cpu/smt/control.
    Fix for good: remove nosmt, maxcpus= and nr_cpus= from the kernel command line.
    Traps: forceoff cannot be undone before a reboot. A CPU that comes back has default power settings, and cpuset
        partitions may have become invalid. Efficiency cores have one thread by design.
    Source: kernel/cpu.c; Documentation/ABI/testing/sysfs-devices-system-cpu.
    """
    cpus = host.cpu
    offline = cpus.offline
    if offline is None:
        raise Unknown(f"{CPUS}: which CPUs are offline is not known")
    widths = Counter(len(core) for core in _cores(cpus, cpus.online))
    if offline and len(widths) > 1:
        cores = _cores(cpus, _with_siblings(cpus))
        widths = Counter(len(core) for core in cores)
    if offline and len(widths) > 1:
        full = max(widths)
        halves = sorted(core.first or 0 for core in cores if len(core) < full)
        yield Finding(
            f"{len(halves)} cores run fewer than {full} threads while CPUs {offline} are offline",
            ((CPUS, f"CPUs {offline} offline"), (f"{CPUS}/cpu{halves[0]}/topology", f"core of {halves[0]} alone")),
            severity=Severity.LOW,
            expected="as many online threads on each core",
            actual=", ".join(f"{count} cores with {width}" for width, count in sorted(widths.items())),
            now=tuple(f"echo 1 > {CPUS}/cpu{cpu}/online" for cpu in offline),
            setting="sysfs:cpu/online",
        )
    if workload is Workload.LATENCY and cpus.smt_active:
        yield Info("SMT is on: siblings disturb each other, real-time guides switch it off", (f"{CPUS}/smt/active",))


def _cores(cpus: Cpus, among: CpuSet) -> set[CpuSet]:
    """Cores of these CPUs, as sets of online CPUs."""
    if any(cpu.core is None for cpu in cpus.topology):
        raise Unknown(f"{CPUS}/cpu*/topology: no sibling lists")
    return {cpu.core for cpu in cpus.topology if cpu.core and cpu.number in among}


def _with_siblings(cpus: Cpus) -> CpuSet:
    """Online CPUs but for the small ones of a hybrid processor, whose cores have one thread by design."""
    if not cpus.is_hybrid or not cpus.classes:
        return cpus.online
    most = max(kind.capacity or 0 for kind in cpus.classes)
    small = [kind for kind in cpus.classes if kind.name in SMALL_CORES or (kind.capacity or most) < most]
    return cpus.online - union(kind.cpus for kind in small)


@check("vcpu-pin-conflict", Severity.CRITICAL, over=Domain, see="https://libvirt.org/formatdomain.html")
def vcpu_pin_conflict(domain: Domain, host: Host) -> Outcome:
    """Pinned CPUs are offline, or two vCPUs share one.

    Why: a VM that is pinned to an offline CPU does not start; two dedicated vCPUs on one CPU take turns, and
        spinlocks in the guest spin for nothing.
    Fix now: virsh vcpupin DOMAIN VCPU CPU --live, for the vCPUs that are named.
    Fix for good: the same with --config; the pins of all domains have to be planned together.
    Traps: a CPU that is taken offline later breaks the next start only.
    Source: libvirt's formatdomain (cputune), src/qemu/qemu_process.c.
    """
    seen: set[str] = set()
    for document in domain.documents:
        for finding in _doubled(document):
            if finding.key not in seen:
                seen.add(finding.key or "")
                yield finding
    online = host.cpu.online
    for document in domain.documents:
        missing = _named(document) - online
        if missing and "offline" not in seen:
            seen.add("offline")
            yield Finding(
                f"{domain.name} is pinned to CPUs {missing}, which are not online: it does not start",
                ((document.source, f"pins name CPUs {_named(document)}"), (f"{CPUS}/online", str(online))),
                expected=f"CPUs among {online}",
                actual=str(missing),
                now=tuple(f"echo 1 > {CPUS}/cpu{cpu}/online" for cpu in missing if cpu in (host.cpu.present or online)),
                for_good=(virsh_edit(domain.name, "<cputune> on CPUs that are there"),),
                setting=f"domain:{domain.name}",
                key="offline",
            )


def _named(domain: Domain) -> CpuSet:
    """All CPUs that its pins name."""
    sets = (domain.pinned_cpus, domain.floor, domain.emulatorpin, *domain.iothreadpin.values())
    return union(cpus for cpus in sets if cpus is not None)


def _doubled(domain: Domain) -> Outcome:
    """vCPUs of one domain that are pinned to the same single CPU."""
    holders: dict[int, int] = {}
    for vcpu, cpus in sorted(domain.vcpupin.items()):
        cpu = cpus.first
        if len(cpus) != 1 or cpu is None or vcpu not in domain.vcpu_ids:
            continue
        if cpu in holders:
            yield Finding(
                f"vCPUs {holders[cpu]} and {vcpu} of {domain.name} are both pinned to CPU {cpu}",
                ((domain.source, f"<vcpupin vcpu='{vcpu}' cpuset='{cpu}'/>"),),
                severity=Severity.HIGH,
                expected="a CPU for each vCPU",
                actual=f"CPU {cpu} twice",
                for_good=(f"virsh vcpupin {quoted(domain.name)} {vcpu} CPU --live --config",),
                setting=f"domain:{domain.name}",
                key=f"vcpu{vcpu}",
            )
        holders.setdefault(cpu, vcpu)


@check("vcpu-pin-conflict", Severity.CRITICAL, over=Host, roles=HOST, see="https://libvirt.org/formatdomain.html")
def vcpu_pin_conflict_between_domains(host: Host) -> Outcome:
    """Two domains are pinned to the same CPU.

    Why: the vCPUs of both take turns on it: steal time, and stalls where the other one holds a lock.
    Fix now: virsh vcpupin DOMAIN VCPU CPU --live, for one of the two.
    Fix for good: the same with --config; the pins of all domains have to be planned together.
    Traps: a CPU set that several domains float over is no pin; it is a conflict only where it holds another's own CPU.
    Source: libvirt's formatdomain (cputune).
    """
    cores = {cpu.number: cpu.core for cpu in host.cpu.topology if cpu.core}
    domains = sorted(host.domains, key=lambda domain: (not domain.dedicated(cores), domain.name))
    owners: dict[int, str] = {}
    for domain in domains:
        claimed = domain.pinned_cpus or domain.floor
        if not claimed or host.cpu.online <= claimed:
            continue
        shared = claimed & CpuSet(owners)
        if shared:
            others = sorted({owners[cpu] for cpu in shared})
            named = ", ".join(others[:NAMED]) + (f" and {len(others) - NAMED} more" if len(others) > NAMED else "")
            yield Finding(
                f"{domain.name} may run on CPUs {shared}, which belong to {named}",
                ((domain.source, f"CPUs {claimed}"), *((f"domain/{other}", "pinned") for other in others[:NAMED])),
                severity=Severity.HIGH,
                expected="CPUs of its own",
                actual=f"shares {shared} with {named}",
                for_good=(virsh_edit(domain.name, f"<cputune> without CPUs {shared}"),),
                setting=f"domain:{domain.name}",
                target=f"domain/{domain.name}",
            )
        if domain.dedicated(cores):
            owners |= {cpu: domain.name for cpu in claimed if cpu not in owners}
    require_all(host)
