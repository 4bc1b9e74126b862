"""What a machine is: a host of VMs, a guest, both, or bare metal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.check import Role
from vmtune.root.unreadable import NOT_CAPTURED, Unreadable

if TYPE_CHECKING:
    from vmtune.host import Host

HOST_SIGNS = (
    ("/etc/libvirt/qemu.conf", "libvirt's QEMU driver is installed"),
    ("/etc/pve/qemu-server", "Proxmox VE"),
    ("/etc/nova/nova-compute.conf", "OpenStack Nova compute"),
    ("/var/lib/nova/instances", "OpenStack Nova compute"),
    ("/var/run/kubevirt", "KubeVirt"),
)
"""Paths that only a machine set up to run VMs has."""


class Roles(NamedTuple):
    """The roles that were found, and what spoke for each."""

    found: tuple[Role, ...]
    evidence: tuple[tuple[str, str], ...]
    """Path or subject, and what it says."""
    doubt: str | None
    """Why nobody can say whether this machine is a guest; None where it is known."""
    host_doubt: str | None
    """What could not be read and might show a host of VMs; None where everything could, or nobody captured it."""


def read(host: Host) -> Roles:
    """The roles of a machine: what it runs and what runs it."""
    evidence, host_doubt = _host_signs(host)
    found = [Role.HOST] if evidence else []
    doubt = None
    try:
        if host.platform.is_guest:
            found.append(Role.GUEST)
            evidence.append(("platform", f"runs under {host.platform.hypervisor or 'a hypervisor'}"))
    except Unreadable as kept:
        doubt = str(kept)
    if not found and doubt is None:
        found.append(Role.METAL)
        evidence.append(("platform", "no hypervisor beneath, no VMs above"))
    return Roles(tuple(found), tuple(evidence), doubt, None if Role.HOST in found else host_doubt)


def _host_signs(host: Host) -> tuple[list[tuple[str, str]], str | None]:
    """What shows a host of VMs, and what could not be read."""
    signs: list[tuple[str, str]] = []
    doubt = None
    for path, meaning in HOST_SIGNS:
        try:
            if host.root.exists(path):
                signs.append((path, meaning))
        except Unreadable as kept:
            doubt = doubt if kept.reason == NOT_CAPTURED else str(kept)
    try:
        if host.domains:
            signs.append(("domains", f"{len(host.domains)} domains or QEMU processes"))
    except Unreadable as kept:
        doubt = doubt if kept.reason == NOT_CAPTURED else str(kept)
    return signs, doubt
