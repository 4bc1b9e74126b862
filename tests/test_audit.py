"""The engine: statuses, severities, workloads, rows, coverage and verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.tree import plant
from vmtune import check as check_module
from vmtune.audit import Audit, Options, Result, coverage, gate
from vmtune.check import (
    GUEST,
    HOST,
    Check,
    Finding,
    Info,
    Outcome,
    Role,
    Severity,
    Skip,
    Status,
    Unknown,
    Workload,
    check,
)
from vmtune.host import Host
from vmtune.root import Unreadable
from vmtune.root.nowhere import nowhere
from vmtune.site import Site


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """An empty registry."""
    checks: list[Check] = []
    monkeypatch.setattr(check_module, "_checks", checks)
    return checks


def run(checks: list[Check], host: Host | None = None, site: Site | None = None, **options: Any) -> list[Result]:
    found: dict[str, list[Check]] = {}
    for each in checks:
        found.setdefault(each.id, []).append(each)
    return list(Audit(host or Host(plant()), site, Options(**options)).run(found))


def yielding(*outcomes: Finding | Info | Exception) -> Callable[[Host], Outcome]:
    """A judge that yields these, and raises the exceptions among them."""

    def judge(host: Host) -> Iterator[Finding | Info]:  # noqa: ARG001
        """Something is wrong."""
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome

    return judge


FAULT = Finding("broken", ("/proc/x",))


@pytest.mark.parametrize(
    ("outcomes", "statuses"),
    [
        ((), ["pass"]),
        ((Info("by the way"),), ["info"]),
        ((FAULT,), ["fail"]),
        ((FAULT, FAULT._replace(key="2")), ["fail", "fail"]),
        ((Skip("not here"),), ["skip"]),
        ((Unknown("who knows"),), ["unknown"]),
        ((Unreadable("/proc/x", "permission denied"),), ["unknown"]),
        ((Unreadable("/proc/x", "no host given"),), ["unknown"]),  # a capture may claim anything
        ((ValueError("bug"),), ["error"]),
        ((FAULT, Unknown("and more")), ["fail", "unknown"]),
    ],
)
def test_status_follows_from_the_outcome(
    registered: list[Check], outcomes: tuple[Any, ...], statuses: list[str]
) -> None:
    check("x", Severity.HIGH, over=Host)(yielding(*outcomes))
    assert [row.status for row in run(registered)] == statuses


def test_error_names_the_place(registered: list[Check]) -> None:
    check("x", Severity.HIGH, over=Host)(yielding(ZeroDivisionError("oops")))
    (row,) = run(registered)
    assert row.reason is not None
    assert row.reason.startswith("ZeroDivisionError: oops (test_audit.py:")


def test_all_findings_rise_with_the_check(registered: list[Check]) -> None:
    judge = yielding(FAULT, FAULT._replace(severity=Severity.LOW), FAULT._replace(severity=Severity.CRITICAL))
    check("x", Severity.MEDIUM, over=Host, raised={Workload.LATENCY: Severity.HIGH})(judge)
    plain = [row.severity for row in run(registered, workload=Workload.DB)]
    raised = [row.severity for row in run(registered, workload=Workload.LATENCY)]
    assert plain == [Severity.MEDIUM, Severity.LOW, Severity.CRITICAL]
    assert raised == [Severity.HIGH, Severity.MEDIUM, Severity.CRITICAL]


def test_evidence_is_the_text_that_was_read(registered: list[Check]) -> None:
    def judge(host: Host) -> Outcome:
        """Something is wrong."""
        assert host.sysctl("vm.swappiness") == "60"
        yield Finding("high", ("/proc/sys/vm/swappiness", ("somewhere", "else"), "/proc/never/read"))

    check("x", Severity.LOW, over=Host)(judge)
    (row,) = run(registered, Host(plant("proc/sys/vm/swappiness: 60")))
    assert row.evidence == (("/proc/sys/vm/swappiness", "60"), ("somewhere", "else"), ("/proc/never/read", None))


def test_thresholds_come_from_the_site(registered: list[Check]) -> None:
    def judge(host: Host, *, most: int = 3) -> Outcome:  # noqa: ARG001
        """Something is wrong."""
        yield Info(str(most))

    check("x", Severity.LOW, over=Host)(judge)
    said = [row.found.message for row in run(registered) if row.found]
    changed = [row.found.message for row in run(registered, site=Site(thresholds={"x": {"most": 7}})) if row.found]
    assert (said, changed) == (["3"], ["7"])


def test_what_a_check_asks_for_is_given_by_name(registered: list[Check]) -> None:
    def judge(host: Host, site: Site, workload: Workload) -> Outcome:  # noqa: ARG001
        """Something is wrong."""
        yield Info(f"{workload} {site.wants('ha')}")

    check("x", Severity.LOW, over=Host)(judge)
    (row,) = run(registered, site=Site(assume=frozenset({"ha"})), workload=Workload.DB)
    assert row.found is not None
    assert row.found.message == "db True"


def test_outside_its_workload_a_check_skips(registered: list[Check]) -> None:
    check("x", Severity.LOW, over=Host, workloads=(Workload.DB,))(yielding(FAULT))
    assert [row.status for row in run(registered, workload=Workload.GENERAL)] == [Status.SKIP]
    assert [row.status for row in run(registered, workload=Workload.DB)] == [Status.FAIL]


def test_roles_decide_what_is_asked(registered: list[Check]) -> None:
    check("x", Severity.LOW, over=Host, roles=HOST)(yielding(FAULT))
    assert [row.status for row in run(registered, roles=(Role.HOST,))] == [Status.FAIL]
    assert [row.status for row in run(registered, roles=(Role.GUEST,))] == [Status.SKIP]


def test_where_the_role_is_not_known_nothing_is_guessed(registered: list[Check]) -> None:
    check("x", Severity.LOW, over=Host, roles=GUEST)(yielding(FAULT))
    host = Host(plant("proc ! permission denied\nsys ! permission denied"))
    (row,) = run(registered, host)
    assert row.status is Status.UNKNOWN
    assert "--role" in (row.reason or "")


def test_no_host_is_a_skip(registered: list[Check]) -> None:
    def judge(host: Host) -> Outcome:
        """Something is wrong."""
        host.sysctl("vm.swappiness")
        yield FAULT

    check("x", Severity.LOW, over=Host)(judge)
    (row,) = run(registered, Host(nowhere()))
    assert (row.status, row.reason) == (Status.SKIP, "no host given")


class Thing(str):
    """Something to be judged many times."""


@pytest.fixture
def many(registered: list[Check], monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """A check over five things: one is broken, one cannot be read, one does not apply."""
    from vmtune import things

    kind = things.Kind("things", lambda _: tuple(map(Thing, "abcde")), str)
    monkeypatch.setitem(things.KINDS, "Thing", kind)

    def judge(thing: Thing) -> Outcome:
        """Something is wrong."""
        if thing == "b":
            yield FAULT
        elif thing == "c":
            raise Unreadable("/sys/c", "permission denied")
        elif thing == "d":
            raise Skip("not this one")

    check("x", Severity.HIGH, over=Thing)(judge)
    return registered


def test_one_unreadable_thing_costs_one_result(many: list[Check]) -> None:
    rows = {(row.status.value, row.target, row.judged) for row in run(many)}
    assert rows == {("fail", "b", 1), ("unknown", "c", 1), ("skip", "d", 1), ("pass", "things", 2)}


def test_each_thing_has_a_row_on_request(many: list[Check]) -> None:
    rows = [(row.status.value, row.target) for row in run(many, each=True)]
    assert rows == [("pass", "a"), ("fail", "b"), ("unknown", "c"), ("skip", "d"), ("pass", "e")]


def test_an_unlistable_kind_is_unknown_and_a_bug_in_a_reader_is_an_error(
    many: list[Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vmtune import things

    def unreadable(_: Host) -> tuple[Thing, ...]:
        raise Unreadable("/sys/things", "not in this capture")

    def broken(_: Host) -> tuple[Thing, ...]:
        raise KeyError("no")

    for of, status in ((unreadable, "unknown"), (broken, "error"), (lambda _: (), "skip")):
        monkeypatch.setitem(things.KINDS, "Thing", things.Kind("things", of, str))
        assert [row.status for row in run(many)] == [status]


def test_coverage_counts_checks_not_things(many: list[Check], registered: list[Check]) -> None:
    check("passes", Severity.LOW, over=Host)(yielding())
    check("skips", Severity.LOW, over=Host)(yielding(Skip("no")))
    covered = coverage(run(registered))
    assert many is registered
    assert (covered.selected, covered.applicable, covered.evaluated, covered.percent) == (3, 2, 1, 50.0)


def verdict(registered: list[Check], fail_on: Severity | None, least: float | None = None) -> tuple[str, int]:
    judged = gate(run(registered), fail_on, least)
    return judged.verdict, judged.exit_code


def test_verdicts(registered: list[Check]) -> None:
    check("good", Severity.HIGH, over=Host)(yielding())
    assert verdict(registered, Severity.HIGH) == ("READY", 0)
    check("note", Severity.HIGH, over=Host)(yielding(Info("fact")))
    assert verdict(registered, Severity.HIGH) == ("READY", 0)
    check("small", Severity.LOW, over=Host)(yielding(FAULT))
    assert verdict(registered, Severity.HIGH) == ("READY WITH FINDINGS", 0)
    assert verdict(registered, Severity.LOW) == ("NOT READY", 1)
    check("open", Severity.HIGH, over=Host)(yielding(Unknown("?")))
    assert verdict(registered, Severity.HIGH) == ("INCOMPLETE", 3)
    assert verdict(registered, Severity.CRITICAL) == ("READY WITH FINDINGS", 0)
    assert verdict(registered, Severity.HIGH, 75.0) == ("READY WITH FINDINGS", 0)
    assert verdict(registered, Severity.HIGH, 75.1) == ("INCOMPLETE", 3)
    check("bad", Severity.HIGH, over=Host)(yielding(FAULT))
    assert verdict(registered, Severity.HIGH) == ("NOT READY", 1)
    assert verdict(registered, None) == ("READY WITH FINDINGS", 0)


def test_nothing_applicable_is_incomplete(registered: list[Check]) -> None:
    check("x", Severity.LOW, over=Host)(yielding(Skip("no")))
    assert verdict(registered, Severity.HIGH) == ("INCOMPLETE", 3)
    assert verdict(registered, None) == ("INCOMPLETE", 3)


def test_a_second_look_needs_a_live_machine_and_a_long_enough_window(registered: list[Check]) -> None:
    def judge(host: Host, sample: Any) -> Outcome:  # noqa: ARG001
        """Something is wrong."""
        sample.again("/proc/stat", 30)
        yield FAULT

    check("x", Severity.LOW, over=Host)(judge)
    (captured,) = run(registered, sample_seconds=60)
    assert (captured.status, "one moment" in (captured.reason or "")) == (Status.SKIP, True)
    from vmtune.root import live_root

    (short,) = run(registered, Host(live_root()), sample_seconds=0)
    assert (short.status, "--sample 30" in (short.reason or "")) == (Status.SKIP, True)
