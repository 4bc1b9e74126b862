"""NUMA nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import Unreadable, plant
from vmtune.cpuset import EMPTY, CpuSet
from vmtune.host import Host
from vmtune.host.numa import Node, Numa
from vmtune.value import peek

NODE = "/sys/devices/system/node"
CPU = "/sys/devices/system/cpu"


def numa(*trees: str) -> Numa:
    return Host(plant(*trees)).numa


def meminfo(number: int, total: int, free: int) -> str:
    return f"""
{NODE}/node{number}/meminfo:
  Node {number} MemTotal:       {total} kB
  Node {number} MemFree:        {free} kB
  Node {number} FilePages:      10 kB
  Node {number} HugePages_Total:     3
"""


SPARSE = f"""
{NODE}/online: 0,8,250
{NODE}/possible: 0-255
{NODE}/has_cpu: 0,8
{NODE}/has_memory: 0,250
{NODE}/has_normal_memory: 0
{NODE}/node0/cpulist: 0-3,8-11
{NODE}/node0/distance: 10 40 80
{NODE}/node8/cpulist: 4-7
{NODE}/node8/distance: 40 10 80
{NODE}/node250/cpulist:
{NODE}/node250/distance: 80 80 10
{NODE}/node0/hugepages/hugepages-2048kB/nr_hugepages: 3
{NODE}/node0/hugepages/hugepages-2048kB/free_hugepages: 1
{NODE}/node0/hugepages/hugepages-2048kB/surplus_hugepages: 0
{meminfo(0, 1000, 500)}
{meminfo(8, 0, 0)}
{meminfo(250, 4000, 4000)}
"""


def node(found: Numa, number: int) -> Node:
    one = found.node(number)
    assert one is not None
    return one


def test_sparse_nodes() -> None:
    found = numa(SPARSE)
    assert [each.id for each in found.nodes] == [0, 8, 250]
    assert not found.synthetic
    assert (str(found.online), str(found.possible)) == ("0,8,250", "0-255")
    assert (str(found.has_cpu), str(found.has_memory), str(found.has_normal_memory)) == ("0,8", "0,250", "0")
    assert str(node(found, 0).cpus) == "0-3,8-11"
    assert node(found, 0).path == f"{NODE}/node0"
    assert node(found, 8).distances == {0: 40, 8: 10, 250: 80}
    assert found.node(1) is None


def test_nodes_without_cpus_or_memory() -> None:
    found = numa(SPARSE)
    assert node(found, 250).cpus == EMPTY
    assert node(found, 8).memory_bytes == 0
    assert node(found, 250).memory_bytes == 4000 * 1024


def test_memory() -> None:
    first = node(numa(SPARSE), 0)
    assert (first.memory_bytes, first.free_bytes) == (1000 * 1024, 500 * 1024)
    assert first.fields == {
        "MemTotal": 1000 * 1024,
        "MemFree": 500 * 1024,
        "FilePages": 10 * 1024,
        "HugePages_Total": 3,
    }


def test_pools() -> None:
    found = numa(SPARSE)
    (pool,) = node(found, 0).hugepages
    assert (pool.size_bytes, pool.total, pool.free, pool.surplus) == (2 << 20, 3, 1, 0)
    assert pool.reserved is None
    assert pool.overcommit is None
    assert pool.path == f"{NODE}/node0/hugepages/hugepages-2048kB"
    assert node(found, 8).hugepages == ()


def test_nodes_of_cpus() -> None:
    found = numa(SPARSE)
    assert found.node_of_cpu(9) == 0
    assert found.node_of_cpu(5) == 8
    assert found.node_of_cpu(99) is None
    assert str(found.cpus_nodes(CpuSet((3, 4)))) == "0,8"
    assert found.cpus_nodes(EMPTY) == EMPTY


def test_without_an_online_list() -> None:
    """Then the folders tell; names of other forms are none."""
    found = numa(f"""
{NODE}/node0/cpulist: 0
{NODE}/node12/cpumap: 00000000,000000f0
{NODE}/nodeX/
{NODE}/node99999999/
{NODE}/power/
""")
    assert str(found.online) == "0,12"
    assert str(node(found, 12).cpus) == "4-7"
    assert found.possible is None


def test_cpus_by_links() -> None:
    found = numa(f"{NODE}/online: 0\n{NODE}/node0/cpu3 -> ../../cpu/cpu3\n{NODE}/node0/cpu5/\n{NODE}/node0/cpulistx: 9")
    assert str(node(found, 0).cpus) == "3,5"


def test_a_node_may_name_offline_cpus() -> None:
    assert str(node(numa(f"{CPU}/online: 0\n{NODE}/online: 0\n{NODE}/node0/cpulist: 0-3"), 0).cpus) == "0-3"


def test_no_numa() -> None:
    """A kernel without NUMA: one node stands for the machine, and says so."""
    pool = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    found = numa(f"""
{CPU}/online: 0-3
/proc/meminfo:
  MemTotal: 2000 kB
  MemFree: 1000 kB
{pool}/nr_hugepages: 5
{pool}/free_hugepages: 4
{pool}/surplus_hugepages: 0
{pool}/resv_hugepages: 1
{pool}/nr_overcommit_hugepages: 0
""")
    assert found.synthetic
    (only,) = found.nodes
    assert (only.id, str(only.cpus), only.memory_bytes, only.free_bytes) == (0, "0-3", 2000 * 1024, 1000 * 1024)
    assert only.distances == {0: 10}
    assert [(each.total, each.free, each.reserved) for each in only.hugepages] == [(5, 4, None)]
    assert found.node_of_cpu(2) == 0


@pytest.mark.parametrize(
    "tree",
    [
        "",
        f"{CPU}/online: 0-3",
        "/proc/meminfo: MemTotal: 2000 kB",
        f"{NODE} ! permission denied\n{CPU}/online: 0\n/proc/meminfo: MemTotal: 1 kB",
        f"{NODE}/power/",
        f"{NODE}/online: x",
    ],
)
def test_nothing_is_guessed(tree: str) -> None:
    with pytest.raises(Unreadable):
        numa(tree)


def test_unreadable_attributes_cost_themselves() -> None:
    names = ("cpulist", "meminfo", "distance", "hugepages")
    found = numa(SPARSE, *(f"{NODE}/node8/{name} ! permission denied" for name in names))
    eighth = node(found, 8)
    for field in ("cpus", "memory_bytes", "free_bytes", "fields", "distances", "hugepages"):
        with pytest.raises(Unreadable, match="permission denied"):
            getattr(eighth, field)
    assert found.node_of_cpu(0) == 0
    assert node(found, 250).memory_bytes == 4000 * 1024
    with pytest.raises(Unreadable):
        found.node_of_cpu(5)
    with pytest.raises(Unreadable):
        found.cpus_nodes(CpuSet((5,)))


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("cpulist", "0-x", "cpus"),
        ("distance", "10 40", "distances"),
        ("distance", "10 40 80 90", "distances"),
        ("distance", "10 -1 80", "distances"),
        ("distance", "10 far 80", "distances"),
        ("distance", "", "distances"),
        ("meminfo", "nothing", "memory_bytes"),
        ("meminfo", "Node 0 MemFree: 1 kB", "memory_bytes"),
        ("meminfo", "Node 0 MemTotal: many kB", "memory_bytes"),
    ],
)
def test_garbage(name: str, text: str, field: str) -> None:
    first = node(numa(SPARSE, f"{NODE}/node0/{name}: {text}"), 0)
    with pytest.raises(Unreadable):
        getattr(first, field)
    assert first.id == 0


def test_a_folder_that_is_missing() -> None:
    """The list names a node that has no folder: it is there, and nothing is known of it."""
    found = numa(f"{NODE}/online: 0-1\n{NODE}/node0/cpulist: 0")
    assert len(found.nodes) == 2
    for field in ("cpus", "memory_bytes", "distances"):
        with pytest.raises(Unreadable):
            getattr(node(found, 1), field)


@given(st.sampled_from(["cpulist", "cpumap", "distance", "meminfo"]), st.binary(max_size=60))
def test_any_bytes_are_read_or_kept(name: str, data: bytes) -> None:
    root = plant(SPARSE)
    root.remember(f"{NODE}/node8/{name}", data)
    found = Host(root).numa
    for field in Node._fields:
        peek(lambda field=field: getattr(node(found, 8), field))  # type: ignore[misc]
    assert found.node_of_cpu(0) == 0
