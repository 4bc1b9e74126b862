"""Names of the running processes, from one listing of /proc and each one's `comm` (man 5 proc)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.host import Host

PATH = "/proc"
_SEEN, _UNSEEN = "processes", "processes unseen"


def processes(host: Host) -> dict[int, str]:
    """The `comm` (at most 15 characters) of each process that can be seen, by pid; looked up once a Host.

    Threads are not listed, kernel threads are. Raises Unreadable where no process can be seen at all.
    """
    if _SEEN not in host.known:
        try:
            host.known[_SEEN], host.known[_UNSEEN] = _scan(host)
        except Unreadable as kept:
            host.known[_SEEN] = host.known[_UNSEEN] = kept
    known: dict[int, str] | Unreadable = host.known[_SEEN]
    if isinstance(known, Unreadable):
        raise known.again()
    return known


def unseen(host: Host) -> Unreadable | None:
    """Why there may be more processes than `processes` tells (hidden, not captured); None where it tells all."""
    processes(host)
    kept: Unreadable | None = host.known[_UNSEEN]
    return kept


def _scan(host: Host) -> tuple[dict[int, str], Unreadable | None]:
    home = host.root.real(PATH)
    names = None if home is None else host.root.names(home)
    if home is None or names is None:
        raise Unreadable(PATH, "absent")
    found: dict[int, str] = {}
    refused: Unreadable | None = None
    for name in names:
        if not (name.isdigit() and name.isascii() and len(name) <= 10):
            continue
        try:
            data = host.root.read_in(f"{home}/{name}", "comm")
        except Unreadable as kept:
            refused = refused or kept
            continue
        if data is not None:  # else it has ended
            found[int(name)] = data.removesuffix(b"\n").decode("utf-8", "backslashreplace")
    if not found:
        raise refused or Unreadable(PATH, "no processes here")
    if host.root.live and 1 not in found:
        refused = refused or Unreadable(f"{PATH}/1", "processes of other users are hidden (hidepid)")
    return found, refused
