"""Network interfaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import plant
from vmtune.host import Host, network
from vmtune.root import Unreadable

VIRTIO = """
/sys/class/net/eth0 -> ../../devices/pci0000:00/0000:00:03.0/virtio0/net/eth0
/sys/bus/pci/devices/0000:00:03.0/numa_node: -1
/sys/devices/pci0000:00/0000:00:03.0/virtio0/driver -> ../../../../bus/virtio/drivers/virtio_net
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/device -> ../../../virtio0
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/mtu: 1500
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/operstate: up
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/flags: 0x1003
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/address: 52:54:00:00:00:01
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/speed: -1
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/queues/rx-0/rps_cpus: 0
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/queues/rx-1/rps_cpus: 0
/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/queues/tx-0/xps_cpus: 0
"""
ETH0 = "/sys/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0"
VF = """
/sys/class/net/ens1v0 -> ../../devices/pci0000:3a/0000:3b:02.0/net/ens1v0
/sys/bus/pci/devices/0000:3b:02.0/numa_node: 1
/sys/bus/pci/devices/0000:3b:02.0/physfn -> ../0000:3b:00.0
/sys/devices/pci0000:3a/0000:3b:02.0/driver -> ../../../bus/pci/drivers/iavf
/sys/devices/pci0000:3a/0000:3b:02.0/net/ens1v0/device -> ../..
/sys/devices/pci0000:3a/0000:3b:02.0/net/ens1v0/speed: 25000
/sys/devices/pci0000:3a/0000:3b:02.0/net/ens1v0/operstate: up
/sys/devices/pci0000:3a/0000:3b:02.0/net/ens1v0/master -> ../../../../virtual/net/bond0
"""
BOND = """
/sys/class/net/bond0 -> ../../devices/virtual/net/bond0
/sys/class/net/bonding_masters: bond0
/sys/devices/virtual/net/bond0/speed: 50000
/sys/devices/virtual/net/bond0/mtu: 9000
/sys/devices/virtual/net/bond0/lower_ens1v0 -> x
/sys/devices/virtual/net/bond0/lower_ens1v1 -> x
/sys/devices/virtual/net/bond0/bonding/mode: active-backup 1
/sys/devices/virtual/net/bond0/bonding/slaves: ens1v0 ens1v1
/sys/devices/virtual/net/bond0/bonding/active_slave: ens1v0
/sys/devices/virtual/net/bond0/bonding/miimon: 100
"""
LOOPBACK = """
/sys/class/net/lo -> ../../devices/virtual/net/lo
/sys/devices/virtual/net/lo/mtu: 65536
/sys/devices/virtual/net/lo/operstate: unknown
/sys/devices/virtual/net/lo/flags: 0x9
/sys/devices/virtual/net/lo/address: 00:00:00:00:00:00
/sys/devices/virtual/net/lo/speed ! invalid argument
"""


def only(*texts: str) -> network.Interface:
    (interface,) = Host(plant(*texts)).network
    return interface


def test_the_function_of_a_virtio_nic_is_one_below_its_device() -> None:
    interface = only(VIRTIO)
    assert (interface.name, interface.path) == ("eth0", "/sys/class/net/eth0")
    assert (interface.physical, interface.driver, interface.address) == (True, "virtio_net", "0000:00:03.0")
    assert (interface.node, interface.physfn, interface.is_vf) == (None, None, False)
    assert (interface.mtu, interface.state, interface.mac) == (1500, "up", "52:54:00:00:00:01")
    assert (interface.is_up, interface.is_loopback) == (True, False)
    assert (interface.rx_queues, interface.tx_queues, interface.speed_mbps) == (2, 1, None)
    assert (interface.master, interface.bond) == (None, None)


def test_a_vf_knows_its_pf_its_node_and_its_bond() -> None:
    interface = only(VF)
    assert (interface.address, interface.physfn, interface.is_vf) == ("0000:3b:02.0", "0000:3b:00.0", True)
    assert (interface.node, interface.driver, interface.speed_mbps) == (1, "iavf", 25000)
    assert interface.master == "bond0"


def test_a_bond_is_virtual_and_has_ports() -> None:
    host = Host(plant(BOND))
    (bond,) = host.network
    assert (bond.physical, bond.driver, bond.address, bond.node) == (False, None, None, None)
    assert bond.bond == network.Bond(
        "/sys/class/net/bond0/bonding", "active-backup", ("ens1v0", "ens1v1"), "ens1v0", 100
    )
    assert bond.speed_mbps == 50000
    assert bond.lower(host) == ("ens1v0", "ens1v1")


def test_a_bond_without_active_slave_has_none() -> None:
    bond = only(BOND, "/sys/devices/virtual/net/bond0/bonding/active_slave:").bond
    assert bond is not None
    assert bond.active_slave is None


def test_a_capture_without_the_list_of_bonds_still_has_the_bond() -> None:
    bond = only(BOND.replace("/sys/class/net/bonding_masters: bond0", "")).bond
    assert bond is not None
    assert bond.miimon_ms == 100


def test_what_is_virtual_is_asked_for_little() -> None:
    interface = only(LOOPBACK)
    assert interface.is_loopback
    assert interface.is_up
    assert (interface.physical, interface.speed_mbps, interface.mac, interface.rx_queues) == (False, None, None, None)


def test_a_link_that_leads_nowhere_still_tells_what_it_is() -> None:
    nic, loopback = Host(
        plant(
            "/sys/class/net/ens3 -> ../../devices/pci0000:00/0000:00:03.0/virtio0/net/ens3",
            "/sys/class/net/lo -> ../../devices/virtual/net/lo",
        )
    ).network
    assert (nic.physical, nic.address, nic.mtu) == (True, "0000:00:03.0", None)
    assert (loopback.physical, loopback.is_loopback) == (False, True)


@pytest.mark.parametrize("text", ["-1", "0", "65535", "4294967295", ""])
def test_a_speed_that_no_one_knows_is_none(text: str) -> None:
    root = plant(VIRTIO)
    root.store.put(f"{ETH0}/speed", text.encode())  # type: ignore[attr-defined]
    assert Host(root).network[0].speed_mbps is None


def test_the_speed_of_a_link_that_is_down_is_none_but_a_refused_one_is_not() -> None:
    assert only(VIRTIO, f"{ETH0}/speed ! invalid argument").speed_mbps is None
    with pytest.raises(Unreadable, match="permission denied"):
        _ = only(VIRTIO, f"{ETH0}/speed ! permission denied").speed_mbps


def test_a_usb_nic_has_no_function_of_its_own() -> None:
    interface = only("/sys/class/net/usb0 -> ../../devices/pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/net/usb0")
    assert (interface.physical, interface.address, interface.node) == (True, None, None)


def test_an_old_kernel_links_the_device_not_the_interface() -> None:
    interface = only(
        "/sys/class/net/eth0/device -> ../../../devices/pci0000:00/0000:00:1f.6", "/sys/class/net/eth0/speed: 1000"
    )
    assert (interface.physical, interface.address, interface.speed_mbps) == (True, "0000:00:1f.6", 1000)


def test_a_copy_in_place_of_the_link_leaves_the_place_unknown() -> None:
    interface = only("/sys/class/net/eth0/mtu: 1500")
    for field in ("physical", "address", "node", "physfn"):
        with pytest.raises(Unreadable, match="no link to a device"):
            getattr(interface, field)
    assert interface.mtu == 1500


def test_names_that_are_no_interfaces_are_passed_over() -> None:
    root = plant(VIRTIO, "/sys/class/net/bonding_masters:")
    for name in ("a name", "much-too-long-for-one", "a:b"):
        root.store.put_folder(f"/sys/class/net/{name}")  # type: ignore[attr-defined]
    assert [interface.name for interface in Host(root).network] == ["eth0"]


def test_one_unreadable_attribute_loses_only_itself() -> None:
    interface = only(VIRTIO, f"{ETH0}/mtu ! permission denied", f"{ETH0}/queues ! permission denied")
    for field in ("mtu", "rx_queues", "tx_queues"):
        with pytest.raises(Unreadable, match="permission denied"):
            getattr(interface, field)
    assert interface.state == "up"


def test_no_network_is_no_interfaces_and_a_refused_one_is_unreadable() -> None:
    assert Host(plant("/proc/version: Linux")).network == ()
    with pytest.raises(Unreadable, match="permission denied"):
        _ = Host(plant("/sys/class/net ! permission denied")).network


@pytest.mark.parametrize("attribute", ["mtu", "flags", "speed", "operstate", "address"])
@given(data=st.binary(max_size=30))
def test_no_content_breaks_the_reader(attribute: str, data: bytes) -> None:
    root = plant(VIRTIO)
    root.store.put(f"{ETH0}/{attribute}", data)  # type: ignore[attr-defined]
    assert Host(root).network[0].rx_queues == 2
