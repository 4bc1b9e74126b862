"""SCSI hosts: one an adapter, or one a port of it (kernel: drivers/scsi/{hosts,scsi_sysfs}.c)."""

from __future__ import annotations

import re
from typing import NamedTuple

from vmtune.host import Host
from vmtune.host.pci import device_path, function_of
from vmtune.root import Root, Unreadable
from vmtune.root.folder import keep
from vmtune.value import value

HOSTS = "/sys/class/scsi_host"
HOST = re.compile(r"host([0-9]{1,6})")


@value
class ScsiHost(NamedTuple):
    """A SCSI host, SATA ports and USB disks among them."""

    host: int
    path: str
    driver: str | None
    """`proc_name`: vmw_pvscsi, virtio_scsi, ahci, ata_piix, storvsc_host, usb-storage; None where it gave none."""
    address: str | None
    """Address of the PCI function that it hangs on; None where it hangs on none."""
    can_queue: int | None
    """Commands that the host takes at once, of all its disks and, per hardware queue, since blk-mq."""
    cmd_per_lun: int | None
    """Commands that a disk of it takes at once, unless its own `queue_depth` says otherwise."""
    nr_hw_queues: int | None
    """Hardware queues; None before 5.10."""
    state: str | None
    """running, blocked, offline…"""


def read(host: Host) -> tuple[ScsiHost, ...]:
    """All hosts below /sys/class/scsi_host, by their numbers."""
    root = host.root
    found = [match for name in root.names(HOSTS) or () if (match := HOST.fullmatch(name))]
    return tuple(_host(root, int(match[1]), match[0]) for match in sorted(found, key=lambda match: int(match[1])))


def _host(root: Root, number: int, name: str) -> ScsiHost:
    folder = root.folder(f"{HOSTS}/{name}")
    return ScsiHost(
        host=number,
        path=folder.path,
        driver=proc_name(root, number),
        address=_function(root, folder.path),
        can_queue=folder.number("can_queue"),
        cmd_per_lun=folder.number("cmd_per_lun"),
        nr_hw_queues=folder.number("nr_hw_queues"),
        state=folder.text("state"),
    )


def proc_name(root: Root, number: int) -> str | None:
    """Name that the driver of a SCSI host gave itself."""
    text = root.folder(f"{HOSTS}/host{number}").text("proc_name")
    return None if text in ("<NULL>", "(null)", "") else text


def _function(root: Root, path: str) -> str | None:
    try:
        return function_of(device_path(root, path))
    except Unreadable as kept:
        return keep(kept)
