"""Every machine: its whole report, and its capture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab import MACHINES, NAMES
from tests.lab.judged import WORKLOAD, compared, line, offline
from tests.lab.machine import Machine, described
from vmtune.site import SITE_FILE

EACH = pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.machine(name)) for name in NAMES])


@EACH
def test_report(name: str, m: Machine) -> None:
    """`UPDATE_GOLDEN=1` writes the reports anew: then read the difference before it is believed."""
    report = m.audit(*WORKLOAD)
    disks = m.disks()
    said = "\n".join([report["gate"]["verdict"], *sorted(line(row, disks) for row in report["results"])]) + "\n"
    golden = MACHINES / name / "report.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(said)
    assert said == golden.read_text()


@EACH
def test_audit_of_the_capture_is_that_of_the_machine(name: str, m: Machine, tmp_path: Path) -> None:
    live = m.audit(*WORKLOAD)
    m.shell("vmtune capture /tmp/capture.tar.gz", seconds=120)
    capture = tmp_path / f"{name}.tar.gz"
    capture.write_bytes(m.fetch("/tmp/capture.tar.gz"))
    kept = os.environ.get("VMTUNE_LAB_CAPTURES")
    if kept:
        Path(kept, capture.name).write_bytes(capture.read_bytes())
    site = tmp_path / "vmtune.toml"
    site.write_bytes(m.fetch(SITE_FILE) if SITE_FILE in m.description.files else b"")
    again = offline(capture, *WORKLOAD, "--config", str(site))
    assert compared(again) == compared(live)
    assert again["gate"] == live["gate"]


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is_for(name: str) -> None:
    assert described(name).what.endswith(".")
    assert (MACHINES / name / "report.txt").read_text().splitlines()[0] in ("pass", "fail", "incomplete")
