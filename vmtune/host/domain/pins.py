"""Pins of a VM that runs without libvirt: the affinities of its threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmtune.host.domain.qemu import Thread, threads
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.cpuset import CpuSet
    from vmtune.host import Host
    from vmtune.host.domain.values import Domain


def with_affinities(host: Host, domain: Domain, pid: int) -> Domain:
    """The domain with pins of those threads that may not use all online CPUs."""
    try:
        found = threads(host, pid)
        online = host.cpu.online
        vcpus = _pins(found, "vcpu", online)
        iothreads = _pins(found, "iothread", online)
        main = next((thread.cpus for thread in found if thread.tid == pid), None)
    except Unreadable as kept:
        return domain._replace(
            tuning=domain.tuning._replace(vcpupin=keep(kept), iothreadpin=keep(kept), emulatorpin=keep(kept))
        )
    if not any(thread.kind == "vcpu" for thread in found):
        vcpus = keep(Unreadable(f"/proc/{pid}/task", "threads bear no names (QEMU runs without debug-threads=on)"))
    return domain._replace(
        tuning=domain.tuning._replace(
            vcpupin=vcpus,
            iothreadpin=iothreads,
            emulatorpin=None if main is None or online <= main else main,
        )
    )


def _pins(found: tuple[Thread, ...], kind: str, online: CpuSet) -> dict[int, CpuSet]:
    return {
        thread.number: thread.cpus
        for thread in found
        if thread.kind == kind and thread.number is not None and not online <= thread.cpus
    }
