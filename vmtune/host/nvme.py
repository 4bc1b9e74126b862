"""NVMe controllers and subsystems (kernel: drivers/nvme/host/{sysfs,core,multipath}.c)."""

from __future__ import annotations

import re
from typing import NamedTuple

from vmtune.host import Host
from vmtune.host.pci import ADDRESS, DEVICES, device_path, function_of
from vmtune.root import NOT_CAPTURED, Folder, Root, Unreadable
from vmtune.root.folder import keep
from vmtune.value import value

CONTROLLERS = "/sys/class/nvme"
SUBSYSTEMS = "/sys/class/nvme-subsystem"
CONTROLLER = re.compile(r"nvme[0-9]{1,6}")
_SUBSYSTEM = re.compile(r"nvme-subsys[0-9]{1,6}")


@value
class Subsystem(NamedTuple):
    """An NVMe subsystem: the controllers that lead to the same namespaces."""

    name: str
    path: str
    controllers: tuple[str, ...]
    iopolicy: str | None
    """How I/O is spread over paths: numa, round-robin, queue-depth; None without native multipath."""


@value
class NvmeController(NamedTuple):
    """An NVMe controller, local or over a fabric. The number in its name is not that of its namespaces (`nvme1n1`)."""

    name: str
    path: str
    address: str | None
    """PCI address; None where it is reached over a fabric."""
    target: str | None
    """`address` as the kernel writes it, where it is no PCI address: `traddr=…,trsvcid=…`."""
    transport: str | None
    """pcie, tcp, rdma, fc, loop, apple-nvme."""
    state: str | None
    """new, live, resetting, connecting, deleting, deleting (no IO), dead."""
    model: str | None
    firmware: str | None
    """`firmware_rev`."""
    cntrltype: str | None
    """io, discovery, admin, reserved (a controller older than NVMe 1.4)."""
    node: int | None
    """`numa_node`, of the controller or of its PCI function."""
    queue_count: int | None
    """`queue_count`: I/O queues and the admin queue."""
    sqsize: int | None
    """`sqsize`: entries of a submission queue, less one."""
    latency_tolerance: str | None
    """`power/pm_qos_latency_tolerance_us`: microseconds, `auto` or `any`; None where it has no APST."""
    subsystem: str | None
    """Name of its subsystem: `nvme-subsys0`."""

    @property
    def queues(self) -> int | None:
        """I/O queues."""
        count = self.queue_count
        return None if count is None else max(count - 1, 0)


def read(host: Host) -> tuple[NvmeController, ...]:
    """All controllers below /sys/class/nvme."""
    root = host.root
    try:
        listed = root.names(CONTROLLERS) or ()
    except Unreadable as kept:
        if kept.reason == NOT_CAPTURED and _has_none(host):
            return ()
        raise
    names = [name for name in listed if CONTROLLER.fullmatch(name)]
    if not names:
        return ()
    try:
        homes = {name: system.name for system in subsystems(root) for name in system.controllers}
    except Unreadable as kept:
        return tuple(_controller(root, name, keep(kept)) for name in names)
    return tuple(_controller(root, name, homes.get(name)) for name in names)


def _has_none(host: Host) -> bool:
    """Whether a capture without the class still shows that there is no NVMe: no PCI function and no disk of it."""
    try:
        functions, disks = host.pci.functions, host.root.names("/sys/block")
    except Unreadable:
        return False
    return bool(functions and disks) and not any(
        (*(function.is_nvme for function in functions), *(name.startswith("nvme") for name in disks or ()))
    )


def subsystems(root: Root) -> tuple[Subsystem, ...]:
    """All subsystems below /sys/class/nvme-subsystem, none before 4.15. Raises Unreadable."""
    found = []
    for name in root.names(SUBSYSTEMS) or ():
        if _SUBSYSTEM.fullmatch(name):
            folder = root.folder(f"{SUBSYSTEMS}/{name}")
            inside = folder.names()
            controllers = (
                tuple(each for each in inside if CONTROLLER.fullmatch(each))
                if isinstance(inside, list)
                else (() if inside is None else keep(inside))
            )
            found.append(Subsystem(name, folder.path, controllers, folder.text("iopolicy")))
    return tuple(found)


def _controller(root: Root, name: str, subsystem: str | None) -> NvmeController:
    folder = root.folder(f"{CONTROLLERS}/{name}")
    address, target = _address(folder)
    node = folder.node()
    if node is None and isinstance(address, str):
        node = root.folder(f"{DEVICES}/{address}").node()
    return NvmeController(
        name=name,
        path=folder.path,
        address=address,
        target=target,
        transport=folder.text("transport"),
        state=folder.text("state"),
        model=stripped(folder, "model"),
        firmware=stripped(folder, "firmware_rev"),
        cntrltype=folder.text("cntrltype"),
        node=node,
        queue_count=folder.number("queue_count"),
        sqsize=folder.number("sqsize"),
        latency_tolerance=folder.text("power/pm_qos_latency_tolerance_us"),
        subsystem=subsystem,
    )


def _address(folder: Folder) -> tuple[str | None, str | None]:
    """PCI address, from `address` or else from where the controller hangs; and the address of another kind."""
    text = folder.text("address")
    if isinstance(text, str):
        return (text, None) if ADDRESS.fullmatch(text) else (None, text)
    try:
        above = function_of(device_path(folder.root, folder.path))
    except Unreadable:
        return text, None
    return above or text, None


def stripped(folder: Folder, name: str) -> str | None:
    """Text that the device pads with spaces."""
    text = folder.text(name)
    return text.strip() if isinstance(text, str) else text
