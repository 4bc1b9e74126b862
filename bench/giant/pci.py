"""PCI functions, their IOMMU groups, and the interrupts that drivers asked for."""

from __future__ import annotations

from typing import NamedTuple

from bench.giant.shape import Shape
from bench.giant.tree import Tree, attributes, mask, ranges

DEVICES = "/sys/bus/pci/devices"
_BUSES = 0x20
"""Buses of each node: its root bus and those behind its ports."""
_AHCI_SLOT = 0x19
_LOCAL = 0x1E
_COMMON = attributes("""
    ari_enabled 0
    broken_parity_status 0
    consistent_dma_mask_bits 64
    d3cold_allowed 1
    dma_mask_bits 64
    driver_override (null)
    enable 1
    irq 0
    msi_bus 1
    power_state D0
    reset_method flr bus
    resource 0x0000000000000000 0x0000000000000000 0x0000000000000000
""")
_NO_LINK = attributes("""
    current_link_speed Unknown
    current_link_width 0
    max_link_speed 16.0 GT/s PCIe
    max_link_width 16
""")


class Irq(NamedTuple):
    """An interrupt: its action, the CPUs that it may go to, whether these are fixed (managed), and where it sits."""

    number: int
    chip: str
    hwirq: int
    trigger: str
    action: str
    node: int
    cpus: list[int]
    times: int


class Function(NamedTuple):
    """A PCI function, and the folder below /sys/devices that is its own."""

    address: str
    path: str
    node: int
    vendor: str
    device: str
    kind: str
    driver: str | None
    link: tuple[str, int] | None
    """Speed and width; None where it has none."""
    pf: str | None = None

    @property
    def bus(self) -> int:
        """Number of its bus."""
        return int(self.address[5:7], 16)


class Machine(NamedTuple):
    """All functions by what they are for, and the interrupts so far."""

    ports: list[Function]
    pfs: list[Function]
    vfs: list[list[Function]]
    nvmes: list[Function]
    ahci: Function
    irqs: list[Irq]

    def add_irq(self, function: Function, hwirq: int, action: str, cpus: list[int], times: int) -> int:
        """Give a function one more MSI-X vector."""
        number = self.irqs[-1].number + 1
        chip = f"IR-PCI-MSIX-{function.address}"
        self.irqs.append(Irq(number, chip, hwirq, "edge", action, function.node, cpus, times))
        return number


def machine(shape: Shape) -> Machine:
    """What hangs on which bus: a root bus a node, a port and a bus for each PF and each NVMe controller."""
    every = list(range(shape.cpus))
    irqs = [
        Irq(0, "IR-IO-APIC", 2, "edge", "timer", 0, every, 40),
        Irq(9, "IR-IO-APIC", 9, "fasteoi", "acpi", 0, every, 0),
    ]
    irqs += [Irq(24 + node, "DMAR-MSI", node, "edge", f"dmar{node}", node, every, 0) for node in range(shape.nodes)]
    found = Machine([], [], [], [], _endpoint(0, _AHCI_SLOT, ("0x8086", "0x1ba2", "0x010601"), "ahci"), irqs)
    for node, place in shape.pf_places():
        pf = _behind_port(found, node, place, ("0x8086", "0x1592", "0x020000"), "ice", ("16.0 GT/s PCIe", 16))
        found.pfs.append(pf)
        driver = "iavf" if len(found.pfs) % 16 == 0 else "vfio-pci"
        found.vfs.append([_vf(pf, number, driver) for number in range(shape.vfs)])
    for node, place in shape.nvme_places():
        found.nvmes.append(
            _behind_port(found, node, place, ("0x144d", "0xa824", "0x010802"), "nvme", ("16.0 GT/s PCIe", 4))
        )
    return found


def _root(node: int) -> tuple[int, int]:
    """PCI domain and root bus of a node."""
    return node // 8, node % 8 * _BUSES


def _endpoint(node: int, slot: int, ids: tuple[str, str, str], driver: str | None) -> Function:
    domain, bus = _root(node)
    address = f"{domain:04x}:{bus:02x}:{slot:02x}.0"
    return Function(address, f"/sys/devices/pci{domain:04x}:{bus:02x}/{address}", node, *ids, driver, None)


def _behind_port(
    found: Machine, node: int, place: int, ids: tuple[str, str, str], driver: str, link: tuple[str, int]
) -> Function:
    port = _endpoint(node, place + 1, ("0x8086", "0x352a", "0x060400"), "pcieport")._replace(link=link)
    found.ports.append(port)
    domain, bus = _root(node)
    address = f"{domain:04x}:{bus + place + 1:02x}:00.0"
    return Function(address, f"{port.path}/{address}", node, *ids, driver, link)


def _vf(pf: Function, number: int, driver: str) -> Function:
    """VFs begin eight functions behind their PF, one after the other."""
    slot, function = divmod(number + 8, 8)
    address = f"{pf.address[:8]}{slot:02x}.{function}"
    path = f"{pf.path.rpartition('/')[0]}/{address}"
    return pf._replace(address=address, path=path, device="0x1889", driver=driver, link=None, pf=pf.address)


def write(tree: Tree, shape: Shape, found: Machine) -> None:
    """All functions, in the order in which their IOMMU groups are made: VFs come last."""
    bridges = [_endpoint(node, 0, ("0x8086", "0x09a2", "0x088000"), None) for node in range(shape.nodes)]
    others = [*bridges, *found.ports, found.ahci, *found.pfs, *found.nvmes]
    if shape.nodes:
        others.append(_endpoint(0, 0x1F, ("0x8086", "0x1b81", "0x060100"), None))
    others.sort(key=lambda function: function.address)
    vectors: dict[str, list[int]] = {}
    for irq in found.irqs:
        vectors.setdefault(irq.chip.removeprefix("IR-PCI-MSIX-"), []).append(irq.number)
    for group, function in enumerate([*others, *(vf for vfs in found.vfs for vf in vfs)]):
        _function(tree, shape, function, group)
        for number in vectors.get(function.address, ()):
            tree.file(f"{function.path}/msi_irqs/{number}", "msix")
    for pf, vfs in zip(found.pfs, found.vfs, strict=True):
        _sriov(tree, pf, vfs)
    _units(tree, shape)


def _function(tree: Tree, shape: Shape, function: Function, group: int) -> None:
    path = function.path
    cpus = shape.node(function.node)
    told: dict[str, object] = {**_COMMON, "vendor": function.vendor, "device": function.device, "class": function.kind}
    told |= {"subsystem_vendor": function.vendor, "subsystem_device": "0x0001", "revision": "0x02"}
    told |= {"numa_node": function.node, "local_cpulist": ranges(cpus), "local_cpus": mask(cpus, shape.cpus)}
    if function.link:
        speed, width = function.link
        told |= {
            "current_link_speed": speed,
            "max_link_speed": speed,
            "current_link_width": width,
            "max_link_width": width,
        }
    elif function.pf:
        told |= _NO_LINK
    ids = (function.vendor, function.device, function.vendor, "0x0001")
    vendor, device, sub_vendor, sub_device = (word[2:].upper() for word in ids)
    kind = function.kind[2:].upper()
    told["modalias"] = (
        f"pci:v0000{vendor}d0000{device}sv0000{sub_vendor}sd0000{sub_device}bc{kind[:2]}sc{kind[2:4]}i{kind[4:]}"
    )
    lines = [f"PCI_CLASS={kind.lstrip('0')}", f"PCI_ID={vendor}:{device}", f"PCI_SUBSYS_ID={sub_vendor}:{sub_device}"]
    lines += [f"PCI_SLOT_NAME={function.address}", f"MODALIAS={told['modalias']}"]
    if function.driver:
        lines.insert(0, f"DRIVER={function.driver}")
        home = f"/sys/bus/pci/drivers/{function.driver}"
        tree.link(f"{home}/{function.address}", path)
        tree.link(f"{path}/driver", home)
    tree.files(path, {**told, "uevent": "\n".join(lines)})
    tree.files(f"{path}/power", {"control": "on", "runtime_status": "active", "wakeup": "disabled"})
    tree.link(f"{path}/subsystem", "/sys/bus/pci")
    tree.link(f"{DEVICES}/{function.address}", path)
    home = f"/sys/kernel/iommu_groups/{group}"
    tree.link(f"{path}/iommu_group", home)
    tree.link(f"{path}/iommu", f"/sys/devices/virtual/iommu/dmar{function.node}")
    tree.link(f"{home}/devices/{function.address}", path)
    tree.files(home, {"type": "DMA-FQ", "reserved_regions": "0x00000000fee00000 0x00000000feefffff msi"})


def _sriov(tree: Tree, pf: Function, vfs: list[Function]) -> None:
    told = {"sriov_totalvfs": len(vfs), "sriov_numvfs": len(vfs), "sriov_drivers_autoprobe": 1, "sriov_offset": 8}
    tree.files(pf.path, {**told, "sriov_stride": 1, "sriov_vf_device": "1889", "sriov_vf_total_msix": 2048})
    for number, vf in enumerate(vfs):
        tree.link(f"{pf.path}/virtfn{number}", vf.path)
        tree.link(f"{vf.path}/physfn", pf.path)
        tree.file(f"{vf.path}/sriov_vf_msix_count", "0")


def _units(tree: Tree, shape: Shape) -> None:
    for node in range(shape.nodes):
        path = f"/sys/devices/virtual/iommu/dmar{node}"
        told = {
            "version": "6:0",
            "address": f"{0xC5FFC000 + (node << 24):x}",
            "cap": "d2008c40660462",
            "ecap": "f050da",
        }
        tree.files(f"{path}/intel-iommu", {**told, "domains_supported": 65536, "domains_used": 96})
        tree.link(f"/sys/class/iommu/dmar{node}", path)
    for name, flags in (
        ("DMAR", b"\x33\x01"),
        ("APIC", b"\0\0"),
        ("FACP", b"\0\0"),
        ("SRAT", b"\1\0"),
        ("SLIT", b"\0\0"),
    ):
        tree.file(f"/sys/firmware/acpi/tables/{name}", _table(name, flags + bytes(10)))


def _table(name: str, body: bytes) -> bytes:
    """An ACPI table: a header of 36 bytes whose bytes, with the body's, sum up to nought."""
    head = name.encode() + (36 + len(body)).to_bytes(4, "little") + b"\1\0EXAMPLGIANT   " + b"\1\0\0\0EXAM\1\0\0\0"
    whole = bytearray(head + body)
    whole[9] = -sum(whole) % 256
    return bytes(whole)
