"""Pools of huge pages, and what asks for them at boot.

Sources: admin-guide/mm/hugetlbpage, ABI/testing/sysfs-kernel-mm-hugepages; sysctl.d(5) for the files that set
`vm.nr_hugepages`. A pool may hold less than was asked for, and nothing fails then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.root.folder import Folder, keep, known
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.root import Root

PATH = "/sys/kernel/mm/hugepages"
SYSCTL_FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
"""Where systemd-sysctl looks, the strongest first."""
SYSCTL_CONF = "/etc/sysctl.conf"
_WISHES = ("vm.nr_hugepages", "vm.nr_hugepages_mempolicy")


@value
class Pool(NamedTuple):
    """Huge pages of one size, of the machine or of one node."""

    size_bytes: int
    path: str
    total: int
    """Pages that there are, surplus ones among them (`nr_hugepages`)."""
    free: int
    """Pages that nobody has touched (`free_hugepages`), those promised (`reserved`) among them."""
    surplus: int
    """Pages above the pool's size, which go when they are freed (`surplus_hugepages`)."""
    reserved: int | None
    """Free pages that are promised to mappings (`resv_hugepages`); None for a node, which has no such count."""
    overcommit: int | None
    """Surplus pages that may be made on demand (`nr_overcommit_hugepages`); None for a node."""


@value
class Wish(NamedTuple):
    """Huge pages that some configuration asks for."""

    source: str
    """File that asks, or could not be read."""
    size_bytes: int | None
    """None: the default size."""
    total: int | None
    """Pages in all; None where the number is nonsense."""
    nodes: dict[int, int] | None
    """Pages of each node, where they are named."""
    text: str
    """As it is written there."""


def read(host: Host) -> tuple[Pool, ...]:
    """The machine's pools, the smallest pages first; () on a kernel without huge pages. Raises Unreadable."""
    folder = host.root.folder(PATH)
    found = known(pools(folder, whole=True))
    return found or (_of_meminfo(host) if folder.names() is None else ())


def pools(folder: Folder, *, whole: bool = False) -> tuple[Pool, ...]:
    """Pools in a folder: the machine's (`whole`), or a node's. Keeps an Unreadable where it cannot be listed."""
    names = folder.names()
    if not isinstance(names, list):
        return names or ()
    found = []
    for name in names:
        kib = name[10:-2]
        if name[:10] != "hugepages-" or name[-2:] != "kB" or not (kib.isascii() and kib.isdigit()) or len(kib) > 12:
            continue
        pool = folder.folder(name)
        found.append(
            Pool(
                size_bytes=int(kib) << 10,
                path=pool.path,
                total=_count(pool, "nr_hugepages"),
                free=_count(pool, "free_hugepages"),
                surplus=_count(pool, "surplus_hugepages"),
                reserved=_count(pool, "resv_hugepages") if whole else None,
                overcommit=_count(pool, "nr_overcommit_hugepages") if whole else None,
            )
        )
    return tuple(sorted(found, key=lambda pool: pool.size_bytes))


def _count(pool: Folder, name: str) -> int:
    """A number that each pool has."""
    number = pool.number(name)
    return keep(Unreadable(f"{pool.path}/{name}", "there is no such file")) if number is None else number


def _of_meminfo(host: Host) -> tuple[Pool, ...]:
    """The only pool of a kernel before 2.6.27, which /proc/meminfo alone tells of."""
    try:
        memory = host.memory
    except Unreadable:
        return ()
    names = ("Hugepagesize", "HugePages_Total", "HugePages_Free")
    if not all(name in memory.fields for name in names):
        return ()
    size, total, free = (memory.fields[name] for name in names)
    surplus, reserved = memory.fields.get("HugePages_Surp", 0), memory.fields.get("HugePages_Rsvd")
    return (Pool(size, memory.path, total, free, surplus, reserved, None),)


def wishes(host: Host) -> tuple[Wish, ...]:
    """What the command line and the sysctl files ask for: each one that the kernel heeds, and each that cannot be
    read."""
    found: list[Wish] = []
    try:
        cmdline = host.cmdline
        found += [
            Wish(cmdline.path, request.size_bytes, request.total, request.nodes, request.text)
            for request in cmdline.hugepages
            if request.ignored is None
        ]
        for name in _WISHES:
            text = cmdline.get(f"sysctl.{name}") or cmdline.get(f"sysctl.{name.replace('.', '/')}")
            if text is not None:
                found.append(Wish(cmdline.path, None, _pages(text), None, f"sysctl.{name}={text}"))
    except Unreadable as kept:
        found.append(_unknown(kept))
    return (*found, *_sysctl_wishes(host.root))


def _unknown(kept: Unreadable) -> Wish:
    return Wish(kept.path, keep(kept), keep(kept), keep(kept), keep(kept))


def _pages(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _sysctl_wishes(root: Root) -> list[Wish]:
    """The last setting of `vm.nr_hugepages` wins; a file that cannot be read may hold another."""
    last: Wish | None = None
    unknown: list[Wish] = []
    paths, refused = sysctl_files(root)
    for path in paths:
        try:
            text = root.read(path) or ""
        except Unreadable as kept:
            refused.append(kept)
            continue
        for name, setting in sysctl_settings(text):
            if name in _WISHES:
                last = Wish(path, None, _pages(setting), None, f"{name} = {setting}")
    unknown = [_unknown(kept) for kept in refused]
    return unknown if last is None else [last, *unknown]


def sysctl_files(root: Root) -> tuple[list[str], list[Unreadable]]:
    """Sysctl files in the order in which systemd-sysctl applies them, and the folders that cannot be listed.

    They are sorted by name over all folders; of two with one name, that in the stronger folder alone is heeded; a link
    to /dev/null takes a name out. /etc/sysctl.conf is heeded where it is linked from there (Debian, Fedora:
    99-sysctl.conf), or by a machine that does not run systemd.
    """
    chosen: dict[str, str] = {}
    refused: list[Unreadable] = []
    for folder in SYSCTL_FOLDERS:
        try:
            for name in root.names(folder) or ():
                if name.endswith(".conf"):
                    chosen.setdefault(name, f"{folder}/{name}")
        except Unreadable as kept:
            refused.append(kept)
    paths = []
    for name in sorted(chosen):
        try:
            if root.link(chosen[name]) != "/dev/null":
                paths.append(chosen[name])
        except Unreadable as kept:
            refused.append(kept)
    try:
        if not root.exists("/usr/lib/systemd/systemd-sysctl") and root.exists(SYSCTL_CONF):
            paths.append(SYSCTL_CONF)
    except Unreadable as kept:
        refused.append(kept)
    return paths, refused


def sysctl_settings(text: str) -> list[tuple[str, str]]:
    """Settings of a sysctl file, names with dots: comments begin with `#` or `;`, a leading `-` forgives a failure."""
    found = []
    for line in text.splitlines():
        name, equals, setting = line.strip().partition("=")
        if not equals or name[:1] in ("#", ";"):
            continue
        name = name.strip().removeprefix("-").strip()
        slash, dot = name.find("/"), name.find(".")
        if slash >= 0 and (dot < 0 or slash < dot):
            name = name.replace(".", "\0").replace("/", ".").replace("\0", "/")
        found.append((name, setting.strip()))
    return found
