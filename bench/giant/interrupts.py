"""/proc/interrupts, a column for each CPU and a row for each interrupt: tens of megabytes; and /proc/irq."""

from __future__ import annotations

from bench.giant.pci import Irq
from bench.giant.shape import Shape
from bench.giant.tree import Tree, mask, ranges

_SUMS = {
    "NMI": ("Non-maskable interrupts", 12),
    "LOC": ("Local timer interrupts", 9_000_000),
    "SPU": ("Spurious interrupts", 0),
    "PMI": ("Performance monitoring interrupts", 12),
    "IWI": ("IRQ work interrupts", 2),
    "RTR": ("APIC ICR read retries", 0),
    "RES": ("Rescheduling interrupts", 40_000),
    "CAL": ("Function call interrupts", 700_000),
    "TLB": ("TLB shootdowns", 9_000),
    "TRM": ("Thermal event interrupts", 0),
    "MCE": ("Machine check exceptions", 0),
    "MCP": ("Machine check polls", 300),
    "PIN": ("Posted-interrupt notification event", 0),
    "NPI": ("Nested posted-interrupt event", 0),
    "PIW": ("Posted-interrupt wakeup event", 0),
}
_DIGITS = 5
"""Columns of an interrupt's number: as many as the largest possible one has, here that of 2 x 512 CPUs' vectors."""


def write(tree: Tree, shape: Shape, irqs: list[Irq]) -> None:
    """The table, and the folder of each interrupt."""
    zeros = f"{0:11}" * shape.cpus
    rows = [" " * (_DIGITS + 8) + "".join(f"CPU{cpu:<8}" for cpu in range(shape.cpus))]
    every = list(range(shape.cpus))
    tree.file("/proc/irq/default_smp_affinity", mask(every, shape.cpus))
    for irq in irqs:
        target = irq.cpus[irq.hwirq % len(irq.cpus)]
        counts = f"{zeros[: 11 * target]}{irq.times:11}{zeros[11 * (target + 1) :]}"
        rows.append(
            f"{irq.number:{_DIGITS}}:{counts} {irq.chip:>8} {irq.hwirq:{_DIGITS}}-{irq.trigger:<8}  {irq.action}"
        )
        told: dict[str, object] = {"affinity_hint": mask((), shape.cpus), "node": irq.node}
        told |= {"smp_affinity": mask(irq.cpus, shape.cpus), "smp_affinity_list": ranges(irq.cpus)}
        told |= {"effective_affinity": mask((target,), shape.cpus), "effective_affinity_list": target}
        tree.files(f"/proc/irq/{irq.number}", {**told, "spurious": "count 0\nunhandled 0\nlast_unhandled 0 ms"})
    for name, (meaning, count) in _SUMS.items():
        rows.append(f"{name:>{_DIGITS}}: {f'{count:10} ' * shape.cpus}  {meaning}")
    rows += [f"{name:>{_DIGITS}}: {0:10}" for name in ("ERR", "MIS")]
    tree.file("/proc/interrupts", "\n".join(rows))
