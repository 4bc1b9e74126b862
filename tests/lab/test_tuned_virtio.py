"""What goes wrong in a guest whose devices are as they should be."""

from __future__ import annotations

import errno

import pytest

from tests.lab.judged import WORKLOAD, mend, passes
from tests.lab.machine import Machine

pytestmark = pytest.mark.machine("tuned-virtio")


@pytest.mark.parametrize("scheduler", ["bfq", "kyber"])
def test_sorting_scheduler(m: Machine, scheduler: str) -> None:
    m.write("/sys/block/vda/queue/scheduler", scheduler)
    assert f"[{scheduler}]" in m.read("/sys/block/vda/queue/scheduler")
    assert [row["target"] for row in mend(m, "io-scheduler-unsuited")] == ["vda"]
    assert "[none]" in m.read("/sys/block/vda/queue/scheduler")


def test_disk_of_one_queue_is_no_fault(m: Machine) -> None:
    assert "[mq-deadline]" in m.read("/sys/block/vdb/queue/scheduler")
    passes(m, "io-scheduler-unsuited", target="vdb")


def test_swappiness(m: Machine) -> None:
    m.write("/proc/sys/vm/swappiness", "60")
    mend(m, "swappiness-high")
    assert m.read("/proc/sys/vm/swappiness") == "10"
    m.write("/proc/sys/vm/swappiness", "60")


def test_swappiness_without_swap_has_no_effect(m: Machine) -> None:
    swap = m.read("/proc/swaps").split("\n")[1].split()[0]
    m.shell(f"swapoff {swap}")
    passes(m, "swappiness-high")
    m.shell(f"swapon {swap}")


def test_sibling_offline(m: Machine) -> None:
    m.write("/sys/devices/system/cpu/cpu3/online", "0")
    mend(m, "smt-siblings-offline")
    assert m.read("/sys/devices/system/cpu/online") == "0-3"


def test_smt_off_everywhere_is_a_choice(m: Machine) -> None:
    m.write("/sys/devices/system/cpu/smt/control", "off")
    passes(m, "smt-siblings-offline")
    m.write("/sys/devices/system/cpu/smt/control", "on")
    assert m.read("/sys/devices/system/cpu/online") == "0-3"


def test_pages_of_the_boot_line(m: Machine) -> None:
    m.write("/proc/sys/vm/nr_hugepages", "8")
    mend(m, "hugepages-pool-short")
    assert m.read("/proc/sys/vm/nr_hugepages") == "32"


def test_no_steal_time_is_said(m: Machine) -> None:
    passes(m, "steal-time-high", *WORKLOAD, "--sample", "0")


def test_the_kernel_refuses_what_it_does_not_know(m: Machine) -> None:
    with pytest.raises(OSError, match="Invalid argument") as refused:
        m.write("/sys/block/vda/queue/scheduler", "nonsense")
    assert refused.value.errno == errno.EINVAL


def test_power_cut(m: Machine) -> None:
    """Disks keep what was written to them; what was set in /sys and /proc is gone."""
    m.shell("echo kept | dd of=/dev/vdb conv=fsync")
    m.write("/proc/sys/vm/nr_hugepages", "8")
    before = m.read("/proc/sys/kernel/random/boot_id")
    m.cut_power()
    m.boot_again()
    assert m.shell("head -c 4 /dev/vdb") == "kept"
    assert m.read("/proc/sys/vm/nr_hugepages") == "32"
    assert m.read("/proc/sys/kernel/random/boot_id") != before
