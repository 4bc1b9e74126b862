"""The CPU ledger: who claims each CPU. VMs by their pins, interrupts, slices of the system, the kernel's isolation.

VM cores are the pinned CPUs of dedicated domains and the isolated CPUs; housekeeping is what else is online.
Sources: admin-guide/cgroup-v2 (cpuset), admin-guide/cgroup-v1/cpusets, systemd.resource-control (AllowedCPUs=),
irqbalance(1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from vmtune.cpuset import EMPTY, CpuSet, union
from vmtune.host.domain import Broken, broken
from vmtune.host.domain.document import unreadable
from vmtune.root.folder import Folder, keep, known
from vmtune.root.unreadable import Unreadable
from vmtune.value import peek, value

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.host.cpu import Cpu, Cpus
    from vmtune.host.domain import Domain

CGROUP = "/sys/fs/cgroup"
_ENDINGS, _GROUPS = (".slice", ".scope"), ("machine", "libvirt", "kubepods")
IRQBALANCE_FILES = ("/etc/default/irqbalance", "/etc/sysconfig/irqbalance")
IRQBALANCE_UNIT = "/run/systemd/units/invocation:irqbalance.service"
"""A link that systemd keeps while the unit is active."""


class Claim(NamedTuple):
    """Somebody who uses some CPUs, or keeps others off them."""

    kind: str
    """vcpu, iothread, emulator: pinned threads; floating: VMs without pins; irq, slice, isolated, nohz_full, banned."""
    owners: tuple[str, ...]
    """Domains, interrupts or slices by name; several where all claim the same."""
    number: int | None
    """Of the vCPU or IOThread."""
    cpus: CpuSet
    dedicated: bool
    """Whether the owner is a dedicated domain."""
    source: str
    """Path that tells it."""


@value
class Row(NamedTuple):
    """One online CPU."""

    cpu: int
    node: int | None
    core: CpuSet
    """Its core's online CPUs."""
    claims: tuple[Claim, ...]


class Overlap(NamedTuple):
    """A CPU that a vCPU is pinned to, and another thread of a VM as well."""

    cpu: int
    claims: tuple[Claim, ...]
    """Pinned vCPUs, IOThreads and emulators, of one VM or of several."""


class SharedCore(NamedTuple):
    """A core whose CPUs are pinned to vCPUs of several domains."""

    core: CpuSet
    owners: tuple[str, ...]


@value
class Slice(NamedTuple):
    """A cgroup at the top (`/sys/fs/cgroup/NAME`): system.slice, user.slice, machine.slice, init.scope."""

    name: str
    path: str
    asked: CpuSet | None
    """CPUs asked for (`cpuset.cpus`, systemd's AllowedCPUs=); empty: none in particular; None: no cpuset here."""
    effective: CpuSet | None
    """CPUs that its processes may use (`cpuset.cpus.effective`)."""
    partition: str | None
    """member, root, isolated, or `isolated invalid (REASON)` (`cpuset.cpus.partition`)."""


@value
class Irqbalance(NamedTuple):
    """The daemon that moves interrupts."""

    running: bool
    path: str | None
    """Its environment file."""
    banned: CpuSet | None
    """CPUs it leaves alone (IRQBALANCE_BANNED_CPULIST); empty: not even isolated ones; None: not said, so isolated and
    nohz_full ones."""
    banned_by_mask: CpuSet | None
    """The same by the old name IRQBALANCE_BANNED_CPUS, a mask, which current versions discard."""


@value
class Ledger(NamedTuple):
    """Who claims each CPU."""

    online: CpuSet
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    overlaps: tuple[Overlap, ...]
    shared_cores: tuple[SharedCore, ...]
    pinned: CpuSet
    """CPUs that any domain's vCPUs are pinned to."""
    isolated: CpuSet
    """CPUs without load balancing: isolcpus= and isolated partitions."""
    vm_cores: CpuSet
    """Pinned CPUs of dedicated domains, and isolated CPUs."""
    housekeeping: CpuSet
    """Online CPUs that are no VM cores."""
    slices: tuple[Slice, ...]
    irqbalance: Irqbalance
    unknown: tuple[Broken, ...]
    """Domains that could not be read: what they are pinned to is missing above."""

    def row(self, cpu: int) -> Row | None:
        """An online CPU by its number."""
        return self.rows[(self.online.bits & ((1 << cpu) - 1)).bit_count()] if cpu in self.online else None

    def owners(self, cpus: CpuSet, *kinds: str) -> tuple[str, ...]:
        """Who claims some of these CPUs, by kinds of claims."""
        claims = (claim for claim in self.claims if claim.kind in kinds and claim.cpus & cpus)
        return tuple(sorted({owner for claim in claims for owner in claim.owners}))


def ledger(host: Host) -> Ledger:
    """The machine's ledger, made once a Host. Raises Unreadable where not even the CPUs can be known."""
    if "ledger" not in host.known:
        host.known["ledger"] = _read(host)
    made: Ledger = host.known["ledger"]
    return made


def _read(host: Host) -> Ledger:
    cpus = host.cpu
    domains: Iterable[Domain] = ()
    unknown: list[Broken] = []
    missing: Unreadable | None = None
    try:
        domains = host.domains
        unknown += broken(host)
    except Unreadable as kept:
        missing = kept
        unknown.append(Broken("domains", kept.path, kept.reason))
    folder = cpuset_folder(host)
    return account(
        cpus,
        domains,
        slices=read_slices(folder),
        irqbalance=read_irqbalance(host),
        interrupts=_interrupts(host),
        partitions=folder.cpus("cpuset.cpus.isolated"),
        unknown=unknown,
        missing=missing,
    )


def account(
    cpus: Cpus,
    domains: Iterable[Domain],
    *,
    slices: tuple[Slice, ...] = (),
    irqbalance: Irqbalance | None = None,
    interrupts: Iterable[Claim] = (),
    partitions: CpuSet | None = None,
    unknown: Iterable[Broken] = (),
    missing: Unreadable | None = None,
) -> Ledger:
    """The ledger of these. `missing` says why no domain could be known: then VM cores cannot be either."""
    online = cpus.online
    cores = {cpu.number: peek(partial(getattr, cpu, "core")) or CpuSet((cpu.number,)) for cpu in cpus.topology}
    claims, problems = _domain_claims(domains, cores, online)
    try:
        isolated = (cpus.isolated or EMPTY) | (known(partitions) or EMPTY)
    except Unreadable as kept:
        isolated = keep(kept)
    claims += interrupts
    claims += _slice_claims(slices)
    claims += _kernel_claims(cpus, irqbalance)
    by_cpu = _by_cpu(claims, online)
    pins = [claim for claim in claims if claim.kind == "vcpu"]
    vm_cores = _vm_cores(pins, isolated, missing)
    wrong = unreadable(vm_cores)
    return Ledger(
        online=online,
        rows=tuple(_row(cpu, cores[cpu.number], by_cpu[cpu.number]) for cpu in cpus.topology),
        claims=tuple(claims),
        overlaps=tuple(_overlaps(by_cpu)),
        shared_cores=tuple(_shared_cores(by_cpu, cores)),
        pinned=union(claim.cpus for claim in pins),
        isolated=isolated,
        vm_cores=vm_cores,
        housekeeping=online - vm_cores if wrong is None else keep(wrong),
        slices=slices,
        irqbalance=irqbalance or Irqbalance(running=False, path=None, banned=None, banned_by_mask=None),
        unknown=(*unknown, *problems),
    )


def _row(cpu: Cpu, core: CpuSet, claims: list[Claim]) -> Row:
    try:
        return Row(cpu.number, cpu.node, core, tuple(claims))
    except Unreadable as kept:
        return Row(cpu.number, keep(kept), core, tuple(claims))


def _vm_cores(pins: list[Claim], isolated: CpuSet, missing: Unreadable | None) -> CpuSet:
    wrong = unreadable(missing, isolated)
    return union((isolated, *(pin.cpus for pin in pins if pin.dedicated))) if wrong is None else keep(wrong)


def _domain_claims(
    domains: Iterable[Domain], cores: Mapping[int, CpuSet], online: CpuSet
) -> tuple[list[Claim], list[Broken]]:
    """Claims of all domains, defined and running; those without pins are put together by the CPUs they float on."""
    claims: list[Claim] = []
    problems: list[Broken] = []
    floating: dict[tuple[str, CpuSet], list[tuple[str, str]]] = {}
    for domain in domains:
        try:
            claims += _pins(domain, cores)
            for kind, cpus in _broad(domain, online):
                floating.setdefault((kind, cpus), []).append((domain.name, domain.source))
        except Unreadable as kept:
            problems.append(Broken(domain.name, kept.path, kept.reason))
    for (kind, cpus), members in floating.items():
        claims.append(
            Claim(kind, tuple(name for name, _ in members), None, cpus, dedicated=False, source=members[0][1])
        )
    return claims, problems


def _pins(domain: Domain, cores: Mapping[int, CpuSet]) -> list[Claim]:
    """Pins of vCPUs and IOThreads: of what runs and of what is defined, each once."""
    seen: dict[tuple[str, int, CpuSet], Claim] = {}
    for document in domain.documents:
        owned = document.dedicated(cores)
        ids = document.vcpu_ids
        for vcpu, cpus in document.vcpupin.items():
            if vcpu in ids:
                claim = Claim("vcpu", (domain.name,), vcpu, cpus, owned, document.source)
                seen.setdefault(("vcpu", vcpu, cpus), claim)
        for thread, cpus in document.iothreadpin.items():
            claim = Claim("iothread", (domain.name,), thread, cpus, owned, document.source)
            seen.setdefault(("iothread", thread, cpus), claim)
    return list(seen.values())


def _broad(domain: Domain, online: CpuSet) -> set[tuple[str, CpuSet]]:
    """CPUs of the emulator where it is pinned, and those that vCPUs without a pin float on."""
    found = set()
    for document in domain.documents:
        if document.emulatorpin is not None:
            found.add(("emulator", document.emulatorpin))
        if not document.is_pinned:
            found.add(("floating", document.floor or online))
    return found


def _slice_claims(slices: tuple[Slice, ...]) -> Iterator[Claim]:
    for each in slices if unreadable(slices) is None else ():
        asked = each[2]
        if isinstance(asked, CpuSet) and asked:
            yield Claim("slice", (each.name,), None, asked, dedicated=False, source=f"{each.path}/cpuset.cpus")


def _kernel_claims(cpus: Cpus, irqbalance: Irqbalance | None) -> Iterator[Claim]:
    for kind in ("isolated", "nohz_full"):
        held = peek(partial(getattr, cpus, kind))
        if held:
            yield Claim(kind, (kind,), None, held, dedicated=False, source=f"{cpus.path}/{kind}")
    banned = irqbalance[2] if irqbalance is not None else None
    if irqbalance is not None and isinstance(banned, CpuSet) and banned:
        source = irqbalance.path or IRQBALANCE_FILES[0]
        yield Claim("banned", ("irqbalance",), None, banned, dedicated=False, source=source)


def _by_cpu(claims: Iterable[Claim], online: CpuSet) -> dict[int, list[Claim]]:
    by_cpu: dict[int, list[Claim]] = {cpu: [] for cpu in online}
    for claim in claims:
        for cpu in claim.cpus & online:
            by_cpu[cpu].append(claim)
    return by_cpu


_THREADS = ("vcpu", "iothread", "emulator")


def _overlaps(by_cpu: dict[int, list[Claim]]) -> Iterator[Overlap]:
    """CPUs where a pinned vCPU meets another thread. A thread's two pins, defined and running, do not meet."""
    for cpu, claims in by_cpu.items():
        threads = [claim for claim in claims if claim.kind in _THREADS]
        if any(claim.kind == "vcpu" for claim in threads) and len({claim[:3] for claim in threads}) > 1:
            yield Overlap(cpu, tuple(threads))


def _shared_cores(by_cpu: dict[int, list[Claim]], cores: Mapping[int, CpuSet]) -> Iterator[SharedCore]:
    for core in sorted(set(cores.values()), key=lambda core: core.first or 0):
        owners = {claim.owners[0] for cpu in core for claim in by_cpu.get(cpu, ()) if claim.kind == "vcpu"}
        if len(owners) > 1:
            yield SharedCore(core, tuple(sorted(owners)))


def _interrupts(host: Host) -> list[Claim]:
    """Interrupts that a device uses, by the CPUs they are delivered to."""
    claims = []
    for irq in peek(lambda: host.interrupts.devices) or ():
        cpus = peek(partial(irq.effective_affinity, host)) or peek(partial(irq.affinity, host)) if irq.actions else None
        if cpus:
            owner = f"irq {irq.number} {irq.actions[0]}"
            claims.append(Claim("irq", (owner,), irq.number, cpus, dedicated=False, source=irq.path))
    return claims


def cpuset_folder(host: Host) -> Folder:
    """The top of the hierarchy that has the cpuset controller: cgroup v2's, or of v1 the mount of that name."""
    v1 = host.root.folder(f"{CGROUP}/cpuset")
    return v1 if v1.names() else host.root.folder(CGROUP)


def read_slices(folder: Folder) -> tuple[Slice, ...]:
    """cgroups at the top, with the CPUs that they are given."""
    names = folder.names() or []
    if (wrong := unreadable(names)) is not None:
        return keep(wrong)
    return tuple(_slice(folder.folder(name)) for name in names if name.endswith(_ENDINGS) or name in _GROUPS)


def _slice(folder: Folder) -> Slice:
    effective = folder.cpus("cpuset.cpus.effective")
    return Slice(
        name=folder.path.rpartition("/")[2],
        path=folder.path,
        asked=folder.cpus("cpuset.cpus"),
        effective=folder.cpus("cpuset.effective_cpus") if effective is None else effective,
        partition=folder.text("cpuset.cpus.partition"),
    )


def read_irqbalance(host: Host) -> Irqbalance:
    """Whether irqbalance runs, and which CPUs it leaves alone."""
    running = _irqbalance_runs(host)
    for path in IRQBALANCE_FILES:
        try:
            text = host.root.read(path)
        except Unreadable as kept:
            return Irqbalance(running, path, keep(kept), keep(kept))
        if text is not None:
            settings = parse_environment(text)
            return Irqbalance(
                running=running,
                path=path,
                banned=_cpus(settings.get("IRQBALANCE_BANNED_CPULIST"), CpuSet.parse, path),
                banned_by_mask=_cpus(settings.get("IRQBALANCE_BANNED_CPUS"), CpuSet.parse_mask, path),
            )
    return Irqbalance(running, None, None, None)


def _irqbalance_runs(host: Host) -> bool:
    from vmtune.host.process import processes

    try:
        return "irqbalance" in processes(host).values()
    except Unreadable as kept:
        unseen = kept
    try:
        return True if host.root.link(IRQBALANCE_UNIT) is not None else keep(unseen)
    except Unreadable:
        return keep(unseen)


def _cpus(text: str | None, parse: Callable[[str], CpuSet], path: str) -> CpuSet | None:
    if text is None:
        return None
    try:
        return parse(text) if text.strip() else EMPTY
    except ValueError as error:
        return keep(Unreadable(path, f"IRQBALANCE_BANNED_…: {error}"))


def parse_environment(text: str) -> dict[str, str]:
    """Assignments of an environment file (systemd.exec, EnvironmentFile=): the last of a name, without its quotes."""
    found = {}
    for line in text.splitlines():
        name, equals, held = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith(("#", ";")):
            held = held.strip()
            if len(held) > 1 and held[0] == held[-1] and held[0] in "\"'":
                held = held[1:-1]
            found[name.strip()] = held
    return found
