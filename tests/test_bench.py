"""The giant machine that the benchmark reads, here a small one: it is what it says, and is read as such."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.giant import build
from bench.giant.shape import Shape, scaled
from bench.giant.tree import mask, ranges
from tests.tree import Complete
from vmtune.audit import Audit, Options
from vmtune.check import Status, all_checks
from vmtune.cpuset import CpuSet
from vmtune.host import Host, Subject
from vmtune.inventory import inventory
from vmtune.root import Root, Unreadable, open_root
from vmtune.root.directory import Directory

SHAPE = Shape(nodes=4, cores_per_node=2, pfs=16, vfs=3, nvmes=5, domains=12)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("giant"))
    assert build(folder, SHAPE).entries > 1000
    return folder


def test_full_machine() -> None:
    whole, half = scaled(1), scaled(0.5)
    assert (whole.nodes, whole.cpus, whole.pfs * whole.vfs, whole.nvmes, whole.domains) == (8, 512, 4096, 128, 4096)
    assert (half.nodes, half.cpus, half.pfs * half.vfs, half.nvmes, half.domains) == (4, 256, 2048, 64, 2048)
    assert [whole.distance(0, node) for node in range(4)] == [10, 12, 21, 21]


def test_each_cpu_is_served_by_one_queue() -> None:
    for shape in (SHAPE, scaled(1), scaled(0.125)):
        served = Counter(cpu for queue in range(shape.queues) for cpu in shape.queue(queue))
        assert set(served) == set(range(shape.cpus))


@given(st.sets(st.integers(0, 300)))
def test_sets_of_cpus_are_written_as_the_kernel_does(cpus: set[int]) -> None:
    assert CpuSet.parse(ranges(cpus)) == CpuSet(cpus)
    assert CpuSet.parse_mask(mask(cpus, 301)) == CpuSet(cpus)


def test_is_read_as_it_was_built(tree: str) -> None:
    host = Host(open_root(tree))
    known = inventory(host)
    assert known["roles"] == ["host"]
    cpu = known["cpu"]
    assert (cpu["packages"], cpu["cores"], cpu["threads_per_core"], cpu["online"]) == (2, 8, 2, "0-15")
    assert [node["cpus"] for node in known["numa"]["nodes"]] == ["0-1,8-9", "2-3,10-11", "4-5,12-13", "6-7,14-15"]
    assert known["memory"]["total_bytes"] == known["memory"]["nodes_total_bytes"]
    pages = [sum(node["hugepages"][1]["total"] for node in known["numa"]["nodes"])]
    assert pages == [pool["total"] for pool in known["memory"]["hugepages"] if pool["size_bytes"] == 1 << 30]
    functions = {function["address"]: function for function in known["pci"]}
    pfs = [function for function in functions.values() if function["sriov"]]
    assert len(pfs) == SHAPE.pfs
    for pf in pfs:
        assert pf["sriov"]["num_vfs"] == pf["sriov"]["total_vfs"] == SHAPE.vfs
        assert [functions[vf]["physfn"] for vf in pf["sriov"]["vfs"]] == [pf["address"]] * SHAPE.vfs
        assert {functions[vf]["numa_node"] for vf in pf["sriov"]["vfs"]} == {pf["numa_node"]}
    assert sorted(function["iommu_group"] for function in functions.values()) == list(range(len(functions)))
    assert known["iommu"] == {"units": [f"dmar{node}" for node in range(SHAPE.nodes)], "groups": len(functions)}
    assert len(known["nvme"]) == SHAPE.nvmes
    assert {disk["name"]: disk["controller"] for disk in known["block"]} == {
        "sda": known["scsi_hosts"][0]["address"],
        **{f"{each['controller']}n1": each["address"] for each in known["nvme"]},
    }
    assert [domain["name"] for domain in known["domains"]] == [f"vm{number:04}" for number in range(SHAPE.domains)]


def test_interrupts_are_of_the_functions(tree: str) -> None:
    host = Host(open_root(tree))
    by_number = {irq.number: irq for irq in host.interrupts.devices}
    for controller in host.nvme:
        function = host.pci.function(controller.address or "")
        assert function
        irqs = [by_number[number] for number in function.irqs(host)]
        assert [irq.actions for irq in irqs] == [(f"{controller.name}q{queue}",) for queue in range(SHAPE.queues + 1)]
        assert [irq.affinity(host) for irq in irqs[1:]] == [CpuSet(SHAPE.queue(queue)) for queue in range(SHAPE.queues)]
        for irq in irqs:
            assert irq.effective_affinity(host) == CpuSet(
                cpu for cpu, times in zip(host.interrupts.cpus, host.interrupts.counts(irq), strict=True) if times
            )


def test_no_check_breaks_on_it(tree: str) -> None:
    results = list(Audit(Host(open_root(tree)), options=Options(sample_seconds=0)).run(all_checks()))
    assert [(row.check.id, row.target, row.reason) for row in results if row.status is Status.ERROR] == []


def test_each_file_is_opened_once(tree: str) -> None:
    reads: Counter[str] = Counter()
    lists: Counter[str] = Counter()

    class Counting(Directory):
        def read(self, folder: str, name: str, limit: int) -> bytes:
            reads[f"{folder}/{name}"] += 1
            return super().read(folder, name, limit)

        def names(self, folder: str) -> list[str]:
            lists[folder] += 1
            return super().names(folder)

    host = Host(Root(Counting(tree), name=tree, witness=Complete()))
    for name, subject in vars(Host).items():
        if isinstance(subject, Subject):
            try:
                getattr(host, name)
            except Unreadable:
                continue
    assert len(reads) > 500
    assert {path: times for path, times in reads.items() if times > 1} == {}
    assert {path: times for path, times in lists.items() if times > 1} == {}
