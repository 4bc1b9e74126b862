"""The IOMMU, and the groups in which it gives devices away."""

from __future__ import annotations

from collections import defaultdict

from vmtune.check import HOST, PHYSICAL, Evidence, Finding, Info, Outcome, Severity, Skip, Unknown, check
from vmtune.host import Host
from vmtune.host.domain import networks, require_all
from vmtune.host.pci import Function
from vmtune.root import Unreadable
from vmtune.shell import quoted, remark, virsh_edit
from vmtune.site import Site

UNITS = "/sys/class/iommu"
GROUPS = "/sys/kernel/iommu_groups"
TABLES = "/sys/firmware/acpi/tables"
VFIO_DRIVERS = (
    "vfio-pci",
    "pci-stub",
    "mlx5_vfio_pci",
    "hisi_acc_vfio_pci",
    "pds_vfio_pci",
    "qat_vfio_pci",
    "nvgrace_gpu_vfio_pci",
)
"""Drivers that hold a function for a VM: VFIO, its variants (drivers/vfio/pci) and the stub."""


@check(
    "iommu-off",
    Severity.CRITICAL,
    over=Host,
    roles=PHYSICAL,
    see="https://docs.kernel.org/driver-api/vfio.html",
)
def iommu_off(host: Host, site: Site) -> Outcome:
    """The IOMMU is not translating.

    Why: VFIO refuses each device that is in no IOMMU group, and libvirt then says that the host does not support VFIO,
        far from the cause.
    Fix for good: intel_iommu=on on the kernel command line of an Intel host; on AMD take amd_iommu=off away; switch
        VT-d or AMD-Vi on in the firmware; reboot.
    Traps: the command line proves nothing: AMD needs no parameter, and Intel kernels may be built with the IOMMU on.
        Keep the boot entry from before: translation brings broken firmware to light.
    Source: Documentation/ABI/testing/sysfs-kernel-iommu_groups, sysfs-class-iommu; drivers/iommu/intel/iommu.c.
    """
    iommu = host.iommu
    if iommu.groups:
        return
    wanted = _passthrough_wanted(host, site)
    evidence: tuple[Evidence, ...] = ((GROUPS, "empty"), (UNITS, ", ".join(iommu.units) or "empty"))
    if wanted is None:
        yield Info("no IOMMU groups: no device could be passed through; nothing here asks for it", evidence)
        return
    tables = iommu.tables
    if tables is None and host.platform.is_x86:
        raise Unknown(f"{TABLES}: whether the firmware describes an IOMMU is not known")
    in_firmware = bool(tables)
    evidence = (*evidence, (TABLES, ", ".join(tables or ()) or "neither DMAR nor IVRS"), ("passthrough", wanted))
    intel = host.cpu.vendor == "GenuineIntel"
    yield Finding(
        f"no IOMMU groups, but {wanted}: "
        + (
            "the firmware has an IOMMU, the kernel has it off"
            if in_firmware
            else "VT-d or AMD-Vi is off in the firmware"
        ),
        evidence,
        expected="IOMMU groups",
        actual="none",
        for_good=(
            (
                "grubby --update-kernel=ALL --args=intel_iommu=on"
                if intel
                else "grubby --update-kernel=ALL --remove-args='amd_iommu iommu'",
            )
            if in_firmware
            else (remark("switch VT-d, AMD-Vi or the IOMMU on in the firmware set-up"),)
        ),
        setting="boot:intel_iommu" if intel else "boot:amd_iommu",
        disruption="host-reboot" if in_firmware else "firmware",
    )


def _passthrough_wanted(host: Host, site: Site) -> str | None:
    """Who wants devices passed through; None where nobody does. Raises Unreadable where that cannot be known."""
    if site.wants("passthrough"):
        return "passthrough is declared to be wanted"
    pools: frozenset[str] | None = None  # read once, and only where a domain names a network
    for domain in host.domains:
        if domain.host_addresses:
            return f"domain {domain.name} is given {domain.host_addresses[0]}"
        if any(interface.is_assigned or interface.type == "vdpa" for interface in domain.interfaces):
            return f"domain {domain.name} has an interface of the type hostdev or vdpa"
        for interface in domain.interfaces:
            if interface.type == "network":
                pools = _pools(host) if pools is None else pools
                if interface.source in pools:
                    return f"domain {domain.name} takes VFs from the network {interface.source}"
    require_all(host)
    return None


def _pools(host: Host) -> frozenset[str]:
    """Names of the networks that are pools of VFs. Raises Unreadable."""
    return frozenset(network.name for network in networks.read(host) if network.is_pool)


@check(
    "iommu-group-shared", Severity.CRITICAL, over=Host, roles=HOST, see="https://docs.kernel.org/driver-api/vfio.html"
)
def iommu_group_shared(host: Host) -> Outcome:
    """An assigned function's IOMMU group is shared or not viable.

    Why: the group is what the IOMMU can tell apart. One member that a host driver holds makes the whole group unusable;
        one group in two VMs lets them reach each other's memory.
    Fix now: bind the other member to vfio-pci by its driver_override, where the host can do without it.
    Fix for good: another slot or root port, or all functions of the group given to one VM.
    Traps: bridges and members without a driver do no harm. VFs have a group each where the path to their PF has ACS.
        Patches that override ACS drop the isolation that they pretend.
    Source: Documentation/driver-api/vfio.rst; drivers/iommu/iommu.c.
    """
    assigned: dict[str, list[str]] = defaultdict(list)
    for domain in host.domains:
        for address in domain.host_addresses:
            assigned[address].append(domain.name)
    if not assigned:
        require_all(host)
        raise Skip("no domain is given a device")
    by_group: dict[int, list[Function]] = defaultdict(list)
    lost = []
    for address in assigned:
        function = host.pci.function(address)
        if function is None:
            lost.append(f"{address}: assigned, and not on this host")
            continue
        try:
            number = function.iommu_group
        except Unreadable as kept:
            lost.append(str(kept))
            continue
        if number is not None:
            by_group[number].append(function)
        elif host.iommu.groups:  # where there is none at all, iommu-off tells of it
            lost.append(f"{address}: in no IOMMU group")
    for number, functions in sorted(by_group.items()):
        group = host.iommu.group(number)
        try:
            if group is None:
                raise Unreadable(f"{GROUPS}/{number}", "absent")
            addresses = group.members(host)
        except Unreadable as kept:
            lost.append(str(kept))
            continue
        members = [member for address in addresses if (member := host.pci.function(address)) is not None]
        lost += [f"{GROUPS}/{number}: nothing is known of {a}" for a in addresses if host.pci.function(a) is None]
        yield from _viable(number, members, assigned, functions[0].address)
    if lost:
        raise Unknown("; ".join(lost[:3]))
    require_all(host)


def _viable(number: int, members: list[Function], assigned: dict[str, list[str]], first: str) -> Outcome:
    owners = sorted({owner for member in members for owner in assigned.get(member.address, ())})
    target = f"domain/{owners[0]}"
    held = [
        m for m in members if m.address not in assigned and not m.is_bridge and m.driver not in (None, *VFIO_DRIVERS)
    ]
    for member in held:
        yield Finding(
            f"{first} shares IOMMU group {number} with {member.address}, which the host's driver {member.driver} holds",
            (
                (f"{GROUPS}/{number}/devices", " ".join(m.address for m in members)),
                (f"{member.path}/driver", member.driver or ""),
            ),
            expected="no other member with a host driver",
            actual=f"{member.address}: {member.driver}",
            now=(
                f"echo vfio-pci > {quoted(member.path)}/driver_override",
                f"echo {quoted(member.address)} > {quoted(member.path)}/driver/unbind",
                f"echo {quoted(member.address)} > /sys/bus/pci/drivers_probe",
            ),
            for_good=(remark("move the card to a slot below another root port"),),
            setting=f"driver:{member.address}",
            key=member.address,
            target=target,
        )
    if len(owners) > 1:
        yield Finding(
            f"IOMMU group {number} is given to {len(owners)} domains: {', '.join(owners)}",
            ((f"{GROUPS}/{number}/devices", " ".join(member.address for member in members)),),
            expected="one domain for each group",
            actual=", ".join(owners),
            for_good=(virsh_edit(owners[1], "a device of another group"),),
            setting=f"domain:{owners[1]}",
            disruption="vm-restart",
            key=f"group{number}",
            target=target,
        )
