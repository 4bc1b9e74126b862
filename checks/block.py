"""Block devices and their queues."""

from __future__ import annotations

from collections.abc import Iterator

from vmtune.check import Finding, Info, Outcome, Severity, Skip, Unknown, Workload, check
from vmtune.host import Host
from vmtune.host.block import Disk
from vmtune.root.folder import Choice
from vmtune.shell import quoted

DEADLINE = ("mq-deadline", "deadline")
NONE = ("none", "noop")
SORTING = ("bfq", "kyber", "cfq")
SPINNING = ("ata", "sas", "usb")
"""Transports of single disks; behind another one a RAID controller may sort for them."""
NEVER_SPINNING = ("virtio", "nvme", "xen", "fc", "iscsi")


@check(
    "io-scheduler-unsuited",
    Severity.MEDIUM,
    over=Disk,
    see="https://docs.kernel.org/block/switching-sched.html",
)
def io_scheduler_unsuited(disk: Disk, host: Host, workload: Workload) -> Outcome:
    """The I/O scheduler does not suit the device.

    Why: a virtual disk, an SSD or a SAN sorts requests itself; doing it again costs CPU and latency. A disk that spins
        needs it.
    Fix now: write the scheduler's name to queue/scheduler of the disk.
    Fix for good: a udev rule that matches the driver, never the letter of the disk.
    Traps: a single-queue device gets mq-deadline from the kernel without anybody's wish. A virtio disk calls itself
        rotational whatever lies below. The scheduler of a native NVMe multipath head is that of its hidden paths;
        that of a leg of dm-multipath is bypassed.
    Source: block/elevator.c, block/blk-mq.c; Documentation/block/switching-sched.rst.
    """
    if _is_multipath_leg(disk, host):
        raise Skip("a leg of dm-multipath: its scheduler is bypassed")
    spins = _spins(disk, host)
    judged = 0
    for name, path, scheduler in _queues(disk):
        judged += 1
        wanted = _wanted(disk, scheduler, spins)
        if wanted is None:
            if scheduler.active in DEADLINE and not spins and workload in (Workload.DB, Workload.LATENCY):
                yield Info(
                    f"{name} has one queue and the scheduler {scheduler.active}: fair to reads, as good as none",
                    (path,),
                )
            continue
        yield Finding(
            f"{name} ({disk.driver}) uses the scheduler {scheduler.active}",
            (path, f"{disk.path}/queue/rotational") if spins else (path,),
            severity=Severity.LOW,
            expected=wanted,
            actual=scheduler.active,
            now=(f"echo {wanted} > {quoted(path)}",),
            for_good=_udev_rule(disk, wanted),
            setting=f"block:{disk.name}/scheduler",
            key=name if name != disk.name else None,
        )
    if not judged:
        if host.root.names(f"{disk.path}/queue") is None:
            raise Unknown(f"{disk.path}/queue: absent")
        raise Skip("has no scheduler: requests pass through to what lies beneath")


def _queues(disk: Disk) -> Iterator[tuple[str, str, Choice]]:
    """Name, file and scheduler of each queue that a disk's requests go through."""
    if disk.paths:
        for path in disk.paths:
            if path.scheduler is not None:
                yield path.name, f"{path.path}/queue/scheduler", path.scheduler
    elif disk.scheduler is not None:
        yield disk.name, f"{disk.path}/queue/scheduler", disk.scheduler


def _is_multipath_leg(disk: Disk, host: Host) -> bool:
    return bool(disk.holders) and any(other.is_multipath for other in host.disks if other.name in disk.holders)


def _spins(disk: Disk, host: Host) -> bool:
    """Whether the kernel calls it rotational and nothing speaks against: no hypervisor, no transport of flash or
    arrays."""
    if disk.transport in NEVER_SPINNING or host.platform.is_guest:
        return False
    if disk.rotational is None:
        raise Unknown(f"{disk.path}/queue/rotational: absent")
    return disk.rotational


def _wanted(disk: Disk, scheduler: Choice, spins: bool) -> str | None:
    """The scheduler that would suit better, None where this one does."""
    active = scheduler.active
    if spins:
        return _listed(DEADLINE, scheduler) if active in NONE and disk.transport in SPINNING else None
    sorts = active in SORTING
    if active in DEADLINE:
        sorts = disk.transport == "nvme" and (disk.hw_queues is None or disk.hw_queues > 1)
    return _listed(NONE, scheduler) if sorts else None


def _listed(names: tuple[str, ...], scheduler: Choice) -> str:
    """That one of equal schedulers which this kernel has."""
    return next((name for name in names if name in scheduler.options), names[0])


def _udev_rule(disk: Disk, wanted: str) -> tuple[str, ...]:
    """A udev rule for all disks of its driver; none for hidden paths, which make no events."""
    kernel = {"nvme": "nvme[0-9]*n[0-9]*", "virtio_blk": "vd[a-z]*", "sd": "sd[a-z]*"}.get(disk.driver or "")
    if kernel is None or disk.paths:
        return ()
    test = f'ATTR{{queue/rotational}}=="{int(bool(disk.rotational))}", ' if disk.driver == "sd" else ""
    rule = (
        f'ACTION=="add|change", SUBSYSTEM=="block", ENV{{DEVTYPE}}=="disk", KERNEL=="{kernel}", '
        f'{test}TEST=="queue/scheduler", ATTR{{queue/scheduler}}="{wanted}"'
    )
    return (f"echo '{rule}' > /etc/udev/rules.d/61-io-scheduler-{disk.driver}.rules",)
