"""Memory as a whole: amounts, transparent huge pages, same-page merging, swap.

Sources: filesystems/proc (meminfo), admin-guide/mm/transhuge, admin-guide/mm/ksm, admin-guide/mm/zswap; getauxval(3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.root.folder import Choice, Folder, keep, known, nonsense
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.root import Root

MEMINFO = "/proc/meminfo"
THP = "/sys/kernel/mm/transparent_hugepage"
KSM = "/sys/kernel/mm/ksm"
SWAPS = "/proc/swaps"
ZSWAP = "/sys/module/zswap/parameters"


@value
class Thp(NamedTuple):
    """Transparent huge pages (`/sys/kernel/mm/transparent_hugepage`)."""

    path: str
    enabled: Choice | None
    """`always`, `madvise` or `never` for anonymous memory."""
    defrag: Choice | None
    """`always`, `defer`, `defer+madvise`, `madvise` or `never`: when a fault may wait for compaction."""
    shmem_enabled: Choice | None
    """Policy for shared memory (memfd, tmpfs): `always`, `within_size`, `advise`, `never`, `deny`, `force`."""
    use_zero_page: bool | None
    pmd_bytes: int | None
    """Size of such a page (`hpage_pmd_size`)."""
    khugepaged_defrag: bool | None
    khugepaged_scan_sleep_ms: int | None


@value
class ThpSize(NamedTuple):
    """A further size of transparent huge pages, with a policy of its own (`hugepages-*kB`)."""

    path: str
    size_bytes: int
    enabled: Choice | None
    """As for `Thp.enabled`; `inherit` follows it."""
    shmem_enabled: Choice | None


@value
class Ksm(NamedTuple):
    """Kernel same-page merging (`/sys/kernel/mm/ksm`)."""

    path: str
    run: int | None
    """0 stopped, what is merged stays; 1 runs; 2 stopped, everything unmerged."""
    merge_across_nodes: bool | None
    pages_shared: int | None
    pages_sharing: int | None
    pages_unshared: int | None
    pages_to_scan: int | None
    sleep_ms: int | None
    use_zero_pages: bool | None
    advisor_mode: Choice | None


@value
class Zswap(NamedTuple):
    """Compressed cache before swap (`/sys/module/zswap/parameters`)."""

    path: str
    enabled: bool | None
    max_pool_percent: int | None
    compressor: str | None


class Swap(NamedTuple):
    """One swap area (`/proc/swaps`)."""

    name: str
    """File or device."""
    kind: str
    """`partition` or `file`."""
    size_bytes: int
    used_bytes: int
    priority: int
    zram: bool
    """Whether it lies in compressed memory."""


@value
class Memory(NamedTuple):
    """The machine's memory (`/proc/meminfo` unless another path is named)."""

    path: str
    total_bytes: int
    """MemTotal: what the kernel manages, less than is plugged in."""
    free_bytes: int
    """MemFree."""
    available_bytes: int | None
    """MemAvailable; None before Linux 3.14."""
    swap_bytes: int | None
    swap_free_bytes: int | None
    fields: dict[str, int]
    """All of meminfo: bytes, but for HugePages_*, which are counts."""
    page_bytes: int | None
    """Size of a page (AT_PAGESZ of `/proc/self/auxv`)."""
    thp: Thp | None
    ksm: Ksm | None
    zswap: Zswap | None
    swaps: tuple[Swap, ...] | None
    """None: a kernel without swap."""


def read(host: Host) -> Memory:
    """The machine's memory. Raises Unreadable where /proc/meminfo cannot be read."""
    text = host.root.read(MEMINFO)
    if text is None:
        raise Unreadable(MEMINFO, "there is no such file")
    found = known(fields(text, MEMINFO))
    return Memory(
        path=MEMINFO,
        total_bytes=field(found, "MemTotal", MEMINFO),
        free_bytes=field(found, "MemFree", MEMINFO),
        available_bytes=found.get("MemAvailable"),
        swap_bytes=found.get("SwapTotal"),
        swap_free_bytes=found.get("SwapFree"),
        fields=found,
        page_bytes=_page_bytes(host.root),
        thp=_thp(host.root.folder(THP)),
        ksm=_ksm(host.root.folder(KSM)),
        zswap=_zswap(host.root.folder(ZSWAP)),
        swaps=_swaps(host.root),
    )


def fields(text: str, path: str) -> dict[str, int]:
    """Amounts of a meminfo, of the machine or of a node; keeps an Unreadable where there is none."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if not colon or not words or not (words[0].isascii() and words[0].isdigit()) or len(words[0]) > 18:
            continue
        if name.startswith("Node "):
            name = name.rpartition(" ")[2]
        amount = int(words[0])
        found[name.strip()] = amount * 1024 if words[-1] == "kB" else amount
    return found or nonsense(path, "amounts of memory", text)


def field(found: dict[str, int], name: str, path: str) -> int:
    """One amount that each meminfo has; keeps an Unreadable where this one has not."""
    try:
        return known(found)[name]
    except KeyError:
        return keep(Unreadable(path, f"{name} is not in it"))
    except Unreadable as kept:
        return keep(kept)


def thp_sizes(host: Host) -> tuple[ThpSize, ...]:
    """Sizes of transparent huge pages with a policy of their own (Linux 6.8 and later), the smallest first."""
    folder = host.root.folder(THP)
    found = []
    for name in known(folder.names()) or ():
        kib = name.removeprefix("hugepages-").removesuffix("kB")
        if name == f"hugepages-{kib}kB" and kib.isascii() and kib.isdigit() and len(kib) <= 12:
            inner = folder.folder(name)
            found.append(ThpSize(inner.path, int(kib) << 10, inner.choice("enabled"), inner.choice("shmem_enabled")))
    return tuple(sorted(found, key=lambda size: size.size_bytes))


def _there(folder: Folder) -> bool:
    """Whether a folder is there; where nobody can say, its attributes will."""
    return folder.names() is not None


def _thp(folder: Folder) -> Thp | None:
    if not _there(folder):
        return None
    return Thp(
        path=folder.path,
        enabled=folder.choice("enabled"),
        defrag=folder.choice("defrag"),
        shmem_enabled=folder.choice("shmem_enabled"),
        use_zero_page=folder.flag("use_zero_page"),
        pmd_bytes=folder.number("hpage_pmd_size"),
        khugepaged_defrag=folder.flag("khugepaged/defrag"),
        khugepaged_scan_sleep_ms=folder.number("khugepaged/scan_sleep_millisecs"),
    )


def _ksm(folder: Folder) -> Ksm | None:
    if not _there(folder):
        return None
    return Ksm(
        path=folder.path,
        run=folder.number("run"),
        merge_across_nodes=folder.flag("merge_across_nodes"),
        pages_shared=folder.number("pages_shared"),
        pages_sharing=folder.number("pages_sharing"),
        pages_unshared=folder.number("pages_unshared"),
        pages_to_scan=folder.number("pages_to_scan"),
        sleep_ms=folder.number("sleep_millisecs"),
        use_zero_pages=folder.flag("use_zero_pages"),
        advisor_mode=folder.choice("advisor_mode"),
    )


def _zswap(folder: Folder) -> Zswap | None:
    if not _there(folder):
        return None
    return Zswap(
        path=folder.path,
        enabled=folder.flag("enabled"),
        max_pool_percent=folder.number("max_pool_percent"),
        compressor=folder.text("compressor"),
    )


def _swaps(root: Root) -> tuple[Swap, ...] | None:
    try:
        text = root.read(SWAPS)
    except Unreadable as kept:
        return keep(kept)
    return None if text is None else swaps(text)


def swaps(text: str) -> tuple[Swap, ...]:
    """Swap areas of /proc/swaps, whose sizes are in KiB and whose names escape blanks (`\\\\040`)."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.rsplit(None, 4)
        numbers = [_integer(word) for word in words[2:]]
        if len(words) != 5 or None in numbers:
            return nonsense(SWAPS, "a table of swap areas", line)
        name = words[0].replace("\\040", " ")
        size, used, priority = (number or 0 for number in numbers)
        found.append(Swap(name, words[1], size << 10, used << 10, priority, name.rpartition("/")[2].startswith("zram")))
    return tuple(found)


def _integer(word: str) -> int | None:
    digits = word.removeprefix("-")
    return int(word) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


_AT_PAGESZ = 6


def _page_bytes(root: Root) -> int | None:
    """Size of a page, from what the kernel hands to each program it starts: pairs of words, the key before the
    value."""
    try:
        data = root.read_bytes("/proc/self/auxv")
    except Unreadable as kept:
        return keep(kept)
    for order in ("little", "big"):
        for size in (8, 4):
            words = [
                int.from_bytes(data[at : at + size], order)  # type: ignore[index]
                for at in range(0, len(data or b""), size)
            ]
            pages = dict(zip(words[::2], words[1::2], strict=False)).get(_AT_PAGESZ, 0)
            if pages >= 4096 and pages.bit_count() == 1 and pages <= 1 << 24:
                return pages
    return None if data is None else nonsense("/proc/self/auxv", "a list with the size of a page", "")
