"""Memory as a whole."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import Unreadable, plant
from vmtune.host import Host
from vmtune.host.memory import Ksm, Memory, Thp, Zswap, fields, swaps, thp_sizes
from vmtune.root import Root
from vmtune.root.folder import known
from vmtune.value import peek

MEMINFO = """
/proc/meminfo:
  MemTotal:       16000 kB
  MemFree:         4000 kB
  MemAvailable:    9000 kB
  SwapTotal:       2000 kB
  SwapFree:        1500 kB
  HugePages_Total:    7
  Hugepagesize:    2048 kB
"""
THP = "/sys/kernel/mm/transparent_hugepage"
KSM = "/sys/kernel/mm/ksm"
ZSWAP = "/sys/module/zswap/parameters"


def memory(*trees: str) -> Memory:
    return Host(plant(MEMINFO, *trees)).memory


def test_amounts() -> None:
    found = memory()
    assert found.path == "/proc/meminfo"
    assert (found.total_bytes, found.free_bytes, found.available_bytes) == (16_384_000, 4_096_000, 9_216_000)
    assert (found.swap_bytes, found.swap_free_bytes) == (2_048_000, 1_536_000)
    assert found.fields["HugePages_Total"] == 7
    assert found.fields["Hugepagesize"] == 2 << 20


def test_absent_is_none() -> None:
    found = memory()
    for field in ("page_bytes", "thp", "ksm", "zswap", "swaps"):
        assert getattr(found, field) is None
    older = Host(plant("/proc/meminfo:\n  MemTotal: 10 kB\n  MemFree: 1 kB")).memory
    assert older.available_bytes is None
    assert older.swap_bytes is None


@pytest.mark.parametrize("tree", ["", "/proc/meminfo ! permission denied", "/proc/meminfo:", "/proc/meminfo: garbage"])
def test_not_known(tree: str) -> None:
    with pytest.raises(Unreadable):
        _ = Host(plant(tree)).memory


def test_an_amount_that_is_missing() -> None:
    found = Host(plant("/proc/meminfo: MemFree: 10 kB")).memory
    assert found.free_bytes == 10_240
    with pytest.raises(Unreadable, match="MemTotal"):
        _ = found.total_bytes


def test_transparent_hugepages() -> None:
    thp = memory(f"""
{THP}/enabled: always [madvise] never
{THP}/defrag: always defer defer+madvise [madvise] never
{THP}/shmem_enabled: always within_size advise [never] deny force
{THP}/use_zero_page: 1
{THP}/hpage_pmd_size: 2097152
{THP}/khugepaged/defrag: 0
{THP}/khugepaged/scan_sleep_millisecs: 10000
""").thp
    assert thp is not None
    assert thp.path == THP
    assert thp.enabled is not None
    assert thp.enabled.active == "madvise"
    assert thp.defrag is not None
    assert thp.defrag.options == ("always", "defer", "defer+madvise", "madvise", "never")
    assert thp.shmem_enabled is not None
    assert thp.shmem_enabled.active == "never"
    assert (thp.use_zero_page, thp.pmd_bytes) == (True, 2 << 20)
    assert (thp.khugepaged_defrag, thp.khugepaged_scan_sleep_ms) == (False, 10_000)


@pytest.mark.parametrize("text", ["", "always madvise never", "[always] [never]", "\xff \x01"])
def test_garbage_choice(text: str) -> None:
    thp = memory(f"{THP}/enabled: {text}\n{THP}/defrag: [never]").thp
    assert thp is not None
    with pytest.raises(Unreadable):
        _ = thp.enabled
    assert thp.defrag is not None
    assert thp.shmem_enabled is None


def test_unreadable_folders() -> None:
    found = memory(f"{THP} ! permission denied\n{KSM} ! permission denied\n{ZSWAP} ! permission denied")
    for thing in (found.thp, found.ksm, found.zswap):
        assert thing is not None
        with pytest.raises(Unreadable, match="permission denied"):
            _ = thing[1] if not isinstance(thing, Thp | Ksm | Zswap) else getattr(thing, thing._fields[1])


def test_sizes_of_their_own() -> None:
    host = Host(
        plant(
            f"{THP}/hugepages-2048kB/enabled: always [inherit] madvise never",
            f"{THP}/hugepages-64kB/enabled: always inherit madvise [never]",
            f"{THP}/hugepages-64kB/shmem_enabled: always inherit within_size advise [never]",
            f"{THP}/hugepages-32kB/enabled: x y",
            f"{THP}/hugepages-xkB/\n{THP}/hugepages-1GB/\n{THP}/khugepaged/",
        )
    )
    sizes = thp_sizes(host)
    assert [size.size_bytes for size in sizes] == [32 << 10, 64 << 10, 2 << 20]
    first, second, third = sizes
    with pytest.raises(Unreadable):
        _ = first.enabled
    assert second.enabled is not None
    assert second.enabled.active == "never"
    assert third.enabled is not None
    assert third.enabled.active == "inherit"
    assert sizes[2].shmem_enabled is None
    assert thp_sizes(Host(plant())) == ()
    with pytest.raises(Unreadable):
        thp_sizes(Host(plant(f"{THP} ! permission denied")))


def test_ksm() -> None:
    ksm = memory(f"""
{KSM}/run: 1
{KSM}/merge_across_nodes: 0
{KSM}/pages_shared: 10
{KSM}/pages_sharing: 30
{KSM}/pages_unshared: 5
{KSM}/pages_to_scan: 100
{KSM}/sleep_millisecs: 20
{KSM}/advisor_mode: [none] scan-time
""").ksm
    assert ksm is not None
    assert (ksm.run, ksm.merge_across_nodes, ksm.pages_shared, ksm.pages_sharing) == (1, False, 10, 30)
    assert (ksm.pages_unshared, ksm.pages_to_scan, ksm.sleep_ms) == (5, 100, 20)
    assert ksm.use_zero_pages is None
    assert ksm.advisor_mode is not None
    assert ksm.advisor_mode.active == "none"


def test_garbage_ksm() -> None:
    ksm = memory(f"{KSM}/run: maybe\n{KSM}/pages_shared: 3").ksm
    assert ksm is not None
    assert ksm.pages_shared == 3
    with pytest.raises(Unreadable):
        _ = ksm.run


def test_zswap() -> None:
    zswap = memory(f"{ZSWAP}/enabled: Y\n{ZSWAP}/max_pool_percent: 20\n{ZSWAP}/compressor: lzo").zswap
    assert zswap is not None
    assert (zswap.enabled, zswap.max_pool_percent, zswap.compressor) == (True, 20, "lzo")


SWAPS = """Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/zram0                              partition\t8388604\t0\t100
/swap\\040file                           file\t\t1024\t512\t-2
"""


def test_swaps() -> None:
    first, second = swaps(SWAPS)
    assert (first.name, first.kind, first.size_bytes, first.priority, first.zram) == (
        "/dev/zram0",
        "partition",
        8388604 << 10,
        100,
        True,
    )
    assert (second.name, second.used_bytes, second.priority, second.zram) == ("/swap file", 512 << 10, -2, False)


def test_swap_file() -> None:
    assert memory("/proc/swaps: Filename Type Size Used Priority").swaps == ()
    with pytest.raises(Unreadable):
        _ = memory("/proc/swaps ! permission denied").swaps
    with pytest.raises(Unreadable):
        _ = memory("/proc/swaps:\n  Filename Type Size Used Priority\n  /swap file big 0 1").swaps
    with pytest.raises(Unreadable):
        _ = memory("/proc/swaps:\n  Filename Type Size Used Priority\n  /swap").swaps


def with_auxv(data: bytes) -> Root:
    root = plant(MEMINFO, "/proc/self/stat: x")
    root.remember("/proc/self/auxv", data)
    return root


@pytest.mark.parametrize(("form", "page"), [("<6Q", 4096), (">6Q", 65536), ("<6I", 16384), (">6I", 4096)])
def test_page_size(form: str, page: int) -> None:
    assert Host(with_auxv(struct.pack(form, 33, 4096 * 7 + 1, 6, page, 0, 0))).memory.page_bytes == page


@pytest.mark.parametrize("data", [b"", b"abc", struct.pack("<4Q", 6, 4097, 0, 0), struct.pack("<4Q", 6, 1 << 40, 0, 0)])
def test_no_page_size(data: bytes) -> None:
    with pytest.raises(Unreadable):
        _ = Host(with_auxv(data)).memory.page_bytes


@given(st.text(max_size=200))
def test_any_text_is_read_or_kept(text: str) -> None:
    amounts = peek(lambda: known(fields(text, "/x")))
    assert amounts is None or all(amount >= 0 for amount in amounts.values())
    areas = peek(lambda: known(swaps("header\n" + text)))
    assert areas is None or all(area.size_bytes >= 0 or area.name for area in areas)


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Za-z_()]{0,20}", fullmatch=True), st.integers(0, 1 << 50)))
def test_amounts_come_back(amounts: dict[str, int]) -> None:
    text = "\n".join(f"Node 3 {name}:   {amount} kB" for name, amount in amounts.items())
    expected = {name: amount * 1024 for name, amount in amounts.items()}
    assert peek(lambda: known(fields(text, "/x"))) == (expected or None)
