"""Emulated controllers, and what is done about them: with the VM off."""

from __future__ import annotations

import pytest

from tests.lab.judged import failing
from tests.lab.machine import Machine

pytestmark = pytest.mark.machine("legacy")


def test_emulated_controllers(m: Machine) -> None:
    """The machine tuned-virtio shows the check passing."""
    found = failing(m, "emulated-controller")
    assert sorted(row["actual"] for row in found) == ["ahci", "ata_piix", "sym53c8xx"]
    assert {row["severity"] for row in found} == {"high"}
    assert {row["severity"] for row in failing(m, "emulated-controller", "--workload", "general")} == {"medium"}


def test_clocksource_of_old_machines(m: Machine) -> None:
    assert m.read("/sys/devices/system/clocksource/clocksource0/current_clocksource") == "acpi_pm"
