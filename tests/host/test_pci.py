"""PCI functions, links and SR-IOV."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import plant
from vmtune.host import Host, pci
from vmtune.root import Root, Unreadable, deadline
from vmtune.root.folder import known
from vmtune.root.memory import Link

PF = """
/sys/bus/pci/devices/0000:3b:00.0 -> ../../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/vendor: 0x8086
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/device: 0x1572
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/class: 0x020000
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/numa_node: 1
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/current_link_speed: 8.0 GT/s PCIe
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/max_link_speed: 16.0 GT/s PCIe
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/current_link_width: 4
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/max_link_width: 8
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/driver -> ../../../../bus/pci/drivers/i40e
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/iommu_group -> ../../../../kernel/iommu_groups/42
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/msi_irqs/101: msix
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/msi_irqs/99: msix
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/sriov_totalvfs: 64
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/sriov_numvfs: 3
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/sriov_drivers_autoprobe: 0
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/virtfn10 -> ../0000:3c:00.0
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/virtfn2 -> ../0000:3b:02.1
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/virtfn0 -> ../0000:3b:02.0
"""
VF = """
/sys/bus/pci/devices/0000:3b:02.0 -> ../../../devices/pci0000:3a/0000:3a:00.0/0000:3b:02.0
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:02.0/vendor: 0x8086
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:02.0/device: 0x154c
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:02.0/class: 0x020000
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:02.0/numa_node: -1
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:02.0/current_link_speed: Unknown
/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:02.0/physfn -> ../0000:3b:00.0
"""
PF_HOME = "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0"


def functions(*texts: str) -> pci.Pci:
    return Host(plant(*texts)).pci


def only(*texts: str) -> pci.Function:
    (function,) = functions(*texts).functions
    return function


def test_a_pf_is_read_whole() -> None:
    function = only(PF)
    assert (function.address, function.vendor, function.device, function.class_) == (
        "0000:3b:00.0",
        0x8086,
        0x1572,
        0x20000,
    )
    assert (function.driver, function.node, function.iommu_group) == ("i40e", 1, 42)
    assert function.parent == "0000:3a:00.0"
    assert function.link == pci.Link(8.0, 4, 16.0, 8)
    assert function.sriov is not None
    assert (function.sriov.total_vfs, function.sriov.num_vfs, function.sriov.autoprobe) == (64, 3, False)
    assert not function.is_vf
    assert function.is_network
    assert not function.is_nvme
    assert not function.is_bridge


def test_vfs_stand_in_the_order_of_their_numbers_not_of_the_text() -> None:
    sriov = only(PF).sriov
    assert sriov is not None
    assert sriov.vfs == ("0000:3b:02.0", "0000:3b:02.1", "0000:3c:00.0")


def test_a_vf_names_its_pf_and_has_no_link_of_its_own() -> None:
    found = functions(PF, VF)
    vf = found.function("0000:3b:02.0")
    assert vf is not None
    assert vf.is_vf
    assert vf.physfn == "0000:3b:00.0"
    assert (vf.link, vf.sriov, vf.node, vf.driver) == (None, None, None, None)
    assert found.function(vf.physfn) is found.functions[0]
    assert found.function("0000:00:00.0") is None


def test_vectors_are_listed_when_asked_for() -> None:
    host = Host(plant(PF, VF))
    pf, vf = host.pci.functions
    assert pf.irqs(host) == (99, 101)
    assert vf.irqs(host) == ()


@pytest.mark.parametrize(
    ("class_", "bridge", "nvme", "network"),
    [("0x060400", True, False, False), ("0x010802", False, True, False), ("0x028000", False, False, True)],
)
def test_kinds_follow_from_the_class(class_: str, bridge: bool, nvme: bool, network: bool) -> None:
    function = only(f"/sys/bus/pci/devices/0000:00:01.0/class: {class_}")
    assert (function.is_bridge, function.is_nvme, function.is_network) == (bridge, nvme, network)


def test_a_machine_without_pci_has_no_functions() -> None:
    assert functions("/proc/version: Linux").functions == ()


def test_a_folder_that_cannot_be_listed_is_unreadable_as_a_whole() -> None:
    with pytest.raises(Unreadable, match="permission denied"):
        functions("/sys/bus/pci/devices ! permission denied")


def test_domains_may_be_wider_than_16_bits_and_root_complexes_may_be_virtual() -> None:
    home = "devices/pci0000:5d/0000:5d:05.5/pci10000:00/10000:00:02.0"
    root = plant(f"/sys/{home}/class: 0x060400")
    root.store.put("/sys/bus/pci/devices/10000:00:02.0", Link(f"../../../{home}/"))  # type: ignore[attr-defined]
    found = Host(root).pci
    assert found.functions[0].address == "10000:00:02.0"
    assert found.functions[0].parent is None
    assert found.functions[0].is_bridge


def test_names_that_are_no_addresses_are_passed_over() -> None:
    names = ("0000:00:02.8", "0000:00:2.0", "0000:0g:02.0", "eth0", "0000:00:02.0\n", "..0000:00:02.0", "0000:00:1F.0")
    root = plant("/sys/bus/pci/devices/0000:00:02.0/class: 0x020000")
    for name in names:
        root.store.put_folder(f"/sys/bus/pci/devices/{name}")  # type: ignore[attr-defined]
    assert [function.address for function in Host(root).pci.functions] == ["0000:00:02.0"]


def test_one_unreadable_attribute_loses_only_itself() -> None:
    function = only(PF, f"{PF_HOME}/numa_node ! input/output error")
    with pytest.raises(Unreadable, match="input/output error"):
        _ = function.node
    assert function.vendor == 0x8086


def test_one_broken_function_loses_no_other() -> None:
    root = plant(VF, "/sys/bus/pci/devices/0000:00:01.0 ! no such device")
    root.store.put_folder("/sys/bus/pci/devices/0000:00:01.0")  # type: ignore[attr-defined]
    found = Host(root).pci
    with pytest.raises(Unreadable, match="no such device"):
        _ = found.functions[0].vendor
    assert found.functions[1].vendor == 0x8086


@pytest.mark.parametrize(
    ("attribute", "use"),
    [
        ("vendor", lambda function: function.vendor),
        ("class", lambda function: function.is_nvme),
        ("numa_node", lambda function: function.node),
        ("sriov_totalvfs", lambda function: function.sriov),
        ("sriov_drivers_autoprobe", lambda function: function.sriov.autoprobe),
        ("current_link_speed", lambda function: function.link.speed_gts),
        ("current_link_width", lambda function: function.link.width),
    ],
)
@pytest.mark.parametrize("text", ["", "rubbish", "0x", "9" * 5000, "\x00\x01", "--1"])
def test_garbage_is_kept_and_never_believed(attribute: str, use: Callable[[pci.Function], object], text: str) -> None:
    root = plant(PF)
    root.store.put(f"{PF_HOME}/{attribute}", text.encode())  # type: ignore[attr-defined]
    function = Host(root).pci.functions[0]
    with pytest.raises(Unreadable, match=attribute):
        use(function)
    assert function.driver == "i40e"


@pytest.mark.parametrize(
    ("link", "target", "field"),
    [
        ("physfn", "../../../etc/passwd", "physfn"),
        ("iommu_group", "../kernel/iommu_groups/x", "iommu_group"),
        ("virtfn2", "../nonsense", "vfs"),
    ],
)
def test_a_link_that_leads_elsewhere_is_kept_as_nonsense(link: str, target: str, field: str) -> None:
    function = only(PF, f"{PF_HOME}/{link} -> {target}")
    holder = function.sriov if field == "vfs" else function
    with pytest.raises(Unreadable, match="is not a link to"):
        getattr(holder, field)


def test_a_copied_driver_folder_is_no_proof_of_no_driver() -> None:
    function = only("/sys/bus/pci/devices/0000:00:01.0/driver/unbind:")
    with pytest.raises(Unreadable, match="a copy"):
        _ = function.driver
    with pytest.raises(Unreadable, match="no link to a device"):
        _ = function.parent


def test_a_held_device_lock_costs_the_vf_count_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def stuck(paths: list[str]) -> dict[str, Unreadable]:
        asked.append(paths)
        return {path: Unreadable(path, "no answer within 2 s (a device lock is held)") for path in paths}

    monkeypatch.setattr(deadline, "read_all", stuck)
    function = Host(Root(plant(PF).store)).pci.functions[0]
    assert asked == [[f"{PF_HOME}/sriov_numvfs"]]
    assert function.sriov is not None
    assert function.sriov.total_vfs == 64
    with pytest.raises(Unreadable, match="device lock"):
        _ = function.sriov.num_vfs


@pytest.mark.parametrize(
    ("text", "speed"),
    [
        ("2.5 GT/s", 2.5),
        ("8 GT/s", 8.0),
        ("16.0 GT/s PCIe", 16.0),
        ("64.0 GT/s PCIe", 64.0),
        ("Unknown", None),
        ("Unknown speed", None),
        (None, None),
    ],
)
def test_speeds_of_every_kernel_are_understood(text: str | None, speed: float | None) -> None:
    assert known(pci.gigatransfers("/x", text)) == speed


@given(st.text(max_size=40))
def test_no_text_is_taken_for_a_speed_by_mistake(text: str) -> None:
    try:
        speed = known(pci.gigatransfers("/x", text))
    except Unreadable:
        return
    assert speed is None or (speed >= 0 and " GT/s" in text)


@pytest.mark.parametrize(("lanes", "width"), [("1", 1), ("64", 64), ("0", None), ("255", None)])
def test_a_width_of_0_or_255_is_not_known(lanes: str, width: int | None) -> None:
    link = only(PF, f"{PF_HOME}/current_link_width: {lanes}").link
    assert link is not None
    assert link.width == width


def test_the_place_of_a_device_is_told_by_its_link_though_it_lead_nowhere() -> None:
    root = plant("/sys/class/net/ens3 -> ../../devices/pci0000:00/0000:00:03.0/virtio0/net/ens3")
    assert pci.device_path(root, "/sys/class/net/ens3")[-4:] == ("0000:00:03.0", "virtio0", "net", "ens3")


def test_the_nearest_function_counts() -> None:
    assert pci.function_of(("pci0000:00", "0000:00:02.0", "0000:05:00.0", "nvme", "nvme0")) == "0000:05:00.0"
    assert pci.function_of(("virtual", "net", "lo")) is None
