"""Where domains come from: libvirt's definitions and the status of those that run, and QEMU processes without libvirt.

Source: libvirt's src/qemu/qemu_conf.c (configDir, autostartDir, stateDir, snapshotDir, saveDir).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmtune.host.domain.document import read_document, unreadable
from vmtune.host.domain.values import Broken, Domain, Found
from vmtune.root.folder import keep
from vmtune.root.unreadable import NOT_CAPTURED, Unreadable

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.root import Root

DEFINITIONS = "/etc/libvirt/qemu"
AUTOSTART = "/etc/libvirt/qemu/autostart"
RUNNING = "/run/libvirt/qemu"
SNAPSHOTS = "/var/lib/libvirt/qemu/snapshot"
SAVED = "/var/lib/libvirt/qemu/save"
FILE_LIMIT = 20_000
"""Documents in a folder that are read at most."""


def read(host: Host) -> Found[Domain]:
    """All domains of the machine, each once, by name. Raises Unreadable where nobody can know of any."""
    broken: list[Broken] = []
    unlisted: list[Unreadable] = []
    defined = _documents(host.root, DEFINITIONS, broken, unlisted)
    live = _documents(host.root, RUNNING, broken, unlisted)
    processes, unseen = _without_libvirt(host, live, broken)
    if unseen is not None and not _has_libvirt(host.root):
        unlisted.append(unseen)
    domains = _joined(defined, live + processes, broken)
    if unlisted and not domains and not broken:
        raise unlisted[0].again()
    # Where a capture has one folder and not the other, what the one tells is judged.
    broken.extend(Broken(kept.path, kept.path, kept.reason) for kept in unlisted if kept.reason != NOT_CAPTURED)
    told = _Told(host.root)
    return Found.of((told.of(domain) for domain in sorted(domains, key=lambda domain: domain.name)), broken)


def _has_libvirt(root: Root) -> bool:
    """Whether libvirt's folder can be listed: then QEMU without libvirt is not to be expected."""
    try:
        return root.names(DEFINITIONS) is not None
    except Unreadable:
        return False


def _documents(root: Root, folder: str, broken: list[Broken], unlisted: list[Unreadable]) -> list[Domain]:
    """Domains of the documents in a folder; what cannot be read is noted, as is a second document of one domain."""
    try:
        names = [name for name in root.names(folder) or () if name.endswith(".xml")]
    except Unreadable as kept:
        unlisted.append(kept)
        return []
    if not names:
        return []
    from vmtune.host.domain.xml import domain_of

    found: dict[str, Domain] = {}
    for place, name in enumerate(names):
        path = f"{folder}/{name}"
        try:
            if place >= FILE_LIMIT:
                raise Unreadable(path, f"more than {FILE_LIMIT} documents in one folder")
            top = read_document(root, path)
            domain = None if top is None else domain_of(top, path)
        except Unreadable as kept:
            broken.append(Broken(name.removesuffix(".xml"), path, kept.reason))
            continue
        if domain is None:
            continue
        other = found.setdefault(domain.name, domain)
        if other is not domain:
            broken.append(Broken(name.removesuffix(".xml"), path, f"domain {domain.name} again, as in {other.source}"))
    return list(found.values())


def _joined(defined: list[Domain], live: list[Domain], broken: list[Broken]) -> list[Domain]:
    """What is defined, each with what runs of it, and what runs without a definition."""
    by_key = {key: domain for domain in live for key in _keys(domain)}
    joined, taken = [], set()
    for domain in defined:
        running = next((by_key[key] for key in _keys(domain) if key in by_key), None)
        if running is not None and running.source in taken:
            broken.append(Broken(domain.name, domain.source, f"a second definition of what runs as {running.source}"))
            continue
        if running is not None:
            taken.add(running.source)
        joined.append(domain if running is None else domain._replace(running=running))
    names = {domain.name for domain in joined}
    for domain in live:
        if domain.source not in taken:
            joined.append(domain if domain.name not in names else domain._replace(name=_apart(domain)))
    return joined


def _keys(domain: Domain) -> tuple[str, ...]:
    """What tells whether two documents are of one domain: the UUID, and the name only where there is no UUID."""
    uuid = domain[1]
    return (uuid,) if isinstance(uuid, str) else (f"name {domain.name}",)


def _apart(domain: Domain) -> str:
    """A name for a VM whose own is another's as well."""
    return f"{domain.name}@{_pid(domain) or domain[1]}"


def _pid(domain: Domain) -> int | None:
    """QEMU's pid, None where it is not known."""
    pid = domain.status[2] if domain.status is not None else None
    return pid if isinstance(pid, int) else None


def _without_libvirt(host: Host, live: list[Domain], broken: list[Broken]) -> tuple[list[Domain], Unreadable | None]:
    """VMs of QEMU processes that no status names, and why they cannot be seen where they cannot."""
    from vmtune.host.domain.qemu import find

    try:
        processes = find(host, {pid for domain in live if (pid := _pid(domain)) is not None})
    except Unreadable as kept:
        return [], kept
    broken.extend(processes.broken)
    if not processes:
        return [], None
    from vmtune.host.domain.arguments import domain_of_process
    from vmtune.host.domain.pins import with_affinities

    uuids = {domain[1] for domain in live}
    found = []
    for process in processes:
        try:
            if not process.trusted:
                continue
            domain = domain_of_process(process)
        except Unreadable as kept:
            broken.append(Broken(f"{process.name}/{process.pid}", kept.path, kept.reason))
            continue
        if domain[1] is None or domain[1] not in uuids:
            found.append(with_affinities(host, domain, process.pid))
    return found, None


class _Told:
    """What libvirt's folders tell of a domain beside its document: each folder is listed once."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.autostart = _listed(root, AUTOSTART)
        self.snapshots = _listed(root, SNAPSHOTS)
        self.saved = _listed(root, SAVED)

    def of(self, domain: Domain) -> Domain:
        """The domain with what is told of it."""
        return domain._replace(
            autostart=_in(self.autostart, f"{domain.name}.xml"),
            snapshots=self._snapshots(domain.name),
            saved=_in(self.saved, f"{domain.name}.save"),
        )

    def _snapshots(self, name: str) -> int:
        there = _in(self.snapshots, name)
        names = _listed(self.root, f"{SNAPSHOTS}/{name}") if there is True else frozenset[str]()
        wrong = unreadable(there, names)
        return sum(each.endswith(".xml") for each in names) if wrong is None else keep(wrong)


def _listed(root: Root, folder: str) -> frozenset[str]:
    """Names in a folder, none where it is absent."""
    try:
        return frozenset(root.names(folder) or ())
    except Unreadable as kept:
        return keep(kept)


def _in(names: frozenset[str], name: str) -> bool:
    wrong = unreadable(names)
    return name in names if wrong is None else keep(wrong)
