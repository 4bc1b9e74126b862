"""The IOMMU and its groups."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Role

OFF, SHARED = "iommu-off", "iommu-group-shared"
GROUPS = "sys/kernel/iommu_groups"
PORT = "sys/devices/pci0000:80/0000:80:02.0"
PATHS = {
    1: "pci0000:00/0000:00:01.0",
    2: "pci0000:00/0000:00:01.0/0000:01:00.0",
    10: "pci0000:80/0000:80:02.0",
    11: "pci0000:80/0000:80:02.0/0000:81:00.0",
    12: "pci0000:80/0000:80:02.0/0000:81:02.0",
    13: "pci0000:80/0000:80:02.0/0000:81:02.1",
    14: "pci0000:80/0000:80:03.0",
    15: "pci0000:80/0000:80:03.0/0000:82:00.0",
}
NO_GROUPS = "\n".join(f"{GROUPS}/{group} -\nsys/devices/{path}/iommu_group -" for group, path in PATHS.items())
ADDRESS = "<address type='pci' domain='0x0000' bus='0x81' slot='0x02' function='0x0'/>"
HOSTDEV = f"type='hostdev' managed='yes'><mac address='52:54:00:11:22:33'/><source>{ADDRESS}</source>"
NO_HOSTDEV = (HOSTDEV, "type='bridge'>")
WITH_PF = "\n".join(
    [
        f"{GROUPS}/12/devices/0000:81:00.0 -> ../../../../devices/{PATHS[11]}",
        f"sys/devices/{PATHS[11]}/iommu_group -> ../../../../kernel/iommu_groups/12",
    ]
)
WITH_PORT = f"{GROUPS}/12/devices/0000:80:02.0 -> ../../../../devices/{PATHS[10]}"
OTHER_VF = f"""
{GROUPS}/12/devices/0000:81:02.1 -> ../../../../devices/{PATHS[13]}
sys/devices/{PATHS[13]}/iommu_group -> ../../../../kernel/iommu_groups/12
"""
WEB = """
etc/libvirt/qemu/web.xml:
  <domain type='kvm'><name>web</name><memory unit='GiB'>1</memory><vcpu cpuset='2,6'>1</vcpu><devices>
    <hostdev mode='subsystem' type='pci' managed='yes'><source>
      <address domain='0x0000' bus='0x81' slot='0x02' function='0x1'/></source></hostdev></devices></domain>
"""
FROM_POOL = "type='network'><source network='vfs'/>"
POOL = """
etc/libvirt/qemu/networks/vfs.xml:
  <network><name>vfs</name><forward mode='hostdev' managed='yes'><pf dev='ens1f0'/></forward></network>
"""

CASES = [
    Case(OFF, "pass", "kvm-host"),
    Case(OFF, "critical host", "kvm-host", NO_GROUPS, reason="the kernel has it off"),
    Case(OFF, "critical host", "kvm-host", f"{NO_GROUPS}\nsys/firmware/acpi/tables/DMAR -", reason="in the firmware"),
    Case(OFF, "info", "kvm-host", NO_GROUPS, swap=NO_HOSTDEV),
    Case(OFF, "critical host", "kvm-host", NO_GROUPS, swap=NO_HOSTDEV, assume=frozenset({"passthrough"})),
    Case(OFF, "unknown", "kvm-host", f"{NO_GROUPS}\n{GROUPS} ! permission denied"),
    Case(OFF, "skip", "kvm-guest"),
    Case(OFF, "info", "kvm-guest", roles=(Role.HOST,)),
    Case(SHARED, "pass", "kvm-host"),
    Case(SHARED, "critical domain/db01", "kvm-host", WITH_PF, reason="i40e"),
    Case(SHARED, "pass", "kvm-host", WITH_PORT),
    Case(SHARED, "pass", "kvm-host", OTHER_VF),
    Case(SHARED, "critical domain/db01", "kvm-host", OTHER_VF + WEB, reason="2 domains"),
    Case(SHARED, "unknown", "kvm-host", f"sys/devices/{PATHS[12]}/iommu_group ! permission denied"),
    Case(SHARED, "skip", "kvm-host", swap=NO_HOSTDEV),
    # The group's own listing counts, also where a member does not say so itself.
    Case(SHARED, "critical domain/db01", "kvm-host", WITH_PF.splitlines()[0], reason="i40e"),
    Case(SHARED, "unknown", "kvm-host", f"{GROUPS}/12/devices/0000:99:00.0 -> ../x", reason="nothing is known"),
    Case(SHARED, "unknown", "kvm-host", f"{GROUPS}/12 ! permission denied"),
    Case(SHARED, "unknown", "kvm-host", f"sys/devices/{PATHS[12]}/iommu_group -", reason="in no IOMMU group"),
    # A network that is a pool of VFs wants the IOMMU too.
    Case(OFF, "critical host", "kvm-host", f"{NO_GROUPS}\n{POOL}", swap=(HOSTDEV, FROM_POOL), reason="network vfs"),
]
