"""NVMe controllers and subsystems."""

from __future__ import annotations

import pytest

from tests.tree import plant
from vmtune.host import Host, nvme
from vmtune.root import Unreadable

LOCAL = """
/sys/class/nvme/nvme0 -> ../../devices/pci0000:80/0000:81:00.0/nvme/nvme0
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/transport: pcie
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/address: 0000:81:00.0
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/state: live
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/model: ExampleDrive 3000
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/firmware_rev: 1.0
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/cntrltype: io
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/numa_node: 1
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/queue_count: 33
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/sqsize: 1023
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/power/pm_qos_latency_tolerance_us: 100000
/sys/class/nvme-subsystem/nvme-subsys3 -> ../../devices/virtual/nvme-subsystem/nvme-subsys3
/sys/devices/virtual/nvme-subsystem/nvme-subsys3/nvme0 -> ../../../pci0000:80/0000:81:00.0/nvme/nvme0
/sys/devices/virtual/nvme-subsystem/nvme-subsys3/nvme3n1/size: 8
/sys/devices/virtual/nvme-subsystem/nvme-subsys3/iopolicy: numa
"""
HOME = "/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0"
FABRIC = """
/sys/class/nvme/nvme1/transport: tcp
/sys/class/nvme/nvme1/address: traddr=192.0.2.7,trsvcid=4420
/sys/class/nvme/nvme1/state: connecting
/sys/class/nvme/nvme1/numa_node: -1
"""


def test_a_local_controller_is_read_whole() -> None:
    (controller,) = Host(plant(LOCAL)).nvme
    assert controller == nvme.NvmeController(
        name="nvme0",
        path="/sys/class/nvme/nvme0",
        address="0000:81:00.0",
        target=None,
        transport="pcie",
        state="live",
        model="ExampleDrive 3000",
        firmware="1.0",
        cntrltype="io",
        node=1,
        queue_count=33,
        sqsize=1023,
        latency_tolerance="100000",
        subsystem="nvme-subsys3",
    )
    assert controller.queues == 32


def test_padding_is_no_part_of_a_name() -> None:
    root = plant(LOCAL)
    root.store.put(f"{HOME}/model", b"ExampleDrive 3000" + b" " * 23 + b"\n")  # type: ignore[attr-defined]
    assert Host(root).nvme[0].model == "ExampleDrive 3000"


def test_a_controller_over_a_fabric_has_no_pci_address() -> None:
    _, controller = Host(plant(LOCAL, FABRIC)).nvme
    assert controller.address is None
    assert controller.target == "traddr=192.0.2.7,trsvcid=4420"
    assert (controller.state, controller.node, controller.subsystem, controller.queues) == (
        "connecting",
        None,
        None,
        None,
    )


def test_subsystems_name_controllers_not_namespaces() -> None:
    (system,) = nvme.subsystems(plant(LOCAL))
    assert (system.name, system.controllers, system.iopolicy) == ("nvme-subsys3", ("nvme0",), "numa")


def test_a_controller_of_which_little_was_captured() -> None:
    (controller,) = Host(plant("/sys/class/nvme/nvme0 -> ../../devices/pci0000:80/0000:81:00.0/nvme/nvme0")).nvme
    assert controller.address == "0000:81:00.0"
    assert (controller.state, controller.model, controller.queues, controller.node) == (None, None, None, None)


def test_the_function_tells_the_node_where_the_controller_does_not() -> None:
    (controller,) = Host(
        plant(
            FABRIC,
            "/sys/class/nvme/nvme1/address: 0000:05:00.0",
            "/sys/class/nvme/nvme1/transport: pcie",
            "/sys/bus/pci/devices/0000:05:00.0/numa_node: 2",
        )
    ).nvme
    assert controller.node == 2


def test_no_nvme_is_no_controllers() -> None:
    assert Host(plant("/proc/version: Linux")).nvme == ()


def test_a_class_that_cannot_be_listed_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="permission denied"):
        _ = Host(plant("/sys/class/nvme ! permission denied")).nvme


@pytest.mark.parametrize("name", ["subsys0", "nvme", "nvme0n1", "nvme-1", "nvmex"])
def test_names_that_are_no_controllers_are_passed_over(name: str) -> None:
    assert Host(plant(f"/sys/class/nvme/{name}/state: live")).nvme == ()


@pytest.mark.parametrize("text", ["", "many", "9" * 5000])
def test_garbage_is_kept(text: str) -> None:
    root = plant(LOCAL)
    root.store.put(f"{HOME}/queue_count", text.encode())  # type: ignore[attr-defined]
    (controller,) = Host(root).nvme
    with pytest.raises(Unreadable, match="queue_count"):
        _ = controller.queues
    assert controller.state == "live"


def test_subsystems_that_cannot_be_listed_cost_the_subsystem_alone() -> None:
    plain = LOCAL.replace("/sys/class/nvme-subsystem/nvme-subsys3 ->", "/unused ->")
    (controller,) = Host(plant(plain, "/sys/class/nvme-subsystem ! permission denied")).nvme
    with pytest.raises(Unreadable, match="permission denied"):
        _ = controller.subsystem
    assert controller.state == "live"


def test_one_attribute_that_cannot_be_read_costs_itself_alone() -> None:
    (controller,) = Host(plant(LOCAL, f"{HOME}/state ! input/output error")).nvme
    with pytest.raises(Unreadable, match="input/output error"):
        _ = controller.state
    assert controller.model == "ExampleDrive 3000"
