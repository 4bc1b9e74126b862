"""What an audit in a machine says, and mending what it finds by the very commands that it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.lab.image import CHECKOUT
from tests.lab.machine import Machine

Row = dict[str, Any]
WORKLOAD = ("--workload", "db")
COMPARED = ("check", "target", "key", "status", "severity", "workload", "judged", "message", "expected", "actual",
            "remedy")  # fmt: skip


def line(row: Row, disks: dict[str, str] | None = None) -> str:
    """A result as one line of a golden report; a disk by its name in the description."""
    target = (disks or {}).get(row["target"], row["target"])
    key = f" {row['key']}" if row["key"] else ""
    return f"{row['status']:<7} {row['check']} {target}{key} {row['severity']}"


def rows(m: Machine, check: str, *options: str) -> list[Row]:
    """All results of one check."""
    found: list[Row] = m.audit("--only", check, *(options or WORKLOAD))["results"]
    return found


def failing(m: Machine, check: str, *options: str, target: str | None = None) -> list[Row]:
    """The faults that a check finds; there must be some."""
    found = [row for row in rows(m, check, *options) if row["status"] == "fail" and target in (None, row["target"])]
    assert found, f"{check} finds no fault: {[line(row) for row in rows(m, check, *options)]}"
    return found


def passes(m: Machine, check: str, *options: str, target: str | None = None) -> None:
    """A check was asked, knows all it needs, and finds no fault, or none of that target. Passes are told together."""
    found = rows(m, check, *options)
    said = [f"{line(row)}: {row['message']}" for row in found]
    bad = [row for row in found if row["status"] not in ("pass", "info", "skip")]
    assert not [row for row in bad if target in (None, row["target"])], said
    assert [row for row in found if row["status"] in ("pass", "info")], said


def mend(m: Machine, check: str, *options: str, target: str | None = None) -> list[Row]:
    """See a check fail, run what its findings say to do now, and see it pass. Returns the findings."""
    found = failing(m, check, *options, target=target)
    for row in found:
        commands = row["remedy"]["now"]
        assert commands, f"nothing is proposed: {line(row)}"
        for command in commands:
            m.shell(command)
    passes(m, check, *options, target=target)
    return found


def offline(capture: Path, *options: str) -> dict[str, Any]:
    """The JSON report of this checkout's vmtune on a captured machine."""
    argv = [sys.executable, "-m", "vmtune", "audit", "--root", str(capture), "--format", "json", *options]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("{"), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def compared(report: dict[str, Any]) -> list[Row]:
    """What must be the same of a live and an offline audit: all but the values of evidence, some of which count on."""
    return [
        {**{name: row[name] for name in COMPARED}, "evidence": [each["source"] for each in row["evidence"]]}
        for row in report["results"]
    ]
