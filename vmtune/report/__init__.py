"""An audit's outcome, and the formats it is written in: one module a format."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from vmtune.audit import Coverage, Gate, Result
from vmtune.check import Severity, Workload
from vmtune.host import Host

FORMATS = ("table", "json")
"""Each the name of a module here with `render(report, page) -> str`."""


class Run(NamedTuple):
    """How an audit was run."""

    id: str
    started: str
    """RFC 3339, UTC."""
    duration_ms: int
    complete: bool
    """False where it was interrupted."""
    privileged: bool
    source: str | None
    """The captured tree, domain file or .vmx file; None for the live machine."""
    alone: bool
    """Whether a domain or .vmx file is judged without any host."""
    workload: Workload
    workload_source: str


class Report(NamedTuple):
    """All that a report can say."""

    run: Run
    host: Host
    results: list[Result]
    coverage: Coverage
    gate: Gate
    fail_on: Severity | None
    min_coverage: float | None


class Page(NamedTuple):
    """What a report is shown on."""

    width: int = 100
    colour: bool = False
    verbose: bool = False


def render(report: Report, format: str, page: Page) -> str:  # noqa: A002 - the option's word
    """The report as text in one of FORMATS."""
    text: str = import_module(f"vmtune.report.{format}").render(report, page)
    return text
