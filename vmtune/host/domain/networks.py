"""libvirt's networks, as defined: bridges, and pools of VFs (libvirt's formatnetwork, src/network/bridge_driver.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.host.domain.document import Place, parse_document, read_document, unreadable
from vmtune.host.domain.values import Broken, Found
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from vmtune.host import Host

DEFINITIONS = "/etc/libvirt/qemu/networks"
AUTOSTART = "/etc/libvirt/qemu/networks/autostart"


@value
class Network(NamedTuple):
    """A network that domains name in `<source network=…>`."""

    name: str
    source: str
    mode: str | None
    """Forwarding: nat, route, bridge, open, hostdev (a pool of VFs), private, vepa, passthrough; None: isolated."""
    managed: bool | None
    """Whether libvirt unbinds the VFs of a pool from their driver."""
    bridge: str | None
    pfs: tuple[str, ...]
    """Network devices of the PFs whose VFs make the pool (`forward/pf`)."""
    addresses: tuple[str, ...]
    """PCI addresses of single VFs of the pool (`forward/address`)."""
    devices: tuple[str, ...]
    """Host devices that traffic may leave by (`forward/interface`)."""
    virtual_port: str | None
    isolated: bool | None
    """Whether its ports are isolated from each other."""
    mtu: int | None
    autostart: bool | None

    @property
    def is_pool(self) -> bool:
        """Whether it hands out VFs."""
        return self.mode == "hostdev"


def read(host: Host) -> Found[Network]:
    """Networks that are defined. Raises Unreadable where their folder cannot be listed."""
    names = [name for name in host.root.names(DEFINITIONS) or () if name.endswith(".xml")]
    autostart = host.root.folder(AUTOSTART).names()
    found, broken = [], []
    for name in names:
        path = f"{DEFINITIONS}/{name}"
        try:
            top = read_document(host.root, path)
            if top is not None:
                starts = keep(autostart) if isinstance(autostart, Unreadable) else name in (autostart or ())
                found.append(network_of(top, path)._replace(autostart=starts))
        except Unreadable as kept:
            broken.append(Broken(name.removesuffix(".xml"), path, kept.reason))
    return Found.of(found, broken)


def parse(data: bytes | str, source: str) -> Network:
    """The network of a document. Raises Unreadable."""
    return network_of(parse_document(data, source), source)


def network_of(top: Element, source: str) -> Network:
    """The network of a document's top element. Raises Unreadable."""
    element = top.find("network") if top.tag == "networkstatus" else top
    if element is None or element.tag != "network":
        raise Unreadable(source, f"a <{top.tag[:80]}>, expected a <network>")
    at = Place(source, "network")
    children = {child.tag: child for child in element}
    forward = children.get("forward")
    name = at.word(children.get("name"))
    if not isinstance(name, str) or not name:
        raise Unreadable(source, "a <network> without a <name>")
    return Network(
        name=name,
        source=source,
        mode=None if forward is None else at.word(forward, "mode") or "nat",
        managed=at.flag(forward, "managed"),
        bridge=at.word(children.get("bridge"), "name"),
        pfs=tuple(each.get("dev", "") for each in forward.findall("pf")) if forward is not None else (),
        addresses=_addresses(forward, at),
        devices=tuple(each.get("dev", "") for each in forward.findall("interface")) if forward is not None else (),
        virtual_port=at.word(children.get("virtualport"), "type"),
        isolated=at.flag(children.get("port"), "isolated"),
        mtu=at.number(children.get("mtu"), "size"),
        autostart=None,
    )


def _addresses(forward: Element | None, at: Place) -> tuple[str, ...]:
    addresses = [at.pci(each) for each in forward.findall("address")] if forward is not None else []
    if (wrong := unreadable(*addresses)) is not None:
        return keep(wrong)
    return tuple(address for address in addresses if address is not None)
