"""PCI functions and their SR-IOV state.

Kernel: Documentation/ABI/testing/sysfs-bus-pci, drivers/pci/{pci-sysfs,iov}.c.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vmtune.host import Host
from vmtune.root import Folder, Root, Unreadable
from vmtune.root.folder import keep, known, nonsense
from vmtune.value import value

DEVICES = "/sys/bus/pci/devices"
ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
"""`0000:81:00.0`; domains of virtual root complexes are wider than 16 bits (`10000:00:04.0`)."""

_VIRTFN = re.compile(r"virtfn[0-9]{1,5}")
_WIDEST = 64


@value
class Link(NamedTuple):
    """A PCIe link: as trained, and the most the function can do.

    `current_link_speed`, `max_link_speed` (gigatransfers a second of one lane), `current_link_width`, `max_link_width`
    (lanes). None: the kernel says "Unknown", 0 or 255.
    """

    speed_gts: float | None
    width: int | None
    max_speed_gts: float | None
    max_width: int | None


@value
class Sriov(NamedTuple):
    """What a PF says of its VFs."""

    total_vfs: int
    """`sriov_totalvfs`: as many as device and driver allow."""
    num_vfs: int | None
    """`sriov_numvfs`; reading it takes the PF's device lock."""
    autoprobe: bool | None
    """`sriov_drivers_autoprobe`: new VFs are offered to drivers."""
    vfs: tuple[str, ...]
    """Addresses in the order of the links `virtfn0`, `virtfn1`…: the place is the VF's index."""


@value
class Function(NamedTuple):
    """A PCI function."""

    address: str
    path: str
    vendor: int | None
    device: int | None
    class_: int | None
    """Base class, subclass and programming interface in 24 bits: 0x020000 is an Ethernet controller."""
    driver: str | None
    """Bound driver (link `driver`), None where there is none."""
    node: int | None
    """`numa_node`; None where the firmware names none."""
    iommu_group: int | None
    physfn: str | None
    """Address of the PF (link `physfn`); None where this is no VF."""
    parent: str | None
    """Address of the port above; None on a root bus."""
    link: Link | None
    """None where the function has no PCIe link, and for each VF: it shares its PF's."""
    sriov: Sriov | None
    """None where the function has no SR-IOV capability, or the firmware hides it."""

    @property
    def is_vf(self) -> bool:
        """Whether this is a VF."""
        return self.physfn is not None

    @property
    def is_bridge(self) -> bool:
        """Whether this is a PCI-to-PCI bridge: a port, no endpoint."""
        return self._is(0x0604)

    @property
    def is_network(self) -> bool:
        """Whether this is a network controller of any kind."""
        return self.class_ is not None and self.class_ >> 16 == 0x02

    @property
    def is_nvme(self) -> bool:
        """Whether this is an NVMe controller."""
        return self._is(0x0108)

    def _is(self, kind: int) -> bool:
        return self.class_ is not None and self.class_ >> 8 == kind

    def irqs(self, host: Host) -> tuple[int, ...]:
        """IRQ numbers of the function's MSI vectors (`msi_irqs/`). Raises Unreadable."""
        names = host.root.names(f"{self.path}/msi_irqs") or ()
        return tuple(sorted(int(name) for name in names if name.isascii() and name.isdigit()))


class Pci(NamedTuple):
    """All PCI functions, in the order of their addresses."""

    functions: tuple[Function, ...]
    by_address: dict[str, Function]

    def function(self, address: str) -> Function | None:
        """The function of that address."""
        return self.by_address.get(address)


def read(host: Host) -> Pci:
    """All functions below /sys/bus/pci/devices."""
    root = host.root
    functions = [_function(root, name) for name in root.names(DEVICES) or () if ADDRESS.fullmatch(name)]
    # A read of sriov_numvfs waits for the PF's device lock: all of them at once, in a helper with a deadline.
    root.guarded(f"{function.path}/sriov_numvfs" for function in functions if _is_pf(function))
    for place, function in enumerate(functions):
        if _is_pf(function):
            functions[place] = function._replace(sriov=_sriov(function, Folder(root, function.path)))
    return Pci(tuple(functions), {function.address: function for function in functions})


def _function(root: Root, address: str) -> Function:
    """A function; a PF's `sriov` still lacks what needs the device lock.

    What a function may lack is asked for by name: on sysfs a miss costs a fifth of listing the folder.
    """
    path = f"{DEVICES}/{address}"
    folder = Folder(root, path)
    physfn = address_behind(folder, "physfn")
    link: Link | None = None
    sriov: Sriov | None = None
    if not isinstance(physfn, str):
        link = _link(folder)
        try:
            total = known(folder.number("sriov_totalvfs"))
            sriov = None if total is None else Sriov(total, None, None, ())
        except Unreadable as kept:
            sriov = keep(kept)
    return Function(
        address=address,
        path=path,
        vendor=folder.number("vendor"),
        device=folder.number("device"),
        class_=folder.number("class"),
        driver=driver(folder),
        node=folder.node(),
        iommu_group=_group(folder),
        physfn=physfn,
        parent=_parent(root, path),
        link=link,
        sriov=sriov,
    )


def _is_pf(function: Function) -> bool:
    return isinstance(function[-1], Sriov)


def _sriov(function: Function, folder: Folder) -> Sriov:
    total = function.sriov.total_vfs if function.sriov else 0
    return Sriov(total, folder.number("sriov_numvfs"), folder.flag("sriov_drivers_autoprobe"), _vfs(folder))


def _vfs(folder: Folder) -> tuple[str, ...]:
    """Addresses behind the links virtfnN, by N."""
    try:
        names = known(folder.names()) or ()
        links = sorted((name for name in names if _VIRTFN.fullmatch(name)), key=lambda name: int(name[6:]))
        found = [known(address_behind(folder, name)) for name in links]
    except Unreadable as kept:
        return keep(kept)
    return tuple(address for address in found if address is not None)


def address_behind(folder: Folder, name: str) -> str | None:
    """The address of the function that a link leads to."""
    target = folder.link_name(name)
    if isinstance(target, str) and not ADDRESS.fullmatch(target):
        return nonsense(f"{folder.path}/{name}", "a link to a PCI function", target)
    return target


def driver(folder: Folder) -> str | None:
    """Name of the driver that a device's link `driver` leads to."""
    name = folder.link_name("driver")
    if name is None and not folder.root.live and folder.has("driver") is True:
        return keep(Unreadable(f"{folder.path}/driver", "a copy, no link, in this capture"))
    return name


def applicable(folder: Folder, name: str) -> int | None:
    """A number; None where the attribute does not apply to this device now, which the kernel says by EINVAL.

    Whoever captured it with `cat` has an empty file then.
    """
    try:
        return None if known(folder.text(name)) == "" else folder.number(name)
    except Unreadable as kept:
        return None if kept.reason == "invalid argument" else keep(kept)


def _group(folder: Folder) -> int | None:
    name = folder.link_name("iommu_group")
    if not isinstance(name, str):
        return name
    if name.isascii() and name.isdigit() and len(name) < 10:
        return int(name)
    return nonsense(f"{folder.path}/iommu_group", "a link to an IOMMU group", name)


def _parent(root: Root, path: str) -> str | None:
    try:
        above = device_path(root, path)[-2:-1]
    except Unreadable as kept:
        return keep(kept)
    return above[0] if above and ADDRESS.fullmatch(above[0]) else None


def _link(folder: Folder) -> Link | None:
    speed, most = folder.text("current_link_speed"), folder.text("max_link_speed")
    if speed is None and most is None:
        return None
    return Link(
        gigatransfers(f"{folder.path}/current_link_speed", speed),
        _width(folder, "current_link_width"),
        gigatransfers(f"{folder.path}/max_link_speed", most),
        _width(folder, "max_link_width"),
    )


def gigatransfers(path: str, text: str | None) -> float | None:
    """Number in `16.0 GT/s PCIe` or `8 GT/s`; None for `Unknown` and `Unknown speed`."""
    if not isinstance(text, str) or text.startswith("Unknown"):
        return None if isinstance(text, str) else text
    number, _, unit = text.partition(" ")
    digits = number.replace(".", "", 1)
    if unit.startswith("GT/s") and digits.isascii() and digits.isdigit() and len(digits) < 6:
        return float(number)
    return nonsense(path, "a link speed", text)


def _width(folder: Folder, name: str) -> int | None:
    lanes = folder.number(name)
    if not isinstance(lanes, int) or 0 < lanes <= _WIDEST:
        return lanes
    return None if lanes in (0, 255) else nonsense(f"{folder.path}/{name}", "a link width", str(lanes))


def device_path(root: Root, path: str) -> tuple[str, ...]:
    """Parts of a device's path below /sys/devices, from its link in a folder of a class, of a bus or of /sys/block.

    The link's text is enough: a capture need not hold what it leads to. In its place old kernels have a folder with a
    link `device`. Raises Unreadable where a capture holds a copy in place of the link.
    """
    target = root.link(path)
    if target is None:
        target = root.link(f"{path}/device")
    if target is not None:
        _, devices, below = target.partition("devices/")
        if devices:
            return tuple(below.rstrip("/").split("/"))
    raise Unreadable(path, "no link to a device")


def function_of(parts: tuple[str, ...]) -> str | None:
    """Address of the PCI function that a device hangs on: the nearest above it in its path."""
    return next((part for part in reversed(parts) if ADDRESS.fullmatch(part)), None)
