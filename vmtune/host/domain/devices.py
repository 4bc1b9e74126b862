"""A domain's other devices: consoles, balloon, entropy, TPM, watchdog, channels, shared folders, virtual IOMMU, video.

Source: libvirt's formatdomain, the section of each device.
"""

from typing import NamedTuple
from xml.etree.ElementTree import Element

from vmtune.host.domain.document import Place, shared
from vmtune.value import value


@value
class Listen(NamedTuple):
    """Where a console listens (`graphics/listen`)."""

    type: str | None
    """address, network, socket or none."""
    address: str | None
    network: str | None
    socket: str | None


@value
class Graphics(NamedTuple):
    """A graphical console (`devices/graphics`)."""

    type: str | None
    """vnc, spice, rdp, dbus, egl-headless, sdl."""
    port: int | None
    """-1: chosen at start."""
    tls_port: int | None
    websocket: int | None
    autoport: bool | None
    default_mode: str | None
    """Of SPICE: secure, insecure or any."""
    listens: tuple[Listen, ...]
    """Empty: libvirt's default (`vnc_listen` or `spice_listen` of qemu.conf)."""
    has_password: bool
    """Whether a password is set; which one is never kept."""


@value
class Balloon(NamedTuple):
    """The memory balloon (`devices/memballoon`)."""

    model: str | None
    """virtio, …, or none."""
    autodeflate: bool | None
    free_page_reporting: bool | None
    period_seconds: int | None
    """Between statistics."""


@value
class Rng(NamedTuple):
    """A source of entropy (`devices/rng`)."""

    model: str | None
    backend: str | None
    """random, egd or builtin."""
    path: str | None
    """Device of the host: /dev/urandom."""
    rate_bytes: int | None


@value
class Tpm(NamedTuple):
    """A TPM (`devices/tpm`)."""

    model: str | None
    """tpm-tis, tpm-crb, tpm-spapr, …"""
    backend: str | None
    """emulator, passthrough or external."""
    version: str | None
    persistent_state: bool | None
    path: str | None
    """Device passed through, or where the state is kept."""
    encrypted: bool


@value
class Watchdog(NamedTuple):
    """A watchdog (`devices/watchdog`)."""

    model: str | None
    """itco, i6300esb, ib700, diag288."""
    action: str | None
    """reset, poweroff, shutdown, pause, none, dump, inject-nmi; None: reset."""


@value
class Character(NamedTuple):
    """A serial port, console, parallel port or channel."""

    device: str
    """serial, console, parallel, channel."""
    type: str | None
    """pty, unix, tcp, udp, file, spicevmc, …"""
    mode: str | None
    """bind or connect."""
    host: str | None
    service: str | None
    path: str | None
    target: str | None
    """Kind of target: virtio, isa-serial, …"""
    name: str | None
    """Of a virtio channel: org.qemu.guest_agent.0."""
    state: str | None
    """connected or disconnected, while the domain runs."""


@value
class Filesystem(NamedTuple):
    """A folder of the host in the guest (`devices/filesystem`)."""

    type: str | None
    access: str | None
    driver: str | None
    """virtiofs, path (9p), …"""
    source: str | None
    target: str | None
    readonly: bool


@value
class VirtualIommu(NamedTuple):
    """An IOMMU that the guest sees (`devices/iommu`)."""

    model: str | None
    """intel, amd, smmuv3 or virtio."""
    intremap: bool | None
    caching_mode: bool | None
    eim: bool | None
    """More than 255 vCPUs need it."""
    iotlb: bool | None


@value
class Video(NamedTuple):
    """A graphics card (`devices/video`)."""

    model: str | None
    memory_bytes: int
    """All the memory it takes of the host, beside the guest's (`vram`, `ram`)."""


@value
class SharedMemory(NamedTuple):
    """Memory shared with others (`devices/shmem`)."""

    name: str | None
    model: str | None
    size_bytes: int | None


def parse_graphics(element: Element, source: str, index: int) -> Graphics:
    """One `devices/graphics`."""
    at = Place(source, "devices/graphics", index)
    listens = tuple(
        Listen(at.word(each, "type"), at.word(each, "address"), at.word(each, "network"), at.word(each, "socket"))
        for each in element.findall("listen")
    )
    if not listens and element.get("socket") is not None:
        listens = (Listen("socket", None, None, at.word(element, "socket")),)
    if not listens and element.get("listen") is not None:
        listens = (Listen("address", at.word(element, "listen"), None, None),)
    return shared(
        Graphics(
            type=at.word(element, "type"),
            port=at.number(element, "port", least=-1),
            tls_port=at.number(element, "tlsPort", least=-1),
            websocket=at.number(element, "websocket", least=-1),
            autoport=at.flag(element, "autoport"),
            default_mode=at.word(element, "defaultMode"),
            listens=listens,
            has_password=bool(element.get("passwd")),
        )
    )


def parse_balloon(element: Element, source: str) -> Balloon:
    """`devices/memballoon`."""
    at = Place(source, "devices/memballoon")
    return shared(
        Balloon(
            at.word(element, "model"),
            at.flag(element, "autodeflate"),
            at.flag(element, "freePageReporting"),
            at.number(element.find("stats"), "period"),
        )
    )


def parse_rng(element: Element, source: str, index: int) -> Rng:
    """One `devices/rng`."""
    at = Place(source, "devices/rng", index)
    backend = element.find("backend")
    return shared(
        Rng(
            at.word(element, "model"),
            at.word(backend, "model"),
            at.word(backend) or None,
            at.number(element.find("rate"), "bytes"),
        )
    )


def parse_tpm(element: Element, source: str, index: int) -> Tpm:
    """One `devices/tpm`."""
    at = Place(source, "devices/tpm", index)
    backend = element.find("backend")
    below = {child.tag: child for child in backend} if backend is not None else {}
    origin = below.get("device", below.get("source"))
    return Tpm(
        model=at.word(element, "model"),
        backend=at.word(backend, "type"),
        version=at.word(backend, "version"),
        persistent_state=at.flag(backend, "persistent_state"),
        path=at.word(origin, "path"),
        encrypted="encryption" in below,
    )


def parse_watchdog(element: Element, source: str, index: int) -> Watchdog:
    """One `devices/watchdog`."""
    at = Place(source, "devices/watchdog", index)
    return shared(Watchdog(at.word(element, "model"), at.word(element, "action")))


def parse_character(element: Element, source: str, index: int) -> Character:
    """One `devices/serial`, `console`, `parallel` or `channel`."""
    at = Place(source, f"devices/{element.tag}", index)
    origin, target = element.find("source"), element.find("target")
    return shared(
        Character(
            device=element.tag,
            type=at.word(element, "type"),
            mode=at.word(origin, "mode"),
            host=at.word(origin, "host"),
            service=at.word(origin, "service"),
            path=at.word(origin, "path"),
            target=at.word(target, "type"),
            name=at.word(target, "name"),
            state=at.word(target, "state"),
        )
    )


def parse_filesystem(element: Element, source: str, index: int) -> Filesystem:
    """One `devices/filesystem`."""
    at = Place(source, "devices/filesystem", index)
    origin = element.find("source")
    name = next(iter(origin.attrib), "dir") if origin is not None else "dir"
    return Filesystem(
        type=at.word(element, "type"),
        access=at.word(element, "accessmode"),
        driver=at.word(element.find("driver"), "type"),
        source=at.word(origin, name),
        target=at.word(element.find("target"), "dir"),
        readonly=element.find("readonly") is not None,
    )


def parse_virtual_iommu(element: Element, source: str) -> VirtualIommu:
    """`devices/iommu`."""
    at = Place(source, "devices/iommu")
    driver = element.find("driver")
    return VirtualIommu(
        at.word(element, "model"), *(at.flag(driver, name) for name in ("intremap", "caching_mode", "eim", "iotlb"))
    )


def parse_video(element: Element, source: str, index: int) -> Video:
    """One `devices/video`; its sizes are KiB."""
    at = Place(source, "devices/video", index)
    model = element.find("model")
    sizes = [at.size(model, "vram"), at.size(model, "ram")]
    wrong = next((size for size in sizes if isinstance(size, Exception)), None)
    return Video(at.word(model, "type"), wrong if wrong is not None else sum(size or 0 for size in sizes))


def parse_shared_memory(element: Element, source: str, index: int) -> SharedMemory:
    """One `devices/shmem`."""
    at = Place(source, "devices/shmem", index)
    return SharedMemory(
        at.word(element, "name"), at.word(element.find("model"), "type"), at.size(element.find("size"), default=1)
    )
