"""The clocksource (kernel: Documentation/ABI/testing/sysfs-devices-clocksource)."""

from __future__ import annotations

from typing import NamedTuple

from vmtune.host import Host
from vmtune.value import value

PATH = "/sys/devices/system/clocksource/clocksource0"


@value
class Clock(NamedTuple):
    """What the kernel reads time from, and what else it could."""

    path: str
    current: str | None
    """`current_clocksource`: tsc, kvm-clock, hpet, arch_sys_counter…"""
    available: tuple[str, ...] | None
    """`available_clocksource`, the best first."""


def read(host: Host) -> Clock:
    """Both attributes."""
    folder = host.root.folder(PATH)
    available = folder.text("available_clocksource")
    return Clock(
        PATH, folder.text("current_clocksource"), tuple(available.split()) if isinstance(available, str) else available
    )
