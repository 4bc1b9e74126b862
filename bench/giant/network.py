"""Network interfaces: one a PF, one a VF that is not given away, and a bond with a bridge on it."""

from __future__ import annotations

from bench.giant.pci import Function, Machine
from bench.giant.shape import Shape
from bench.giant.tree import Tree, attributes, mask

NET = "/sys/class/net"
_COMMON = attributes("""
    addr_assign_type 0
    addr_len 6
    broadcast ff:ff:ff:ff:ff:ff
    carrier 1
    carrier_changes 2
    dev_port 0
    dormant 0
    flags 0x1003
    gro_flush_timeout 0
    ifalias
    link_mode 0
    mtu 1500
    name_assign_type 4
    napi_defer_hard_irqs 0
    netdev_group 0
    operstate up
    proto_down 0
    testing 0
    threaded 0
    tx_queue_len 1000
    type 1
""")
_STATISTICS = ("rx_bytes", "rx_dropped", "rx_errors", "rx_packets", "tx_bytes", "tx_dropped", "tx_errors", "tx_packets")
_BOND = attributes("""
    ad_select stable 0
    lacp_rate fast 1
    miimon 100
    mii_status up
    mode 802.3ad 4
    primary
    xmit_hash_policy layer3+4 1
""")
_VF_QUEUES = 4


def write(tree: Tree, shape: Shape, found: Machine) -> None:
    """All interfaces, and the interrupts of those that have a device."""
    index = 2
    legs: list[str] = []
    for pf, vfs in zip(found.pfs, found.vfs, strict=True):
        name = f"en{_place(pf)}"
        leg = len(legs) < 2
        if leg:
            legs.append(name)
        _interface(tree, shape, pf, name, index, shape.queues)
        if leg:
            tree.link(f"{pf.path}/net/{name}/master", "/sys/devices/virtual/net/bond0")
        _pf_irqs(shape, found, pf, name)
        index += 1
        for number, vf in enumerate(vfs):
            if vf.driver == "iavf":
                _interface(tree, shape, vf, f"{name}v{number}", index, _VF_QUEUES)
                _vf_irqs(shape, found, vf, f"{name}v{number}")
                index += 1
    _bond(tree, legs, index)
    loopback = _COMMON | {"flags": "0x9", "mtu": "65536", "operstate": "unknown", "type": "772"}
    _virtual(tree, "lo", 1, loopback | {"address": "00:00:00:00:00:00", "broadcast": "00:00:00:00:00:00"})


def _place(function: Function) -> str:
    """As systemd names it: PCI domain where there is one, bus, slot."""
    domain = int(function.address[:4], 16)
    return f"{f'P{domain}' if domain else ''}p{function.bus}s0"


def _address(index: int) -> str:
    """A MAC address of those that anybody may use (bit 1 of the first byte)."""
    return ":".join(f"{part:02x}" for part in (0x02, 0, 0x5E, index >> 16 & 255, index >> 8 & 255, index & 255))


def _interface(tree: Tree, shape: Shape, function: Function, name: str, index: int, queues: int) -> None:
    path = f"{function.path}/net/{name}"
    told = _COMMON | {
        "address": _address(index),
        "ifindex": str(index),
        "iflink": str(index),
        "speed": "100000",
        "duplex": "full",
    }
    tree.files(path, {**told, "phys_port_name": "p0", "uevent": f"INTERFACE={name}\nIFINDEX={index}"})
    tree.files(f"{path}/statistics", dict.fromkeys(_STATISTICS, 1_000_000))
    none = mask((), shape.cpus)
    for queue in range(queues):
        tree.files(f"{path}/queues/rx-{queue}", {"rps_cpus": none, "rps_flow_cnt": 0})
        tree.files(
            f"{path}/queues/tx-{queue}",
            {"xps_cpus": mask(shape.queue(queue % shape.queues), shape.cpus), "tx_timeout": 0},
        )
    tree.link(f"{path}/device", function.path)
    tree.link(f"{path}/subsystem", NET)
    tree.link(f"{NET}/{name}", path)


def _pf_irqs(shape: Shape, found: Machine, pf: Function, name: str) -> None:
    found.add_irq(pf, 0, f"ice-{pf.address}:misc", shape.node(pf.node), 512)
    for queue in range(shape.queues):
        found.add_irq(pf, queue + 1, f"ice-{name}-TxRx-{queue}", shape.node(pf.node), 20_000)


def _vf_irqs(shape: Shape, found: Machine, vf: Function, name: str) -> None:
    found.add_irq(vf, 0, f"iavf-{vf.address}:mbx", shape.node(vf.node), 16)
    for queue in range(_VF_QUEUES):
        found.add_irq(vf, queue + 1, f"iavf-{name}-TxRx-{queue}", shape.node(vf.node), 4_000)


def _virtual(tree: Tree, name: str, index: int, told: dict[str, str]) -> str:
    path = f"/sys/devices/virtual/net/{name}"
    tree.files(path, {**told, "ifindex": index, "iflink": index, "uevent": f"INTERFACE={name}\nIFINDEX={index}"})
    tree.files(f"{path}/statistics", dict.fromkeys(_STATISTICS, 1_000_000))
    for queue in ("rx-0", "tx-0"):
        tree.folder(f"{path}/queues/{queue}")
    tree.link(f"{path}/subsystem", NET)
    tree.link(f"{NET}/{name}", path)
    return path


def _bond(tree: Tree, legs: list[str], index: int) -> None:
    told = _COMMON | {"address": _address(2), "flags": "0x1403", "speed": str(100_000 * len(legs)), "duplex": "full"}
    path = _virtual(tree, "bond0", index, told)
    tree.files(f"{path}/bonding", {**_BOND, "slaves": " ".join(legs), "active_slave": ""})
    tree.file(f"{NET}/bonding_masters", "bond0")
    for leg in legs:
        tree.link(f"{path}/lower_{leg}", f"{NET}/{leg}")
    bridge = _virtual(tree, "br0", index + 1, _COMMON | {"address": _address(2), "speed": told["speed"]})
    tree.files(f"{bridge}/bridge", {"stp_state": 0, "forward_delay": 0, "vlan_filtering": 1, "multicast_snooping": 1})
    tree.link(f"{bridge}/lower_bond0", path)
    tree.link(f"{path}/master", bridge)
