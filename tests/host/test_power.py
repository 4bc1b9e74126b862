"""CPU frequency and idle states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import Unreadable, plant
from vmtune.host import Host
from vmtune.host.power import Policy, Power, energy_perf_bias, idle_states, resume_latency_us
from vmtune.value import peek

CPU = "/sys/devices/system/cpu"


def power(*trees: str) -> Power:
    return Host(plant(*trees)).power


def policy(folder: str, cpus: str, governor: str = "powersave", driver: str = "intel_pstate") -> str:
    return f"""
{folder}/affected_cpus: {cpus}
{folder}/related_cpus: {cpus} 99
{folder}/scaling_driver: {driver}
{folder}/scaling_governor: {governor}
{folder}/scaling_available_governors: performance powersave
{folder}/scaling_min_freq: 800000
{folder}/scaling_max_freq: 3000000
{folder}/cpuinfo_max_freq: 3500000
{folder}/cpuinfo_min_freq: 800000
"""


MODERN = f"""
{policy(f"{CPU}/cpufreq/policy0", "0 1", "performance")}
{policy(f"{CPU}/cpufreq/policy10", "10", "powersave")}
{policy(f"{CPU}/cpufreq/policy2", "2 3", "performance")}
{CPU}/cpufreq/policy0/energy_performance_preference: balance_performance
{CPU}/cpufreq/policy2/energy_performance_preference: 128
{CPU}/cpufreq/policy0/base_frequency: 2100000
{CPU}/cpufreq/policy2/base_frequency: 2100000
{CPU}/cpuidle/current_driver: intel_idle
{CPU}/cpuidle/current_governor: menu
{CPU}/cpuidle/current_governor_ro: menu
{CPU}/intel_pstate/status: active
{CPU}/intel_pstate/no_turbo: 0
{CPU}/intel_pstate/min_perf_pct: 27
{CPU}/intel_pstate/max_perf_pct: 100
"""


def test_policies() -> None:
    first, second, last = power(MODERN).policies
    assert (first.name, first.path, str(first.cpus)) == ("policy0", f"{CPU}/cpufreq/policy0", "0-1")
    assert (first.driver, first.governor, first.epp) == ("intel_pstate", "performance", "balance_performance")
    assert first.governors == ("performance", "powersave")
    assert (first.min_khz, first.max_khz) == (800_000, 3_000_000)
    assert (first.cpuinfo_max_khz, first.base_khz) == (3_500_000, 2_100_000)
    assert (second.name, second.epp) == ("policy2", "128")
    assert (last.name, last.epp, last.base_khz) == ("policy10", None, None)


def test_machine() -> None:
    found = power(MODERN)
    assert (found.idle_driver, found.idle_governor) == ("intel_idle", "menu")
    assert (found.intel_pstate, found.amd_pstate) == ("active", None)
    assert found.no_turbo is False
    assert found.boost is None
    assert (found.min_percent, found.max_percent) == (27, 100)
    assert {name: str(cpus) for name, cpus in found.governors().items()} == {"performance": "0-3", "powersave": "10"}


def test_no_control() -> None:
    """An empty folder, or none."""
    for found in (power(f"{CPU}/cpufreq/\n{CPU}/online: 0-3"), power(f"{CPU}/online: 0-3"), power()):
        assert found.policies == ()
        assert found.governors() == {}
        assert found.idle_driver is None
        assert found.intel_pstate is None


def test_older_folders() -> None:
    """Kernels before 4.2: a folder below each CPU, or links to that of the first CPU of a policy."""
    found = power(
        f"{CPU}/online: 0-3",
        f"{CPU}/cpufreq/boost: 1",
        policy(f"{CPU}/cpu0/cpufreq", "0 1", "ondemand", "acpi-cpufreq"),
        f"{CPU}/cpu1/cpufreq -> ../cpu0/cpufreq",
        policy(f"{CPU}/cpu2/cpufreq", "2", "performance", "acpi-cpufreq"),
    )
    assert [(each.name, str(each.cpus), each.governor) for each in found.policies] == [
        ("cpu0", "0-1", "ondemand"),
        ("cpu2", "2", "performance"),
    ]
    assert found.policies[0].driver == "acpi-cpufreq"
    assert found.policies[0].epp is None
    assert found.boost is True


def test_no_list_of_cpus() -> None:
    (only,) = power(f"{CPU}/cpufreq/policy3/scaling_governor: performance").policies
    assert str(only.cpus) == "3"


def test_names_of_other_forms_are_no_policies() -> None:
    assert power(f"{CPU}/cpufreq/policyX/\n{CPU}/cpufreq/policy-1/\n{CPU}/cpufreq/policy99999/").policies == ()


def test_unreadable() -> None:
    found = power(f"{CPU}/cpufreq ! permission denied\n{CPU}/cpuidle ! permission denied")
    with pytest.raises(Unreadable, match="permission denied"):
        _ = found.policies
    with pytest.raises(Unreadable):
        found.governors()
    with pytest.raises(Unreadable):
        _ = found.idle_driver
    assert found.amd_pstate is None


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("affected_cpus", "0 x", "cpus"),
        ("scaling_governor", "", "governor"),
        ("energy_performance_preference", "", "epp"),
        ("scaling_max_freq", "fast", "max_khz"),
        ("cpuinfo_max_freq", "<unsupported>", "cpuinfo_max_khz"),
        ("base_frequency", "", "base_khz"),
    ],
)
def test_garbage_costs_itself(name: str, text: str, field: str) -> None:
    found = power(MODERN, f"{CPU}/cpufreq/policy2/{name}: {text}")
    with pytest.raises(Unreadable):
        getattr(found.policies[1], field)
    for other in set(Policy._fields) - {field}:
        getattr(found.policies[1], other)
    assert str(found.policies[0].cpus) == "0-1"


def test_garbage_words() -> None:
    found = power(f"{CPU}/cpuidle/current_driver:\n{CPU}/intel_pstate/no_turbo: maybe\n{CPU}/intel_pstate/status:")
    for field in ("idle_driver", "no_turbo", "intel_pstate"):
        with pytest.raises(Unreadable):
            getattr(found, field)


def test_idle_states() -> None:
    folder = f"{CPU}/cpu5/cpuidle"
    host = Host(
        plant(f"""
{folder}/state0/name: POLL
{folder}/state0/latency: 0
{folder}/state0/disable: 0
{folder}/state0/usage: 12
{folder}/state10/name: C10
{folder}/state10/latency: 890
{folder}/state10/disable: 1
{folder}/state2/name: C6
{folder}/state2/latency: soon
{folder}/driver/name: x
""")
    )
    states = idle_states(host, 5)
    assert states is not None
    first, second, third = states
    assert (first.name, first.latency_us, first.disabled, first.usage) == ("POLL", 0, False, 12)
    assert (third.path, third.latency_us, third.disabled) == (f"{folder}/state10", 890, True)
    assert second.name == "C6"
    with pytest.raises(Unreadable):
        _ = second.latency_us
    assert idle_states(host, 0) is None
    with pytest.raises(Unreadable):
        idle_states(Host(plant(f"{folder} ! permission denied")), 5)


@pytest.mark.parametrize(("text", "limit"), [("0", None), ("n/a", 0), ("50", 50)])
def test_resume_latency(text: str, limit: int | None) -> None:
    host = Host(plant(f"{CPU}/cpu1/power/pm_qos_resume_latency_us: {text}"))
    assert resume_latency_us(host, 1) == limit
    assert resume_latency_us(host, 2) is None


def test_garbage_latency_and_bias() -> None:
    host = Host(plant(f"{CPU}/cpu1/power/pm_qos_resume_latency_us: x\n{CPU}/cpu1/power/energy_perf_bias: 6"))
    with pytest.raises(Unreadable):
        resume_latency_us(host, 1)
    assert energy_perf_bias(host, 1) == 6
    assert energy_perf_bias(host, 2) is None


@given(
    st.sampled_from(["affected_cpus", "scaling_governor", "scaling_driver", "cpuinfo_max_freq"]), st.binary(max_size=30)
)
def test_any_bytes_are_read_or_kept(name: str, data: bytes) -> None:
    root = plant(MODERN)
    root.remember(f"{CPU}/cpufreq/policy0/{name}", data)
    found = Host(root).power
    for field in Policy._fields:
        assert peek(lambda field=field: getattr(found.policies[0], field)) != ""  # type: ignore[misc]
    assert str(found.policies[1].cpus) == "2-3"
