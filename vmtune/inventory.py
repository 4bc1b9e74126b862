"""All that is known of a machine as plain data: `vmtune.inventory/1.0`. What is not known is None, never 0 or ""."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from vmtune.cpuset import CpuSet
from vmtune.host import Host
from vmtune.value import peek

T = TypeVar("T")

SCHEMA = "vmtune.inventory/1.0"


def inventory(host: Host) -> dict[str, Any]:
    """The inventory of a machine; a subject of which nothing is known is None."""
    platform = peek(lambda: host.platform)
    return {
        "schema": SCHEMA,
        **_fields(platform, "hostname", "kernel", "architecture"),
        "cmdline": peek(lambda: host.cmdline.text),
        "roles": peek(lambda: [role.value for role in host.roles.found]),
        "virtualization": peek(lambda: _virtualization(host)),
        "cpu": peek(lambda: _cpu(host)),
        "numa": peek(lambda: {"nodes": [_node(node) for node in host.numa.nodes]}),
        "memory": peek(lambda: _memory(host)),
        "pci": _each(lambda: host.pci.functions, _function),
        "iommu": peek(lambda: {"units": list(host.iommu.units), "groups": len(host.iommu.groups)}),
        "nvme": _each(lambda: host.nvme, _nvme),
        "scsi_hosts": _each(lambda: host.scsi_hosts, lambda scsi: _fields(scsi, "host", "driver", "address")),
        "block": _each(lambda: host.disks, _disk),
        "network": _each(lambda: host.network, _interface),
        "software": {
            **_fields(peek(lambda: host.software), "qemu", "libvirt"),
            **_fields(platform, "kernel"),
        },
        "kvm": peek(lambda: _kvm(host)),
        "domains": _each(lambda: host.domains, lambda domain: _domain(host, domain)),
    }


def _fields(value: Any, *names: str) -> dict[str, Any]:
    """Fields of a value by name; None for what is not known, kernel cpulists for sets of CPUs."""
    return {name: _plain(peek(lambda name=name: getattr(value, name, None))) for name in names}  # type: ignore[misc]


def _plain(value: Any) -> Any:
    if isinstance(value, CpuSet):
        return str(value)
    if isinstance(value, (tuple, frozenset, list)):
        return [_plain(each) for each in (sorted(value) if isinstance(value, frozenset) else value)]
    return value


def _each(things: Callable[[], Iterable[T]], shown: Callable[[T], dict[str, Any]]) -> list[dict[str, Any]] | None:
    known = peek(things)
    return None if known is None else [shown(thing) for thing in known]


def _virtualization(host: Host) -> dict[str, Any]:
    platform = host.platform
    return {
        **_fields(platform, "hypervisor", "container"),
        "layers": [_fields(layer, "kind", "value", "source", "weak") for layer in platform.layers],
    }


def _cpu(host: Host) -> dict[str, Any]:
    cpus = host.cpu
    return {
        **_fields(cpus, "vendor", "model", "online", "offline", "present", "isolated", "nohz_full"),
        **_fields(cpus, "packages", "cores", "threads_per_core"),
        "smt": peek(lambda: cpus.smt_control),
        **_fields(cpus, "flags", "microcode"),
        "topology": peek(
            lambda: [{"cpu": cpu.number, **_fields(cpu, "core", "llc", "node", "package")} for cpu in cpus.topology]
        ),
        "governors": peek(lambda: {name: str(cpus) for name, cpus in host.power.governors().items()}),
        "idle_driver": peek(lambda: host.power.idle_driver),
    }


def _node(node: Any) -> dict[str, Any]:
    return {
        **_fields(node, "id", "cpus", "memory_bytes", "free_bytes"),
        "distances": peek(lambda: {str(other): distance for other, distance in node.distances.items()}),
        "hugepages": _each(
            lambda: node.hugepages, lambda pool: _fields(pool, "size_bytes", "total", "free", "surplus")
        ),
    }


def _memory(host: Host) -> dict[str, Any]:
    memory = host.memory
    return {
        **_fields(memory, "total_bytes"),
        "nodes_total_bytes": peek(lambda: _sum(node.memory_bytes for node in host.numa.nodes)),
        **_fields(memory, "available_bytes", "swap_bytes"),
        "transparent_hugepages": peek(lambda: memory.thp.enabled.active if memory.thp and memory.thp.enabled else None),
        "hugepages": _each(
            lambda: host.hugepages,
            lambda pool: _fields(pool, "size_bytes", "total", "free", "reserved", "surplus", "overcommit"),
        ),
    }


def _sum(numbers: Iterable[int | None]) -> int | None:
    """The sum, None where a part of it is not known."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def _function(function: Any) -> dict[str, Any]:
    link = peek(lambda: function.link)
    sriov = peek(lambda: function.sriov)
    return {
        **_fields(function, "address"),
        "vendor": _hex(peek(lambda: function.vendor), 4),
        "device": _hex(peek(lambda: function.device), 4),
        "class": _hex(peek(lambda: function.class_), 6),
        "driver": peek(lambda: function.driver),
        "numa_node": peek(lambda: function.node),
        **_fields(function, "iommu_group", "physfn"),
        "link": _fields(link, "speed_gts", "width", "max_speed_gts", "max_width") if link else None,
        "sriov": _fields(sriov, "total_vfs", "num_vfs", "autoprobe", "vfs") if sriov else None,
    }


def _hex(number: int | None, digits: int) -> str | None:
    return None if number is None else f"0x{number:0{digits}x}"


def _nvme(controller: Any) -> dict[str, Any]:
    return {
        "controller": controller.name,
        **_fields(controller, "address", "model", "state"),
        "numa_node": peek(lambda: controller.node),
        **_fields(controller, "queues"),
    }


def _disk(disk: Any) -> dict[str, Any]:
    return {
        **_fields(disk, "name", "size_bytes", "rotational"),
        "scheduler": peek(lambda: disk.scheduler.active if disk.scheduler else None),
        **_fields(disk, "nr_requests", "read_ahead_kib", "driver", "controller"),
    }


def _interface(interface: Any) -> dict[str, Any]:
    return {
        **_fields(interface, "name", "driver", "address"),
        "numa_node": peek(lambda: interface.node),
        **_fields(interface, "mtu", "state"),
    }


def _kvm(host: Host) -> dict[str, Any]:
    modules = {
        name: {key: value for key, value in parameters.items() if isinstance(value, str)}
        for name, parameters in host.kvm.modules.items()
    }
    return {"device": peek(lambda: host.kvm.device), "modules": modules}


def _domain(host: Host, domain: Any) -> dict[str, Any]:
    return {
        **_fields(domain, "name", "source", "vcpus", "memory_bytes"),
        "pinned": peek(lambda: domain.is_pinned),
        "nodes": peek(lambda: list(domain.nodes(host.numa))),
    }


def cpu_ledger(host: Host) -> dict[str, Any] | None:
    """Who claims each CPU, as plain data; None where not even the CPUs are known."""
    from vmtune.ledger import ledger

    found = peek(lambda: ledger(host))
    if found is None:
        return None
    return {
        **_fields(found, "online", "housekeeping", "vm_cores", "isolated"),
        "cpus": [
            {
                **_fields(row, "cpu", "node", "core"),
                "claims": [
                    {"kind": claim.kind, "owners": list(claim.owners), "number": claim.number} for claim in row.claims
                ],
            }
            for row in found.rows
        ],
        "overlaps": [
            {"cpu": overlap.cpu, "owners": sorted({owner for claim in overlap.claims for owner in claim.owners})}
            for overlap in found.overlaps
        ],
        "shared_cores": [{"core": str(shared.core), "owners": list(shared.owners)} for shared in found.shared_cores],
        "unknown": [{"name": each.name, "source": each.source, "reason": each.reason} for each in found.unknown],
    }
