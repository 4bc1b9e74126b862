"""What psutil and py-cpuinfo say of the live machine, beside what vmtune read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from vmtune.host import Host
from vmtune.value import peek


class Row(NamedTuple):
    """One figure from two sources."""

    figure: str
    vmtune: Any
    other: Any
    source: str

    @property
    def agree(self) -> bool | None:
        """Whether both know it and say the same; None where one does not know."""
        return None if self.vmtune is None or self.other is None else self.vmtune == self.other


def cross_check(host: Host) -> list[Row]:
    """Each figure that another library can tell as well. Takes a second: py-cpuinfo starts a second interpreter."""
    import cpuinfo
    import psutil

    other = cpuinfo.get_cpu_info()
    figures: list[tuple[str, Callable[[], Any], Any, str]] = [
        ("CPUs online", lambda: len(host.cpu.online), psutil.cpu_count(), "psutil"),
        ("cores", lambda: host.cpu.cores, psutil.cpu_count(logical=False), "psutil"),
        ("memory, bytes", lambda: host.memory.total_bytes, psutil.virtual_memory().total, "psutil"),
        ("swap, bytes", lambda: host.memory.swap_bytes, psutil.swap_memory().total, "psutil"),
        ("architecture", lambda: host.platform.architecture, other.get("arch_string_raw"), "py-cpuinfo"),
        ("CPU vendor", lambda: host.cpu.vendor, other.get("vendor_id_raw"), "py-cpuinfo"),
        ("CPU model", lambda: host.cpu.model, other.get("brand_raw"), "py-cpuinfo"),
        ("CPU flags beyond the other's", lambda: len(host.cpu.flags - {*other.get("flags", ())}), 0, "py-cpuinfo"),
    ]
    return [Row(figure, peek(ours), theirs, source) for figure, ours, theirs, source in figures]
