"""Devices of libvirt domains."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

CHECK = "disk-cache-unsafe"
DRIVER = "cache='none' io='native' iothread='1'"
READ_ONLY = ("<target dev='vda' bus='virtio'/>", "<target dev='vda' bus='virtio'/><readonly/>")

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
]
