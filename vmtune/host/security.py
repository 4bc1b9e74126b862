"""CPU vulnerabilities as the kernel sees them (kernel: Documentation/ABI/testing/sysfs-devices-system-cpu)."""

from __future__ import annotations

from typing import NamedTuple

from vmtune.host import Host
from vmtune.root import Unreadable
from vmtune.value import value

PATH = "/sys/devices/system/cpu/vulnerabilities"


@value
class Security(NamedTuple):
    """Each vulnerability that this kernel knows of."""

    path: str
    vulnerabilities: dict[str, str] | None
    """`Not affected`, `Vulnerable…`, `Mitigation: …`, by name; None where the kernel has no such folder. Those that
    could not be read are not in it; `vulnerability` knows of them."""
    refused: tuple[Unreadable, ...]

    def vulnerability(self, name: str) -> str | None:
        """What the kernel says of one, None where it does not know it. Raises Unreadable."""
        for kept in self.refused:
            if kept.path == f"{self.path}/{name}":
                raise kept.again()
        return (self.vulnerabilities or {}).get(name)


def read(host: Host) -> Security:
    """All files in the folder."""
    names = host.root.names(PATH)
    if names is None:
        return Security(PATH, None, ())
    found: dict[str, str] = {}
    refused: list[Unreadable] = []
    for name in names:
        try:
            text = host.root.read(f"{PATH}/{name}")
        except Unreadable as kept:
            refused.append(kept)
            continue
        if text is not None:
            found[name] = text
    return Security(PATH, found, tuple(refused))
