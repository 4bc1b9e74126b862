"""The report for a person: the verdict, what blocks go-live, the rest; passes are a count."""

from __future__ import annotations

from collections.abc import Iterator

from vmtune.audit import Result
from vmtune.check import Finding, Severity, Status
from vmtune.report import Page, Report
from vmtune.report.text import Paint, plain, wrapped

VERDICT_COLOURS = {"READY": "green", "READY WITH FINDINGS": "yellow", "NOT READY": "red", "INCOMPLETE": "magenta"}
SEVERITY_COLOURS = {
    Severity.CRITICAL: "red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "blue",
}
EVIDENCE_LENGTH = 300


def render(report: Report, page: Page) -> str:
    """The report as lines of text."""
    return "\n".join(_lines(report, page)) + "\n"


def _lines(report: Report, page: Page) -> Iterator[str]:
    paint = Paint(page.colour)
    yield from _head(report, paint, page)
    findings = sorted(
        (row for row in report.results if row.status is Status.FAIL),
        key=lambda row: (-row.severity, row.check.id, row.target),
    )
    for row in findings:
        yield ""
        yield from _finding(row, paint, page)
    yield from _section("Not known", report, (Status.UNKNOWN, Status.ERROR), paint, page)
    yield from _section("Worth knowing", report, (Status.INFO,), paint, page)
    if page.verbose:
        yield from _section("Passed", report, (Status.PASS,), paint, page)
        yield from _section("Skipped", report, (Status.SKIP,), paint, page)
    yield ""
    yield from _foot(report, page)


def _head(report: Report, paint: Paint, page: Page) -> Iterator[str]:
    gate = report.gate
    verdict = paint(gate.verdict, VERDICT_COLOURS[gate.verdict], bold=True)
    why = f": {'; '.join(gate.reasons)}" if gate.reasons else ""
    yield from wrapped(f"{verdict}{plain(why)}", page.width)
    run = report.run
    machine = "this machine"
    if run.source is not None:
        machine = f"{run.source}, judged alone" if run.alone else f"captured tree {run.source}"
    if not run.complete:
        machine += " · interrupted: this report is not complete"
    if not run.privileged and run.source is None:
        machine += " · not run as root: some answers may be missing for that reason alone"
    yield from wrapped(plain(f"{machine} · workload {run.workload} ({run.workload_source})"), page.width)


def _finding(row: Result, paint: Paint, page: Page) -> Iterator[str]:
    found = row.found
    assert isinstance(found, Finding)
    severity = paint(str(row.severity).upper(), SEVERITY_COLOURS[row.severity], bold=True)
    key = f" {found.key}" if found.key else ""
    yield f"{severity}  {paint(row.check.id, bold=True)}  {plain(row.target + key)}"
    yield from _field("", found.message, page)
    for source, text in row.evidence:
        shown = text if text is not None else "(not read)"
        shown = shown if len(shown) <= EVIDENCE_LENGTH else shown[:EVIDENCE_LENGTH] + "…"
        yield from _field("seen", f"{source}: {' | '.join(shown.splitlines())}", page)
    if found.expected is not None:
        yield from _field("expected", found.expected, page)
    if not found.now and not found.for_good:
        yield from _field("to mend", row.check.section("Fix for good") or row.check.section("Fix now"), page)
    for command in found.now:
        yield f"  {'now':<9} {plain(command)}"
    for command in found.for_good:
        yield f"  {'for good':<9} {plain(command)}"
    if found.disruption != "none":
        yield f"  {'costs':<9} {found.disruption}"


def _field(name: str, text: str, page: Page) -> Iterator[str]:
    indent = " " * (12 if name else 2)
    first = f"  {name:<9} " if name else indent
    yield from wrapped(plain(text), page.width, first=first, rest=indent)


def _section(title: str, report: Report, statuses: tuple[Status, ...], paint: Paint, page: Page) -> Iterator[str]:
    rows = [row for row in report.results if row.status in statuses]
    if not rows:
        return
    yield ""
    yield paint(f"{title} ({len(rows)})", bold=True)
    for row in sorted(rows, key=lambda row: (-row.severity, row.check.id, row.target)):
        said = row.found.message if row.found else row.reason or ""
        head = f"  {row.check.id}  {row.target}" + ("  " if said else "")
        error = "error: " if row.status is Status.ERROR else ""
        yield from wrapped(plain(f"{error}{said}"), page.width, first=plain(head), rest="      ")


def _foot(report: Report, page: Page) -> Iterator[str]:
    count = dict.fromkeys(Status, 0)
    for row in report.results:
        count[row.status] += row.judged
    covered = report.coverage
    parts = [f"{count[Status.PASS]} passed", f"{count[Status.FAIL]} failed"]
    parts += [f"{count[status]} {word}" for status, word in _REST if count[status]]
    text = f"{', '.join(parts)}; {covered.evaluated} of {covered.applicable} checks that apply were answered"
    more = "" if page.verbose else " -v lists them all;"
    yield from wrapped(f"{text}.{more} `vmtune explain CHECK` says more.", page.width)


_REST = (
    (Status.INFO, "worth knowing"),
    (Status.UNKNOWN, "not known"),
    (Status.ERROR, "in error"),
    (Status.SKIP, "not applicable"),
)
