"""Domains: every VM of the machine, by libvirt's documents or by QEMU's command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmtune.host.domain.values import BadDomain, Broken, Domain, Found, Status
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.host import Host

__all__ = ["BadDomain", "Broken", "Domain", "Found", "Status", "broken", "from_file", "read", "require_all"]


def read(host: Host) -> Found[Domain]:
    """All domains, each once, by name: as they are defined, and in `running` what runs of them now.

    `broken` of the result names what could not be read. Raises Unreadable where nobody can know of any domain.
    """
    from vmtune.host.domain.sources import read as read_all

    return read_all(host)


def broken(host: Host) -> tuple[Broken, ...]:
    """Domains that are there but could not be read. Raises Unreadable where nobody can know of any domain."""
    found: tuple[Domain, ...] = host.domains
    return found.broken if isinstance(found, Found) else ()


def require_all(host: Host) -> None:
    """Raises Unreadable where a domain could not be read: for what needs to know them all."""
    for each in broken(host):
        raise Unreadable(each.source, each.reason)


def from_file(data: bytes | str, source: str) -> Domain:
    """The domain of a file that is judged alone. Raises BadDomain naming the line."""
    from vmtune.host.domain.xml import parse

    try:
        return parse(data, source)
    except Unreadable as error:
        raise BadDomain(error.path, error.reason) from None
