"""One reading of a giant machine, alone in its process: `reading.py WHAT TREE LIST`; prints the CPU seconds it took.

WHAT is `facts`: every subject that comes from /sys and /proc, which writes the names of the files that it read into
LIST; `files`: a bare loop over the files of LIST; `domains`: all domains; `parse`: a bare loop that parses their XML;
`opened`: facts and domains once more, which prints how often at most a file was opened, and a folder listed.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable

DOMAINS = "/etc/libvirt/qemu"
_OF_DOMAINS = ("domains", "roles")
"""Subjects that read the domains' XML."""


def facts(tree: str, listing: str) -> None:
    """Read every subject, as `vmtune inspect` does."""
    from vmtune.host import Host, Subject
    from vmtune.root import Unreadable, open_root

    host = Host(open_root(tree))
    for name, subject in vars(Host).items():
        if isinstance(subject, Subject) and name not in _OF_DOMAINS:
            try:
                getattr(host, name)
            except Unreadable as kept:
                print(kept, file=sys.stderr)
    read = [path for path, data in host.root.data.items() if isinstance(data, bytes)]
    with open(listing, "w") as file:
        file.writelines(f"{tree}{path}\n" for path in read)


def files(tree: str, listing: str) -> None:  # noqa: ARG001 - each reading is given both
    """Open and read the same files, and nothing else."""
    with open(listing) as file:
        paths = file.read().splitlines()
    for path in paths:
        with open(path, errors="backslashreplace") as file:
            file.read()


def domains(tree: str, listing: str) -> None:  # noqa: ARG001
    """Read all domains."""
    from vmtune.host import Host
    from vmtune.root import open_root

    if not Host(open_root(tree)).domains:
        sys.exit("no domain was found")


def parse(tree: str, listing: str) -> None:  # noqa: ARG001
    """Parse the same domains with the same library."""
    from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

    for name in os.listdir(tree + DOMAINS):
        if name.endswith(".xml"):
            with open(f"{tree}{DOMAINS}/{name}", "rb") as file:
                fromstring(file.read(), forbid_dtd=True)


def opened(tree: str, listing: str) -> None:
    """Count what the readers ask of the file system."""
    from vmtune.root.directory import Directory

    reads: Counter[str] = Counter()
    lists: Counter[str] = Counter()
    read, names = Directory.read, Directory.names

    def counted_read(self: Directory, folder: str, name: str, limit: int) -> bytes:
        reads[f"{folder}/{name}"] += 1
        return read(self, folder, name, limit)

    def counted_names(self: Directory, folder: str) -> list[str]:
        lists[folder] += 1
        return names(self, folder)

    Directory.read, Directory.names = counted_read, counted_names  # type: ignore[method-assign]
    facts(tree, listing)
    facts_reads, facts_lists = dict(reads), dict(lists)
    reads.clear()
    lists.clear()
    domains(tree, listing)
    print(max([*facts_reads.values(), *reads.values()]), max([*facts_lists.values(), *lists.values()]))


READINGS: dict[str, Callable[[str, str], None]] = {
    "facts": facts,
    "files": files,
    "domains": domains,
    "parse": parse,
    "opened": opened,
}


def main() -> None:
    """Do one of the readings; each imports what it needs itself, so that this is counted."""
    what, tree, listing = sys.argv[1:]
    before = time.process_time()
    READINGS[what](tree, listing)
    if what != "opened":
        print(time.process_time() - before)


main()
