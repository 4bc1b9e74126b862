"""What a thing is there for: its workload decides how strictly it is judged."""

from __future__ import annotations

from typing import Any, NamedTuple

from vmtune.check import Workload
from vmtune.host import Host
from vmtune.host.domain import Domain, broken
from vmtune.root import NO_HOST, NOT_CAPTURED, Unreadable
from vmtune.site import Site
from vmtune.value import peek

DEMANDING = (Workload.LATENCY, Workload.DB, Workload.NETWORK)
"""Workloads that are more than general, the most demanding first."""


class Purpose(NamedTuple):
    """A workload, and why it is believed."""

    workload: Workload
    source: str
    doubt: str | None = None
    """What nobody can read, and might say otherwise."""


class Workloads:
    """Finds workloads: the one asked for, else the site file's, a domain's metadata, a database found, general."""

    def __init__(self, host: Host, site: Site, asked: Workload | None) -> None:
        self.host = host
        self.site = site
        self.asked = asked
        self._own: Purpose | None = None

    def of(self, thing: Any) -> Purpose:
        """What a thing is there for."""
        if self.asked is not None:
            return Purpose(self.asked, "--workload")
        if isinstance(thing, Domain):
            return self._of_domain(thing)
        if self._own is None:
            self._own = self._of_machine()
        return self._own

    def _of_domain(self, domain: Domain) -> Purpose:
        declared = self.site.workload_of(domain.name)
        if declared is not None:
            return Purpose(declared, f"{self.site.source}: domains")
        try:
            said = domain.metadata.workload
        except Unreadable as kept:
            return Purpose(Workload.GENERAL, "nothing else is declared", str(kept))
        if said is not None:
            return Purpose(Workload(said), f"{domain.source}: metadata")
        return Purpose(Workload.GENERAL, "nothing else is declared")

    def _of_machine(self) -> Purpose:
        """Its own: declared, that of its most demanding domain, or of a database that it runs."""
        if self.site.workload is not None:
            return Purpose(self.site.workload, str(self.site.source))
        of_domains = {self.of(domain).workload for domain in peek(lambda: self.host.domains) or ()}
        for workload in DEMANDING:
            if workload in of_domains:
                return Purpose(workload, "the most demanding of its domains")
        databases = peek(lambda: self.host.databases)
        if databases:
            return Purpose(Workload.DB, f"{databases[0].engine} runs here (pid {databases[0].pid})")
        return Purpose(Workload.GENERAL, "nothing else is declared or found", self._doubt())

    def _doubt(self) -> str | None:
        """A domain that may say more and cannot be read. That nobody captured any is no doubt."""
        try:
            unread = broken(self.host)
        except Unreadable as kept:
            return None if kept.reason in (NOT_CAPTURED, NO_HOST) else str(kept)
        return f"{unread[0].source}: {unread[0].reason}" if unread else None
