"""CPU frequency and idle states.

Sources: admin-guide/pm/cpufreq, intel_pstate, amd-pstate, cpuidle; ABI/testing/sysfs-devices-system-cpu and
ABI/testing/sysfs-devices-power. An empty cpufreq folder means that the system controls no frequency: a guest, or
firmware that keeps it to itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.cpuset import CpuSet
from vmtune.host.cpu import numbers, online_cpus, word
from vmtune.root.folder import Folder, keep, known, nonsense
from vmtune.root.unreadable import Unreadable
from vmtune.value import peek, value

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.root import Root

CPU = "/sys/devices/system/cpu"
PATH = f"{CPU}/cpufreq"
_NO_LATENCY = "n/a"


@value
class Policy(NamedTuple):
    """CPUs whose frequency changes together (`cpufreq/policyN`)."""

    name: str
    path: str
    cpus: CpuSet
    """Online CPUs that it governs (`affected_cpus`)."""
    driver: str | None
    governor: str | None
    governors: tuple[str, ...] | None
    """Those that may be chosen; the driver and they are the same for each policy and read of the first."""
    epp: str | None
    """Energy/performance preference: a word, or a number from 0 (performance) to 255."""
    min_khz: int | None
    """Lower limit that is set (`scaling_min_freq`)."""
    max_khz: int | None
    """Upper limit that is set (`scaling_max_freq`)."""
    cpuinfo_max_khz: int | None
    """Highest frequency of the hardware, turbo included."""
    base_khz: int | None
    """Highest frequency without turbo (`base_frequency`, intel_pstate)."""


@value
class IdleState(NamedTuple):
    """One idle state of a CPU (`cpuN/cpuidle/stateK`)."""

    path: str
    name: str | None
    latency_us: int | None
    """Time that waking up may take."""
    disabled: bool | None
    usage: int | None
    """How often it was entered since boot."""


@value
class Power(NamedTuple):
    """What controls frequency and idling."""

    path: str
    policies: tuple[Policy, ...]
    """In order of number; (): the system controls no frequency, its folder is empty or not there."""
    idle_driver: str | None
    """`intel_idle`, `acpi_idle`, `haltpoll`, `none` …; None where the kernel has no cpuidle."""
    idle_governor: str | None
    intel_pstate: str | None
    """`active`, `passive` or `off` (`intel_pstate/status`); None where there is no such driver."""
    amd_pstate: str | None
    """`active`, `passive`, `guided` or `disable` (`amd_pstate/status`)."""
    no_turbo: bool | None
    """Whether turbo is off (`intel_pstate/no_turbo`)."""
    boost: bool | None
    """Whether boost is on (`cpufreq/boost`); None where the driver has no such knob, which is not off."""
    min_percent: int | None
    max_percent: int | None
    """Limits in per cent of the highest performance (`intel_pstate/min_perf_pct`, `max_perf_pct`)."""

    def governors(self) -> dict[str, CpuSet]:
        """CPUs of each governor in use. Raises Unreadable."""
        found: dict[str, int] = {}
        for policy in self.policies:
            name = policy.governor
            if name is not None:
                found[name] = found.get(name, 0) | policy.cpus.bits
        return {name: CpuSet.of_bits(found[name]) for name in sorted(found)}


def read(host: Host) -> Power:
    """What controls frequency and idling. Each attribute keeps why it is not known."""
    folder = host.root.folder(CPU)
    governor = word(folder, "cpuidle/current_governor_ro")
    return Power(
        path=PATH,
        policies=_policies(host.root),
        idle_driver=word(folder, "cpuidle/current_driver"),
        idle_governor=word(folder, "cpuidle/current_governor") if governor is None else governor,
        intel_pstate=word(folder, "intel_pstate/status"),
        amd_pstate=word(folder, "amd_pstate/status"),
        no_turbo=folder.flag("intel_pstate/no_turbo"),
        boost=folder.flag("cpufreq/boost"),
        min_percent=folder.number("intel_pstate/min_perf_pct"),
        max_percent=folder.number("intel_pstate/max_perf_pct"),
    )


def idle_states(host: Host, cpu: int) -> tuple[IdleState, ...] | None:
    """Idle states of a CPU, the lightest first; None where the kernel tells none. Raises Unreadable."""
    folder = host.root.folder(f"{CPU}/cpu{cpu}/cpuidle")
    names = known(folder.names())
    if names is None:
        return None
    return tuple(_idle_state(folder.folder(f"state{number}")) for number in numbers(names, "state"))


def _idle_state(folder: Folder) -> IdleState:
    return IdleState(
        path=folder.path,
        name=folder.text("name"),
        latency_us=folder.number("latency"),
        disabled=_set(folder.number("disable")),
        usage=folder.number("usage"),
    )


def _set(number: int | None) -> bool | None:
    return number != 0 if isinstance(number, int) else number


def resume_latency_us(host: Host, cpu: int) -> int | None:
    """Longest wake-up that a CPU may take (`cpuN/power/pm_qos_resume_latency_us`): 0 for none at all, None for no
    limit or no such knob. Raises Unreadable.

    The file says it the other way round: `0` is no limit and `n/a` is none tolerated.
    """
    folder = host.root.folder(f"{CPU}/cpu{cpu}/power")
    if known(folder.text("pm_qos_resume_latency_us")) == _NO_LATENCY:
        return 0
    return known(folder.number("pm_qos_resume_latency_us")) or None


def energy_perf_bias(host: Host, cpu: int) -> int | None:
    """Energy/performance bias of an Intel CPU, 0 (performance) to 15 (`cpuN/power/energy_perf_bias`). Raises
    Unreadable."""
    return known(host.root.folder(f"{CPU}/cpu{cpu}/power").number("energy_perf_bias"))


def _policies(root: Root) -> tuple[Policy, ...]:
    folder = root.folder(PATH)
    try:
        names = folder.names()
        policies = [] if names is None else numbers(known(names), "policy")
    except Unreadable as kept:
        return _read_policies(_older_policies(root)) or keep(kept)
    named = [(f"policy{number}", folder.folder(f"policy{number}"), number) for number in policies]
    return _read_policies(named or _older_policies(root))


def _older_policies(root: Root) -> list[tuple[str, Folder, int]]:
    """The cpuN/cpufreq folders of kernels before 4.2; links among them lead to one that is listed."""
    found: dict[str, tuple[str, Folder, int]] = {}
    for cpu in peek(lambda: online_cpus(root)) or ():
        path = f"{CPU}/cpu{cpu}/cpufreq"
        real = peek(lambda path=path: root.real(path))  # type: ignore[misc]
        if real is not None and real not in found:
            found[real] = f"cpu{cpu}", root.folder(path), cpu
    return list(found.values())


def _read_policies(folders: list[tuple[str, Folder, int]]) -> tuple[Policy, ...]:
    if not folders:
        return ()
    first = folders[0][1]
    driver = word(first, "scaling_driver")
    offered = first.text("scaling_available_governors")
    governors = tuple(offered.split()) if isinstance(offered, str) else offered
    names = first.names()
    there = set(names) if isinstance(names, list) else None

    def number(folder: Folder, name: str) -> int | None:
        return folder.number(name) if there is None or name in there else None

    return tuple(
        Policy(
            name=name,
            path=folder.path,
            cpus=_cpus(folder, cpu),
            driver=driver,
            governor=word(folder, "scaling_governor"),
            governors=governors,
            epp=word(folder, "energy_performance_preference")
            if there is None or "energy_performance_preference" in there
            else None,
            min_khz=number(folder, "scaling_min_freq"),
            max_khz=number(folder, "scaling_max_freq"),
            cpuinfo_max_khz=number(folder, "cpuinfo_max_freq"),
            base_khz=number(folder, "base_frequency"),
        )
        for name, folder, cpu in folders
    )


def _cpus(folder: Folder, cpu: int) -> CpuSet:
    """CPUs of a policy, which are parted by blanks; without a list the one that it is named after."""
    text = folder.text("affected_cpus")
    if not isinstance(text, str):
        return CpuSet((cpu,)) if text is None else keep(text)
    try:
        return CpuSet.parse(",".join(text.split()))
    except ValueError:
        return nonsense(f"{folder.path}/affected_cpus", "CPUs", text)
