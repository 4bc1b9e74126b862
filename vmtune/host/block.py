"""Disks (kernel: Documentation/ABI/stable/sysfs-block, drivers/scsi/scsi_sysfs.c, drivers/nvme/host/multipath.c)."""

from __future__ import annotations

import re
from typing import NamedTuple

from vmtune.host import Host
from vmtune.host.nvme import CONTROLLER, Subsystem, stripped, subsystems
from vmtune.host.pci import DEVICES, applicable, device_path, driver, function_of
from vmtune.host.scsi import HOST, proc_name
from vmtune.root import Folder, Root, Unreadable
from vmtune.root.folder import Choice, keep, known
from vmtune.value import value

BLOCK = "/sys/block"
_SECTOR = 512
_NAME = re.compile(r"[A-Za-z0-9_.!:+-]{1,64}")
_NO_DISK = re.compile(r"(loop|ram|zram|nbd|sr|fd)[0-9]+|nvme[0-9]+c[0-9]+n[0-9]+")
_SOFTWARE = re.compile(r"(dm-|md|loop|ram|zram|nbd)[0-9]+")
_HEAD = re.compile(r"nvme([0-9]+)n([0-9]+)")
_PATH = re.compile(r"nvme([0-9]+)c[0-9]+n([0-9]+)")
_CDROM = 5
"""SCSI peripheral device type of CD and DVD drives."""
_TRANSPORTS = (
    ("virtio", "virtio"),
    ("nvme", "nvme"),
    ("usb", "usb"),
    ("ata", "ata"),
    ("rport-", "fc"),
    ("session", "iscsi"),
    ("end_device-", "sas"),
    ("mmc_host", "mmc"),
    ("vbd-", "xen"),
    ("host", "scsi"),
)
"""What a part of a device's path begins with, and the transport it tells of; the first that fits wins."""


@value
class NvmePath(NamedTuple):
    """One way to a namespace under native NVMe multipath: a hidden disk without a node in /dev (`nvme1c0n1`)."""

    name: str
    path: str
    controller: str | None
    """Name of the NVMe controller that it goes through."""
    address: str | None
    """Address of that controller's PCI function; None over a fabric."""
    scheduler: Choice | None
    """The one that acts: the visible disk has none."""
    nr_requests: int | None
    ana_state: str | None
    """optimized, non-optimized, inaccessible, persistent-loss, change; None without ANA."""


@value
class Partition(NamedTuple):
    """A partition."""

    name: str
    path: str
    start_bytes: int | None
    size_bytes: int | None
    alignment_offset_bytes: int | None
    """`alignment_offset`: how far its start is from the disk's own alignment."""


@value
class Disk(NamedTuple):
    """A block device that is no partition. Attributes of SCSI disks are None on others."""

    name: str
    path: str
    size_bytes: int | None
    hidden: bool | None
    """A path under native NVMe multipath, no disk of its own; None before 4.15."""
    removable: bool | None
    read_only: bool | None
    slaves: tuple[str, ...]
    """Disks and partitions that this one is made of (dm, md, bcache)."""
    holders: tuple[str, ...]
    """Disks that are made of this one as a whole."""
    dm_uuid: str | None
    """`dm/uuid`: begins with mpath-, LVM-, CRYPT-…; None where this is no device-mapper disk."""
    dm_name: str | None
    paths: tuple[NvmePath, ...]
    """Ways to this namespace; empty without native NVMe multipath."""

    rotational: bool | None
    scheduler: Choice | None
    """None: a bio-based disk (dm, md, the visible disk of NVMe multipath), what lies below decides."""
    nr_requests: int | None
    read_ahead_kib: int | None
    write_cache: str | None
    """What the kernel believes: `write back` or `write through`."""
    rq_affinity: int | None
    wbt_latency_us: int | None
    """`wbt_lat_usec`: target of the writeback throttle, 0 where it is off; None where the disk has none."""
    io_timeout_ms: int | None
    logical_block_bytes: int | None
    physical_block_bytes: int | None
    optimal_io_bytes: int | None
    hw_queues: int | None
    """Folders in `mq/`; None for a bio-based disk."""

    transport: str | None
    """virtio, nvme, usb, ata, fc, iscsi, sas, mmc, xen, scsi (another one), other; None for a disk made by software."""
    driver: str | None
    """Driver of the disk itself: sd, virtio_blk, nvme, vbd."""
    controller: str | None
    """Address of the PCI function that it hangs on; None where there is none, or several (`controllers`)."""
    controllers: tuple[str, ...]
    """Addresses of all PCI functions that lead to it."""
    controller_driver: str | None
    """Driver of the PCI function: ahci, ata_piix, vmw_pvscsi, megaraid_sas, virtio-pci, nvme."""
    scsi_host: int | None
    scsi_driver: str | None
    """`proc_name` of its SCSI host: ahci, vmw_pvscsi, virtio_scsi, storvsc_host."""
    vendor: str | None
    model: str | None
    type: int | None
    """SCSI peripheral device type: 0 disk, 5 CD or DVD."""
    state: str | None
    """Of a SCSI disk: running, blocked, offline, transport-offline, quiesce…"""
    queue_depth: int | None
    timeout_seconds: int | None
    """Of one SCSI command."""
    wwid: str | None
    """The disk's identity, the same on each path to it."""

    @property
    def is_cdrom(self) -> bool:
        """Whether this is a CD or DVD drive."""
        return self.name.startswith("sr") or self.type == _CDROM

    @property
    def is_multipath(self) -> bool:
        """Whether this is a device-mapper multipath disk."""
        return self.dm_uuid is not None and self.dm_uuid.startswith("mpath-")

    def partitions(self, host: Host) -> tuple[Partition, ...]:
        """Its partitions, in the order of their names. Raises Unreadable."""
        disk = host.root.folder(self.path)
        names = [name for name in known(disk.names()) or () if name.startswith(self.name) and name != self.name]
        found = []
        for folder in [disk.folder(name) for name in names]:
            start = _bytes(folder, "start")
            if start is not None:
                size, offset = _bytes(folder, "size"), folder.number("alignment_offset")
                found.append(Partition(folder.path[len(disk.path) + 1 :], folder.path, start, size, offset))
        return tuple(found)


class _Place(NamedTuple):
    """Where a disk hangs."""

    transport: str | None
    controllers: tuple[str, ...]
    controller: str | None
    scsi_host: int | None


def read(host: Host) -> tuple[Disk, ...]:
    """Disks worth a look: no loop, RAM, network block, CD and floppy devices, none that is hidden or empty."""
    return tuple(disk for disk in devices(host, _NO_DISK) if not _is_spare(disk))


def devices(host: Host, without: re.Pattern[str] | None = None) -> list[Disk]:
    """All block devices that are no partitions, but for those whose name fits a pattern."""
    root = host.root
    names = [name for name in root.names(BLOCK) or () if _NAME.fullmatch(name)]
    paths: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if path := _PATH.fullmatch(name):
            paths.setdefault((path[1], path[2]), []).append(name)
    disks = []
    for name in names:
        if without is None or not without.fullmatch(name):
            head = _HEAD.fullmatch(name)
            disks.append(_disk(root, name, paths.get((head[1], head[2]), []) if head else []))
    return disks


def _is_spare(disk: Disk) -> bool:
    """Whether nobody can store anything on it; what cannot be known is no reason."""
    try:
        if disk.hidden:
            return True
    except Unreadable:
        pass
    try:
        return disk.size_bytes == 0
    except Unreadable:
        return False


def _disk(root: Root, name: str, path_names: list[str]) -> Disk:
    folder = root.folder(f"{BLOCK}/{name}")
    queue = folder.folder("queue")
    device = folder.folder("device")
    paths = tuple(_path(root, each) for each in path_names)
    transport, controllers, controller, scsi_host = _place(folder, paths)
    is_nvme = transport == "nvme"
    is_scsi = scsi_host is not None  # also where it is not known
    return Disk(
        name=name,
        path=folder.path,
        size_bytes=_bytes(folder, "size"),
        hidden=folder.flag("hidden"),
        removable=folder.flag("removable"),
        read_only=folder.flag("ro"),
        slaves=_listed(folder, "slaves"),
        holders=_listed(folder, "holders"),
        dm_uuid=folder.text("dm/uuid") if name.startswith("dm-") else None,
        dm_name=folder.text("dm/name") if name.startswith("dm-") else None,
        paths=paths,
        rotational=queue.flag("rotational"),
        scheduler=queue.choice("scheduler"),
        nr_requests=queue.number("nr_requests"),
        read_ahead_kib=queue.number("read_ahead_kb"),
        write_cache=queue.text("write_cache"),
        rq_affinity=queue.number("rq_affinity"),
        wbt_latency_us=applicable(queue, "wbt_lat_usec"),
        io_timeout_ms=queue.number("io_timeout"),
        logical_block_bytes=queue.number("logical_block_size"),
        physical_block_bytes=queue.number("physical_block_size"),
        optimal_io_bytes=queue.number("optimal_io_size"),
        hw_queues=_count(folder, "mq"),
        transport=transport,
        driver="nvme" if is_nvme else driver(device) if transport is not None else None,
        controller=controller,
        controllers=controllers,
        controller_driver=driver(root.folder(f"{DEVICES}/{controller}")) if isinstance(controller, str) else controller,
        scsi_host=scsi_host,
        scsi_driver=proc_name(root, scsi_host) if isinstance(scsi_host, int) else scsi_host,
        vendor=stripped(device, "vendor") if is_scsi else None,
        model=stripped(device, "model") if is_scsi or is_nvme else None,
        type=device.number("type") if is_scsi else None,
        state=device.text("state") if is_scsi else None,
        queue_depth=device.number("queue_depth") if is_scsi else None,
        timeout_seconds=device.number("timeout") if is_scsi else None,
        wwid=stripped(device if is_scsi else folder, "wwid") if is_scsi or is_nvme else None,
    )


def _place(folder: Folder, paths: tuple[NvmePath, ...]) -> _Place:
    """Where a disk hangs."""
    try:
        parts = device_path(folder.root, folder.path)
        if parts[:2] == ("virtual", "nvme-subsystem"):
            found = _controllers_of_head(folder.root, parts, paths)
            return _Place("nvme", found, found[0] if len(found) == 1 else None, None)
    except Unreadable as kept:
        if _SOFTWARE.fullmatch(folder.path[len(BLOCK) + 1 :]):
            return _Place(None, (), None, None)
        return _Place(keep(kept), keep(kept), keep(kept), keep(kept))
    if parts[0] == "virtual":
        return _Place(None, (), None, None)
    transport = next((word for start, word in _TRANSPORTS if any(_begins(part, start) for part in parts)), "other")
    address = function_of(parts)
    host = next((int(match[1]) for part in reversed(parts) if (match := HOST.fullmatch(part))), None)
    return _Place(transport, (address,) if address else (), address, host)


def _begins(part: str, start: str) -> bool:
    """Whether a part of a path is that word and a number: `ata1`, `rport-1:0-0`, `nvme0`."""
    return part.startswith(start) and (part == start or part[len(start)].isdigit())


def _controllers_of_head(root: Root, parts: tuple[str, ...], paths: tuple[NvmePath, ...]) -> tuple[str, ...]:
    """PCI functions behind the visible disk of NVMe multipath: those of its paths, else those of its subsystem."""
    found = {path.address for path in paths} if paths else _of_subsystem(root, parts[2:3], subsystems(root))
    return tuple(sorted(address for address in found if address is not None))


def _of_subsystem(root: Root, name: tuple[str, ...], known_ones: tuple[Subsystem, ...]) -> set[str | None]:
    controllers = [each for system in known_ones if (system.name,) == name for each in system.controllers]
    return {function_of(device_path(root, f"/sys/class/nvme/{each}")) for each in controllers}


def _path(root: Root, name: str) -> NvmePath:
    folder = root.folder(f"{BLOCK}/{name}")
    controller: str | None
    address: str | None
    try:
        parts = device_path(root, folder.path)
        controller = next((part for part in reversed(parts) if CONTROLLER.fullmatch(part)), None)
        address = function_of(parts)
    except Unreadable as kept:
        controller = address = keep(kept)
    queue = folder.folder("queue")
    return NvmePath(
        name=name,
        path=folder.path,
        controller=controller,
        address=address,
        scheduler=queue.choice("scheduler"),
        nr_requests=queue.number("nr_requests"),
        ana_state=folder.text("ana_state"),
    )


def _bytes(folder: Folder, name: str) -> int | None:
    sectors = folder.number(name)
    return sectors * _SECTOR if isinstance(sectors, int) else sectors


def _listed(folder: Folder, name: str) -> tuple[str, ...]:
    names = folder.names(name)
    return tuple(names) if isinstance(names, list) else () if names is None else keep(names)


def _count(folder: Folder, name: str) -> int | None:
    names = folder.names(name)
    return len(names) if isinstance(names, list) else names
