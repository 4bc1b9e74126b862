"""Versions of the software that runs VMs."""

from __future__ import annotations

from typing import NamedTuple

from vmtune.host import Host
from vmtune.root import Root, Unreadable
from vmtune.root.folder import keep
from vmtune.value import value

_QEMU_NAMES = {"i386": "x86_64", "i586": "x86_64", "i686": "x86_64", "armv7l": "arm", "ppc64le": "ppc64"}
"""Architectures whose name in a QEMU program differs from the kernel's."""


@value
class Software(NamedTuple):
    """What is installed, not what a running VM uses. None: not installed."""

    qemu: str | None
    """Version of the system emulator of this architecture: `7.2.9`."""
    libvirt: str | None
    """Version of libvirtd, of virtqemud where the daemons are split, or else of virsh."""


def read(host: Host) -> Software:
    """Ask the programs for their versions: two short commands."""
    emulators = [f"qemu-system-{name}" for name in _architectures(host)]
    return Software(
        _first(host.root, [*emulators, "qemu-kvm", "kvm"], "QEMU emulator"),
        _first(host.root, ["libvirtd", "virtqemud", "virsh"], ""),
    )


def _architectures(host: Host) -> list[str]:
    """The machine's architecture as QEMU calls it; none where it is not known."""
    try:
        name = host.platform.architecture
    except Unreadable:
        name = None
    return [_QEMU_NAMES.get(name, name)] if name and name.replace("_", "").isalnum() else []


def _first(root: Root, programs: list[str], opening: str) -> str | None:
    """The version that the first installed program prints; the first refusal where none of them answers."""
    refusal: Unreadable | None = None
    for program in programs:
        try:
            text = root.output(program, "--version")
        except Unreadable as kept:
            refusal = refusal or kept
            continue
        if text is not None:
            found = version(text) if text.startswith(opening) else None
            if found is not None:
                return found
            refusal = refusal or Unreadable(f"{program} --version", f"{text[:60]!r} is no version")
    return None if refusal is None else keep(refusal)


def version(text: str) -> str | None:
    """The first word of the first line that begins with a digit: `QEMU emulator version 7.2.9 (Debian …)`, `9.0.0`."""
    words = text.partition("\n")[0].split()
    return next((word for word in words if word[0].isdigit() and "." in word), None)
