"""A domain's disks and the controllers that its devices hang on.

Source: libvirt's formatdomain: Hard drives, floppy disks, CDROMs; Controllers; Block I/O Tuning.
"""

from collections.abc import Iterable
from typing import NamedTuple
from xml.etree.ElementTree import Element

from vmtune.cpuset import CpuSet
from vmtune.host.domain.document import Place, shared, unreadable
from vmtune.root.folder import keep
from vmtune.value import value


@value
class Image(NamedTuple):
    """An image beneath another (`backingStore`)."""

    type: str | None
    format: str | None
    source: str | None


@value
class DiskDriver(NamedTuple):
    """How QEMU serves a disk (`disk/driver`). None: not said, so QEMU's default holds."""

    name: str | None
    format: str | None
    """raw, qcow2, …"""
    cache: str | None
    """none, writethrough, writeback, directsync, unsafe, default."""
    io: str | None
    """threads, native or io_uring."""
    discard: str | None
    """unmap or ignore."""
    detect_zeroes: str | None
    """off, on or unmap."""
    queues: int | None
    queue_size: int | None
    iothread: int | None
    """Id of the IOThread that serves it."""
    iothreads: CpuSet | None
    """Ids of several IOThreads that serve it; None: not said."""
    copy_on_read: bool | None
    error_policy: str | None
    """stop, report, ignore or enospace."""
    rerror_policy: str | None
    ioeventfd: bool | None
    event_idx: bool | None
    packed: bool | None
    iommu: bool | None


@value
class Disk(NamedTuple):
    """A disk, CD-ROM, LUN or floppy (`devices/disk`)."""

    device: str
    """disk (also where it is not said), cdrom, lun or floppy."""
    type: str | None
    """What the source is: file, block, network, nvme, volume, vhostuser, vhostvdpa, dir."""
    source: str | None
    """File, device, name of a network disk, `POOL/VOLUME`, PCI address of an NVMe drive; None: empty."""
    protocol: str | None
    """Of a network disk: rbd, iscsi, nbd, nfs, …"""
    target: str | None
    """Name in the domain: vda."""
    bus: str | None
    """virtio, scsi, sata, ide, usb, fdc, nvme; None: libvirt guesses by the target."""
    model: str | None
    """virtio, virtio-transitional or virtio-non-transitional."""
    rotation_rate: int | None
    driver: DiskDriver
    readonly: bool
    shareable: bool
    transient: bool
    serial: str | None
    wwn: str | None
    encrypted: bool
    backing: tuple[Image, ...] | None
    """Images beneath the top one, nearest first; empty: there is none; None: not said, QEMU looks into the image."""
    limits: dict[str, int]
    """Throttles that are in force (`iotune`), by libvirt's names: total_bytes_sec, read_iops_sec, …"""
    throttles: tuple[str, ...]
    """Names of throttle groups it passes."""
    logical_block_bytes: int | None
    physical_block_bytes: int | None
    controller: int | None
    """Number of its controller (address of type drive)."""
    address: str | None
    """PCI address in the guest."""
    boot_order: int | None
    snapshot: str | None
    job: str | None
    """Kind of a block job that runs (`mirror`): copy, active-commit."""
    alias: str | None

    @property
    def is_plain(self) -> bool:
        """Whether the guest keeps data on it: no CD-ROM, no floppy, not read-only."""
        return self.device in ("disk", "lun") and not self.readonly


@value
class Controller(NamedTuple):
    """A controller (`devices/controller`)."""

    type: str | None
    """pci, scsi, sata, ide, usb, virtio-serial, fdc, nvme, …"""
    number: int | None
    """Its place among those of its type (`index`)."""
    model: str | None
    """virtio-scsi, lsilogic, vmpvscsi, pcie-root-port, pcie-expander-bus, qemu-xhci, …"""
    queues: int | None
    cmd_per_lun: int | None
    max_sectors: int | None
    iothread: int | None
    iothreads: CpuSet | None
    """Ids of several IOThreads that serve it; None: not said."""
    ioeventfd: bool | None
    cell: int | None
    """Cell of the guest that an expander bus belongs to (`target/node`)."""
    bus: int | None
    """Number of an expander bus (`target@busNr`)."""
    address: str | None
    """PCI address in the guest."""
    alias: str | None


@value
class BlockTuning(NamedTuple):
    """Shares and throttles of all of a domain's I/O (`<blkiotune>`)."""

    weight: int | None
    devices: dict[str, dict[str, int]]
    """By device of the host: weight, read_bytes_sec, write_iops_sec, …; 0 is no limit."""


_SOURCE = {"file": "file", "block": "dev", "dir": "dir", "network": "name", "vhostuser": "path", "vhostvdpa": "dev"}


def parse_disk(element: Element, source: str, index: int) -> Disk:
    """One `devices/disk`."""
    at = Place(source, "devices/disk", index)
    children = {child.tag: child for child in element}
    target, block, address = children.get("target"), children.get("blockio"), children.get("address")
    origin = children.get("source")
    return Disk(
        device=at.word(element, "device") or "disk",
        type=at.word(element, "type"),
        source=_source(element.get("type"), origin, at),
        protocol=at.word(origin, "protocol"),
        target=at.word(target, "dev"),
        bus=at.word(target, "bus"),
        model=at.word(element, "model"),
        rotation_rate=at.number(target, "rotation_rate"),
        driver=_driver(children.get("driver"), at),
        readonly="readonly" in children,
        shareable="shareable" in children,
        transient="transient" in children,
        serial=at.word(children.get("serial")),
        wwn=at.word(children.get("wwn")),
        encrypted="encryption" in children or (origin is not None and origin.find("encryption") is not None),
        backing=_backing(children.get("backingStore"), at),
        limits=_limits(children.get("iotune"), at),
        throttles=tuple(each.get("group", "") for each in children.get("throttlefilters", ())),
        logical_block_bytes=at.number(block, "logical_block_size"),
        physical_block_bytes=at.number(block, "physical_block_size"),
        controller=at.number(address, "controller") if address is not None and address.get("type") == "drive" else None,
        address=at.pci(address),
        boot_order=at.number(children.get("boot"), "order"),
        snapshot=at.word(element, "snapshot"),
        job=at.word(children.get("mirror"), "job") or ("copy" if "mirror" in children else None),
        alias=at.word(children.get("alias"), "name"),
    )


def _source(kind: str | None, origin: Element | None, at: Place) -> str | None:
    if origin is None:
        return None
    if kind == "volume":
        pool, volume = at.word(origin, "pool"), at.word(origin, "volume")
        if (wrong := unreadable(pool, volume)) is not None:
            return keep(wrong)
        return f"{pool}/{volume}"
    if kind == "nvme":
        return at.pci(origin.find("address"))
    return at.word(origin, _SOURCE.get(kind or "", "file"))


def _driver(element: Element | None, at: Place) -> DiskDriver:
    if element is None:
        return _NO_DRIVER
    return shared(
        DiskDriver(
            name=at.word(element, "name"),
            format=at.word(element, "type"),
            cache=at.word(element, "cache"),
            io=at.word(element, "io"),
            discard=at.word(element, "discard"),
            detect_zeroes=at.word(element, "detect_zeroes"),
            queues=at.number(element, "queues"),
            queue_size=at.number(element, "queue_size"),
            iothread=at.number(element, "iothread"),
            iothreads=_iothreads(element.find("iothreads"), at),
            copy_on_read=at.flag(element, "copy_on_read"),
            error_policy=at.word(element, "error_policy"),
            rerror_policy=at.word(element, "rerror_policy"),
            ioeventfd=at.flag(element, "ioeventfd"),
            event_idx=at.flag(element, "event_idx"),
            packed=at.flag(element, "packed"),
            iommu=at.flag(element, "iommu"),
        )
    )


_NO_DRIVER = DiskDriver(*(None for _ in DiskDriver._fields))


def _iothreads(section: Element | None, at: Place) -> CpuSet | None:
    if section is None:
        return None
    ids = [at.number(each, "id") for each in section]
    if (wrong := unreadable(*ids)) is not None:
        return keep(wrong)
    try:
        return CpuSet(number for number in ids if number is not None)
    except ValueError:
        return at.wrong(section, "", "", "ids of IOThreads")


def _backing(element: Element | None, at: Place) -> tuple[Image, ...] | None:
    """The chain; an empty `<backingStore/>` ends it."""
    if element is None:
        return None
    chain = []
    while element is not None and len(element):
        kind = at.word(element, "type")
        chain.append(Image(kind, at.word(element.find("format"), "type"), _source(kind, element.find("source"), at)))
        element = element.find("backingStore")
    return tuple(chain)


def _limits(section: Iterable[Element] | None, at: Place) -> dict[str, int]:
    """Numbers that are not 0, which is no limit; group names are no limits."""
    limits: dict[str, int] = {}
    for each in section if section is not None else ():
        if each.tag.endswith("_name"):
            continue
        number = at.number(each)
        if (wrong := unreadable(number)) is not None:
            return keep(wrong)
        if number:
            limits[each.tag] = number
    return limits


def parse_throttle_groups(section: Element | None, source: str) -> dict[str, dict[str, int]]:
    """Limits by name of the throttle groups."""
    at = Place(source, "throttlegroups/throttlegroup")
    groups = {}
    for each in section if section is not None else ():
        limits = _limits(each, at)
        if (wrong := unreadable(limits)) is not None:
            return keep(wrong)
        groups[each.findtext("group_name", "").strip()] = limits
    return groups


def parse_block_tuning(section: Element | None, source: str) -> BlockTuning | None:
    """What `<blkiotune>` says, None where there is none."""
    if section is None:
        return None
    at = Place(source, "blkiotune")
    return BlockTuning(at.number(section.find("weight")), _device_limits(section, at))


def _device_limits(section: Element, at: Place) -> dict[str, dict[str, int]]:
    devices = {}
    for each in section.findall("device"):
        limits = _limits([child for child in each if child.tag != "path"], at)
        if (wrong := unreadable(limits)) is not None:
            return keep(wrong)
        devices[each.findtext("path", "").strip()] = limits
    return devices


def parse_controller(element: Element, source: str, index: int) -> Controller:
    """One `devices/controller`."""
    at = Place(source, "devices/controller", index)
    children = {child.tag: child for child in element}
    driver, target = children.get("driver"), children.get("target")
    return shared(
        Controller(
            type=at.word(element, "type"),
            number=at.number(element, "index"),
            model=at.word(element, "model"),
            queues=at.number(driver, "queues"),
            cmd_per_lun=at.number(driver, "cmd_per_lun"),
            max_sectors=at.number(driver, "max_sectors"),
            iothread=at.number(driver, "iothread"),
            iothreads=_iothreads(driver.find("iothreads"), at) if driver is not None else None,
            ioeventfd=at.flag(driver, "ioeventfd"),
            cell=at.number(target.find("node")) if target is not None else None,
            bus=at.number(target, "busNr", least=-1),
            address=at.pci(children.get("address")),
            alias=at.word(children.get("alias"), "name"),
        )
    )
