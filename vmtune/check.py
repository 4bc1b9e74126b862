"""What a check is: one function that judges one thing, and the words it judges with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from enum import IntEnum, StrEnum
from importlib import import_module
from typing import Any, Concatenate, NamedTuple, TypeVar

T = TypeVar("T")


class Severity(IntEnum):
    """How bad a finding is; comparable."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    def __str__(self) -> str:
        return self.name.lower()


class Status(StrEnum):
    """What became of judging one thing."""

    PASS = "pass"
    INFO = "info"
    FAIL = "fail"
    SKIP = "skip"
    UNKNOWN = "unknown"
    ERROR = "error"


class Workload(StrEnum):
    """What a thing is there for; how strictly it is judged."""

    DB = "db"
    NETWORK = "network"
    LATENCY = "latency"
    GENERAL = "general"


class Role(StrEnum):
    """What a machine is: it runs VMs, it is one, or neither."""

    HOST = "host"
    GUEST = "guest"
    METAL = "metal"


HOST = (Role.HOST,)
GUEST = (Role.GUEST,)
PHYSICAL = (Role.HOST, Role.METAL)
INSIDE = (Role.GUEST, Role.METAL)
"""Where an operating system and its databases run: in a guest or on bare metal."""

Evidence = str | tuple[str, str]
"""A path, whose text the engine fills in as it was read; or a source and what it says."""


class Finding(NamedTuple):
    """A fault of the judged thing. Its remedy is exact: the commands for this very thing."""

    message: str
    """The fact with its value, one sentence."""
    evidence: tuple[Evidence, ...]
    severity: Severity | None = None
    """The check's own where None."""
    expected: str | None = None
    actual: str | None = None
    now: tuple[str, ...] = ()
    """Commands that mend it at once."""
    for_good: tuple[str, ...] = ()
    """Commands or edits that keep it mended."""
    setting: str | None = None
    """Identity of the setting that mends it: `sysfs:/sys/…`, `sysctl:vm.swappiness`."""
    disruption: str = "none"
    """none, link-blip, service-restart, module-reload, vm-restart, host-reboot or firmware."""
    key: str | None = None
    """Tells apart several findings on one thing."""
    target: str | None = None
    """Where the fault sits, if not in the judged thing as a whole."""


class Info(NamedTuple):
    """A fact worth knowing that is no fault."""

    message: str
    evidence: tuple[Evidence, ...] = ()
    expected: str | None = None
    actual: str | None = None
    key: str | None = None
    target: str | None = None


class Skip(Exception):
    """Raised by a check whose question does not arise here; says why."""


class Unknown(Exception):
    """Raised by a check that cannot know; says why. An Unreadable that is not caught means the same."""


Outcome = Iterator[Finding | Info]
Judge = Callable[Concatenate[T, ...], Outcome]


class Check(NamedTuple):
    """One function with what it declares."""

    id: str
    subject: str
    severity: Severity
    kind: str
    """Name of the class of things it judges."""
    roles: tuple[Role, ...]
    """Machines on which the question arises; all where empty."""
    workloads: tuple[Workload, ...]
    """Workloads for which it matters; all where empty."""
    raised: dict[Workload, Severity]
    see: tuple[str, ...]
    needs: tuple[str, ...]
    """What the function wants beside the thing: host, workload, site, sample."""
    thresholds: dict[str, Any]
    """Names and defaults of its thresholds, overridable in the site file."""
    judge: Callable[..., Outcome]

    @property
    def title(self) -> str:
        """The fault in words."""
        return (self.judge.__doc__ or "").partition("\n")[0].strip()

    def severity_for(self, workload: Workload) -> Severity:
        """Severity of a plain finding on a thing of that workload."""
        return self.raised.get(workload, self.severity)

    def shifted(self, severity: Severity | None, workload: Workload) -> Severity:
        """A finding's severity: all of a check's findings rise with the check."""
        plain = self.severity_for(workload)
        if severity is None or severity is Severity.INFO:
            return plain if severity is None else severity
        return Severity(min(severity + plain - self.severity, Severity.CRITICAL))

    def section(self, heading: str) -> str:
        """What the docstring says under a heading (`Why`, `Fix now`, `Fix for good`, `Traps`, `Source`), on one
        line."""
        return sections(self.judge.__doc__ or "").get(heading, "")


HEADINGS = ("Why", "Fix now", "Fix for good", "Traps", "Source")


def sections(doc: str) -> dict[str, str]:
    """A check's docstring by heading, each section on one line; the text before the first heading under ""."""
    found: dict[str, list[str]] = {"": []}
    heading = ""
    for line in doc.splitlines():
        line = line.strip()
        word, colon, rest = line.partition(":")
        if colon and word in HEADINGS:
            heading, line = word, rest.strip()
            found[heading] = []
        if line:
            found[heading].append(line)
    return {heading: " ".join(lines) for heading, lines in found.items()}


_checks: list[Check] = []


def check(
    id: str,
    severity: Severity,
    *,
    over: type[T],
    roles: tuple[Role, ...] = (),
    workloads: tuple[Workload, ...] = (),
    raised: dict[Workload, Severity] | None = None,
    see: str | tuple[str, ...] = (),
) -> Callable[[Judge[T]], Judge[T]]:
    """Register a function that judges one thing of the class `over`.

    Its first parameter is the thing. Further positional parameters are given by name: `host`, `workload`, `site` (what
    is declared), `sample` (a second look). Keyword-only parameters are thresholds and need a default.
    """

    def register(judge: Judge[T]) -> Judge[T]:
        code = judge.__code__
        _checks.append(
            Check(
                id=id,
                subject=judge.__module__.rpartition(".")[2],
                severity=severity,
                kind=over.__name__,
                roles=roles,
                workloads=workloads,
                raised=raised or {},
                see=(see,) if isinstance(see, str) else see,
                needs=code.co_varnames[1 : code.co_argcount],
                thresholds=dict(judge.__kwdefaults__ or {}),
                judge=judge,
            )
        )
        return judge

    return register


def all_checks() -> dict[str, list[Check]]:
    """Every check by its id, in the order of ids; found by walking the package `vmtune.checks`."""
    for module in _modules():
        import_module(module)
    return _by_id()


def checks_called(id: str) -> list[Check]:
    """The functions of one check; imports only the modules whose text names it. Empty where there is no such check."""
    package = import_module("vmtune.checks")
    for module in _modules():
        try:
            with open(f"{package.__path__[0]}/{module.rpartition('.')[2]}.py", encoding="utf-8") as source:
                named = f'"{id}"' in source.read()
        except OSError:  # inside a zipapp
            named = True
        if named:
            import_module(module)
    return _by_id().get(id, [])


def _by_id() -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for each in sorted(_checks, key=lambda check: check.id):
        found.setdefault(each.id, []).append(each)
    return found


def _modules() -> list[str]:
    """Names of the modules of checks."""
    paths = import_module("vmtune.checks").__path__
    try:
        files = [name for path in paths for name in os.listdir(path)]
        names = [name.removesuffix(".py") for name in files if name.endswith(".py")]
    except NotADirectoryError:  # inside a zipapp
        from pkgutil import iter_modules

        names = [module.name for module in iter_modules(paths)]
    return [f"vmtune.checks.{name}" for name in sorted(names) if not name.startswith("_")]
