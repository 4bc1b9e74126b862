"""Interrupts: /proc/interrupts and /proc/irq.

Kernel: kernel/irq/proc.c, Documentation/core-api/irq/irq-affinity.rst.
"""

from __future__ import annotations

from typing import NamedTuple

from vmtune.cpuset import CpuSet
from vmtune.host import Host
from vmtune.root import Unreadable
from vmtune.root.folder import known
from vmtune.value import value

TABLE = "/proc/interrupts"
FOLDER = "/proc/irq"
_TABLE_LIMIT = 1 << 28
"""Bytes: 512 CPUs and 5,000 interrupts fill 28 MB."""
_COLUMN = 11
"""Characters that the kernel prints for one count."""
_NAME_LIMIT = 32
_TAIL_LIMIT = 1000
_CHIP_WORDS = 8
_MARKS = {"Level": "level", "Edge": "edge"}


class Irq(NamedTuple):
    """One line of /proc/interrupts. Its counts stay in the text until `Interrupts.counts` is asked for them."""

    name: str
    """The number, or the architecture's name of what is no device's: LOC, RES, TLB."""
    number: int | None
    chip: str | None
    """`IR-PCI-MSIX-0000:3b:00.0`, `PCI-MSI`, `IO-APIC`, `ITS-MSI`; None for what is no device's."""
    hwirq: int | None
    """Number within the chip: the vector of an MSI-X function."""
    trigger: str | None
    """edge, level, fasteoi."""
    actions: tuple[str, ...]
    """Who asked for it: `nvme0q3`, `virtio1-req.0`, `vfio-msix[0](0000:3b:02.0)`. Empty: nobody now."""
    description: str | None
    """What the architecture says of what is no device's: `Local timer interrupts`."""
    start: int
    stop: int

    @property
    def path(self) -> str:
        """Its folder below /proc/irq."""
        return f"{FOLDER}/{self.name}"

    def affinity(self, host: Host) -> CpuSet | None:
        """CPUs that somebody wished it on (`smp_affinity_list`). Raises Unreadable."""
        return self._cpus(host, "smp_affinity_list")

    def effective_affinity(self, host: Host) -> CpuSet | None:
        """CPUs that it is delivered to (`effective_affinity_list`), empty while nobody uses it. Raises Unreadable."""
        return self._cpus(host, "effective_affinity_list")

    def node(self, host: Host) -> int | None:
        """NUMA node of its device (`node`); None where it has none. Raises Unreadable."""
        return None if self.number is None else known(host.root.folder(self.path).node("node"))

    def _cpus(self, host: Host, name: str) -> CpuSet | None:
        return None if self.number is None else known(host.root.folder(self.path).cpus(name))


@value
class Interrupts(NamedTuple):
    """All interrupts, as they were counted since boot when they were read."""

    path: str
    cpus: tuple[int, ...]
    """CPUs of the columns: those online."""
    irqs: tuple[Irq, ...]
    default_affinity: CpuSet | None
    """`default_smp_affinity`: CPUs of an interrupt that is new; None on a kernel for one CPU."""
    text: bytes

    def counts(self, irq: Irq) -> tuple[int, ...]:
        """How often it came, one number a column; fewer where the kernel keeps one sum. Raises Unreadable."""
        try:
            return tuple(map(int, self.text[irq.start : irq.stop].split()))
        except ValueError:
            raise Unreadable(self.path, f"the counts of {irq.name} are no numbers") from None

    def total(self, irq: Irq) -> int:
        """How often it came to all CPUs. Raises Unreadable."""
        return sum(self.counts(irq))

    def again(self, host: Host) -> Interrupts:
        """The same as it is now, to see what came in between. Raises Unreadable."""
        data = (host.root.reread(TABLE, _TABLE_LIMIT) or "").encode()
        return Interrupts(TABLE, *parse(data), self[-2], data)

    @property
    def devices(self) -> tuple[Irq, ...]:
        """Those that are a device's: they have a number, and a folder in /proc/irq."""
        return tuple(irq for irq in self.irqs if irq.number is not None)


def read(host: Host) -> Interrupts:
    """The table and the default affinity; the affinity of each is read when it is asked for."""
    data = host.root.read_bytes(TABLE, _TABLE_LIMIT)
    if data is None:
        raise Unreadable(TABLE, "no such file")
    cpus, irqs = parse(data)
    return Interrupts(TABLE, cpus, irqs, host.root.folder(FOLDER).mask("default_smp_affinity"), data)


def parse(data: bytes) -> tuple[tuple[int, ...], tuple[Irq, ...]]:
    """CPUs of the columns, and the lines. Raises Unreadable for what is no such table."""
    stop = data.find(b"\n")
    heads = data[: max(stop, 0)].split()
    cpus = tuple(int(head[3:]) for head in heads if head[:3] == b"CPU" and head[3:].isdigit() and len(head) < 10)
    if not cpus or len(cpus) != len(heads):
        raise Unreadable(TABLE, "its first line names no CPUs")
    irqs = []
    start = stop + 1
    while start < len(data):
        stop = data.find(b"\n", start)
        if stop < 0:
            stop = len(data)
        colon = data.find(b":", start, min(stop, start + _NAME_LIMIT))
        if colon >= 0:
            irqs.append(_line(data, start, colon, stop, len(cpus)))
        start = stop + 1
    return cpus, tuple(irqs)


def _line(data: bytes, start: int, colon: int, stop: int, columns: int) -> Irq:
    name = data[start:colon].strip().decode("ascii", "backslashreplace")
    first = colon + 1
    # Each count fills a column of its own, so that the end of the counts needs no reading of hundreds of them.
    end = first + _COLUMN * columns
    if not (end <= stop and data[end - 1 : end].isdigit() and data[end : end + 1] in (b" ", b"\n", b"")):
        end = _end_of_counts(data, first, stop, columns)
    tail = data[end : min(stop, end + _TAIL_LIMIT)].decode("utf-8", "backslashreplace")
    if not (name.isascii() and name.isdigit() and len(name) < 10):
        return Irq(name, None, None, None, None, (), " ".join(tail.split()), first, end)
    chip, hwirq, trigger, actions = described(tail)
    return Irq(name, int(name), chip, hwirq, trigger, actions, None, first, end)


def _end_of_counts(data: bytes, first: int, stop: int, columns: int) -> int:
    """Where the counts end in a line whose columns are not the kernel's."""
    end = first
    for word in data[first:stop].split(None, columns)[:columns]:
        if not word.isdigit() or len(word) > 20:
            break
        end = data.index(word, end) + len(word)
    return end


def described(tail: str) -> tuple[str | None, int | None, str | None, tuple[str, ...]]:
    """Chip, number within it, trigger and actions, from what stands behind the counts.

    `PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0`, `GICv3  27 Level     arch_timer`,
    `xen-dyn    -event     xenbus`, `IO-APIC-fasteoi   acpi` (old kernels). Names of chips and
    actions may hold single spaces; commas part actions.
    """
    words = tail.split()
    if not words:
        return None, None, None, ()
    for place, word in enumerate(words[1:_CHIP_WORDS], 1):
        number, dash, trigger = word.partition("-")
        if (number.isascii() and number.isdigit() and len(number) < 20) or (dash and not number):
            after = place + 1
            if not dash and words[after : after + 1] and words[after] in _MARKS:
                trigger = _MARKS[words[after]]
                after += 1
            hwirq = int(number) if number else None
            return " ".join(words[:place]), hwirq, trigger or None, _actions(words[after:])
    chip, _, trigger = words[0].rpartition("-")
    if chip and trigger in ("edge", "level", "fasteoi"):
        return chip, None, trigger, _actions(words[1:])
    return words[0], None, None, _actions(words[1:])


def _actions(words: list[str]) -> tuple[str, ...]:
    return tuple(name for name in " ".join(words).split(", ") if name)
