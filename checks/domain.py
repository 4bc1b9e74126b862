"""Devices of libvirt domains."""

from __future__ import annotations

from vmtune.check import Evidence, Finding, Info, Outcome, Severity, Unknown, Workload, check
from vmtune.host import Host
from vmtune.host.domain import Domain
from vmtune.host.domain.disks import Disk
from vmtune.shell import virsh_edit
from vmtune.site import Site

DIRECT = ("none", "directsync")
MODES = (*DIRECT, "default", "writeback", "writethrough", "unsafe", None)
"""Cache modes that go around the host's page cache."""
NETWORK_FILESYSTEMS = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "gfs2",
    "ocfs2",
    "gpfs",
    "lustre",
)


@check("disk-cache-unsafe", Severity.CRITICAL, over=Domain, see="https://libvirt.org/formatdomain.html")
def disk_cache_unsafe(domain: Domain, host: Host, workload: Workload, site: Site) -> Outcome:
    """Disk cache or AIO mode is unsafe or unfit.

    Why: `unsafe` ignores the guest's flushes, so a host crash loses what the database was told is on disk; write-back
        and write-through caches keep everything twice and hide how slow the disk is.
    Fix for good: virsh edit DOMAIN: <driver cache='none' io='native'/>; holds from the next cold start.
    Traps: cache=none still is write-back toward the disk: the guest's flushes are honoured. No cache attribute means
        writeback. io=native needs a cache of none or directsync, else libvirt refuses the domain.
    Source: libvirt's formatdomain (disk driver); QEMU's block-core documentation.
    """
    for disk in domain.disks:
        if disk.is_plain and not disk.transient:
            yield from _cache(domain, disk, workload, _moves_over_cache(disk, host, site))


def _cache(domain: Domain, disk: Disk, workload: Workload, moves: bool) -> Outcome:
    cache, io = disk.driver.cache, disk.driver.io
    said = f"cache='{cache}'" if cache else "no cache attribute, which is writeback"
    if cache not in MODES:
        raise Unknown(f"{domain.source}: disk {disk.target}: cache='{cache}' is no mode that is known here")
    evidence: tuple[Evidence, ...] = ((domain.source, f"disk {disk.target}: {said}" + (f", io='{io}'" if io else "")),)
    mend = (virsh_edit(domain.name, f"disk {disk.target}: <driver cache='none' io='native'/>"),)

    def finding(message: str, severity: Severity | None, key: str = "") -> Finding:
        return Finding(
            message,
            evidence,
            severity=severity,
            expected="none or directsync",
            actual=cache or "writeback",
            for_good=mend,
            setting=f"domain:{domain.name}",
            disruption="vm-restart",
            key=f"{disk.target}{key}",
        )

    if cache == "unsafe":
        yield finding(f"disk {disk.target} ignores the guest's flushes: {said}", None)
    elif io == "native" and cache not in DIRECT:
        yield finding(f"disk {disk.target} wants io='native' with {said}: libvirt refuses to start it", None, "/io")
    elif workload is Workload.DB and cache not in DIRECT:
        yield finding(f"disk {disk.target} of a database goes through the host's page cache: {said}", Severity.HIGH)
    elif moves and cache not in DIRECT:
        yield finding(f"disk {disk.target} on shared storage cannot be migrated safely: {said}", Severity.HIGH)
    elif io is None and disk.type == "block" and disk.driver.format in ("raw", None):
        yield Info(
            f"disk {disk.target} uses threads for its I/O; native or io_uring suit a raw device better", evidence
        )


def _moves_over_cache(disk: Disk, host: Host, site: Site) -> bool:
    """Whether the domain is to be migrated while another host sees the same file."""
    if not (site.wants("migration") or site.wants("ha")) or disk.type != "file" or not disk.source:
        return False
    source = disk.source
    mount = host.mounts.of(source)
    return mount is not None and mount.filesystem in NETWORK_FILESYSTEMS
