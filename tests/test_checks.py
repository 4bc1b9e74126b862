"""All checks: what each says of its cases, and what every check must keep to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests import machines
from tests.checks.case import Case, cases
from vmtune.audit import Result
from vmtune.check import HEADINGS, Severity, Status, all_checks, sections
from vmtune.things import KINDS

ALL = all_checks()
CASES = cases()


def _name(case: Case) -> str:
    return f"{case.check}-{case.expect.replace(' ', '-')}-{case.machine}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_case(case: Case) -> None:
    results = case.results(only=True)
    if case.outcome is Status.FAIL:
        severity, _, target = case.expect.partition(" ")
        hit = [row for row in results if row.status is Status.FAIL]
        assert [(str(row.severity), row.target) for row in hit] == [(severity, target)], [
            machines.line(r) for r in results
        ]
    else:
        hit = [row for row in results if row.status is case.outcome]
        assert hit, [f"{machines.line(row)}: {row.reason}" for row in results]
        assert not [row for row in results if row.status in (Status.FAIL, Status.ERROR)]
        if case.outcome is Status.PASS:
            assert {row.status for row in results} <= {Status.PASS, Status.SKIP}
    said = " ".join((row.found.message if row.found else row.reason) or "" for row in hit)
    assert case.reason in said


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.outcome is Status.FAIL and (case.change or case.swap[0])], ids=_name
)
def test_one_broken_thing_is_one_finding(case: Case) -> None:
    """The change brings that finding and no other."""
    before, after = _findings(case.unchanged()), _findings(case.results(only=False))
    severity, _, target = case.expect.partition(" ")
    expected = [(case.check, severity, target), *((each.split()[1], each.split()[0], target) for each in case.also)]
    assert after - before == Counter(expected)
    assert not before - after


def _findings(results: list[Result]) -> Counter[tuple[str, str, str]]:
    return Counter((row.check.id, str(row.severity), row.target) for row in results if row.status is Status.FAIL)


@pytest.mark.parametrize("name", ALL)
def test_every_outcome_is_shown(name: str) -> None:
    """No check without a case in which it passes, one in which it fails, and one in which it cannot know."""
    shown = {case.outcome for case in CASES if case.check == name}
    never_fails = ALL[name][0].severity is Severity.INFO
    assert shown >= ({Status.INFO, Status.UNKNOWN} if never_fails else {Status.PASS, Status.FAIL, Status.UNKNOWN})


@pytest.mark.parametrize("name", ALL)
def test_conforms(name: str) -> None:
    for check in ALL[name]:
        assert check.judge.__name__.startswith(name.replace("-", "_"))
        assert check.kind in KINDS
        assert check.title.endswith(".")
        texts = sections(check.judge.__doc__ or "")
        assert [heading for heading in HEADINGS if heading in texts] == [heading for heading in texts if heading]
        assert texts["Why"]
        assert texts["Source"]
        assert texts.get("Fix now") or texts.get("Fix for good")
        assert check.subject == ALL[name][0].subject
        assert check.severity == ALL[name][0].severity


def test_ids_are_those_of_the_catalogue(captures: Path) -> None:
    """Each id, its subject and its severity stand in the index of the catalogue beside the captured machines."""
    index = captures.parent / "catalog" / "index.tsv"
    if not index.is_file():
        pytest.skip("no index of the catalogue beside the captured machines")
    rows = [line.split("\t") for line in index.read_text().splitlines()[1:]]
    known = {row[0]: (row[1], row[3]) for row in rows}
    ours = {name: (functions[0].subject, str(functions[0].severity)) for name, functions in ALL.items()}
    assert ours == {name: known.get(name) for name in ours}


def test_findings_carry_evidence() -> None:
    """Each finding of each case names where it was seen, and the text that was read there."""
    for case in CASES:
        if case.outcome is Status.FAIL:
            for row in case.results(only=True):
                if row.status is Status.FAIL:
                    assert row.evidence, case
                    assert all(value is not None for _, value in row.evidence), (case, row.evidence)
