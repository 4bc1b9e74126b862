"""Huge pages: pools, nodes, transparent ones."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Finding, Workload

POOL, NODE, THP = "hugepages-pool-short", "hugepages-node-short", "thp-unsuited"
GIB = "hugepages/hugepages-1048576kB"
ALL = f"sys/kernel/mm/{GIB}"
NODE1 = f"sys/devices/system/node/node1/{GIB}"
NODE0 = f"sys/devices/system/node/node0/{GIB}"
TRANSPARENT = "sys/kernel/mm/transparent_hugepage"
SMALL_VM = """
etc/libvirt/qemu/web.xml:
  <domain type='kvm'><name>web</name><memory unit='GiB'>1</memory><vcpu cpuset='2,6'>1</vcpu></domain>
"""


def pages(total: int, free: int) -> str:
    """That many pages, all on node 1."""
    return "\n".join(
        [
            f"{ALL}/nr_hugepages: {total}",
            f"{ALL}/free_hugepages: {free}",
            f"{NODE1}/nr_hugepages: {total}",
            f"{NODE1}/free_hugepages: {free}",
        ]
    )


CASES = [
    Case(POOL, "pass", "kvm-host"),
    Case(POOL, "medium host", "kvm-host", pages(18, 18), reason="18 of 20"),
    Case(POOL, "info", "kvm-host", pages(24, 24), reason="20 asked for"),
    Case(POOL, "medium host", "kvm-guest", "etc/sysctl.d/9.conf: vm.nr_hugepages = 5", reason="0 of 5"),
    Case(POOL, "unknown", "kvm-host", f"{NODE1}/nr_hugepages ! permission denied"),
    Case(POOL, "unknown", "kvm-guest", "etc/sysctl.d/9.conf: vm.nr_hugepages = many"),
    Case(POOL, "skip", "kvm-guest"),
    Case(NODE, "pass", "kvm-host"),
    Case(NODE, "critical node1", "kvm-host", f"{NODE1}/free_hugepages: 15", reason="db01 will not start"),
    Case(NODE, "unknown", "kvm-host", f"{NODE1}/free_hugepages ! permission denied"),
    Case(NODE, "skip", "kvm-host", workload=Workload.GENERAL),
    Case(NODE, "skip", "kvm-guest", workload=Workload.DB),
    Case(THP, "pass", "kvm-host"),
    Case(THP, "low host", "kvm-host", f"{TRANSPARENT}/enabled: [always] madvise never", reason="hugetlb"),
    Case(THP, "low host", "kvm-host", f"{TRANSPARENT}/defrag: [always] defer madvise never", reason="compaction"),
    Case(THP, "pass", "kvm-host", f"{TRANSPARENT}/enabled: always madvise [never]"),
    Case(
        THP,
        "low host",
        "kvm-host",
        f"{SMALL_VM}{TRANSPARENT}/enabled: always madvise [never]",
        reason="1 VMs sit on ordinary",
    ),
    Case(THP, "pass", "kvm-host", f"{SMALL_VM}{TRANSPARENT}/enabled: [always] madvise never"),
    Case(THP, "unknown", "kvm-host", f"{TRANSPARENT}/enabled: always madvise never"),
    Case(THP, "unknown", "kvm-host", f"{TRANSPARENT} ! permission denied"),
    Case(THP, "unknown", "kvm-host", f"{TRANSPARENT}/enabled: gibberish"),
    Case(NODE, "unknown", "kvm-host", "sys/devices/system/node/node1/hugepages -", reason="own pool"),
    # Without cells in the guest libvirt drops the nodeset of a page.
    Case(NODE, "pass", "kvm-host", swap=("<page size='1' unit='GiB'/>", "<page size='1' unit='GiB' nodeset='0'/>")),
    # A guest of which nobody captured libvirt's files.
    Case(
        POOL,
        "medium host",
        "kvm-guest",
        "etc/sysctl.d/9.conf: vm.nr_hugepages = 5\netc/libvirt ! not in this capture",
        also=(),
    ),
    Case(POOL, "unknown", "kvm-host", f"{ALL}/nr_hugepages: -3\n{NODE1}/nr_hugepages: -3"),
]


def test_no_pool_is_proposed_that_the_machine_would_die_of() -> None:
    for pages, proposed in ((5, 1), (100_000, 0)):
        (row,) = Case(POOL, "fail", "kvm-guest", f"etc/sysctl.d/9.conf: vm.nr_hugepages = {pages}").results(only=True)
        assert isinstance(row.found, Finding)
        assert len(row.found.now) == proposed
