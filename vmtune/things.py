"""The kinds of things that checks judge: where they are found, and what each is called in a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from vmtune.host import Host


class Kind(NamedTuple):
    """A class of things on a machine."""

    plural: str
    of: Callable[[Host], tuple[Any, ...]]
    """All of them; those of which nothing can be made in its attribute `broken`, if it has one. Raises Unreadable where
    nobody can know which there are."""
    target: Callable[[Any], str]
    """A thing's name in a report, stable between runs."""


KINDS = {
    "Host": Kind("host", lambda host: (host,), lambda _: "host"),
    "Node": Kind("nodes", lambda host: host.numa.nodes, lambda node: f"node{node.id}"),
    "Function": Kind("PCI functions", lambda host: host.pci.functions, lambda function: function.address),
    "NvmeController": Kind("NVMe controllers", lambda host: host.nvme, lambda controller: controller.name),
    "ScsiHost": Kind("SCSI hosts", lambda host: host.scsi_hosts, lambda scsi: f"host{scsi.host}"),
    "Disk": Kind("disks", lambda host: host.disks, lambda disk: disk.name),
    "Interface": Kind("network interfaces", lambda host: host.network, lambda interface: interface.name),
    "Policy": Kind("cpufreq policies", lambda host: host.power.policies or (), lambda policy: policy.name),
    "Domain": Kind("domains", lambda host: host.domains, lambda domain: f"domain/{domain.name}"),
    "Database": Kind("databases", lambda host: host.databases, lambda database: database.name),
    "Vmx": Kind(".vmx files", lambda host: host.vmx, lambda vmx: vmx.source.rpartition("/")[2]),
}
"""By class name, so that listing them imports none of their modules."""
