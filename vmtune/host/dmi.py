"""What the firmware calls the machine, and which of these names are virtual machines'.

Source: `/sys/class/dmi/id` (ABI/testing/sysfs-firmware-dmi-tables, SMBIOS 3.x §7.1 to §7.4). Missing on some machines
(Firecracker, most POWER and s390x). Serial numbers are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.root import Root

PATH = "/sys/class/dmi/id"
BIOS = "/sys/firmware/dmi/entries/0-0/raw"

_NAMES = (
    ("product_name", "KVM", "kvm"),
    ("product_name", "OpenStack", "kvm"),
    ("product_name", "KubeVirt", "kvm"),
    ("product_name", "CloudStack KVM", "kvm"),
    ("product_name", "RHEV Hypervisor", "kvm"),
    ("product_name", "oVirt", "kvm"),
    ("product_name", "AHV", "kvm"),
    ("product_name", "vServer", "kvm"),
    ("product_name", "Google Compute Engine", "kvm"),
    ("product_name", "Alibaba Cloud ECS", "kvm"),
    ("product_name", "VMware", "vmware"),
    ("product_name", "HVM domU", "xen"),
    ("product_name", "VirtualBox", "oracle"),
    ("product_name", "BHYVE", "bhyve"),
    ("product_name", "Parallels", "parallels"),
    ("product_name", "Apple Virtualization", "apple"),
    ("product_name", "ACRN", "acrn"),
    ("product_version", "Hyper-V", "hyperv"),
    ("sys_vendor", "Amazon EC2", "kvm"),
    ("sys_vendor", "DigitalOcean", "kvm"),
    ("sys_vendor", "KubeVirt", "kvm"),
    ("sys_vendor", "Nutanix", "kvm"),
    ("sys_vendor", "VMware", "vmware"),
    ("sys_vendor", "VMW", "vmware"),
    ("sys_vendor", "Xen", "xen"),
    ("sys_vendor", "innotek GmbH", "oracle"),
    ("sys_vendor", "Parallels", "parallels"),
    ("sys_vendor", "BHYVE", "bhyve"),
    ("sys_vendor", "QEMU", "qemu"),
    ("sys_vendor", "Bochs", "bochs"),
    ("board_vendor", "QEMU", "qemu"),
    ("chassis_vendor", "QEMU", "qemu"),
    ("bios_vendor", "Xen", "xen"),
    ("bios_vendor", "VMW", "vmware"),
    ("bios_vendor", "BHYVE", "bhyve"),
    ("bios_vendor", "Bochs", "bochs"),
)
"""How an attribute of a virtual machine begins, and the hypervisor. Nutanix and Oracle sell bare metal as well:
Oracle's is therefore not here, Nutanix's shows other vendors' names."""
_CLOUDS = ("Amazon EC2", "Google Compute Engine", "Alibaba Cloud ECS")
"""Clouds that give these names to bare metal as well."""
_VIRTUAL = 0x13, 0x10
"""Byte and bit of the BIOS information that say "virtual machine"."""


class Dmi(NamedTuple):
    """Attributes by name; None for what is absent or cannot be read."""

    attributes: dict[str, str | None]

    @property
    def vendor(self) -> str:
        """Who made the machine; "" where it is not told."""
        return (self.attributes["sys_vendor"] or "").strip()

    @property
    def maker(self) -> str:
        """Who made the machine or at least its board; "" where neither is told."""
        return self.vendor or (self.attributes["board_vendor"] or "").strip()

    @property
    def product(self) -> str:
        """What the machine is; "" where it is not told."""
        return (self.attributes["product_name"] or "").strip()

    @property
    def is_cloud(self) -> bool:
        """Whether a cloud names the machine that rents out bare metal under the same names."""
        return self.vendor.startswith(_CLOUDS) or self.product.startswith(_CLOUDS)

    @property
    def is_named_metal(self) -> bool:
        """Whether the name itself says bare metal: `m7g.metal`, `c7i.metal-24xl`."""
        return "metal" in self.product.replace(".", " ").replace("-", " ").split()

    def hypervisors(self) -> list[tuple[str, str, str]]:
        """Attributes that only a virtual machine has: name, text and hypervisor."""
        found = [
            (name, text, word)
            for name, beginning, word in _NAMES
            if (text := (self.attributes[name] or "").strip()).startswith(beginning)
        ]
        if self.vendor == "Microsoft Corporation" and self.product == "Virtual Machine":
            found.insert(0, ("product_name", self.product, "hyperv"))
        return found


def read(root: Root) -> Dmi:
    """What the firmware calls the machine."""
    attributes: dict[str, str | None] = {}
    for name, _, _ in _NAMES:
        if name not in attributes:
            try:
                attributes[name] = root.read(f"{PATH}/{name}")
            except Unreadable:
                attributes[name] = None
    return Dmi(attributes)


def says_virtual(root: Root) -> bool:
    """Whether the BIOS information says that this is a virtual machine. Root alone may read it; silence says
    nothing."""
    try:
        data = root.read_bytes(BIOS) or b""
    except Unreadable:
        return False
    byte, bit = _VIRTUAL
    return len(data) > byte and data[0] == 0 and data[1] > byte and bool(data[byte] & bit)
