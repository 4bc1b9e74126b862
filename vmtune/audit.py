"""Checks × things → results, and what they mean together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from vmtune.check import Check, Evidence, Finding, Info, Role, Severity, Skip, Status, Unknown, Workload
from vmtune.host import Host
from vmtune.root import NO_HOST, NOT_CAPTURED, Root, Unreadable
from vmtune.site import Site
from vmtune.things import KINDS, Kind
from vmtune.workload import Workloads


class Result(NamedTuple):
    """What became of one check on one thing, or on all the things that fared the same."""

    check: Check
    target: str
    status: Status
    severity: Severity
    workload: Workload
    reason: str | None = None
    """Why skip, unknown or error."""
    found: Finding | Info | None = None
    judged: int = 1
    """How many things this row speaks for."""
    evidence: tuple[tuple[str, str | None], ...] = ()
    """Sources and their text as it was read."""


class Options(NamedTuple):
    """How an audit is run. Patterns of check ids are resolved before."""

    workload: Workload | None = None
    roles: tuple[Role, ...] = ()
    sample_seconds: float = 2.0
    each: bool = False
    """Keep a row for every thing, instead of one for all that passed or skipped alike."""


class Sample:
    """A second look at files that change, one window for all checks."""

    def __init__(self, root: Root, seconds: float) -> None:
        self.root = root
        self.seconds = seconds
        self._begun = time.monotonic()

    def again(self, path: str, at_least: float) -> str | None:
        """A file's text when the window has passed. Raises Skip where the window is too short, or this is a capture."""
        if not self.root.live:
            raise Skip("must be seen twice; a captured tree shows one moment")
        if self.seconds < at_least:
            raise Skip(f"must be seen twice, {at_least:g} s apart: --sample {at_least:g}")
        time.sleep(max(0.0, self._begun + self.seconds - time.monotonic()))
        return self.root.reread(path)


class Audit:
    """One run of checks over one machine."""

    def __init__(self, host: Host, site: Site | None = None, options: Options | None = None) -> None:
        self.host = host
        self.site = site or Site()
        self.options = options or Options()
        self.sample = Sample(host.root, self.options.sample_seconds)
        self.workloads = Workloads(host, self.site, self.options.workload)

    def run(
        self, checks: dict[str, list[Check]], progress: Callable[[int, int, str], None] | None = None
    ) -> Iterator[Result]:
        """Judge everything, check by check; those that need a second look come last and share one wait."""
        order = sorted(checks, key=lambda id: any("sample" in check.needs for check in checks[id]))
        for place, id in enumerate(order):
            if progress:
                progress(place, len(order), id)
            rows = [row for check in checks[id] for row in self._judge_all(check)]
            yield from rows if self.options.each else _gathered(rows)

    # -- one check ---------------------------------------------------------------------------------------------------

    def _judge_all(self, check: Check) -> Iterator[Result]:
        kind = KINDS[check.kind]
        try:
            away = self._not_here(check)
            things = () if away else kind.of(self.host)
        except Unreadable as kept:
            away = self._none_known(check, kept) or self._cannot_know(kept)
        except Exception as error:  # noqa: BLE001 - a reader's bug costs one result, not the audit
            away = Status.ERROR, _trace(error)
        if away is not None:
            yield self._row(check, kind.plural, *away, Workload.GENERAL)
            return
        for broken in getattr(things, "broken", ()):
            reason = f"{broken.source}: {broken.reason}"
            yield self._row(check, f"domain/{broken.name}", Status.UNKNOWN, reason, Workload.GENERAL)
        if not things and not getattr(things, "broken", ()):
            yield self._row(check, kind.plural, Status.SKIP, f"no {kind.plural} here", Workload.GENERAL)
        for thing in things:
            yield from self._judge(check, kind, thing)

    def _not_here(self, check: Check) -> tuple[Status, str] | None:
        """Why a check's question does not arise on this machine; None where it does."""
        if not check.roles:
            return None
        found, doubt, host_doubt = self._roles()
        if any(role in found for role in check.roles):
            return None
        wanted = " or ".join(check.roles)
        if self.host.root.is_nowhere:
            return Status.SKIP, NO_HOST
        doubt = host_doubt if check.roles == (Role.HOST,) else doubt
        if doubt is not None:
            return Status.UNKNOWN, f"asked of {wanted}; what this machine is, is not known ({doubt}): --role"
        return (
            Status.SKIP,
            f"asked of {wanted}; this is {' and '.join(found) or 'neither'} (--role judges it as another)",
        )

    def _none_known(self, check: Check, kept: Unreadable) -> tuple[Status, str] | None:
        """Where nobody captured the domains of a machine that nothing shows to be a host, they are not missed."""
        if check.kind != "Domain" or kept.reason != NOT_CAPTURED or Role.HOST in self._roles()[0]:
            return None
        return Status.SKIP, f"nothing here shows a host of VMs, and {kept} (--role host judges it as one)"

    def _roles(self) -> tuple[tuple[Role, ...], str | None, str | None]:
        """The roles to judge the machine in, and why nobody can say whether it is a guest, or a host."""
        declared = self.options.roles or self.site.roles
        if declared:
            return declared, None, None
        try:
            roles = self.host.roles
            return roles.found, roles.doubt, roles.host_doubt
        except Unreadable as kept:
            return (), str(kept), str(kept)

    def _cannot_know(self, kept: Unreadable) -> tuple[Status, str]:
        if self.host.root.is_nowhere:
            return Status.SKIP, NO_HOST
        return Status.UNKNOWN, str(kept)

    def _judge(self, check: Check, kind: Kind, thing: Any) -> Iterator[Result]:
        target = kind.target(thing)
        try:
            workload, _, doubt = self.workloads.of(thing)
        except Exception as error:  # noqa: BLE001 - a reader's bug costs one result, not the audit
            yield self._row(check, target, Status.ERROR, _trace(error), Workload.GENERAL)
            return
        if check.workloads and workload not in check.workloads:
            reason = f"asked for {', '.join(check.workloads)}; the workload is {workload}"
            if doubt is None:
                yield self._row(check, target, Status.SKIP, reason, workload)
            else:
                yield self._row(check, target, Status.UNKNOWN, f"{reason}, as far as is known ({doubt})", workload)
            return
        found = 0
        try:
            for outcome in check.judge(thing, *self._given(check, workload), **self._thresholds(check)):
                found += 1
                yield self._found(check, target, outcome, workload)
        except Skip as skip:
            yield self._row(check, target, Status.SKIP, str(skip), workload)
        except Unknown as unknown:
            yield self._row(check, target, Status.UNKNOWN, str(unknown), workload)
        except Unreadable as kept:
            yield self._row(check, target, *self._cannot_know(kept), workload)
        except Exception as error:  # noqa: BLE001 - a check's bug costs one result, not the audit
            yield self._row(check, target, Status.ERROR, _trace(error), workload)
        else:
            if not found:
                yield self._row(check, target, Status.PASS, None, workload)

    def _given(self, check: Check, workload: Workload) -> Iterator[Any]:
        given = {"host": self.host, "workload": workload, "site": self.site, "sample": self.sample}
        return (given[name] for name in check.needs)

    def _thresholds(self, check: Check) -> dict[str, Any]:
        declared = self.site.thresholds.get(check.id, {})
        given = {name: declared.get(name, default) for name, default in check.thresholds.items()}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}

    def _row(self, check: Check, target: str, status: Status, reason: str | None, workload: Workload) -> Result:
        return Result(check, target, status, check.severity_for(workload), workload, reason)

    def _found(self, check: Check, target: str, found: Finding | Info, workload: Workload) -> Result:
        if isinstance(found, Info):
            status, severity = Status.INFO, Severity.INFO
        else:
            status, severity = Status.FAIL, check.shifted(found.severity, workload)
        return Result(
            check=check,
            target=found.target or target,
            status=status,
            severity=severity,
            workload=workload,
            found=found,
            evidence=tuple(self._evidence(each) for each in found.evidence),
        )

    def _evidence(self, evidence: Evidence) -> tuple[str, str | None]:
        return (evidence, self.host.root.seen(evidence)) if isinstance(evidence, str) else evidence


def _trace(error: Exception) -> str:
    """An exception and where it was raised, on one line."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = "" if last is None else f" ({last.tb_frame.f_code.co_filename.rpartition('/')[2]}:{last.tb_lineno})"
    return f"{type(error).__name__}: {error}{where}"


def _gathered(rows: list[Result]) -> Iterator[Result]:
    """One row for all things that passed, and one for each reason to skip; everything else as it is."""
    alike: dict[tuple[Any, ...], list[Result]] = {}
    for row in rows:
        if row.status in (Status.PASS, Status.SKIP):
            alike.setdefault((row.status, row.reason, row.workload), []).append(row)
        else:
            yield row
    for same in alike.values():
        first = same[0]
        target = first.target if len(same) == 1 else KINDS[first.check.kind].plural
        yield first._replace(judged=len(same), target=target)


# -- what the results mean together ------------------------------------------------------------------------------------


class Coverage(NamedTuple):
    """How many of the selected checks could be answered."""

    selected: int
    applicable: int
    """Checks with some thing that was not skipped."""
    evaluated: int
    """Applicable checks of which no thing is unknown or in error."""

    @property
    def percent(self) -> float:
        """Share of the applicable checks that were evaluated; 0 where nothing was applicable."""
        return round(100.0 * self.evaluated / self.applicable, 1) if self.applicable else 0.0


class Gate(NamedTuple):
    """The verdict, and why."""

    verdict: str
    """READY, READY WITH FINDINGS, NOT READY or INCOMPLETE."""
    exit_code: int
    reasons: tuple[str, ...]


def coverage(results: list[Result]) -> Coverage:
    """Coverage of an audit's results."""
    selected = {row.check.id for row in results}
    applicable = {row.check.id for row in results if row.status is not Status.SKIP}
    broken = {row.check.id for row in results if row.status in (Status.UNKNOWN, Status.ERROR)}
    return Coverage(len(selected), len(applicable), len(applicable - broken))


def gate(
    results: list[Result], fail_on: Severity | None, min_coverage: float | None = None, *, complete: bool = True
) -> Gate:
    """Judge the results: `fail_on` None fails on nothing; `min_coverage` percent replaces the rule about unknowns."""
    if not complete:
        return Gate("INCOMPLETE", INTERRUPTED, ("interrupted",))
    failed = [row for row in results if row.status is Status.FAIL]
    blocking = [row for row in failed if fail_on is not None and row.severity >= fail_on]
    if blocking:
        return Gate("NOT READY", 1, (f"{len(blocking)} finding{'s'[: len(blocking) > 1]} at or above {fail_on}",))
    covered = coverage(results)
    if not covered.applicable:
        return Gate("INCOMPLETE", 3, ("nothing was applicable",))
    if min_coverage is not None:
        if covered.percent < min_coverage:
            return Gate("INCOMPLETE", 3, (f"coverage {covered.percent:g} % is below {min_coverage:g} %",))
    elif fail_on is not None:
        open_ = sorted(
            {row.check.id for row in results if row.status in _OPEN and row.severity >= fail_on},
        )
        if open_:
            return Gate("INCOMPLETE", 3, (f"not known, at or above {fail_on}: {', '.join(open_)}",))
    return Gate("READY WITH FINDINGS" if failed else "READY", 0, ())


INTERRUPTED = 130
_OPEN = (Status.UNKNOWN, Status.ERROR)
