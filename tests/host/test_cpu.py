"""CPUs, cores and packages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import Unreadable, plant
from vmtune.cpuset import EMPTY, CpuSet
from vmtune.host import Host
from vmtune.host.cpu import Cpus
from vmtune.value import peek

CPU = "/sys/devices/system/cpu"


def cpus(*trees: str) -> Cpus:
    return Host(plant(*trees)).cpu


def topology(number: int, core: str, package: str, **more: str) -> str:
    folder = f"{CPU}/cpu{number}/topology"
    lines = [f"{folder}/core_cpus_list: {core}", f"{folder}/package_cpus_list: {package}"]
    return "\n".join(lines + [f"{folder}/{name}: {text}" for name, text in more.items()])


def cache(number: int, index: int, level: int, shared: str, kind: str = "Unified") -> str:
    folder = f"{CPU}/cpu{number}/cache/index{index}"
    return f"{folder}/level: {level}\n{folder}/type: {kind}\n{folder}/shared_cpu_list: {shared}"


TWO_PACKAGES = "\n".join(
    [
        f"{CPU}/online: 0-7",
        f"{CPU}/present: 0-7",
        f"{CPU}/possible: 0-15",
        f"{CPU}/offline: 8-15",
        f"{CPU}/isolated:",
        f"{CPU}/nohz_full: (null)",
        f"{CPU}/smt/active: 1",
        f"{CPU}/smt/control: on",
        *(topology(cpu, f"{cpu % 4},{cpu % 4 + 4}", "0-1,4-5" if cpu % 4 < 2 else "2-3,6-7") for cpu in range(8)),
        *(cache(cpu, 0, 1, str(cpu), "Data") for cpu in range(8)),
        *(cache(cpu, 3, 3, "0-1,4-5" if cpu % 4 < 2 else "2-3,6-7") for cpu in range(8)),
    ]
)
NODES = """
/sys/devices/system/node/online: 0,4
/sys/devices/system/node/node0/cpulist: 0-1,4-5
/sys/devices/system/node/node4/cpulist: 2-3,6-7
"""
X86 = """
/proc/cpuinfo:
  processor : 0
  vendor_id : AuthenticAMD
  cpu family : 25
  model : 17
  model name : AMD EPYC 9354 32-Core Processor
  stepping : 1
  microcode : 0xa101144
  flags : fpu lm svm
"""


def test_two_packages() -> None:
    found = cpus(TWO_PACKAGES, NODES, X86)
    assert str(found.online) == str(found.present) == "0-7"
    assert str(found.possible) == "0-15"
    assert found.isolated == EMPTY
    assert found.smt_active is True
    assert found.smt_control == "on"
    assert (found.packages, found.cores, found.threads_per_core) == (2, 4, 2)
    sixth = found.cpu(6)
    assert sixth is not None
    assert (sixth.number, sixth.path) == (6, f"{CPU}/cpu6")
    assert (str(sixth.core), str(sixth.package_cpus), str(sixth.llc)) == ("2,6", "2-3,6-7", "2-3,6-7")
    assert (sixth.package, sixth.node) == (1, 4)
    assert found.cpu(8) is None
    assert found.classes is None
    assert not found.is_hybrid
    assert (found.vendor, found.family, found.model_number, found.stepping) == ("AuthenticAMD", 25, 17, 1)
    assert found.model == "AMD EPYC 9354 32-Core Processor"
    assert found.flags == {"fpu", "lm", "svm"}
    assert found.microcode == "0xa101144"


def test_never_present_cpus_are_not_offline() -> None:
    assert cpus(TWO_PACKAGES).offline == EMPTY


def test_offline_cpus() -> None:
    found = cpus(f"{CPU}/online: 0,2", f"{CPU}/present: 0-3", f"{CPU}/offline: 1,3-7", topology(0, "0-1", "0-3"))
    assert str(found.offline) == "1,3"
    first = found.cpu(0)
    assert first is not None
    assert str(first.core) == "0"
    assert str(first.package_cpus) == "0,2"


def test_nohz_full() -> None:
    """Without the file the kernel cannot; `(null)` is no CPU; a mask may be padded."""
    assert cpus(f"{CPU}/online: 0").nohz_full is None
    assert cpus(f"{CPU}/online: 0", f"{CPU}/nohz_full: (null)").nohz_full == EMPTY
    assert cpus(f"{CPU}/online: 0", f"{CPU}/nohz_full:        (null)").nohz_full == EMPTY
    assert str(cpus(f"{CPU}/online: 0", f"{CPU}/nohz_full: 2-7").nohz_full) == "2-7"


def test_older_names() -> None:
    """`thread_siblings_list`, `core_siblings_list`, and the masks of kernels that have no lists."""
    lists = f"""
        {CPU}/online: 0-1
        {CPU}/cpu0/topology/thread_siblings_list: 0-1
        {CPU}/cpu0/topology/core_siblings_list: 0-1
        {CPU}/cpu1/topology/thread_siblings: 00000000,00000003
        {CPU}/cpu1/topology/core_siblings: 3
        """.replace("        ", "")
    found = cpus(lists)
    assert (found.packages, found.cores, found.threads_per_core) == (1, 1, 2)


def test_ids_where_there_are_no_sets() -> None:
    """A core id is one core inside a package only; CPUs 0 and 2 share the id and no core."""
    ids = [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 0)]
    tree = "\n".join(
        f"{CPU}/cpu{cpu}/topology/physical_package_id: {package}\n{CPU}/cpu{cpu}/topology/core_id: {core}"
        for cpu, package, core in ids
    )
    found = cpus(f"{CPU}/online: 0-3", tree)
    assert (found.packages, found.cores) == (2, 3)
    assert [str(cpu.core) for cpu in found.topology] == ["0", "1", "2-3", "2-3"]


def test_minus_one_is_no_id() -> None:
    tree = "\n".join(f"{CPU}/cpu{cpu}/topology/physical_package_id: -1" for cpu in range(2))
    found = cpus(f"{CPU}/online: 0-1", tree)
    assert found.packages is None
    assert found.cores is None
    assert found.threads_per_core is None


def test_lying_ids_do_not_count() -> None:
    found = cpus(
        f"{CPU}/online: 0-1",
        topology(0, "0", "0", physical_package_id="-1", core_id="0"),
        topology(1, "1", "1", physical_package_id="-1", core_id="0"),
    )
    assert (found.packages, found.cores) == (2, 2)


def test_cpuinfo_where_there_is_no_topology() -> None:
    blocks = "\n".join(
        f"  processor : {cpu}\n  vendor_id : x\n  flags : fpu lm\n  physical id : {cpu // 2}\n  core id : 0\n  "
        for cpu in range(4)
    )
    found = cpus(f"{CPU}/online: 0-3", f"/proc/cpuinfo:\n{blocks}")
    assert (found.packages, found.cores, found.threads_per_core) == (2, 2, 2)


@pytest.mark.parametrize("flag", ["0", "1"])
def test_online_by_folders(flag: str) -> None:
    """Kernels without `cpu/online`; CPU 0 often has no switch; names of other forms are none."""
    found = cpus(
        f"""
        {CPU}/cpu0/crash_notes: x
        {CPU}/cpu1/online: {flag}
        {CPU}/cpu2/online: 1
        {CPU}/cpufreq/
        {CPU}/cpuidle/
        {CPU}/cpu٣/
        {CPU}/cpu-1/
        {CPU}/cpu99999/
        {CPU}/cpu99999999999999999999/
        """.replace("        ", "")
    )
    assert str(found.online) == ("0,2" if flag == "0" else "0-2")
    assert str(found.offline) == ("1" if flag == "0" else "")
    assert found.present is None


def test_offline_list_without_online_list() -> None:
    assert str(cpus(f"{CPU}/cpu0/\n{CPU}/cpu1/\n{CPU}/cpu2/\n{CPU}/offline: 1").online) == "0,2"


@pytest.mark.parametrize("bad", ["!", "0-x", "5-2", "0-99999999999"])
def test_unreadable_online_list(bad: str) -> None:
    """A list that is there and says nothing is no reason to guess from the folders."""
    line = f"{CPU}/online ! permission denied" if bad == "!" else f"{CPU}/online: {bad}"
    with pytest.raises(Unreadable):
        cpus(line, f"{CPU}/cpu0/\n{CPU}/cpu1/")


def test_empty_online_list() -> None:
    assert str(cpus(f"{CPU}/online:", f"{CPU}/cpu0/\n{CPU}/cpu1/").online) == "0-1"


def test_nothing_is_known() -> None:
    with pytest.raises(Unreadable):
        cpus()
    with pytest.raises(Unreadable):
        cpus(f"{CPU} ! permission denied")


def test_flags_without_online_cpus() -> None:
    found = cpus(X86)
    assert "svm" in found.flags
    for field in ("online", "offline", "topology", "packages", "cores", "threads_per_core", "classes"):
        with pytest.raises(Unreadable):
            getattr(found, field)


def test_topology_without_cpuinfo() -> None:
    found = cpus(TWO_PACKAGES, "/proc/cpuinfo ! permission denied")
    assert found.cores == 4
    for field in ("vendor", "model", "family", "flags"):
        with pytest.raises(Unreadable, match="permission denied"):
            getattr(found, field)


def test_one_unreadable_cpu_costs_itself_and_the_sums() -> None:
    refused = [f"{CPU}/cpu3/topology/{name}_cpus_list ! permission denied" for name in ("core", "package")]
    found = cpus(TWO_PACKAGES, NODES, *refused)
    third, fourth = found.cpu(3), found.cpu(4)
    assert third is not None
    assert fourth is not None
    with pytest.raises(Unreadable, match="permission denied"):
        _ = third.core
    assert third.node == 4
    assert str(third.llc) == "2-3,6-7"
    assert str(fourth.core) == "0,4"
    with pytest.raises(Unreadable):
        _ = found.cores
    with pytest.raises(Unreadable):
        _ = found.packages


@pytest.mark.parametrize("bad", ["", "x", "5", "-3", "0-\0"])
def test_garbage_sets(bad: str) -> None:
    """Also a set that does not hold the CPU it is told by."""
    found = cpus(TWO_PACKAGES, f"{CPU}/cpu1/topology/core_cpus_list: {bad}")
    first, second = found.cpu(0), found.cpu(1)
    assert first is not None
    assert second is not None
    assert str(first.core) == "0,4"
    with pytest.raises(Unreadable):
        _ = second.core


def test_garbage_flags() -> None:
    found = cpus(TWO_PACKAGES, f"{CPU}/smt/active: maybe\n{CPU}/smt/control:\n{CPU}/isolated: 3-")
    for field in ("smt_active", "smt_control", "isolated"):
        with pytest.raises(Unreadable):
            getattr(found, field)
    assert found.cores == 4


def test_last_level_cache() -> None:
    """The highest level; a hybrid's small cores have no third. A CPU without caches has none."""
    found = cpus(
        f"{CPU}/online: 0-4",
        cache(0, 0, 1, "0", "Data"),
        cache(0, 1, 1, "0", "Instruction"),
        cache(0, 2, 2, "0"),
        cache(0, 3, 3, "0-1"),
        cache(1, 0, 1, "1", "Data"),
        cache(2, 2, 2, "2-3"),
        cache(4, 1, 1, "4", "Instruction"),
    )
    assert [peek(lambda cpu=cpu: str(cpu.llc)) for cpu in found.topology] == ["0-1", "0-1", "2-3", "2-3", "None"]  # type: ignore[misc]


def test_unreadable_caches() -> None:
    found = cpus(f"{CPU}/online: 0", f"{CPU}/cpu0/cache ! permission denied")
    with pytest.raises(Unreadable):
        _ = found.topology[0].llc


def test_capacities() -> None:
    found = cpus(f"{CPU}/online: 0-3", *(f"{CPU}/cpu{cpu}/cpu_capacity: {1024 if cpu else 446}" for cpu in range(4)))
    assert found.is_hybrid
    assert [(each.name, str(each.cpus), each.capacity) for each in found.classes or ()] == [
        ("1024", "1-3", 1024),
        ("446", "0", 446),
    ]


def test_equal_capacities_are_one_class() -> None:
    found = cpus(f"{CPU}/online: 0-1", f"{CPU}/cpu0/cpu_capacity: 1024\n{CPU}/cpu1/cpu_capacity: 1024")
    assert len(found.classes or ()) == 1
    assert not found.is_hybrid


def test_hybrid_x86() -> None:
    found = cpus(f"{CPU}/online: 0-5", "/sys/devices/cpu_core/cpus: 0-3\n/sys/devices/cpu_atom/cpus: 4-7")
    assert [(each.name, str(each.cpus)) for each in found.classes or ()] == [("core", "0-3"), ("atom", "4-5")]


def test_unreadable_capacity() -> None:
    found = cpus(f"{CPU}/online: 0-1", f"{CPU}/cpu0/cpu_capacity: 1024\n{CPU}/cpu1/cpu_capacity: lots")
    with pytest.raises(Unreadable):
        _ = found.classes


def test_cpus_without_a_node() -> None:
    """None where no node names the CPU; unknown where a node's CPUs are; 0 where the kernel has no nodes."""
    base = f"{CPU}/online: 0-1"
    node = "/sys/devices/system/node"
    known = cpus(base, f"{node}/online: 0\n{node}/node0/cpulist: 0")
    assert [cpu.node for cpu in known.topology] == [0, None]
    unknown = cpus(base, f"{node}/online: 0-1\n{node}/node0/cpulist: 0\n{node}/node1/meminfo: x")
    assert unknown.topology[0].node == 0
    with pytest.raises(Unreadable):
        _ = unknown.topology[1].node
    single = cpus(base, "/proc/meminfo: MemTotal: 1024 kB")
    assert [cpu.node for cpu in single.topology] == [0, 0]
    nobody = cpus(base)
    with pytest.raises(Unreadable):
        _ = nobody.topology[0].node


def test_microcode_of_sysfs() -> None:
    text = X86.replace("  microcode : 0xa101144\n", "")
    assert cpus(f"{CPU}/online: 2", text, f"{CPU}/cpu2/microcode/version: 0x2f").microcode == "0x2f"
    assert cpus(f"{CPU}/online: 2", text).microcode is None


@given(
    st.dictionaries(st.sampled_from(["core_cpus_list", "package_cpus", "physical_package_id"]), st.text(max_size=20))
)
def test_any_text_is_read_or_kept(attributes: dict[str, str]) -> None:
    root = plant(f"{CPU}/online: 0-1", f"{CPU}/cpu0/topology/core_id: 0")
    for name, text in attributes.items():
        root.remember(f"{CPU}/cpu0/topology/{name}", text.encode())
    found = Host(root).cpu
    for field in ("packages", "cores", "threads_per_core"):
        peek(lambda field=field: getattr(found, field))  # type: ignore[misc]
    assert found.online == CpuSet((0, 1))
