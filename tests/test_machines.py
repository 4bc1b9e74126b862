"""Every machine of our own: its whole report is what its folder says."""

from __future__ import annotations

import os

import pytest

from tests import machines
from vmtune.audit import gate
from vmtune.check import Severity


@pytest.mark.parametrize("name", machines.NAMES)
def test_report(name: str) -> None:
    """`UPDATE_GOLDEN=1` writes the reports anew: then read the difference before it is believed."""
    results = machines.audit(machines.host(name))
    verdict = gate(results, Severity.HIGH).verdict
    said = "\n".join([verdict, *sorted(machines.line(result) for result in results)]) + "\n"
    golden = machines.HERE / name / "report.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(said)
    assert said == golden.read_text()


@pytest.mark.parametrize("name", machines.NAMES)
def test_says_what_it_is_for(name: str) -> None:
    first = (machines.HERE / name / "machine.txt").read_text().splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 20
