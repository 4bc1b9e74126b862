"""The clocksource."""

from __future__ import annotations

import pytest

from tests.tree import plant
from vmtune.host import Host, clock
from vmtune.root import Unreadable

HOME = "/sys/devices/system/clocksource/clocksource0"


def test_current_and_available() -> None:
    found = Host(plant(f"{HOME}/current_clocksource: tsc", f"{HOME}/available_clocksource: tsc hpet acpi_pm ")).clock
    assert found == clock.Clock(HOME, "tsc", ("tsc", "hpet", "acpi_pm"))


def test_absent() -> None:
    found = Host(plant("/proc/version: x")).clock
    assert (found.current, found.available) == (None, None)


def test_one_unreadable_attribute_loses_only_itself() -> None:
    found = Host(plant(f"{HOME}/current_clocksource ! permission denied", f"{HOME}/available_clocksource: tsc")).clock
    with pytest.raises(Unreadable, match="permission denied"):
        _ = found.current
    assert found.available == ("tsc",)
    other = Host(plant(f"{HOME}/current_clocksource: tsc", f"{HOME}/available_clocksource ! permission denied")).clock
    with pytest.raises(Unreadable, match="permission denied"):
        _ = other.available


def test_bytes_that_are_no_text_are_escaped() -> None:
    root = plant("/proc/version: x")
    root.store.put(f"{HOME}/current_clocksource", b"\xfftsc\n")  # type: ignore[attr-defined]
    assert Host(root).clock.current == "\\xfftsc"
