"""The report for machines: `vmtune.report/1.0`, described by report.schema.json beside this file."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import Any

from vmtune import __version__
from vmtune.audit import Result
from vmtune.check import Finding, all_checks
from vmtune.inventory import inventory
from vmtune.report import Page, Report

SCHEMA = "vmtune.report/1.0"


def render(report: Report, page: Page) -> str:  # noqa: ARG001 - every format is given the page
    """The report as one JSON document."""
    return json.dumps(document(report), indent=2) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The report as data."""
    run, gate, covered = report.run, report.gate, report.coverage
    return {
        "schema": SCHEMA,
        "tool": {"name": "vmtune", "version": __version__, "catalogue_sha256": catalogue_sha256()},
        "run": {
            "id": run.id,
            "started": run.started,
            "duration_ms": run.duration_ms,
            "complete": run.complete,
            "privileged": run.privileged,
            "source": {"kind": "live" if run.source is None else "tree", "path": run.source},
            "profile": None,
            "workload": run.workload,
            "workload_source": run.workload_source,
        },
        "host": inventory(report.host),
        "results": [_result(row) for row in report.results],
        "summary": {
            "by_status": _counted(row.status.value for row in report.results for _ in range(row.judged)),
            "by_severity": _counted(str(row.severity) for row in report.results if row.status == "fail"),
            "coverage": {**covered._asdict(), "percent": covered.percent},
        },
        "gate": {
            "fail_on": str(report.fail_on) if report.fail_on is not None else "none",
            "min_coverage": report.min_coverage or 0,
            "verdict": {0: "pass", 1: "fail"}.get(gate.exit_code, "incomplete"),
            "exit_code": gate.exit_code,
            "reasons": list(gate.reasons),
        },
    }


def fingerprint(check: str, target: str, key: str | None) -> str:
    """The same for a finding however its values change."""
    return sha256("\0".join((check, target, key or "")).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def catalogue_sha256() -> str:
    """Tells two sets of checks apart: their ids, severities, thresholds and texts."""
    parts = [
        f"{check.id}\0{check.kind}\0{check.severity}\0{check.thresholds}\0{check.judge.__doc__}"
        for checks in all_checks().values()
        for check in checks
    ]
    return sha256("\n".join(parts).encode()).hexdigest()


def _counted(words: Any) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _result(row: Result) -> dict[str, Any]:
    found = row.found
    finding = found if isinstance(found, Finding) else None
    key = found.key if found else None
    return {
        "check": row.check.id,
        "title": row.check.title,
        "subject": row.check.subject,
        "target": row.target,
        "status": row.status,
        "severity": str(row.severity),
        "workload": row.workload,
        "judged": row.judged,
        "waived": None,
        "message": found.message if found else row.reason or "no fault found",
        "reason": row.reason,
        "expected": found.expected if found else None,
        "actual": found.actual if found else None,
        "evidence": [{"source": source, "value": value} for source, value in row.evidence],
        "remedy": _remedy(row, finding) if finding else None,
        "key": key,
        "fingerprint": fingerprint(row.check.id, row.target, key),
    }


def _remedy(row: Result, finding: Finding) -> dict[str, Any]:
    return {
        "summary": row.check.section("Fix now") or row.check.section("Fix for good"),
        "now": list(finding.now),
        "for_good": list(finding.for_good),
        "setting": finding.setting,
        "disruption": finding.disruption,
        "links": list(row.check.see),
    }
