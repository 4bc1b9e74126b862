"""What is read of captured real machines, compared with what independent tools say of them.

VMTUNE_CAPTURES names a folder of `NAME.tar.gz` (each with sys/ and proc/) and `truth/NAME.json`. They are other
people's data and no part of this project: nothing of them is copied here, and a failure names figures only. A figure
is compared where two or more tools agree and none differs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmtune.cpuset import CpuSet, union
from vmtune.host import Host
from vmtune.root import Unreadable, open_root
from vmtune.value import peek

HERE = os.environ.get("VMTUNE_CAPTURES", "")
UNSET = "VMTUNE_CAPTURES does not name the folder of captured machines: NOTHING was compared with the truth"
NAMES = sorted(path.stem for path in Path(HERE).glob("truth/*.json")) if HERE else []

_NO_TOPOLOGY = "CPU 2 is online and nothing of its core and package was captured, so neither can be counted"
EXCEPTIONS: dict[tuple[str, str], tuple[Any, str]] = {
    ("cadvisor-graviton2", "packages"): (None, _NO_TOPOLOGY),
    ("cadvisor-graviton2", "cores"): (None, _NO_TOPOLOGY),
    ("prom-procfs-composite", "cpufreq policies"): (2, "put together of several machines: policy1 has no driver file"),
}
"""What is read instead of the truth, and why nothing better can be: by machine and figure."""


class Machine:
    """A captured machine, and what is true of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.host = Host(open_root(f"{HERE}/{name}.tar.gz"))
        truth = json.loads(Path(f"{HERE}/truth/{name}.json").read_text())
        self.consensus: dict[str, Any] = truth["consensus"]
        self.plain: dict[str, Any] = truth["plain"]
        self.lscpu: dict[str, Any] = (truth["lscpu"] or {}).get("fields") or {}

    def agreed(self, figure: str) -> Any:
        """What two or more tools agree on and none denies; skips the test where there is no such thing."""
        return _agreed(self.consensus.get(figure), figure)

    def compare(self, figure: str, said: Any, truth: Any) -> None:
        """Fail unless the two are the same, or the difference is a known one."""
        if (self.name, figure) in EXCEPTIONS:
            known, reason = EXCEPTIONS[self.name, figure]
            assert said != truth, f"this is no exception any more: {reason}"
            assert said == known
            pytest.skip(reason)
        assert said == truth


def _agreed(entry: dict[str, Any] | None, figure: str) -> Any:
    if not entry or len(entry["agree"]) < 2 or entry["differ"]:
        pytest.skip(f"the tools do not agree on {figure}, or one alone tells it")
    return entry["value"]


UNSET_CASE: list[Any] = [pytest.param("", marks=pytest.mark.skip(reason=UNSET), id="unset")]


@pytest.fixture(scope="module", params=NAMES or UNSET_CASE)
def machine(request: pytest.FixtureRequest) -> Machine:
    return Machine(request.param)


# -- CPUs --------------------------------------------------------------------------------------------------------------


def test_online_cpus(machine: Machine) -> None:
    truth = machine.agreed("cpus_online")
    machine.compare("cpus_online", len(machine.host.cpu.online), truth)


def test_online_set(machine: Machine) -> None:
    if machine.plain["cpu"].get("online") is None:
        pytest.skip("no list of the online CPUs was captured")
    machine.compare("online", str(machine.host.cpu.online), machine.plain["cpu"]["online"])


@pytest.mark.parametrize("figure", ["packages", "cores"])
def test_topology(machine: Machine, figure: str) -> None:
    truth = machine.agreed(figure)
    machine.compare(figure, peek(lambda: getattr(machine.host.cpu, figure)), truth)


def test_topology_is_whole(machine: Machine) -> None:
    """Sets hold the CPU itself, are the same for each member, and packages hold whole cores."""
    if machine.consensus.get("cpus_online") is None:
        pytest.skip("no CPUs were captured")
    cpus = machine.host.cpu
    assert [cpu.number for cpu in cpus.topology] == list(cpus.online)
    for cpu in cpus.topology:
        core, package = _field(cpu, "core"), _field(cpu, "package_cpus")
        if core is not None:
            assert cpu.number in core
            assert core <= cpus.online
            for member in core:
                other = cpus.cpu(member)
                assert other is not None
                assert other.core == core
        if core is not None and package is not None and machine.name not in TORN:
            assert core <= package


TORN = {
    "hwloc-64fake-4n2s2ca2c2t": "an invented machine, whose cores lie across its packages",
    "hwloc-fakeheterocpunuma": "an invented machine, whose nodes overlap and leave out CPUs",
}
"""Machines whose sets contradict each other in the capture itself."""


def test_model(machine: Machine) -> None:
    """Vendor and model by lscpu, which knows more names of ARM parts than the kernel tells."""
    model, info = machine.lscpu.get("Model name"), machine.plain.get("cpuinfo", {})
    if not model or model == "-" or "CPU implementer" in info:
        pytest.skip("lscpu tells no model that the kernel tells")
    machine.compare("model", _squeezed(machine.host.cpu.model), _squeezed(model).removesuffix(", altivec supported"))


def _squeezed(text: str | None) -> str:
    return " ".join((text or "").split())


def test_flags(machine: Machine) -> None:
    flags = machine.plain.get("cpuinfo", {}).get("flags_of_interest")
    if not flags:
        pytest.skip("no flags were captured")
    said = machine.host.cpu.flags
    assert {name: name in said for name in flags} == flags


# -- NUMA nodes --------------------------------------------------------------------------------------------------------


def test_numa_nodes(machine: Machine) -> None:
    truth = machine.agreed("numa_nodes_online")
    machine.compare("numa_nodes_online", len(machine.host.numa.nodes), truth)


def test_no_nodes_are_invented(machine: Machine) -> None:
    """Without a folder of nodes there is one synthetic node, or nobody can say: never a guess."""
    if machine.plain["node"]["n_dirs"]:
        assert not machine.host.numa.synthetic
        return
    numa = peek(lambda: machine.host.numa)
    if numa is not None:
        assert numa.synthetic
        assert [node.id for node in numa.nodes] == [0]
        assert numa.nodes[0].cpus == machine.host.cpu.online
        assert numa.nodes[0].memory_bytes == machine.plain["meminfo"]["MemTotal"] * 1024


def test_node_cpus(machine: Machine) -> None:
    """Online CPUs of each node: node lists name offline ones as well, so plain reading may differ from the other
    tools."""
    compared = 0
    for number, entry in (machine.consensus.get("node_cpus") or {}).items():
        if len(entry["agree"]) < 2 or set(entry["differ"]) - {"plain"}:
            continue
        node = machine.host.numa.node(int(number))
        assert node is not None
        machine.compare(f"CPUs of node {number}", str(node.cpus & machine.host.cpu.online), entry["value"])
        compared += 1
    if not compared:
        pytest.skip("the tools agree on no node's CPUs")


def test_node_cpus_as_listed(machine: Machine) -> None:
    for number, node in _nodes(machine):
        truth = node["cpus"]
        said = machine.host.numa.node(number)
        assert said is not None
        if truth is None:
            with pytest.raises(Unreadable):
                _ = said.cpus
        else:
            machine.compare(f"node {number} cpus as listed", str(said.cpus), truth)


def test_node_of_each_cpu(machine: Machine) -> None:
    """Each CPU's node is the one whose list names it."""
    if machine.consensus.get("cpus_online") is None or not machine.plain["node"]["n_dirs"]:
        pytest.skip("no CPUs or no nodes were captured")
    numa = machine.host.numa
    for cpu in machine.host.cpu.topology:
        expected = peek(lambda cpu=cpu: numa.node_of_cpu(cpu.number))  # type: ignore[misc]
        assert _field(cpu, "node") == expected
    if all(_field(node, "cpus") is not None for node in numa.nodes):
        assert numa.cpus_nodes(machine.host.cpu.online) == CpuSet(
            node.id for node in numa.nodes if node.cpus & machine.host.cpu.online
        )
        if machine.name not in TORN:
            assert machine.host.cpu.online <= union(node.cpus for node in numa.nodes)


def test_distances(machine: Machine) -> None:
    matrix = machine.agreed("distance_matrix")
    entry = machine.consensus["distance_matrix"]
    order = [int(number) for number in entry["node_order"]]
    numa = machine.host.numa
    said = [[numa.node(number).distances[other] for other in order] for number in order]  # type: ignore[union-attr]
    machine.compare("distance_matrix", said, matrix)


def test_distances_as_listed(machine: Machine) -> None:
    for number, node in _nodes(machine):
        said = machine.host.numa.node(number)
        assert said is not None
        if node["distance"] is None:
            with pytest.raises(Unreadable):
                _ = said.distances
        else:
            assert list(said.distances.values()) == node["distance"]
            assert list(said.distances) == [each.id for each in machine.host.numa.nodes]


# -- memory ------------------------------------------------------------------------------------------------------------


def test_node_memory(machine: Machine) -> None:
    for number, node in _nodes(machine):
        said = machine.host.numa.node(number)
        assert said is not None
        for field, name in (("memory_bytes", "memtotal_kB"), ("free_bytes", "memfree_kB")):
            if node[name] is None:
                with pytest.raises(Unreadable):
                    getattr(said, field)
            else:
                assert getattr(said, field) == node[name] * 1024


def test_memory(machine: Machine) -> None:
    meminfo = machine.plain.get("meminfo")
    if meminfo is None:
        with pytest.raises(Unreadable):
            _ = machine.host.memory
        return
    memory = machine.host.memory
    assert memory.total_bytes == meminfo["MemTotal"] * 1024
    assert memory.free_bytes == meminfo["MemFree"] * 1024
    fields = {"available_bytes": "MemAvailable", "swap_bytes": "SwapTotal"}
    for field, name in fields.items():
        assert getattr(memory, field) == (meminfo[name] * 1024 if name in meminfo else None)
    counts = {name: number for name, number in meminfo.items() if name.startswith("HugePages_")}
    assert {name: memory.fields[name] for name in counts} == counts


def test_pools(machine: Machine) -> None:
    truth = machine.plain["hugepages_global"]
    if not truth:
        pytest.skip("no pools were captured")
    names = {"nr": "total", "free": "free", "surplus": "surplus", "resv": "reserved", "nr_overcommit": "overcommit"}
    assert [str(pool.size_bytes // 1024) for pool in machine.host.hugepages] == sorted(truth, key=int)
    for pool in machine.host.hugepages:
        expected = truth[str(pool.size_bytes // 1024)]
        assert {key: _field(pool, names[key]) for key in expected} == expected


def test_node_pools(machine: Machine) -> None:
    for number, node in _nodes(machine):
        said = machine.host.numa.node(number)
        assert said is not None
        pools = {
            str(pool.size_bytes // 1024): {"nr": pool.total, "free": pool.free, "surplus": pool.surplus}
            for pool in _field(said, "hugepages") or ()
        }
        assert pools == node["pools"]


def test_transparent_hugepages(machine: Machine) -> None:
    truth = machine.plain.get("thp_enabled")
    if truth is None:
        pytest.skip("not captured")
    thp = machine.host.memory.thp
    assert thp is not None
    assert thp.enabled is not None
    assert f"[{thp.enabled.active}]" in truth


def test_ksm(machine: Machine) -> None:
    truth = machine.plain.get("ksm_run")
    if truth is None:
        pytest.skip("not captured")
    ksm = machine.host.memory.ksm
    assert ksm is not None
    assert str(ksm.run) == truth


# -- power -------------------------------------------------------------------------------------------------------------


def test_frequency(machine: Machine) -> None:
    truth = machine.plain.get("cpufreq")
    if truth is None:
        for policy in peek(lambda: machine.host.power.policies) or ():
            assert policy.driver is None
            assert policy.governor is None
        return
    power = machine.host.power
    drivers = {policy.driver for policy in power.policies if policy.driver}
    machine.compare("cpufreq drivers", drivers, set(truth["drivers"]))
    governors = {_field(policy, "governor") for policy in power.policies} - {None}
    machine.compare("cpufreq governors", governors, set(truth["governors"]))
    if truth["counted"] == "policies":
        machine.compare("cpufreq policies", len(power.policies), sum(truth["drivers"].values()))
    assert power.policies == tuple(sorted(power.policies, key=lambda policy: int(policy.name.strip("cpuoliy"))))


@pytest.mark.parametrize(
    ("figure", "read"),
    [
        ("cpuidle_driver", lambda host: host.power.idle_driver),
        ("intel_pstate_status", lambda host: host.power.intel_pstate),
        ("no_turbo", lambda host: _digit(host.power.no_turbo)),
        ("boost", lambda host: _digit(host.power.boost)),
        ("cmdline", lambda host: host.cmdline.text),
    ],
)
def test_words(machine: Machine, figure: str, read: Callable[[Host], Any]) -> None:
    truth = machine.plain.get(figure)
    if truth is None:
        pytest.skip("not captured")
    machine.compare(figure, read(machine.host), truth)


def _digit(flag: bool | None) -> str | None:
    return None if flag is None else str(int(flag))


# -- platform ----------------------------------------------------------------------------------------------------------


def test_hypervisor(machine: Machine) -> None:
    """lscpu decodes /proc/sysinfo, the device tree of POWER and /proc/xen of a captured tree; CPUID it cannot ask."""
    words = {"KVM/Linux": "kvm", "KVM": "kvm", "pHyp": "powervm", "Xen": "xen", "PR/SM": None}
    name = machine.lscpu.get("Hypervisor") or machine.lscpu.get("Hypervisor vendor")
    if name is None:
        pytest.skip("lscpu tells no hypervisor")
    expected = "zvm" if name.startswith("z/VM") else words[name]
    assert machine.host.platform.hypervisor == expected
    assert machine.host.platform.is_guest is (expected is not None)


def test_nothing_is_guessed(machine: Machine) -> None:
    """A tree without proc/ may prove a guest, never its absence."""
    if any(tree.startswith("proc/") for tree in machine.plain["trees"]):
        pytest.skip("there is a proc tree")
    platform = machine.host.platform
    assert peek(lambda: platform.is_guest) in (True, None)
    with pytest.raises(Unreadable):
        _ = platform.container


def test_flagged_guests(machine: Machine) -> None:
    flags = machine.plain.get("cpuinfo", {}).get("flags_of_interest")
    if not flags:
        pytest.skip("no flags were captured")
    if flags["hypervisor"]:
        assert machine.host.platform.is_guest
    elif machine.plain.get("dmi"):
        assert not machine.host.platform.is_guest


# -- devices -----------------------------------------------------------------------------------------------------------


def test_pci_functions(machine: Machine) -> None:
    truth = machine.agreed("pci_functions")
    machine.compare("pci_functions", len(machine.host.pci.functions), truth)


def _field(value: Any, name: str) -> Any:
    """A field of a value, None where it is not known."""
    return peek(lambda: getattr(value, name))


def _nodes(machine: Machine) -> Iterator[tuple[int, dict[str, Any]]]:
    """Nodes that were captured, by number."""
    if not machine.plain["nodes"]:
        pytest.skip("no nodes were captured")
    for number, node in machine.plain["nodes"].items():
        yield int(number), node
