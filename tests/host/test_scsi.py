"""SCSI hosts."""

from __future__ import annotations

import pytest

from tests.tree import plant
from vmtune.host import Host
from vmtune.root import Unreadable

HOSTS = """
/sys/class/scsi_host/host2 -> ../../devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/scsi_host/host2
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/scsi_host/host2/proc_name: vmw_pvscsi
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/scsi_host/host2/can_queue: 256
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/scsi_host/host2/cmd_per_lun: 254
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/scsi_host/host2/nr_hw_queues: 1
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/scsi_host/host2/state: running
/sys/class/scsi_host/host10 -> ../../devices/platform/host10/scsi_host/host10
/sys/devices/platform/host10/scsi_host/host10/proc_name: <NULL>
"""
HOME = "/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/scsi_host/host2"


def test_hosts_are_read_in_the_order_of_their_numbers() -> None:
    first, second = Host(plant(HOSTS)).scsi_hosts
    assert (first.host, first.driver, first.address) == (2, "vmw_pvscsi", "0000:03:00.0")
    assert (first.can_queue, first.cmd_per_lun, first.nr_hw_queues, first.state) == (256, 254, 1, "running")
    assert first.path == "/sys/class/scsi_host/host2"
    assert (second.host, second.driver, second.address, second.can_queue) == (10, None, None, None)


def test_no_scsi_is_no_hosts() -> None:
    assert Host(plant("/proc/version: Linux")).scsi_hosts == ()


def test_a_class_that_cannot_be_listed_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="permission denied"):
        _ = Host(plant("/sys/class/scsi_host ! permission denied")).scsi_hosts


def test_names_that_are_no_hosts_are_passed_over() -> None:
    assert Host(plant("/sys/class/scsi_host/hostile/state: x", "/sys/class/scsi_host/host/state: x")).scsi_hosts == ()


@pytest.mark.parametrize("text", ["", "lots", "0b1"])
def test_garbage_is_kept(text: str) -> None:
    root = plant(HOSTS)
    root.store.put(f"{HOME}/can_queue", text.encode())  # type: ignore[attr-defined]
    host = Host(root).scsi_hosts[0]
    with pytest.raises(Unreadable, match="can_queue"):
        _ = host.can_queue
    assert host.driver == "vmw_pvscsi"


def test_an_attribute_that_cannot_be_read_costs_itself_alone() -> None:
    host = Host(plant(HOSTS, f"{HOME}/proc_name ! permission denied")).scsi_hosts[0]
    with pytest.raises(Unreadable, match="permission denied"):
        _ = host.driver
    assert host.can_queue == 256


def test_a_copy_in_place_of_the_link_hides_the_function_alone() -> None:
    (host,) = Host(plant("/sys/class/scsi_host/host0/proc_name: ahci")).scsi_hosts
    assert host.driver == "ahci"
    with pytest.raises(Unreadable, match="no link to a device"):
        _ = host.address
