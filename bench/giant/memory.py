"""Memory: nodes, hugepages, blocks, transparent huge pages, same-page merging, /proc/meminfo and its like."""

from __future__ import annotations

from bench.giant.shape import NODE_GIB, NODE_PAGES, Shape
from bench.giant.tree import Tree, attributes, mask, ranges

NODE = "/sys/devices/system/node"
BLOCKS = "/sys/devices/system/memory"
MM = "/sys/kernel/mm"
_GIB = 1 << 20
"""In kB, as meminfo counts."""
_BLOCK_GIB = 2
_KEPT = 24 * _GIB + 131_072
"""What the firmware and the kernel's own tables take of a node."""
_USED = {"AnonPages": 6 * _GIB, "Cached": 20 * _GIB, "Slab": 5 * _GIB, "KernelStack": 40_000, "PageTables": 120_000}
_KHUGEPAGED = attributes("""
    alloc_sleep_millisecs 60000
    defrag 1
    full_scans 12
    max_ptes_none 511
    max_ptes_shared 256
    max_ptes_swap 64
    pages_collapsed 1024
    pages_to_scan 4096
    scan_sleep_millisecs 10000
""")
_KSM = attributes("""
    advisor_max_cpu 70
    advisor_max_pages_to_scan 30000
    advisor_min_pages_to_scan 500
    advisor_mode [none] scan-time
    advisor_target_scan_time 200
    full_scans 0
    general_profit 0
    ksm_zero_pages 0
    max_page_sharing 256
    merge_across_nodes 1
    pages_scanned 0
    pages_shared 0
    pages_sharing 0
    pages_skipped 0
    pages_to_scan 100
    pages_unshared 0
    pages_volatile 0
    run 0
    sleep_millisecs 20
    smart_scan 1
    stable_node_chains 0
    stable_node_chains_prune_millisecs 2000
    stable_node_dups 0
    use_zero_pages 0
""")
_ZSWAP = attributes("""
    accept_threshold_percent 90
    compressor lzo
    enabled N
    max_pool_percent 20
    shrinker_enabled N
    zpool zbud
""")


def _amounts(nodes: int) -> dict[str, int]:
    """Lines of a meminfo in kB, of so many nodes."""
    total = NODE_GIB * _GIB - _KEPT
    free = total - NODE_PAGES * _GIB - sum(_USED.values())
    lines = {
        "MemTotal": total,
        "MemFree": free,
        "MemAvailable": free + 18 * _GIB,
        **_USED,
        "Hugetlb": NODE_PAGES * _GIB,
    }
    return {name: kib * nodes for name, kib in lines.items()}


def write(tree: Tree, shape: Shape) -> None:
    """Nodes with their pools and blocks, the machine's pools, and what /proc tells."""
    every = ranges(range(shape.nodes))
    names = ("online", "possible", "has_cpu", "has_memory", "has_normal_memory")
    tree.files(NODE, {**dict.fromkeys(names, every), "has_generic_initiator": ""})
    tree.files(BLOCKS, {"block_size_bytes": f"{_BLOCK_GIB << 30:x}", "auto_online_blocks": "offline"})
    for number in range(shape.nodes):
        _node(tree, shape, number)
    pages = NODE_PAGES * shape.nodes
    for size, total in ((2048, 0), (1048576, pages)):
        pool = {"nr_hugepages": total, "nr_hugepages_mempolicy": total, "free_hugepages": total, "surplus_hugepages": 0}
        pool |= {"resv_hugepages": 0, "nr_overcommit_hugepages": 0}
        tree.files(f"{MM}/hugepages/hugepages-{size}kB", pool)
    _thp(tree)
    tree.files(f"{MM}/ksm", _KSM)
    tree.files("/sys/module/zswap/parameters", _ZSWAP)
    tree.file("/proc/meminfo", _meminfo(shape))
    tree.file(
        "/proc/swaps",
        f"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n{'/dev/sda3':<40}partition\t33554428\t\t0\t\t-2",
    )


def _node(tree: Tree, shape: Shape, number: int) -> None:
    path = f"{NODE}/node{number}"
    cpus = shape.node(number)
    distances = " ".join(str(shape.distance(number, other)) for other in range(shape.nodes))
    tree.files(path, {"cpulist": ranges(cpus), "cpumap": mask(cpus, shape.cpus), "distance": distances})
    amounts = _amounts(1)
    amounts["MemUsed"] = amounts["MemTotal"] - amounts["MemFree"]
    amounts["FilePages"] = amounts.pop("Cached")
    del amounts["MemAvailable"], amounts["Hugetlb"]
    lines = [f"Node {number} {name + ':':<15} {kib:8} kB" for name, kib in amounts.items()]
    lines += [f"Node {number} HugePages_{name}:     0" for name in ("Total", "Free", "Surp")]
    tree.file(f"{path}/meminfo", "\n".join(lines))
    tree.file(
        f"{path}/numastat",
        "numa_hit 1000000\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 512\nlocal_node 1000000\nother_node 0",
    )
    tree.file(
        f"{path}/vmstat",
        "nr_free_pages 1000000\nnr_anon_pages 1572864\nnr_file_pages 5242880\npgpromote_success 0\npgdemote_kswapd 0",
    )
    for size, total in ((2048, 0), (1048576, NODE_PAGES)):
        pool = {"nr_hugepages": total, "free_hugepages": total, "surplus_hugepages": 0}
        tree.files(f"{path}/hugepages/hugepages-{size}kB", pool)
    for cpu in cpus:
        tree.link(f"{path}/cpu{cpu}", f"/sys/devices/system/cpu/cpu{cpu}")
    blocks = NODE_GIB // _BLOCK_GIB
    for block in range(number * blocks, (number + 1) * blocks):
        here = f"{BLOCKS}/memory{block}"
        tree.files(
            here,
            {
                "online": 1,
                "phys_device": 0,
                "phys_index": f"{block:08x}",
                "removable": 1,
                "state": "online",
                "valid_zones": "none",
            },
        )
        tree.link(f"{here}/node{number}", path)
        tree.link(f"{path}/memory{block}", here)


def _thp(tree: Tree) -> None:
    path = f"{MM}/transparent_hugepage"
    told: dict[str, object] = {
        "enabled": "always [madvise] never",
        "defrag": "always defer defer+madvise [madvise] never",
    }
    told |= {"shmem_enabled": "always within_size advise [never] deny force", "use_zero_page": "1"}
    tree.files(path, {**told, "hpage_pmd_size": 2 << 20})
    tree.files(f"{path}/khugepaged", _KHUGEPAGED)
    for order in range(2, 10):
        chosen = "inherit" if order == 9 else "never"
        said = " ".join(f"[{word}]" if word == chosen else word for word in ("always", "inherit", "madvise", "never"))
        shared = (
            "always [inherit] within_size advise never" if order == 9 else "always inherit within_size advise [never]"
        )
        tree.files(f"{path}/hugepages-{4 << order}kB", {"enabled": said, "shmem_enabled": shared})


def _meminfo(shape: Shape) -> str:
    amounts = _amounts(shape.nodes)
    hugetlb = amounts.pop("Hugetlb")
    amounts |= {
        "SwapTotal": 33_554_428,
        "SwapFree": 33_554_428,
        "Dirty": 2048,
        "Writeback": 0,
        "CommitLimit": 200 * _GIB,
    }
    lines = [f"{name + ':':<15} {kib:8} kB" for name, kib in amounts.items()]
    lines += [f"{f'HugePages_{name}:':<15} {0:8}" for name in ("Total", "Free", "Rsvd", "Surp")]
    return "\n".join([*lines, "Hugepagesize:       2048 kB", f"Hugetlb:        {hugetlb:8} kB"])
