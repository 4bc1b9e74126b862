"""Devices out of QEMU's command line: disks and their images, controllers, interfaces, assigned devices, consoles."""

from __future__ import annotations

from typing import Any

from vmtune.host.domain.devices import Balloon, Graphics, Listen, Rng, Tpm, Watchdog
from vmtune.host.domain.disks import Controller, Disk, DiskDriver, Image
from vmtune.host.domain.interfaces import HostDevice, Interface
from vmtune.host.domain.options import Options, options

_BUSES = (
    ("virtio-blk", "virtio"),
    ("vhost-user-blk", "virtio"),
    ("scsi-", "scsi"),
    ("ide-", "ide"),
    ("nvme", "nvme"),
    ("usb-storage", "usb"),
    ("floppy", "fdc"),
)
_CONTROLLERS = {
    "virtio-scsi": ("scsi", "virtio-scsi"),
    "pvscsi": ("scsi", "vmpvscsi"),
    "lsi": ("scsi", "lsilogic"),
    "megasas": ("scsi", "lsisas1078"),
    "mptsas1068": ("scsi", "lsisas1068"),
    "ahci": ("sata", None),
    "ich9-ahci": ("sata", None),
    "pxb-pcie": ("pci", "pcie-expander-bus"),
}
_FORMATS = frozenset(("raw", "qcow2", "qcow", "qed", "vmdk", "vdi", "vhdx", "vpc", "luks"))
_WATCHDOGS = frozenset(("i6300esb", "ib700", "diag288", "itco"))
_CHAIN = 64
"""Images of a chain that are followed at most."""


def parse_devices(given: dict[str, list[str]], backends: list[Options], source: str) -> dict[str, Any]:
    """Fields of a Domain that tell of its devices."""
    devices = [options(text, "driver") for text in given.get("device", ())]
    iothreads = {each.get("id", ""): place for place, each in enumerate(_of(backends, "iothread"), 1)}
    drives = [options(text) for text in given.get("drive", ())]
    nodes = {
        each.get("node-name", ""): each for each in (options(text, "driver") for text in given.get("blockdev", ()))
    }
    drive_of = {each.get("id", f"drive{place}"): each for place, each in enumerate(drives)}
    disks = [disk for device in devices if (disk := _disk(device, drive_of, nodes, iothreads, source)) is not None]
    disks += [
        _drive(each, Options(), source, iothreads) for each in drives if each.get("if", "ide") not in ("none", "pflash")
    ]
    netdevs = {each.get("id", ""): each for each in (options(text, "type") for text in given.get("netdev", ()))}
    drivers = [device.get("driver", "") for device in devices]
    return {
        "disks": tuple(disks),
        "controllers": tuple(
            controller for device in devices if (controller := _controller(device, iothreads, source)) is not None
        ),
        "interfaces": tuple(_interface(device, netdevs, source) for device in devices if "netdev" in device),
        "host_devices": tuple(
            _host_device(device) for device in devices if device.get("driver", "").startswith("vfio-")
        ),
        "graphics": (
            *(_vnc(text) for text in given.get("vnc", ()) if not text.startswith("none")),
            *(_spice(options(text), source) for text in given.get("spice", ())),
        ),
        "balloon": Balloon(
            "virtio" if any(each.startswith("virtio-balloon") for each in drivers) else "none", None, None, None
        ),
        "rngs": tuple(Rng("virtio", "random", each.get("filename"), None) for each in _of(backends, "rng-random"))
        if any(each.startswith("virtio-rng") for each in drivers)
        else (),
        "tpms": tuple(
            Tpm(None, each.get("type"), None, None, each.get("path"), encrypted=False)
            for each in (options(text, "type") for text in given.get("tpmdev", ()))
        ),
        "watchdogs": tuple(
            Watchdog(each, next(iter(given.get("watchdog-action", ())), None)) for each in drivers if each in _WATCHDOGS
        ),
        "panics": tuple("isa" if each == "pvpanic" else "pvpanic" for each in drivers if each.startswith("pvpanic")),
        "vsock": any(each.startswith("vhost-vsock") for each in drivers),
    }


def _of(backends: list[Options], kind: str) -> list[Options]:
    return [each for each in backends if each.get("qom-type") == kind]


def _disk(
    device: Options, drives: dict[str, Options], nodes: dict[str, Options], iothreads: dict[str, int], source: str
) -> Disk | None:
    """The disk that a device is, None for another device."""
    driver = device.get("driver", "")
    if not any(driver.startswith(start) for start, _ in _BUSES):
        return None
    named = device.get("drive", "")
    if named in drives:
        return _drive(drives[named], device, source, iothreads)
    if named in nodes:
        return _drive(_flattened(named, nodes), device, source, iothreads, _beneath(named, nodes))
    return _drive(Options(), device, source, iothreads) if driver.endswith("-cd") else None


def _flattened(name: str, nodes: dict[str, Options]) -> Options:
    """A block node in the words of a drive: the format of the first that has one, file and AIO of the last."""
    node, drive = nodes[name], []
    for _ in range(_CHAIN):
        driver = node.get("driver", "")
        if driver in _FORMATS:
            drive.append(("format", driver))
        drive += [
            (key.removeprefix("file."), held) for key, held in node.pairs if key.removeprefix("file.") != "driver"
        ]
        if node.get("file", "") not in nodes:
            break
        node = nodes[node["file"]]
    kept = Options(drive)
    formats = kept.all("format")
    path = kept.get("filename") or kept.get("device") or kept.get("image") or ""
    cache = {}
    if "cache.no-flush" in kept or "cache.direct" in kept:
        direct = "none" if kept.is_on("cache.direct") else "writeback"
        cache = {"cache": "unsafe" if kept.is_on("cache.no-flush") else direct}
    words = {"read-only": "readonly"}
    return Options(
        [
            ("file", path),
            *(
                (words.get(key, key), kept[key])
                for key in ("aio", "discard", "detect-zeroes", "read-only")
                if key in kept
            ),
            *cache.items(),
            *([("format", formats[0])] if formats else []),
        ]
    )


def _beneath(name: str, nodes: dict[str, Options]) -> tuple[Image, ...]:
    """Images beneath a block node."""
    chain: list[Image] = []
    node = nodes[name]
    while len(chain) < _CHAIN:
        below = node.get("backing", "")
        if below not in nodes and node.get("file", "") in nodes:
            node = nodes[node["file"]]
            continue
        if below not in nodes:
            break
        node = nodes[below]
        flat = _flattened(below, nodes)
        chain.append(Image(_type(flat.get("file", "")), flat.get("format"), flat.get("file")))
    return tuple(chain)


def _type(path: str) -> str | None:
    if not path:
        return None
    return "block" if path.startswith("/dev/") else "file" if path.startswith("/") else "network"


def _drive(
    drive: Options, device: Options, source: str, iothreads: dict[str, int], backing: tuple[Image, ...] | None = None
) -> Disk:
    driver = device.get("driver", "")
    bus = next((bus for start, bus in _BUSES if driver.startswith(start)), drive.get("if"))
    if bus == "ide" and device.get("bus", "").startswith(("ahci", "sata")):
        bus = "sata"
    path = drive.get("file") or None
    optical = driver.endswith("-cd") or drive.get("media") == "cdrom"
    protocol = path.partition(":")[0] if path and not path.startswith("/") and ":" in path else None
    return Disk(
        device="cdrom" if optical else "floppy" if bus in ("fdc", "floppy") else "disk",
        type=_type(path or ""),
        source=path,
        protocol=protocol,
        target=device.get("id") or drive.get("id"),
        bus=bus,
        model=None,
        rotation_rate=device.number("rotation_rate", source),
        driver=DiskDriver(
            name="qemu",
            format=drive.get("format"),
            cache=drive.get("cache"),
            io=drive.get("aio"),
            discard=drive.get("discard"),
            detect_zeroes=drive.get("detect-zeroes"),
            queues=device.number("num-queues", source),
            queue_size=device.number("queue-size", source),
            iothread=iothreads.get(device.get("iothread", "")),
            iothreads=None,
            copy_on_read=drive.is_on("copy-on-read"),
            error_policy=device.get("werror") or drive.get("werror"),
            rerror_policy=device.get("rerror") or drive.get("rerror"),
            ioeventfd=device.is_on("ioeventfd"),
            event_idx=device.is_on("event_idx"),
            packed=device.is_on("packed"),
            iommu=device.is_on("iommu_platform"),
        ),
        readonly=optical or drive.is_on("readonly") is True,
        shareable=device.is_on("share-rw") is True,
        transient=drive.is_on("snapshot") is True,
        serial=device.get("serial"),
        wwn=device.get("wwn"),
        encrypted=drive.get("format") == "luks",
        backing=backing,
        limits=_throttles(drive),
        throttles=(),
        logical_block_bytes=device.number("logical_block_size", source),
        physical_block_bytes=device.number("physical_block_size", source),
        controller=None,
        address=None,
        boot_order=device.number("bootindex", source),
        snapshot=None,
        job=None,
        alias=device.get("id"),
    )


def _throttles(drive: Options) -> dict[str, int]:
    """Limits of a drive (`throttling.iops-total`) by libvirt's names."""
    limits = {}
    for key, held in drive.items():
        kind, _, way = key.removeprefix("throttling.").partition("-")
        if (
            key.startswith("throttling.")
            and kind in ("iops", "bps")
            and held.isdecimal()
            and len(held) <= 20
            and int(held)
        ):
            limits[f"{way}_{'iops' if kind == 'iops' else 'bytes'}_sec"] = int(held)
    return limits


def _controller(device: Options, iothreads: dict[str, int], source: str) -> Controller | None:
    driver = device.get("driver", "")
    for suffix in ("-pci", "-ccw", "-device", "53c895a", "53c810", "-gen2"):
        driver = driver.removesuffix(suffix)
    if driver not in _CONTROLLERS:
        return None
    kind, model = _CONTROLLERS[driver]
    return Controller(
        type=kind,
        number=None,
        model=model,
        queues=device.number("num_queues", source),
        cmd_per_lun=device.number("cmd_per_lun", source),
        max_sectors=device.number("max_sectors", source),
        iothread=iothreads.get(device.get("iothread", "")),
        iothreads=None,
        ioeventfd=device.is_on("ioeventfd"),
        cell=device.number("numa_node", source),
        bus=device.number("bus_nr", source),
        address=None,
        alias=device.get("id"),
    )


_NO_INTERFACE = Interface(*(None for _ in Interface._fields))._replace(vlans=(), bandwidth={}, filter_parameters={})  # type: ignore[arg-type]


def _interface(device: Options, netdevs: dict[str, Options], source: str) -> Interface:
    netdev = netdevs.get(device["netdev"], Options())
    model = device.get("driver", "").removesuffix("-pci").removesuffix("-ccw").removesuffix("-device")
    vhost = netdev.is_on("vhost")
    return _NO_INTERFACE._replace(
        type="bridge" if "br" in netdev else netdev.get("type"),
        model="virtio" if model == "virtio-net" else model,
        mac=device.get("mac", "").lower() or None,
        source=netdev.get("br"),
        bridge=netdev.get("br"),
        target=netdev.get("ifname"),
        driver=None if vhost is None else "vhost" if vhost else "qemu",
        queues=netdev.number("queues", source),
        rx_queue_size=device.number("rx_queue_size", source),
        tx_queue_size=device.number("tx_queue_size", source),
        packed=device.is_on("packed"),
        iommu=device.is_on("iommu_platform"),
        mtu=device.number("host_mtu", source),
        boot_order=device.number("bootindex", source),
        alias=device.get("id"),
    )


def _host_device(device: Options) -> HostDevice:
    path = device.get("sysfsdev", "")
    address = device.get("host") or path.rpartition("/")[2]
    if address.count(":") == 1:
        address = "0000:" + address
    mediated = "/mdev" in path or address.count("-") == 4
    return HostDevice(
        mode="subsystem",
        type="mdev" if mediated else "pci",
        managed=None,
        host_address=None if mediated else address.lower() or None,
        mdev=address if mediated else None,
        source=None,
        driver="vfio",
        model=None,
        teaming=None,
        teaming_partner=device.get("failover_pair_id"),
        rom_bar=None,
        address=None,
        boot_order=None,
        alias=device.get("id"),
    )


def _vnc(text: str) -> Graphics:
    """`HOST:DISPLAY`, `:DISPLAY` (all addresses) or `unix:PATH`, and switches."""
    given = options(text, "display")
    host, _, display = given.get("display", "").rpartition(":")
    if host == "unix":
        listen = Listen("socket", None, None, display)
    else:
        listen = Listen("address", host or "0.0.0.0", None, None)
    number = display.partition("-")[0]
    return Graphics(
        type="vnc",
        port=5900 + int(number) if number.isdecimal() and len(number) <= 5 else None,
        tls_port=None,
        websocket=None,
        autoport=None,
        default_mode=None,
        listens=(listen,),
        has_password=given.is_on("password") is True or "password-secret" in given,
    )


def _spice(given: Options, source: str) -> Graphics:
    socket = given.is_on("unix")
    address = (
        Listen("socket", None, None, given.get("addr"))
        if socket
        else Listen("address", given.get("addr", "0.0.0.0"), None, None)
    )
    return Graphics(
        type="spice",
        port=given.number("port", source),
        tls_port=given.number("tls-port", source),
        websocket=None,
        autoport=None,
        default_mode=None,
        listens=(address,),
        has_password=not given.is_on("disable-ticketing"),
    )
