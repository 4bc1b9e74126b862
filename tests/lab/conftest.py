"""Which machines the tests get, one at a time, and a word at the end on those that ran."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.lab.machine import Machine, why_not

HERE = Path(__file__).parent


class Lab:
    """The machine that is switched on. One that was asked for last stays on until another is wanted or a test fails."""

    def __init__(self) -> None:
        self.machine: Machine | None = None
        self.told: list[str] = []
        self.missing: str | None = None

    def get(self, name: str) -> Machine:
        if self.machine is None or self.machine.description.name != name or not self.machine.on:
            self.end()
            self.machine = Machine(name).__enter__()
        return self.machine

    def end(self) -> None:
        if self.machine is not None:
            machine, self.machine = self.machine, None
            self.tell(machine)
            machine.__exit__(None, None, None)

    def tell(self, machine: Machine) -> None:
        boots = ", ".join(f"{seconds:.0f}" for seconds in machine.boots)
        self.told.append(f"{machine.description.name} (booted in {boots} s)")


LAB = pytest.StashKey[Lab]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab: needs QEMU and a kernel; runs where VMTUNE_LAB is set")
    config.addinivalue_line("markers", "machine(name): a machine of tests/lab/machines, which the fixture `m` gives")
    config.stash[LAB] = Lab()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the lab's tests, and group them by machine: so each machine boots once. Its report comes first."""
    mine = [place for place, item in enumerate(items) if HERE in item.path.parents]

    def order(item: pytest.Item) -> tuple[str, bool]:
        marker = item.get_closest_marker("machine")
        return (marker.args[0] if marker else "", item.path.name != "test_machines.py")

    for place, item in zip(mine, sorted((items[place] for place in mine), key=order), strict=True):
        item.add_marker(pytest.mark.lab)
        items[place] = item


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Lab:
    """The lab; skips where there is none."""
    lab = request.config.stash[LAB]
    lab.missing = why_not() if os.environ.get("VMTUNE_LAB") else "VMTUNE_LAB is not set; `make lab` sets it"
    if lab.missing:
        pytest.skip(f"no lab: {lab.missing}")
    return lab


@pytest.fixture
def m(request: pytest.FixtureRequest, lab: Lab) -> Machine:
    """The machine that the test is marked with, as the test before left it."""
    marker = request.node.get_closest_marker("machine")
    assert marker is not None, "mark the test: @pytest.mark.machine(NAME)"
    return lab.get(marker.args[0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test may leave anything behind: the next one gets a fresh machine."""
    report = yield
    if report.failed and HERE in item.path.parents:
        item.config.stash[LAB].end()
    return report


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """No machine runs beside tests that need none."""
    if nextitem is None or HERE not in nextitem.path.parents:
        item.config.stash[LAB].end()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lab = config.stash[LAB]
    if lab.missing:
        terminalreporter.write_line(f"LAB: NO MACHINE RAN: {lab.missing}", yellow=True)
    elif lab.told:
        terminalreporter.write_line(f"lab: {'; '.join(lab.told)}")
