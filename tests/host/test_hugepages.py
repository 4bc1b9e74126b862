"""Pools of huge pages, and what asks for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import Unreadable, plant
from vmtune.host import Host
from vmtune.host.hugepages import Pool, Wish, sysctl_files, sysctl_settings, wishes

POOL = "/sys/kernel/mm/hugepages"
GIB = 1 << 30


def pool(kib: int, total: int, free: int, *, reserved: int = 0, surplus: int = 0, overcommit: int = 0) -> str:
    folder = f"{POOL}/hugepages-{kib}kB"
    return f"""
{folder}/nr_hugepages: {total}
{folder}/free_hugepages: {free}
{folder}/resv_hugepages: {reserved}
{folder}/surplus_hugepages: {surplus}
{folder}/nr_overcommit_hugepages: {overcommit}
{folder}/nr_hugepages_mempolicy: {total}
"""


def pools(*trees: str) -> tuple[Pool, ...]:
    return Host(plant(*trees)).hugepages


def test_pools() -> None:
    first, second = pools(pool(1048576, 16, 4), pool(2048, 1024, 512, reserved=8, surplus=2, overcommit=64))
    assert first.size_bytes == 2 << 20
    assert first.path == f"{POOL}/hugepages-2048kB"
    assert (first.total, first.free, first.reserved, first.surplus, first.overcommit) == (1024, 512, 8, 2, 64)
    assert (second.size_bytes, second.total, second.free) == (GIB, 16, 4)


def test_no_huge_pages() -> None:
    assert pools() == ()
    assert pools(f"{POOL}/") == ()
    assert pools(f"{POOL}/hugepages-xkB/\n{POOL}/hugepages-kB/\n{POOL}/other/\n{POOL}/hugepages-٣kB/") == ()


def test_only_meminfo() -> None:
    """A kernel before 2.6.27."""
    (only,) = pools("""
/proc/meminfo:
  MemTotal: 100 kB
  MemFree: 10 kB
  HugePages_Total: 5
  HugePages_Free: 4
  HugePages_Rsvd: 1
  Hugepagesize: 2048 kB
""")
    assert (only.size_bytes, only.total, only.free, only.reserved, only.surplus) == (2 << 20, 5, 4, 1, 0)
    assert only.overcommit is None
    assert only.path == "/proc/meminfo"


def test_unreadable() -> None:
    with pytest.raises(Unreadable, match="permission denied"):
        pools(f"{POOL} ! permission denied")


@pytest.mark.parametrize("bad", ["many", "", "1 2", "0x"])
def test_garbage_costs_itself(bad: str) -> None:
    (only,) = pools(pool(2048, 7, 3), f"{POOL}/hugepages-2048kB/free_hugepages: {bad}")
    assert only.total == 7
    with pytest.raises(Unreadable):
        _ = only.free


def test_a_missing_count_is_not_zero() -> None:
    (only,) = pools(f"{POOL}/hugepages-2048kB/nr_hugepages: 7")
    assert only.total == 7
    for field in ("free", "surplus", "reserved", "overcommit"):
        with pytest.raises(Unreadable):
            getattr(only, field)


# -- what asks for pages -----------------------------------------------------------------------------------------------


def asked(*trees: str) -> tuple[Wish, ...]:
    return wishes(Host(plant("/proc/cmdline: ro", *trees)))


def test_nothing_is_asked_for() -> None:
    assert asked() == ()


def test_command_line() -> None:
    first, second = asked(
        "/proc/cmdline: default_hugepagesz=1G hugepagesz=1G hugepages=0:16,1:16 sysctl.vm.nr_hugepages=4"
    )
    assert first == Wish("/proc/cmdline", GIB, 32, {0: 16, 1: 16}, "hugepages=0:16,1:16")
    assert second == Wish("/proc/cmdline", None, 4, None, "sysctl.vm.nr_hugepages=4")


def test_what_the_kernel_ignores_is_not_asked_for() -> None:
    assert asked("/proc/cmdline: hugepagesz=much hugepages=16") == ()


def test_sysctl_files() -> None:
    (only,) = asked("""
/etc/sysctl.d/50-db.conf:
  # a comment
  ; another
  vm.swappiness = 10
  -vm.nr_hugepages = 512
""")
    assert only == Wish("/etc/sysctl.d/50-db.conf", None, 512, None, "vm.nr_hugepages = 512")


def test_the_last_file_by_name_wins() -> None:
    (only,) = asked(
        "/usr/lib/sysctl.d/90-late.conf: vm.nr_hugepages=1",
        "/etc/sysctl.d/10-early.conf: vm.nr_hugepages=2",
        "/run/sysctl.d/50-middle.conf: vm.nr_hugepages=3",
    )
    assert (only.source, only.total) == ("/usr/lib/sysctl.d/90-late.conf", 1)


def test_the_last_line_wins() -> None:
    (only,) = asked("/etc/sysctl.d/a.conf:\n  vm.nr_hugepages=1\n  vm/nr_hugepages=2")
    assert only.total == 2


def test_a_file_hides_the_weaker_one_of_its_name() -> None:
    (only,) = asked(
        "/usr/lib/sysctl.d/50-x.conf: vm.nr_hugepages=1",
        "/run/sysctl.d/50-x.conf: vm.nr_hugepages=2",
        "/etc/sysctl.d/50-x.conf: vm.swappiness=2",
        "/etc/sysctl.d/20-y.conf: vm.nr_hugepages=4",
        "/etc/sysctl.d/60-z.txt: vm.nr_hugepages=5",
    )
    assert only.total == 4


def test_dev_null_takes_a_name_out() -> None:
    assert asked("/usr/lib/sysctl.d/50-x.conf: vm.nr_hugepages=1", "/etc/sysctl.d/50-x.conf -> /dev/null") == ()


def test_sysctl_conf_counts_where_it_is_linked() -> None:
    conf = "/etc/sysctl.conf: vm.nr_hugepages=7"
    systemd = "/usr/lib/systemd/systemd-sysctl: x"
    assert asked(conf, systemd) == ()
    (linked,) = asked(conf, systemd, "/etc/sysctl.d/99-sysctl.conf -> ../sysctl.conf")
    assert (linked.source, linked.total) == ("/etc/sysctl.d/99-sysctl.conf", 7)
    (alone,) = asked(conf)
    assert (alone.source, alone.total) == ("/etc/sysctl.conf", 7)


def test_nonsense_is_none() -> None:
    (only,) = asked("/etc/sysctl.d/a.conf: vm.nr_hugepages=lots")
    assert only.total is None
    assert only.text == "vm.nr_hugepages = lots"


def test_what_cannot_be_read_is_told() -> None:
    found = wishes(
        Host(
            plant(
                "/proc/cmdline ! permission denied",
                "/etc/sysctl.d/a.conf: vm.nr_hugepages=1",
                "/etc/sysctl.d/b.conf: x",
                "/etc/sysctl.d/b.conf ! permission denied",
                "/run/sysctl.d ! permission denied",
            )
        )
    )
    told = [wish for wish in found if wish.source == "/etc/sysctl.d/a.conf"]
    assert [wish.total for wish in told] == [1]
    for source in ("/proc/cmdline", "/run/sysctl.d"):
        (kept,) = [wish for wish in found if wish.source == source]
        with pytest.raises(Unreadable, match="permission denied"):
            _ = kept.total


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        ("a.b=1", ("a.b", "1")),
        ("a/b=1", ("a.b", "1")),
        ("net/ipv4/conf/eth0.1/x=1", ("net.ipv4.conf.eth0/1.x", "1")),
        ("net.ipv4.conf.eth0/1.x = 1", ("net.ipv4.conf.eth0/1.x", "1")),
        ("- a.b = 1 ", ("a.b", "1")),
        ("a = b = c", ("a", "b = c")),
        ("a =", ("a", "")),
    ],
)
def test_lines(line: str, setting: tuple[str, str]) -> None:
    assert sysctl_settings(line) == [setting]


@pytest.mark.parametrize("line", ["", "#a=1", " ; a=1", "a.b", "-a.b"])
def test_lines_that_set_nothing(line: str) -> None:
    assert sysctl_settings(line) == []


def test_folders_that_cannot_be_listed() -> None:
    paths, refused = sysctl_files(plant("/etc/sysctl.d ! permission denied", "/usr/lib/sysctl.d/a.conf: x"))
    assert paths == ["/usr/lib/sysctl.d/a.conf"]
    assert [kept.path for kept in refused] == ["/etc/sysctl.d"]


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    for name, setting in sysctl_settings(text):
        assert name == name.strip()
        assert setting == setting.strip()
