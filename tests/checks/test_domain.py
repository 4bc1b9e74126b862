"""Devices of libvirt domains."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

CHECK = "disk-cache-unsafe"
DRIVER = "cache='none' io='native' iothread='1'"
READ_ONLY = ("<target dev='vda' bus='virtio'/>", "<target dev='vda' bus='virtio'/><readonly/>")
ON_NFS = """
etc/libvirt/qemu/web.xml:
  <domain type='kvm'><name>web</name><memory unit='GiB'>1</memory><vcpu cpuset='2,6'>1</vcpu><devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback'/><source file='/vms/web.qcow2'/>
    <target dev='vda' bus='virtio'/></disk></devices></domain>
proc/self/mountinfo:
  22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme1n1p2 rw
  40 22 0:50 / /vms rw,relatime - nfs4 filer:/vms rw
"""

CASES = [
    Case(CHECK, "pass", "kvm-host"),
    Case(CHECK, "pass", "kvm-host", swap=(DRIVER, "cache='directsync' io='native'")),
    Case(CHECK, "critical domain/db01", "kvm-host", swap=(DRIVER, "cache='unsafe'"), reason="flushes"),
    Case(CHECK, "critical domain/db01", "kvm-host", swap=(DRIVER, "io='native'"), reason="refuses"),
    Case(CHECK, "high domain/db01", "kvm-host", swap=(DRIVER, "cache='writeback'")),
    Case(CHECK, "high domain/db01", "kvm-host", swap=(DRIVER, ""), reason="which is writeback"),
    Case(CHECK, "info", "kvm-host", swap=(DRIVER, "cache='none'"), reason="io_uring"),
    Case(CHECK, "pass", "kvm-host", swap=(DRIVER, "cache='writeback' io='io_uring'"), workload=Workload.GENERAL),
    Case(CHECK, "pass", "kvm-host", swap=READ_ONLY),
    Case(CHECK, "unknown", "kvm-host", "etc/libvirt/qemu/db01.xml ! permission denied"),
    Case(CHECK, "unknown", "kvm-host", swap=(DRIVER, "cache='gibberish'")),
    Case(CHECK, "high domain/web", "kvm-host", ON_NFS, assume=frozenset({"migration"}), reason="migrated"),
    Case(CHECK, "pass", "kvm-host", ON_NFS),
    Case(
        CHECK,
        "unknown",
        "kvm-host",
        f"{ON_NFS}\nproc/self/mountinfo ! permission denied",
        assume=frozenset({"migration"}),
    ),
]
