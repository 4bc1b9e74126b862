"""IOMMU units, groups and tables."""

from __future__ import annotations

import pytest

from tests.tree import plant
from vmtune.host import Host, iommu
from vmtune.root import Unreadable

GROUPS = """
/sys/class/iommu/dmar0 -> ../../devices/virtual/iommu/dmar0
/sys/class/iommu/dmar1 -> ../../devices/virtual/iommu/dmar1
/sys/kernel/iommu_groups/7/devices/serial0 -> ../../../../devices/platform/serial0
/sys/kernel/iommu_groups/7/type: identity
/sys/kernel/iommu_groups/12/devices/0000:3b:00.0 -> ../../../../devices/pci0000:3a/0000:3b:00.0
/sys/kernel/iommu_groups/12/type: DMA-FQ
/sys/kernel/iommu_groups/12/reserved_regions:
  0x00000000fee00000 0x00000000feefffff msi
  0x000000007b000000 0x000000007f7fffff direct
/sys/firmware/acpi/tables/APIC ! permission denied
/sys/firmware/acpi/tables/DMAR:
/sys/firmware/acpi/tables/FACP:
"""
LINKS = """
/sys/bus/pci/devices/0000:3b:00.0/iommu_group -> ../../../../kernel/iommu_groups/12
/sys/bus/pci/devices/0000:3b:00.1/iommu_group -> ../../../../kernel/iommu_groups/12
"""


def test_units_groups_and_tables_are_named() -> None:
    found = Host(plant(GROUPS)).iommu
    assert found.units == ("dmar0", "dmar1")
    assert found.tables == ("DMAR",)
    assert [group.number for group in found.groups] == [7, 12]
    group = found.group(12)
    assert group is not None
    assert (group.devices, group.type) == (("0000:3b:00.0",), "DMA-FQ")
    assert found.group(8) is None


def test_regions_are_read_when_asked_for() -> None:
    host = Host(plant(GROUPS))
    with_regions, without = host.iommu.group(12), host.iommu.group(7)
    assert with_regions is not None
    assert without is not None
    assert with_regions.reserved_regions(host) == (
        iommu.Region(0xFEE00000, 0xFEEFFFFF, "msi"),
        iommu.Region(0x7B000000, 0x7F7FFFFF, "direct"),
    )
    assert without.reserved_regions(host) is None


@pytest.mark.parametrize("line", ["0x0 msi", "x y z", "0x0 0x1 msi more"])
def test_a_region_that_is_none_is_unreadable(line: str) -> None:
    host = Host(plant(GROUPS, f"/sys/kernel/iommu_groups/12/reserved_regions: {line}"))
    with pytest.raises(Unreadable, match="is not a region"):
        host.iommu.groups[1].reserved_regions(host)


def test_pci_functions_name_the_members_of_their_groups() -> None:
    group = Host(plant(GROUPS, LINKS)).iommu.group(12)
    assert group is not None
    assert group.devices == ("0000:3b:00.0", "0000:3b:00.1")


def test_without_the_groups_folder_the_functions_know() -> None:
    found = Host(plant(LINKS, "/sys/kernel/iommu_groups ! not in this capture")).iommu
    assert [(group.number, group.devices) for group in found.groups] == [(12, ("0000:3b:00.0", "0000:3b:00.1"))]
    with pytest.raises(Unreadable, match="not in this capture"):
        _ = found.groups[0].type


def test_off_is_no_groups_and_no_acpi_is_no_tables() -> None:
    found = Host(plant("/proc/version: Linux")).iommu
    assert (found.units, found.groups, found.tables) == ((), (), None)


def test_acpi_without_an_iommu_has_tables_and_none_of_these() -> None:
    assert Host(plant("/sys/firmware/acpi/tables/FACP:")).iommu.tables == ()


@pytest.mark.parametrize(
    ("path", "field"),
    [("/sys/class/iommu", "units"), ("/sys/kernel/iommu_groups", "groups"), ("/sys/firmware/acpi/tables", "tables")],
)
def test_what_cannot_be_listed_is_lost_alone(path: str, field: str) -> None:
    found = Host(plant(GROUPS, f"{path} ! permission denied")).iommu
    for name in {"units", "groups", "tables"} - {field}:
        assert getattr(found, name)
    with pytest.raises(Unreadable, match="permission denied"):
        getattr(found, field)


def test_a_group_whose_members_nobody_knows_keeps_that() -> None:
    found = Host(plant(GROUPS, "/sys/kernel/iommu_groups/7/devices ! permission denied")).iommu
    with pytest.raises(Unreadable, match="permission denied"):
        _ = found.groups[0].devices
    assert found.groups[0].type == "identity"
    assert found.groups[1].devices == ("0000:3b:00.0",)


def test_names_that_are_no_numbers_are_passed_over() -> None:
    found = Host(plant("/sys/kernel/iommu_groups/x/type: DMA", "/sys/kernel/iommu_groups/-1/type: DMA")).iommu
    assert found.groups == ()


def test_functions_that_cannot_be_listed_leave_the_groups_of_the_folder() -> None:
    found = Host(plant(GROUPS, "/sys/bus/pci/devices ! permission denied")).iommu
    assert [group.number for group in found.groups] == [7, 12]
