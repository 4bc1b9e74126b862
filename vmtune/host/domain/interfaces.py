"""A domain's network interfaces and the host devices that are assigned to it.

Source: libvirt's formatdomain: Network interfaces; Host device assignment.
"""

from typing import NamedTuple
from xml.etree.ElementTree import Element

from vmtune.host.domain.document import Place, unreadable
from vmtune.root.folder import keep
from vmtune.value import value


@value
class Interface(NamedTuple):
    """A network interface (`devices/interface`). None: not said.

    Of a running domain on a libvirt network what it was given in fact is told as well (`<actual>` of its status).
    """

    type: str | None
    """bridge, network, direct (macvtap), hostdev, vhostuser, vdpa, user, ethernet, …"""
    actual: str | None
    """What a `network` interface became while the domain runs: bridge, direct, hostdev."""
    model: str | None
    """virtio, e1000, rtl8139, …; None: the hypervisor's default."""
    mac: str | None
    current_mac: str | None
    """Address that the guest set itself (libvirt from 11.2)."""
    source: str | None
    """Bridge, network, device, or a vhost-user socket."""
    bridge: str | None
    """Host bridge it is plugged into."""
    mode: str | None
    """Of a direct interface: vepa, bridge, private, passthrough; of a socket: client or server."""
    portgroup: str | None
    virtual_port: str | None
    """openvswitch, 802.1Qbh, …"""
    host_address: str | None
    """PCI address of the assigned VF (type hostdev)."""
    managed: bool | None
    target: str | None
    """Name on the host: vnet0."""
    driver: str | None
    """vhost or qemu; vfio of a hostdev."""
    queues: int | None
    rx_queue_size: int | None
    tx_queue_size: int | None
    txmode: str | None
    packed: bool | None
    iommu: bool | None
    vlans: tuple[int, ...]
    vlan_trunk: bool | None
    bandwidth: dict[str, int]
    """Caps in kilobytes, each second or a burst: `inbound.average`, `outbound.peak`, …"""
    teaming: str | None
    """persistent (virtio) or transient (hostdev)."""
    teaming_partner: str | None
    """Alias of the persistent interface that a transient one belongs to."""
    filter: str | None
    """Network filter it passes (`filterref`)."""
    filter_parameters: dict[str, tuple[str, ...]]
    isolated: bool | None
    """Port isolation on a bridge."""
    trust_guest_filters: bool | None
    """Whether the guest may change its own receive filters (`trustGuestRxFilters`)."""
    link: str | None
    """up or down."""
    mtu: int | None
    address: str | None
    """PCI address in the guest."""
    boot_order: int | None
    alias: str | None

    @property
    def is_assigned(self) -> bool:
        """Whether it is a device of the host's, given to the guest."""
        return "hostdev" in (self.type, self.actual)


@value
class HostDevice(NamedTuple):
    """A device of the host that the guest has (`devices/hostdev`)."""

    mode: str | None
    """subsystem or capabilities."""
    type: str | None
    """pci, usb, scsi, scsi_host, mdev."""
    managed: bool | None
    """Whether libvirt unbinds it from its driver and gives it back."""
    host_address: str | None
    """PCI address on the host."""
    mdev: str | None
    """UUID of a mediated device."""
    source: str | None
    """What else names it: `VENDOR:PRODUCT` of a USB device, adapter of a SCSI one, name of an iSCSI one."""
    driver: str | None
    model: str | None
    """Of the driver: a VFIO variant driver; of an mdev: vfio-pci, vfio-ccw, vfio-ap."""
    teaming: str | None
    teaming_partner: str | None
    rom_bar: bool | None
    address: str | None
    """PCI address in the guest."""
    boot_order: int | None
    alias: str | None


def parse_interface(element: Element, source: str, index: int) -> Interface:
    """One `devices/interface`."""
    at = Place(source, "devices/interface", index)
    children = {child.tag: child for child in element}
    actual = children.get("actual")
    given = {**children, **{child.tag: child for child in actual}} if actual is not None else children
    origin, driver, teaming = children.get("source"), children.get("driver"), children.get("teaming")
    mac, filter_reference, vlan = children.get("mac"), children.get("filterref"), given.get("vlan")
    used = given.get("source")
    return Interface(
        type=at.word(element, "type"),
        actual=at.word(actual, "type"),
        model=at.word(children.get("model"), "type"),
        mac=_mac(mac, "address", at),
        current_mac=_mac(mac, "currentAddress", at),
        source=_source(origin, at),
        bridge=at.word(used, "bridge"),
        mode=at.word(used, "mode"),
        portgroup=at.word(origin, "portgroup"),
        virtual_port=at.word(given.get("virtualport"), "type"),
        host_address=at.pci(used.find("address")) if used is not None else None,
        managed=at.flag(actual if actual is not None and "managed" in actual.attrib else element, "managed"),
        target=at.word(children.get("target"), "dev"),
        driver=at.word(driver, "name"),
        queues=at.number(driver, "queues"),
        rx_queue_size=at.number(driver, "rx_queue_size"),
        tx_queue_size=at.number(driver, "tx_queue_size"),
        txmode=at.word(driver, "txmode"),
        packed=at.flag(driver, "packed"),
        iommu=at.flag(driver, "iommu"),
        vlans=_vlans(vlan, at),
        vlan_trunk=at.flag(vlan, "trunk"),
        bandwidth=_bandwidth(given.get("bandwidth"), at),
        teaming=at.word(teaming, "type"),
        teaming_partner=at.word(teaming, "persistent"),
        filter=at.word(filter_reference, "filter"),
        filter_parameters=_parameters(filter_reference),
        isolated=at.flag(given.get("port"), "isolated"),
        trust_guest_filters=at.flag(element, "trustGuestRxFilters"),
        link=at.word(children.get("link"), "state"),
        mtu=at.number(children.get("mtu"), "size"),
        address=at.pci(children.get("address")),
        boot_order=at.number(children.get("boot"), "order"),
        alias=at.word(children.get("alias"), "name"),
    )


def _source(origin: Element | None, at: Place) -> str | None:
    if origin is None:
        return None
    name = next((name for name in ("network", "bridge", "dev", "path") if origin.get(name) is not None), None)
    return None if name is None else at.word(origin, name)


def _mac(element: Element | None, attribute: str, at: Place) -> str | None:
    """A MAC address in lower case."""
    text = None if element is None else element.get(attribute)
    if text is None or element is None:
        return None
    parts = text.lower().split(":")
    if len(parts) != 6 or not all(len(part) == 2 and set(part) <= _HEXADECIMAL for part in parts):
        return at.wrong(element, attribute, text, "a MAC address")
    return text.lower()


_HEXADECIMAL = frozenset("0123456789abcdef")


def _vlans(section: Element | None, at: Place) -> tuple[int, ...]:
    tags = [at.number(each, "id") for each in section.findall("tag")] if section is not None else []
    if (wrong := unreadable(*tags)) is not None:
        return keep(wrong)
    return tuple(tag for tag in tags if tag is not None)


def _bandwidth(section: Element | None, at: Place) -> dict[str, int]:
    caps: dict[str, int] = {}
    for way in section if section is not None else ():
        for name in way.attrib:
            number = at.number(way, name)
            if (wrong := unreadable(number)) is not None:
                return keep(wrong)
            if number:
                caps[f"{way.tag}.{name}"] = number
    return caps


def _parameters(section: Element | None) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for each in section.findall("parameter") if section is not None else ():
        name = each.get("name", "")
        found[name] = (*found.get(name, ()), each.get("value", ""))
    return found


def parse_host_device(element: Element, source: str, index: int) -> HostDevice:
    """One `devices/hostdev`."""
    at = Place(source, "devices/hostdev", index)
    children = {child.tag: child for child in element}
    origin, driver, teaming = children.get("source"), children.get("driver"), children.get("teaming")
    place = origin.find("address") if origin is not None else None
    return HostDevice(
        mode=at.word(element, "mode"),
        type=at.word(element, "type"),
        managed=at.flag(element, "managed"),
        host_address=at.pci(place) if element.get("type") == "pci" else None,
        mdev=at.word(place, "uuid"),
        source=_device_source(origin, at),
        driver=at.word(driver, "name"),
        model=at.word(driver, "model") or at.word(element, "model"),
        teaming=at.word(teaming, "type"),
        teaming_partner=at.word(teaming, "persistent"),
        rom_bar=at.flag(children.get("rom"), "bar"),
        address=at.pci(children.get("address")),
        boot_order=at.number(children.get("boot"), "order"),
        alias=at.word(children.get("alias"), "name"),
    )


def _device_source(origin: Element | None, at: Place) -> str | None:
    if origin is None:
        return None
    vendor, product, adapter = origin.find("vendor"), origin.find("product"), origin.find("adapter")
    if vendor is not None and product is not None:
        return f"{vendor.get('id', '')[:8]}:{product.get('id', '')[:8]}"
    if adapter is not None:
        return at.word(adapter, "name")
    return next((at.word(origin, name) for name in ("name", "wwpn", "dev") if origin.get(name) is not None), None)
