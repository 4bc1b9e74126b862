"""What is known of a machine, for a person to read at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from vmtune.cross_check import Row
from vmtune.host import Host
from vmtune.inventory import inventory
from vmtune.report import Page
from vmtune.report.text import Paint, plain, wrapped
from vmtune.root import Unreadable
from vmtune.value import peek

MOST_ROWS = 40
"""Rows of one table that are shown; the JSON form has all."""
_NAME_WIDTH = 15


def overview(host: Host, page: Page) -> str:
    """Every subject of the inventory: a few lines each, tables for the nodes and devices."""
    data = inventory(host)
    return "\n".join((*_summary(host, data, page), *_tables(data, page))) + "\n"


def _summary(host: Host, data: dict[str, Any], page: Page) -> Iterator[str]:
    paint = Paint(page.colour)
    facts: list[tuple[str, Callable[[], str]]] = [
        ("Machine", lambda: _machine(data)),
        ("Virtualization", lambda: _virtualization(host)),
        ("CPU", lambda: _cpu(data["cpu"])),
        ("CPU sets", lambda: _cpu_sets(data["cpu"])),
        ("Power", lambda: _power(data["cpu"])),
        ("Memory", lambda: _memory(data["memory"])),
        ("Hugepages", lambda: _hugepages(data["memory"])),
        ("IOMMU", lambda: _iommu(data["iommu"])),
        ("KVM", lambda: _kvm(data["kvm"])),
        ("Software", lambda: _software(data["software"])),
        ("Databases", lambda: ", ".join(f"{each.engine} (pid {each.pid})" for each in host.databases) or "none found"),
        ("Command line", lambda: data["cmdline"] or "not known"),
    ]
    for name, fact in facts:
        try:
            text = fact()
        except Unreadable as kept:
            text = f"not known: {kept}"
        except TypeError:  # the whole subject is None
            text = "not known"
        first = paint(f"{name:<{_NAME_WIDTH}}", bold=True) + " "
        lines = wrapped(
            plain(text), page.width + (len(first) - _NAME_WIDTH - 1), first=first, rest=" " * (_NAME_WIDTH + 1)
        )
        yield from lines


def _machine(data: dict[str, Any]) -> str:
    roles = " and ".join(data["roles"] or ()) or "role not known"
    parts = (data["hostname"], data["architecture"], f"kernel {data['kernel'] or 'not known'}", roles)
    return " · ".join(part for part in parts if part)


def _virtualization(host: Host) -> str:
    platform = host.platform
    try:
        said = f"guest under {platform.hypervisor or 'an unnamed hypervisor'}" if platform.is_guest else "not a guest"
    except Unreadable as kept:
        said = f"not known whether a guest ({kept})"
    if platform.container:
        said += f", in a {platform.container} container"
    seen = "; ".join(f"{layer.kind} {layer.value} ({layer.source})" for layer in platform.layers)
    return f"{said}. Seen: {seen}" if seen else said


def _cpu(cpu: dict[str, Any]) -> str:
    shape = f"{_or(cpu['packages'])} packages, {_or(cpu['cores'])} cores, {_or(cpu['threads_per_core'])} threads a core"
    return f"{cpu['model'] or cpu['vendor'] or 'model not known'} · {shape} · SMT {_or(cpu['smt'])}"


def _cpu_sets(cpu: dict[str, Any]) -> str:
    names = ("online", "offline", "present", "isolated", "nohz_full")
    return ", ".join(f"{name} {cpu[name] or 'none'}" for name in names if cpu[name] is not None)


def _power(cpu: dict[str, Any]) -> str:
    governors = cpu["governors"]
    said = ", ".join(f"{name} on {cpus}" for name, cpus in governors.items()) if governors else "no governor"
    return f"{said} · idle driver {_or(cpu['idle_driver'])}"


def _memory(memory: dict[str, Any]) -> str:
    total, nodes = memory["total_bytes"], memory["nodes_total_bytes"]
    parts = [f"{_size(total)} in all, {_size(memory['available_bytes'])} available, swap {_size(memory['swap_bytes'])}"]
    if nodes is not None and total and abs(nodes - total) * 50 > total:
        parts.append(f"the nodes say {_size(nodes)}: memory that is not initialised yet is missing from one of them")
    parts.append(f"transparent hugepages {_or(memory['transparent_hugepages'])}")
    return " · ".join(parts)


def _hugepages(memory: dict[str, Any]) -> str:
    pools = memory["hugepages"]
    if pools is None:
        return "not known"
    return ", ".join(f"{_size(p['size_bytes'])}: {_or(p['total'])} ({_or(p['free'])} free)" for p in pools) or "none"


def _iommu(iommu: dict[str, Any]) -> str:
    return f"{', '.join(iommu['units']) or 'no unit'} · {iommu['groups']} groups"


def _kvm(kvm: dict[str, Any]) -> str:
    device = {True: "/dev/kvm is there", False: "no /dev/kvm", None: "/dev/kvm not known"}[kvm["device"]]
    return f"{device} · modules {', '.join(kvm['modules']) or 'none'}"


def _software(software: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in software.items() if version) or "not known"


def _tables(data: dict[str, Any], page: Page) -> Iterator[str]:
    nodes = (data["numa"] or {}).get("nodes")
    yield from _table(
        "NUMA nodes", ("node", "cpus", "memory", "free", "hugepages", "distances"), nodes, _node_row, page
    )
    interesting = None if data["pci"] is None else [each for each in data["pci"] if _is_interesting(each)]
    title = "PCI" if data["pci"] is None else f"PCI: {len(data['pci'])} functions, {_by_class(data['pci'])}"
    yield from _table(
        title, ("address", "class", "driver", "node", "group", "link", "VFs"), interesting, _pci_row, page
    )
    yield from _table(
        "NVMe", ("controller", "address", "model", "state", "node", "queues"), data["nvme"], _nvme_row, page
    )
    yield from _table("SCSI hosts", ("host", "driver", "address"), data["scsi_hosts"], _scsi_row, page)
    yield from _table(
        "Disks", ("disk", "size", "driver", "controller", "scheduler", "requests"), data["block"], _disk_row, page
    )
    yield from _table("Network", ("name", "driver", "address", "node", "MTU", "state"), data["network"], _nic_row, page)
    yield from _table(
        "Domains", ("domain", "vCPUs", "memory", "pinned", "nodes", "source"), data["domains"], _domain_row, page
    )


def _table(
    title: str,
    columns: Sequence[str],
    things: list[dict[str, Any]] | None,
    row: Callable[[dict[str, Any]], Sequence[Any]],
    page: Page,
) -> Iterator[str]:
    if things == []:
        return
    yield ""
    yield Paint(page.colour)(plain(f"{title}{': not known' if things is None else ''}"), bold=True)
    if things:
        from tabulate import tabulate

        shown = [[plain(_or(cell)) for cell in row(thing)] for thing in things[:MOST_ROWS]]
        yield tabulate(shown, headers=columns, tablefmt="plain", disable_numparse=True)
        if len(things) > MOST_ROWS:
            yield f"… and {len(things) - MOST_ROWS} more: --format json has all"


def _node_row(node: dict[str, Any]) -> Sequence[Any]:
    pools = " ".join(f"{_size(p['size_bytes'])}:{_or(p['total'])}" for p in node["hugepages"] or ())
    distances = " ".join(f"{other}:{far}" for other, far in (node["distances"] or {}).items())
    return node["id"], node["cpus"], _size(node["memory_bytes"]), _size(node["free_bytes"]), pools, distances


CLASSES = {"0x01": "storage", "0x02": "network", "0x03": "display", "0x0c04": "fibre channel", "0x12": "accelerator"}


def _class(function: dict[str, Any]) -> str | None:
    text = function["class"] or ""
    return CLASSES.get(text[:6]) or CLASSES.get(text[:4])


def _is_interesting(function: dict[str, Any]) -> bool:
    """A device whose place matters: storage, network and the like, but no VF of which there may be thousands."""
    return _class(function) is not None and function["physfn"] is None


def _by_class(functions: list[dict[str, Any]]) -> str:
    counts = Counter(_class(function) or "other" for function in functions)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _pci_row(function: dict[str, Any]) -> Sequence[Any]:
    link, sriov = function["link"], function["sriov"]
    speed = f"x{_or(link['width'])} {_or(link['speed_gts'])} GT/s" if link else None
    vfs = f"{_or(sriov['num_vfs'])} of {_or(sriov['total_vfs'])}" if sriov else None
    place = function["numa_node"], function["iommu_group"]
    return function["address"], _class(function), function["driver"], *place, speed, vfs


def _nvme_row(each: dict[str, Any]) -> Sequence[Any]:
    return each["controller"], each["address"], each["model"], each["state"], each["numa_node"], each["queues"]


def _scsi_row(each: dict[str, Any]) -> Sequence[Any]:
    return f"host{each['host']}", each["driver"], each["address"]


def _disk_row(each: dict[str, Any]) -> Sequence[Any]:
    size = _size(each["size_bytes"])
    return each["name"], size, each["driver"], each["controller"], each["scheduler"], each["nr_requests"]


def _nic_row(each: dict[str, Any]) -> Sequence[Any]:
    return each["name"], each["driver"], each["address"], each["numa_node"], each["mtu"], each["state"]


def _domain_row(each: dict[str, Any]) -> Sequence[Any]:
    nodes = ",".join(str(node) for node in each["nodes"] or ())
    return each["name"], each["vcpus"], _size(each["memory_bytes"]), each["pinned"], nodes, each["source"]


def ledger(host: Host, page: Page) -> str:
    """Who claims each CPU: nodes, then cores, with whoever is pinned, bound or delivered there."""
    from tabulate import tabulate

    from vmtune.ledger import ledger as read

    paint = Paint(page.colour)
    try:
        found = read(host)
    except Unreadable as kept:
        return f"{paint('CPUs', bold=True)}: not known: {plain(str(kept))}\n"
    sets: list[tuple[str, Callable[[], Any]]] = [
        ("Online", lambda: found.online),
        ("Housekeeping", lambda: found.housekeeping),
        ("VM cores", lambda: found.vm_cores),
        ("Isolated", lambda: found.isolated),
    ]
    lines = [f"{paint(f'{name:<{_NAME_WIDTH}}', bold=True)} {_known(cpus)}" for name, cpus in sets]
    rows = []
    for row in found.rows:
        claims = [f"{claim.kind} {_owners(claim.owners, claim.number)}".strip() for claim in row.claims]
        node = _or(peek(partial(getattr, row, "node")))
        rows.append([str(row.cpu), node, str(row.core), plain("; ".join(claims)) or "free"])
    lines += [
        "",
        tabulate(rows, headers=("CPU", "node", "core", "claimed by"), tablefmt="plain", disable_numparse=True),
    ]
    for overlap in found.overlaps:
        owners = " and ".join(_owners(claim.owners, claim.number) for claim in overlap.claims)
        lines.append(f"CPU {overlap.cpu} is pinned twice: {plain(owners)}")
    for shared in found.shared_cores:
        lines.append(f"core {shared.core} is shared by the domains {plain(', '.join(shared.owners))}")
    for broken in found.unknown:
        lines.append(plain(f"not known: {broken.name} ({broken.source}: {broken.reason})"))
    return "\n".join(lines) + "\n"


def _owners(owners: tuple[str, ...], number: int | None) -> str:
    named = ", ".join(owners[:3]) + (f" and {len(owners) - 3} more" if len(owners) > 3 else "")
    return named if number is None else f"{named}/{number}"


def _known(read: Callable[[], Any]) -> str:
    """A set of CPUs that a function returns; a dash where it cannot know, a word where it is empty."""
    cpus = peek(read)
    return "–" if cpus is None else str(cpus) or "none"


def cross_check(rows: list[Row], page: Page) -> str:
    """Figures beside what other libraries say."""
    from tabulate import tabulate

    words = {True: "agree", False: "DIFFER", None: "one does not know"}
    shown = [[row.figure, plain(_or(row.vmtune)), plain(_or(row.other)), row.source, words[row.agree]] for row in rows]
    columns = ("figure", "vmtune", "other", "source", "")
    title = Paint(page.colour)("Cross-check", bold=True)
    return f"\n{title}\n{tabulate(shown, headers=columns, tablefmt='plain', disable_numparse=True)}\n"


def _or(value: Any) -> str:
    """A cell; what is not known, or not there, is a dash."""
    if value is None or value == "":
        return "–"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _size(size_bytes: int | None) -> str:
    """A size in the largest binary unit that keeps it above one."""
    if size_bytes is None:
        return "–"
    size, units = float(min(size_bytes, 1 << 80)), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.4g} {units[0]}"
