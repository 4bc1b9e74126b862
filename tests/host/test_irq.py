"""Interrupts."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.tree import plant
from vmtune.cpuset import EMPTY, CpuSet
from vmtune.host import Host, irq
from vmtune.root import Unreadable

TABLE = (
    "           CPU0       CPU2       CPU3\n"
    "  0:         49          0          0   IO-APIC   2-edge      timer\n"
    "  9:          0          4          0  IR-IO-APIC    9-fasteoi   acpi\n"
    " 36:         10    4294967295          1 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0, PCIe PME\n"
    " 40:          0          0          0   PCI-MSI 524288-edge\n"
    "NMI:          1          2          3   Non-maskable interrupts\n"
    "ERR:          7\n"
    "MIS:          0\n"
)
AFFINITY = """
/proc/irq/default_smp_affinity: d
/proc/irq/36/smp_affinity_list: 0,2-3
/proc/irq/36/effective_affinity_list: 2
/proc/irq/36/node: 1
/proc/irq/40/smp_affinity_list: 0-3
/proc/irq/40/effective_affinity_list:
/proc/irq/40/node: -1
/proc/irq/9/smp_affinity_list ! permission denied
"""


def machine(table: str = TABLE, more: str = AFFINITY) -> Host:
    root = plant(more)
    root.store.put("/proc/interrupts", table.encode())  # type: ignore[attr-defined]
    return Host(root)


def line(table: str, name: str) -> irq.Irq:
    return next(each for each in irq.parse(table.encode())[1] if each.name == name)


def test_each_line_is_an_interrupt() -> None:
    interrupts = machine().interrupts
    assert interrupts.cpus == (0, 2, 3)
    assert [each.name for each in interrupts.irqs] == ["0", "9", "36", "40", "NMI", "ERR", "MIS"]
    assert [each.number for each in interrupts.devices] == [0, 9, 36, 40]
    assert interrupts.default_affinity == CpuSet([0, 2, 3])


def test_a_device_line_tells_chip_trigger_and_actions() -> None:
    found = line(TABLE, "36")
    assert (found.chip, found.hwirq, found.trigger) == ("PCI-MSIX-0000:00:02.0", 1, "edge")
    assert found.actions == ("virtio1-req.0", "PCIe PME")
    assert found.description is None
    assert line(TABLE, "40").actions == ()


def test_an_architecture_line_is_described() -> None:
    found = line(TABLE, "NMI")
    assert (found.number, found.chip, found.actions, found.description) == (None, None, (), "Non-maskable interrupts")
    assert line(TABLE, "ERR").description == ""


def test_counts_are_made_when_asked_for() -> None:
    interrupts = machine().interrupts
    by_name = {each.name: interrupts.counts(each) for each in interrupts.irqs}
    assert by_name["0"] == (49, 0, 0)
    assert by_name["36"] == (10, 4294967295, 1)
    assert by_name["NMI"] == (1, 2, 3)
    assert by_name["ERR"] == (7,)
    assert interrupts.total(interrupts.irqs[4]) == 6


def test_affinity_is_read_when_asked_for() -> None:
    host = machine()
    by_name = {each.name: each for each in host.interrupts.irqs}
    assert by_name["36"].affinity(host) == CpuSet([0, 2, 3])
    assert by_name["36"].effective_affinity(host) == CpuSet([2])
    assert by_name["36"].node(host) == 1
    assert by_name["40"].effective_affinity(host) == EMPTY
    assert by_name["40"].node(host) is None
    assert by_name["0"].affinity(host) is None
    assert (by_name["NMI"].affinity(host), by_name["NMI"].node(host)) == (None, None)
    with pytest.raises(Unreadable, match="permission denied"):
        by_name["9"].affinity(host)


def test_a_second_look_sees_what_came_since() -> None:
    host = machine()
    before = host.interrupts
    host.root.store.put("/proc/interrupts", TABLE.replace("49", "99").encode())  # type: ignore[attr-defined]
    after = before.again(host)
    assert (before.total(before.irqs[0]), after.total(after.irqs[0])) == (49, 99)
    assert after.default_affinity == before.default_affinity
    assert host.interrupts.total(host.interrupts.irqs[0]) == 49


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("   PCI-MSI 81921-edge      virtio2-input.0", ("PCI-MSI", 81921, "edge", ("virtio2-input.0",))),
        ("  IR-IO-APIC    9-fasteoi   acpi", ("IR-IO-APIC", 9, "fasteoi", ("acpi",))),
        ("   IO-APIC-fasteoi   ehci_hcd:usb1, uhci", ("IO-APIC", None, "fasteoi", ("ehci_hcd:usb1", "uhci"))),
        ("     GICv3  27 Level     arch_timer", ("GICv3", 27, "level", ("arch_timer",))),
        ("   ITS-MSI 134217728 Edge      nvme0q0", ("ITS-MSI", 134217728, "edge", ("nvme0q0",))),
        (
            "  Hyper-V PCIe MSI 4096-edge      mlx5_comp0@pci:0001",
            ("Hyper-V PCIe MSI", 4096, "edge", ("mlx5_comp0@pci:0001",)),
        ),
        ("  xen-dyn    -event     xenbus", ("xen-dyn", None, "event", ("xenbus",))),
        ("     dummy   44  rmi4_smbus", ("dummy", 44, None, ("rmi4_smbus",))),
        ("   PCI-MSI 4-edge      vfio-msix[0](0000:3b:02.0)", ("PCI-MSI", 4, "edge", ("vfio-msix[0](0000:3b:02.0)",))),
        ("     None", ("None", None, None, ())),
        ("", (None, None, None, ())),
    ],
)
def test_what_stands_behind_the_counts(tail: str, expected: tuple[object, ...]) -> None:
    assert irq.described(tail) == expected


def test_columns_of_another_width_are_read_too() -> None:
    table = "CPU0 CPU1\n 1: 5 6 IO-APIC 1-edge kbd\n 2: 7\n 3:\n"
    cpus, (first, second, third) = irq.parse(table.encode())
    found = irq.Interrupts("/proc/interrupts", cpus, (first, second, third), None, table.encode())
    assert (found.counts(first), first.chip, first.actions) == ((5, 6), "IO-APIC", ("kbd",))
    assert (found.counts(second), found.counts(third)) == ((7,), ())


def test_a_table_of_many_cpus_keeps_its_counts_as_text() -> None:
    cpus = 512
    table = "".join(f" {f'CPU{cpu}':>10}" for cpu in range(cpus)) + "\n"
    table += "  24:" + "".join(f" {cpu:10}" for cpu in range(cpus)) + "   PCI-MSI 1-edge      nvme0q1\n"
    _, (found,) = irq.parse(table.encode())
    assert found.stop - found.start == 11 * cpus
    assert found.actions == ("nvme0q1",)


def test_counts_that_are_none_are_unreadable() -> None:
    interrupts = machine(TABLE.replace("         49          0", "         49      x   0")).interrupts
    with pytest.raises(Unreadable, match="no numbers"):
        interrupts.counts(interrupts.irqs[0])


@pytest.mark.parametrize("text", ["", "\n", "nonsense\n", "CPUx CPU1\n", "CPU0 and more\n"])
def test_what_is_no_table_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable, match="names no CPUs"):
        _ = machine(text).interrupts


@pytest.mark.parametrize(
    ("text", "reason"), [("/proc/version: x", "no such file"), ("/proc/interrupts ! permission denied", "denied")]
)
def test_a_table_that_is_not_there_is_unreadable(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        _ = Host(plant(text)).interrupts


def test_the_default_affinity_may_be_absent_or_garbage() -> None:
    assert machine(more="/proc/version: x").interrupts.default_affinity is None
    interrupts = machine(more="/proc/irq/default_smp_affinity: zz").interrupts
    with pytest.raises(Unreadable, match="a mask of CPUs"):
        _ = interrupts.default_affinity
    assert interrupts.cpus == (0, 2, 3)


@given(st.binary(max_size=200))
@example(b" 1: 1 2 ")
@example(b":")
@example(b" 1:         1          2\xff")
def test_no_line_breaks_the_parser(data: bytes) -> None:
    table = b"           CPU0       CPU1\n" + data
    cpus, irqs = irq.parse(table)
    found = irq.Interrupts("/proc/interrupts", cpus, irqs, None, table)
    assert cpus == (0, 1)
    for each in irqs:
        assert each.start <= each.stop <= len(table)
        with suppress(Unreadable):
            assert len(found.counts(each)) <= 2


@given(st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3))
def test_counts_survive_the_kernels_format(counts: list[int]) -> None:
    table = "  CPU0 CPU1 CPU2\n  24:" + "".join(f" {count:10}" for count in counts) + "   PCI-MSI 1-edge      x\n"
    cpus, irqs = irq.parse(table.encode())
    found = irq.Interrupts("/proc/interrupts", cpus, irqs, None, table.encode())
    assert found.counts(irqs[0]) == tuple(counts)
    assert irqs[0].actions == ("x",)
