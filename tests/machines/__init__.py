"""Machines of our own making, each a folder: `machine.txt` (see tests/tree.py; its first comment says what it is for)
and `report.txt`, its expected report, one line a result."""

from __future__ import annotations

from pathlib import Path

from tests.tree import plant
from vmtune.audit import Audit, Options, Result
from vmtune.check import all_checks
from vmtune.host import Host
from vmtune.site import Site

HERE = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/machine.txt"))


def host(name: str, *changes: str, swap: tuple[str, str] = ("", "")) -> Host:
    """The machine of that name, with one text in it swapped for another, and changes written over it."""
    text = (HERE / name / "machine.txt").read_text()
    old, new = swap
    assert text.count(old) == 1 or not old, f"{old!r} is not in {name} exactly once"
    return Host(plant(text.replace(old, new) if old else text, *changes))


def audit(
    host: Host, *, only: str | None = None, site: Site | None = None, options: Options | None = None
) -> list[Result]:
    """All results of an audit, or those of one check."""
    checks = all_checks()
    chosen = checks if only is None else {only: checks[only]}
    return list(Audit(host, site, options or Options(sample_seconds=0)).run(chosen))


def line(result: Result) -> str:
    """A result as one line of a golden report."""
    key = result.found.key if result.found else None
    return f"{result.status:<7} {result.check.id} {result.target}{f' {key}' if key else ''} {result.severity}"
