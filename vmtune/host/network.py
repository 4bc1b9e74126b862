"""Network interfaces (kernel: Documentation/ABI/testing/sysfs-class-net, net/core/net-sysfs.c).

/sys/class/net shows the network namespace in which this sysfs was mounted. A VF that was moved to another is not in it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vmtune.host import Host
from vmtune.host.pci import ADDRESS, DEVICES, address_behind, applicable, device_path, driver
from vmtune.root import Folder, Root, Unreadable
from vmtune.root.folder import keep, known, nonsense
from vmtune.value import value

NET = "/sys/class/net"
_BONDS = "bonding_masters"
_NAME = re.compile(r"[^\s/:]{1,15}")
_UP = 0x1
_LOOPBACK = 0x8
_NO_SPEED = (-1, 0, 0xFFFF, 0xFFFFFFFF)
_FASTEST = 10_000_000
"""SPEED_UNKNOWN, as kernels of different age print it, and 0, which some drivers say while the link is down."""


@value
class Bond(NamedTuple):
    """A bond's own attributes (Documentation/networking/bonding.rst)."""

    path: str
    mode: str | None
    """`active-backup`, `802.3ad`, `balance-xor`…"""
    slaves: tuple[str, ...] | None
    active_slave: str | None
    """None where there is none, and in modes that know none."""
    miimon_ms: int | None
    """How often the link is looked at; 0: never."""


@value
class Interface(NamedTuple):
    """A network interface."""

    name: str
    path: str
    physical: bool
    """Whether it hangs on a device: a NIC, a VF, a virtio device. Bridges, bonds, VLANs, taps and veths do not."""
    driver: str | None
    """Driver of the device: `ixgbe`, `virtio_net`."""
    address: str | None
    """Address of the PCI function, of a virtio device that of the function below it."""
    node: int | None
    """`numa_node` of the PCI function."""
    physfn: str | None
    """Address of the PF where the function is a VF."""
    mtu: int | None
    state: str | None
    """`operstate`: up, down, unknown, dormant, lowerlayerdown, notpresent, testing."""
    flags: int | None
    """IFF_… bits; `is_up` and `is_loopback` read them."""
    mac: str | None
    """`address`; None where it is not physical."""
    speed_mbps: int | None
    """None while the link is down, and where it is neither physical nor a bond: a tap's number means nothing."""
    master: str | None
    """The bond, bridge or switch that it is a port of."""
    bond: Bond | None
    """None where it is no bond."""
    rx_queues: int | None
    tx_queues: int | None
    """Queues in use (`queues/`); None where it is not physical."""

    @property
    def is_up(self) -> bool | None:
        """Whether somebody set it up; whether the link is up says `state`."""
        return None if self.flags is None else bool(self.flags & _UP)

    @property
    def is_loopback(self) -> bool:
        """Whether this is `lo`."""
        return self.name == "lo" if self.flags is None else bool(self.flags & _LOOPBACK)

    @property
    def is_vf(self) -> bool:
        """Whether its function is a VF."""
        return self.physfn is not None

    def lower(self, host: Host) -> tuple[str, ...]:
        """Interfaces that it sits on: a VLAN's parent, a bridge's or bond's ports. Raises Unreadable."""
        names = host.root.names(self.path) or ()
        return tuple(name.removeprefix("lower_") for name in names if name.startswith("lower_"))


def read(host: Host) -> tuple[Interface, ...]:
    """All interfaces below /sys/class/net."""
    root = host.root
    names = [name for name in root.names(NET) or () if _NAME.fullmatch(name) and name != _BONDS]
    bonds = root.folder(NET).text(_BONDS)
    declared = frozenset(bonds.split()) if isinstance(bonds, str) else frozenset[str]()
    return tuple(_interface(root, name, name in declared) for name in names)


def _interface(root: Root, name: str, declared_bond: bool) -> Interface:
    folder = root.folder(f"{NET}/{name}")
    address: str | None = None
    physical: bool
    try:
        parts = device_path(root, folder.path)
        physical = parts[0] != "virtual"
        address = _function(parts)
    except Unreadable as kept:
        physical, address = keep(kept), keep(kept)
    function = root.folder(f"{DEVICES}/{address}") if isinstance(address, str) else None
    nowhere: None = address if isinstance(address, Unreadable) else None
    real = physical is not False
    # A capture may hold a bond without the file that names all of them.
    is_bond = declared_bond or (physical is False and not root.live and folder.text("bonding/mode") is not None)
    rx, tx = _queues(folder) if real else (None, None)
    return Interface(
        name=name,
        path=folder.path,
        physical=physical,
        driver=driver(folder.folder("device")) if real else None,
        address=address,
        node=function.node() if function else nowhere,
        physfn=address_behind(function, "physfn") if function else nowhere,
        mtu=folder.number("mtu"),
        state=folder.text("operstate"),
        flags=folder.number("flags"),
        mac=folder.text("address") if real else None,
        speed_mbps=_speed(folder) if real or is_bond else None,
        master=folder.link_name("master"),
        bond=_bond(folder.folder("bonding")) if is_bond else None,
        rx_queues=rx,
        tx_queues=tx,
    )


def _function(parts: tuple[str, ...]) -> str | None:
    """PCI address of the device that an interface belongs to; a USB NIC has none."""
    if parts[-2:-1] == ("net",):
        parts = parts[:-2]
    if parts[-1:] and parts[-1].startswith("virtio"):
        parts = parts[:-1]
    return parts[-1] if parts and ADDRESS.fullmatch(parts[-1]) else None


def _speed(folder: Folder) -> int | None:
    """Megabits a second; the kernel answers EINVAL while the interface is down."""
    speed = applicable(folder, "speed")
    if speed in _NO_SPEED:
        return None
    if isinstance(speed, int) and speed > _FASTEST:
        kept: None = nonsense(f"{folder.path}/speed", "a speed", str(speed))
        return kept
    return speed


def _queues(folder: Folder) -> tuple[int | None, int | None]:
    names = folder.names("queues")
    if not isinstance(names, list):
        return names, names
    return sum(name.startswith("rx-") for name in names), sum(name.startswith("tx-") for name in names)


def _bond(folder: Folder) -> Bond:
    return Bond(
        path=folder.path,
        mode=_mode(folder),
        slaves=_slaves(folder),
        active_slave=folder.text("active_slave") or None,
        miimon_ms=folder.number("miimon"),
    )


def _mode(folder: Folder) -> str | None:
    """Name of the mode: its number stands behind it (`802.3ad 4`)."""
    text = folder.text("mode")
    return text.partition(" ")[0] if isinstance(text, str) else text


def _slaves(folder: Folder) -> tuple[str, ...] | None:
    try:
        text = known(folder.text("slaves"))
    except Unreadable as kept:
        return keep(kept)
    return None if text is None else tuple(text.split())
