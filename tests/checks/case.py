"""One broken thing: a machine on which a check passes, the same with one thing changed, and what is then reported."""

from __future__ import annotations

from typing import NamedTuple

from tests import machines
from vmtune.audit import Options, Result
from vmtune.check import Role, Severity, Status, Workload
from vmtune.host import Host
from vmtune.host.vmx import parse
from vmtune.root.nowhere import nowhere
from vmtune.site import Site


class Case(NamedTuple):
    """What a check says of a machine with one change."""

    check: str
    expect: str
    """`pass`, or `STATUS` of one row, or for a finding `SEVERITY TARGET` (`low host`, `critical domain/db01`)."""
    machine: str
    change: str = ""
    """Lines of tests/tree.py, written over the machine's."""
    swap: tuple[str, str] = ("", "")
    """A text of the machine, and what stands in its place."""
    workload: Workload | None = None
    roles: tuple[Role, ...] = ()
    assume: frozenset[str] = frozenset()
    vmx: str = ""
    """Text of a .vmx file, judged alone instead of a machine."""
    also: tuple[str, ...] = ()
    """Findings that the same change must bring as well, by the catalogue's own rules: `SEVERITY CHECK`."""
    reason: str = ""
    """Words that the message or reason must contain."""

    @property
    def outcome(self) -> Status:
        """The status that is expected."""
        word = self.expect.partition(" ")[0]
        return Status.FAIL if word.upper() in Severity.__members__ and " " in self.expect else Status(word)

    def results(self, *, only: bool) -> list[Result]:
        """The audit of the changed machine: of this check, or of all."""
        host = alone(self.vmx) if self.vmx else machines.host(self.machine, self.change, swap=self.swap)
        return self.judge(host, only=only)

    def judge(self, host: Host, *, only: bool = True) -> list[Result]:
        """The audit of a machine as this case asks for it."""
        options = Options(workload=self.workload, roles=self.roles, sample_seconds=0)
        return machines.audit(host, only=self.check if only else None, site=Site(assume=self.assume), options=options)

    def unchanged(self) -> list[Result]:
        """The audit of all checks on the machine without the change."""
        return self._replace(change="", swap=("", "")).results(only=False)


def alone(text: str) -> Host:
    """A .vmx file without a host."""
    host = Host(nowhere())
    host.vmx = (parse(text.encode(), "/vms/db01.vmx"),)
    return host


def cases() -> list[Case]:
    """All cases of all modules beside this one (each has a list `CASES`)."""
    from importlib import import_module
    from pathlib import Path

    names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    found = [getattr(import_module(f"tests.checks.{name}"), "CASES", []) for name in names]
    return [case for each in found for case in each]
