"""`vmtune audit`."""

from __future__ import annotations

import math
import os
import time
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from vmtune.audit import Audit, Options, coverage, gate
from vmtune.check import Check, Role, Severity, Workload, all_checks
from vmtune.cli.machine import judged_alone, root_of
from vmtune.cli.output import Progress, page, write
from vmtune.host import Host
from vmtune.report import FORMATS, Report, Run, render
from vmtune.root import Root, live_root
from vmtune.site import ASSUMPTIONS, SITE_FILE, BadSite, Site, load

if TYPE_CHECKING:
    from vmtune.audit import Result

SEVERITIES = [str(severity) for severity in reversed(Severity) if severity] + ["none"]


@click.command("audit", help=__doc__)
@click.option(
    "--root", "tree", metavar="PATH", help="A captured tree: a directory or .tar, .tar.gz, .tar.xz, .tar.zst."
)
@click.option("--domain", metavar="FILE|NAME", help="One domain: a libvirt XML file, alone, or a name on this machine.")
@click.option("--vmx", metavar="FILE", help="A VMware .vmx file, alone.")
@click.option(
    "--workload",
    type=click.Choice([word.value for word in Workload]),
    help="For everything judged; else it is found for each.",
)
@click.option(
    "--role",
    "roles",
    type=click.Choice([word.value for word in Role]),
    multiple=True,
    help="Where detection is not what you want.",
)
@click.option("--only", metavar="PATTERN", multiple=True, help="Check ids, globs; repeatable.")
@click.option("--skip", metavar="PATTERN", multiple=True, help="Check ids, globs; repeatable.")
@click.option(
    "--fail-on", type=click.Choice(SEVERITIES), default="high", show_default=True, help="What blocks go-live."
)
@click.option(
    "--min-coverage",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    help="Instead of the rule that an unknown at or above --fail-on makes the audit INCOMPLETE.",
)
@click.option(
    "--sample", metavar="SECONDS", type=click.FloatRange(0, 3600), default=2.0, show_default=True,
    help="For what must be seen twice, shared by all.",
)  # fmt: skip
@click.option("--assume", metavar="LIST", help=f"What is wanted here: {','.join(ASSUMPTIONS)}.")
@click.option("--config", metavar="FILE", help=f"Site file instead of {SITE_FILE}.")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", metavar="FILE", help="Write the report there, whole or not at all, mode 0600.")
@click.option("-v", "--verbose", is_flag=True, help="Passes and skips too, a row each.")
def command(
    tree: str | None,
    domain: str | None,
    vmx: str | None,
    workload: str | None,
    roles: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    fail_on: str,
    min_coverage: float | None,
    sample: float,
    assume: str | None,
    config: str | None,
    format_: str,
    output: str | None,
    verbose: bool,
) -> int:
    if not all(math.isfinite(number) for number in (sample, min_coverage or 0)):
        raise click.UsageError("--sample and --min-coverage take a number")
    if domain and vmx:
        raise click.UsageError("--domain and --vmx are judged one at a time")
    root = root_of(tree)
    site = _site(root, config, assume)
    host, kinds = judged_alone(Host(root), domain, vmx)
    checks = _selected(only, skip, kinds)
    options = Options(Workload(workload) if workload else None, tuple(map(Role, roles)), sample, verbose)
    _refuse_bad_thresholds(site)
    audit = Audit(host, site, options)
    started, begun = datetime.now(UTC), time.monotonic()
    results, complete = _run(audit, checks)
    threshold = None if fail_on == "none" else Severity[fail_on.upper()]
    # The machine's own, or that of the one thing which is judged alone.
    purpose = audit.workloads.of(host.domains[0] if kinds == {"Domain"} else host)
    report = Report(
        run=Run(
            id=f"{started:%Y%m%dT%H%M%SZ}-{os.getpid():x}",
            started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
            duration_ms=round(1000 * (time.monotonic() - begun)),
            complete=complete,
            privileged=os.geteuid() == 0,
            source=None if host.root.live else (domain or vmx) if host.root.is_nowhere else tree,
            alone=host.root.is_nowhere,
            workload=purpose.workload,
            workload_source=purpose.source,
        ),
        host=host,
        results=results,
        coverage=coverage(results),
        gate=gate(results, threshold, min_coverage, complete=complete),
        fail_on=threshold,
        min_coverage=min_coverage,
    )
    write(render(report, format_, page(verbose=verbose, to_file=output is not None)), output)
    return report.gate.exit_code


def _site(root: Root, config: str | None, assume: str | None) -> Site:
    """What is declared. A captured tree's own site file is somebody else's word: it counts for nothing here."""
    try:
        if config is not None:
            site = load(live_root(), os.path.abspath(config), must_exist=True)
        else:
            site = load(root) if root.live else Site()
    except BadSite as error:
        raise click.ClickException(str(error)) from None
    wanted = {word.strip() for word in (assume or "").split(",") if word.strip()}
    if unknown := sorted(wanted - set(ASSUMPTIONS)):
        raise click.UsageError(f"--assume: {', '.join(unknown)} is none of {', '.join(ASSUMPTIONS)}")
    return site._replace(assume=site.assume | wanted)


def _selected(only: tuple[str, ...], skip: tuple[str, ...], kinds: frozenset[str]) -> dict[str, list[Check]]:
    """Checks by id that the patterns leave, and those functions of them that judge one of the kinds."""
    checks = all_checks()
    for pattern in (*only, *skip):
        if not any(fnmatchcase(id, pattern) for id in checks):
            raise click.UsageError(f"no check is called {pattern!r}; `vmtune checks` lists them")
    left: dict[str, list[Check]] = {}
    for id, functions in checks.items():
        wanted = not only or any(fnmatchcase(id, pattern) for pattern in only)
        if wanted and not any(fnmatchcase(id, pattern) for pattern in skip):
            fitting = [check for check in functions if not kinds or check.kind in kinds]
            if fitting:
                left[id] = fitting
    return left


def _refuse_bad_thresholds(site: Site) -> None:
    """A site file that sets what no check has, or to another type, is an error, not a silence."""
    every = all_checks()
    for id, table in site.thresholds.items():
        known = {name: default for check in every.get(id, ()) for name, default in check.thresholds.items()}
        if id not in every:
            raise click.ClickException(f"{site.source}: checks.{id}: no such check")
        for name, value in table.items():
            if name not in known:
                has = ", ".join(known) or "none"
                raise click.ClickException(f"{site.source}: checks.{id}.{name}: no such threshold; it has: {has}")
            if isinstance(value, bool) != isinstance(known[name], bool) or not _alike(value, known[name]):
                wanted = "list" if isinstance(known[name], tuple) else type(known[name]).__name__
                raise click.ClickException(f"{site.source}: checks.{id}.{name}: {value!r} is no {wanted}")


def _alike(value: Any, default: Any) -> bool:
    """Whether a value of the site file can stand for a threshold: of its type, finite and not negative."""
    if isinstance(default, tuple):
        return isinstance(value, list) and len(value) == len(default) and all(map(_alike, value, default))
    if isinstance(default, (int, float)) and isinstance(value, (int, float)):
        return (isinstance(default, float) or isinstance(value, int)) and math.isfinite(value) and value >= 0
    return isinstance(value, type(default))


def _run(audit: Audit, checks: dict[str, list[Check]]) -> tuple[list[Result], bool]:
    """All results, and whether the audit came to its end."""
    progress = Progress()
    results: list[Result] = []
    try:
        for result in audit.run(checks, progress if progress.shown else None):
            results.append(result)
    except KeyboardInterrupt:
        return results, False
    finally:
        progress.clear()
    return results, True
