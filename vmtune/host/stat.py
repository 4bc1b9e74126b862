"""CPU time since boot, from /proc/stat (man 5 proc, Documentation/filesystems/proc.rst §1.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.host import Host

PATH = "/proc/stat"
TICKS_PER_SECOND = 100
"""USER_HZ, which is 100 on every architecture that runs KVM (include/asm-generic/param.h)."""
_STEAL = 7
_ACCOUNTED = 8
"""user nice system idle iowait irq softirq steal; guest time, which follows, is within user time."""


class CpuTime(NamedTuple):
    """Ticks of one CPU, or of all together (`number` None)."""

    number: int | None
    total: int
    steal: int

    @property
    def steal_percent(self) -> float:
        """Share of the time that a hypervisor gave to somebody else."""
        return 100.0 * self.steal / self.total if self.total else 0.0

    def since(self, before: CpuTime) -> CpuTime:
        """What was added since an earlier reading."""
        return CpuTime(self.number, self.total - before.total, self.steal - before.steal)


def parse(text: str) -> tuple[CpuTime, ...]:
    """The `cpu` lines, all together first. Raises Unreadable where a line is not of its form."""
    times = []
    for line in text.splitlines():
        if not line.startswith("cpu"):
            break
        name, *fields = line.split()
        try:
            ticks = [int(field) for field in fields[:_ACCOUNTED]]
            steal = ticks[_STEAL] if len(ticks) > _STEAL else 0
            if min(ticks, default=-1) < 0:
                raise ValueError
            times.append(CpuTime(int(name[3:]) if name != "cpu" else None, sum(ticks), steal))
        except ValueError:
            raise Unreadable(PATH, f"{line[:60]!r} is not a line of CPU times") from None
    if not times:
        raise Unreadable(PATH, "no line of CPU times")
    return tuple(times)


def read(host: Host) -> tuple[CpuTime, ...]:
    """CPU times since boot. Raises Unreadable."""
    text = host.root.read(PATH)
    if text is None:
        raise Unreadable(PATH, "absent")
    return parse(text)
