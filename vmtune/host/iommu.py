"""The IOMMU: units, groups, firmware tables.

Kernel: Documentation/ABI/testing/{sysfs-class-iommu,sysfs-kernel-iommu_groups}, drivers/iommu/iommu.c.
"""

from __future__ import annotations

from typing import NamedTuple

from vmtune.host import Host
from vmtune.root import Root, Unreadable
from vmtune.root.folder import keep
from vmtune.value import value

GROUPS = "/sys/kernel/iommu_groups"
UNITS = "/sys/class/iommu"
TABLES = "/sys/firmware/acpi/tables"
_IOMMU_TABLES = ("DMAR", "IVRS", "IORT", "VIOT")


class Region(NamedTuple):
    """Addresses that no DMA may be mapped to, both ends included; why: direct, direct-relaxable, msi, reserved."""

    start: int
    end: int
    type: str


@value
class Group(NamedTuple):
    """Devices that the IOMMU cannot tell apart: what VFIO gives away as a whole."""

    number: int
    path: str
    devices: tuple[str, ...]
    """Names on their bus: PCI addresses, and on some machines platform devices."""
    type: str | None
    """Default domain: DMA, DMA-FQ, identity, blocked, unmanaged, unknown; None before 5.11."""

    def members(self, host: Host) -> tuple[str, ...]:
        """Devices that the group's own folder lists, and those that say that they are in it. Raises Unreadable."""
        path = f"{self.path}/devices"
        listed = host.root.names(path)
        if listed is None:
            raise Unreadable(path, "absent")
        return tuple(sorted({*listed, *self.devices}))

    def reserved_regions(self, host: Host) -> tuple[Region, ...] | None:
        """Lines of `reserved_regions`; None where the kernel has no such file. Raises Unreadable."""
        path = f"{self.path}/reserved_regions"
        text = host.root.read(path)
        return None if text is None else tuple(_region(path, line) for line in text.splitlines())


@value
class Iommu(NamedTuple):
    """What translates DMA, if anything does."""

    units: tuple[str, ...]
    """Names in /sys/class/iommu: `dmar0`, `ivhd0`, `smmu3.0x…`."""
    groups: tuple[Group, ...]
    """In the order of their numbers. Empty: the IOMMU is off, or there is none."""
    by_number: dict[int, Group]
    tables: tuple[str, ...] | None
    """Tables in /sys/firmware/acpi/tables that describe an IOMMU: DMAR (Intel), IVRS (AMD), IORT (Arm), VIOT (virtio).
    None where there is no ACPI."""

    def group(self, number: int) -> Group | None:
        """The group of that number."""
        return self.by_number.get(number)


def read(host: Host) -> Iommu:
    """Units, groups and tables."""
    root = host.root
    try:
        groups = _groups(host)
    except Unreadable as kept:
        return Iommu(_units(root), keep(kept), keep(kept), _tables(root))
    return Iommu(_units(root), groups, {group.number: group for group in groups}, _tables(root))


def _units(root: Root) -> tuple[str, ...]:
    try:
        return tuple(root.names(UNITS) or ())
    except Unreadable as kept:
        return keep(kept)


def _tables(root: Root) -> tuple[str, ...] | None:
    try:
        names = root.names(TABLES)
    except Unreadable as kept:
        return keep(kept)
    return None if names is None else tuple(name for name in names if name.startswith(_IOMMU_TABLES))


def _groups(host: Host) -> tuple[Group, ...]:
    """Groups from their folder, their members from the PCI functions' own links, of which a capture may lack either.

    A group is listed only where no PCI function names it: there may be thousands, and they do not mix buses.
    Raises Unreadable.
    """
    root = host.root
    members = _functions_of_groups(host)
    try:
        names = root.names(GROUPS) or ()
    except Unreadable:
        if not members:
            raise
        names = ()
    numbers = {int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 10}
    return tuple(_group(root, number, members.get(number, [])) for number in sorted(numbers | members.keys()))


def _functions_of_groups(host: Host) -> dict[int, list[str]]:
    """Addresses of the PCI functions of each group."""
    members: dict[int, list[str]] = {}
    try:
        functions = host.pci.functions
    except Unreadable:
        return members
    for function in functions:
        try:
            number = function.iommu_group
        except Unreadable:
            continue
        if number is not None:
            members.setdefault(number, []).append(function.address)
    return members


def _group(root: Root, number: int, functions: list[str]) -> Group:
    path = f"{GROUPS}/{number}"
    folder = root.folder(path)
    devices = tuple(functions)
    if not functions:
        listed = folder.names("devices")
        devices = tuple(listed) if isinstance(listed, list) else () if listed is None else keep(listed)
    return Group(number, path, devices, folder.text("type"))


def _region(path: str, line: str) -> Region:
    try:
        start, end, kind = line.split()
        return Region(int(start, 16), int(end, 16), kind)
    except ValueError:
        raise Unreadable(path, f"{line[:60]!r} is not a region: START END TYPE") from None
