"""VMware .vmx files: given by the user, parsed as VMware's own dictionary reader does.

Source of the keys, their units and defaults, and of what a unit is: libvirt src/vmx/vmx.c. Only what the file says is
known, and a powered-on VM's file is held and rewritten by its host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from vmtune.host.vmx.dictionary import Duplicate, Entry, VmxError, read_dictionary
from vmtune.root.unreadable import Unreadable

__all__ = ["Controller", "Duplicate", "Entry", "Nic", "Passthrough", "Unit", "Vmx", "VmxError", "parse"]

DEFAULT_MEMORY_MB, DEFAULT_VCPUS = 32, 1

_UNIT = re.compile(r"(scsi|nvme|sata|ide)([0-9]{1,3})(?::([0-9]{1,3}))?\.present")
_NUMBERED = re.compile(r"(ethernet|pcipassthru)([0-9]{1,3})\.present")
_SNAPSHOT = re.compile(r"-[0-9]{6}\.vmdk", re.IGNORECASE)
_PCI_ID = re.compile(r"(?:([0-9]{1,5}):)?([0-9]{1,3}):([0-9]{1,2})\.([0-7])")
_TRUE, _FALSE = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")


class Unit(NamedTuple):
    """A device on a controller that is present: `scsi0:1`."""

    name: str
    file_name: str | None
    device_type: str | None
    """scsi-hardDisk, ata-hardDisk, disk, cdrom-image, atapi-cdrom, cdrom-raw, scsi-passthru… in small letters."""
    mode: str
    """persistent (also where nothing is said), independent-persistent, independent-nonpersistent, undoable…"""
    start_connected: bool
    client_device: bool
    """Whether a client's own drive stands in for it while a client is connected."""

    @property
    def is_cdrom(self) -> bool:
        """Whether it is a CD or DVD drive."""
        file = self.file_name or ""
        by_type = self.device_type in ("atapi-cdrom", "cdrom-raw", "cdrom-image")
        return (
            by_type
            or file.lower().endswith(".iso")
            or file in ("emptyBackingString", "auto detect")
            or "/cdrom/" in file
        )

    @property
    def is_disk(self) -> bool:
        """Whether it is a disk."""
        return bool(self.file_name) and not self.is_cdrom

    @property
    def on_snapshot(self) -> bool:
        """Whether its file is named as a snapshot's delta (`db-000001.vmdk`)."""
        return self.is_disk and _SNAPSHOT.search(self.file_name or "") is not None

    @property
    def discards(self) -> bool:
        """Whether what is written is lost when the VM is powered off."""
        return self.mode in ("independent-nonpersistent", "nonpersistent", "undoable")


class Controller(NamedTuple):
    """A storage controller that is present. IDE channels are where they hold something."""

    name: str
    kind: str
    """scsi, nvme, sata or ide."""
    virtual_dev: str | None
    """pvscsi, lsisas1068, lsilogic, buslogic; None: the default of the guest's system, or not scsi."""
    units: tuple[Unit, ...]

    @property
    def disks(self) -> tuple[Unit, ...]:
        """Its units that are disks."""
        return tuple(unit for unit in self.units if unit.is_disk)


class Nic(NamedTuple):
    """A network card that is present."""

    name: str
    virtual_dev: str | None
    """vmxnet3, e1000, e1000e, vmxnet, vlance…; None: the default of the guest's system."""
    start_connected: bool
    filters: tuple[str, ...]
    """Names of the packet filters before it."""


class Passthrough(NamedTuple):
    """A PCI device that the VM holds (DirectPath), or a VF of a PF (SR-IOV)."""

    name: str
    id: str | None
    address: str | None
    """The device's PCI address; None where `id` is of another form."""
    is_vf: bool


class Vmx(NamedTuple):
    """A .vmx file. A property whose text is nonsense raises Unreadable when it is used."""

    source: str
    entries: dict[str, Entry]
    """By key in small letters, in the order of the file."""
    duplicates: tuple[Duplicate, ...]

    # -- any key ------------------------------------------------------------------------------------------------------

    @property
    def keys(self) -> dict[str, str]:
        """Value by key in small letters."""
        return {key: entry.value for key, entry in self.entries.items()}

    def text(self, key: str) -> str | None:
        """The value of a key in any letter case, None where it is absent."""
        entry = self.entries.get(key.lower())
        return None if entry is None else entry.value

    def word(self, key: str) -> str | None:
        """The value in small letters, None where it is absent or empty."""
        text = self.text(key)
        return text.strip().lower() or None if text is not None else None

    def flag(self, key: str) -> bool | None:
        """TRUE or FALSE, None where it is absent or empty. Raises Unreadable."""
        word = self.word(key)
        if word is None or word in _TRUE or word in _FALSE:
            return None if word is None else word in _TRUE
        raise self._nonsense(key, "TRUE or FALSE")

    def number(self, key: str) -> int | None:
        """A whole number, None where it is absent or empty. Raises Unreadable."""
        word = self.word(key)
        if word is None:
            return None
        if word.isascii() and word.removeprefix("-").isdigit() and len(word) < 20:
            return int(word)
        raise self._nonsense(key, "a whole number")

    def matching(self, *prefixes: str) -> tuple[Entry, ...]:
        """Settings whose key begins with one of these, in small letters."""
        return tuple(entry for key, entry in self.entries.items() if key.startswith(prefixes))

    def evidence(self, key: str) -> tuple[str, str]:
        """Where a key is set and the line itself, or that it is absent."""
        entry = self.entries.get(key.lower())
        return (
            (self.source, f"no {key}")
            if entry is None
            else (f"{self.source}:{entry.line}", f'{entry.name} = "{entry.value}"')
        )

    # -- the machine --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """Its display name."""
        return self.text("displayName")

    @property
    def product(self) -> str:
        """esx, or hosted for Workstation and Fusion.

        ESXi writes `virtualHW.productCompatibility = "hosted"` too, so that alone proves nothing: a datastore path,
        vCenter's id or a port group shows a host.
        """
        if self.word("virtualHW.productCompatibility") != "hosted" or self.word("vc.uuid"):
            return "esx"
        for key, entry in self.entries.items():
            network = key.startswith("ethernet") and (key.endswith(".networkname") or ".dvs." in key)
            if entry.value.startswith("/vmfs/") or (network and entry.value):
                return "esx"
        return "hosted"

    @property
    def encrypted(self) -> bool:
        """Whether a part of the settings is encrypted: what is absent here may stand there."""
        return "encryption.data" in self.entries

    @property
    def hardware_version(self) -> int | None:
        """Virtual hardware version (`virtualHW.version`)."""
        return self.number("virtualHW.version")

    @property
    def firmware(self) -> str:
        """bios or efi."""
        return self.word("firmware") or "bios"

    @property
    def vcpus(self) -> int:
        """Number of vCPUs."""
        return self._positive("numvcpus", DEFAULT_VCPUS)

    @property
    def memory_bytes(self) -> int:
        """Memory of the guest (`memsize`, MB)."""
        return self._positive("memsize", DEFAULT_MEMORY_MB) << 20

    @property
    def cores_per_socket(self) -> int | None:
        """vCPUs in a virtual socket; None where the product chooses."""
        return self.number("cpuid.coresPerSocket") or None

    # -- resources on an ESXi host ------------------------------------------------------------------------------------

    @property
    def memory_reservation_bytes(self) -> int:
        """Memory that is kept for the VM (`sched.mem.min`, MB); all of it where it is pinned."""
        if self.flag("sched.mem.pin"):
            return self.memory_bytes
        stated = self.number("sched.mem.min")
        return max(0, (stated if stated is not None else self.number("sched.mem.minSize")) or 0) << 20

    @property
    def memory_limit_bytes(self) -> int | None:
        """Memory the VM gets at most (`sched.mem.max`, MB); None without a limit."""
        return self._limit("sched.mem.max", 20)

    @property
    def cpu_reservation_mhz(self) -> int:
        """CPU time that is kept for the VM (`sched.cpu.min`, MHz)."""
        return max(0, self.number("sched.cpu.min") or 0)

    @property
    def cpu_limit_mhz(self) -> int | None:
        """CPU time the VM gets at most (`sched.cpu.max`, MHz); None without a limit."""
        return self._limit("sched.cpu.max", 0)

    @property
    def latency_sensitivity(self) -> str:
        """low, normal, medium or high; the old `custom` is normal."""
        word = self.word("sched.cpu.latencySensitivity") or "normal"
        return "normal" if word == "custom" else word

    @property
    def affinity(self) -> tuple[int, ...] | None:
        """Host CPUs the vCPUs are tied to; None for `all`. Raises Unreadable where it is no list of numbers."""
        word = self.word("sched.cpu.affinity")
        if word is None or word == "all":
            return None
        parts = [part.strip() for part in word.split(",")]
        if any(not (part.isascii() and part.isdigit() and len(part) < 6) for part in parts):
            raise self._nonsense("sched.cpu.affinity", "a list of CPU numbers")
        return tuple(int(part) for part in parts)

    # -- devices ------------------------------------------------------------------------------------------------------

    @property
    def present(self) -> tuple[str, ...]:
        """Names of all devices with `.present = "TRUE"`, in small letters. Without it a device is absent."""
        return tuple(
            key.removesuffix(".present") for key in self.entries if key.endswith(".present") and self.flag(key)
        )

    @property
    def controllers(self) -> tuple[Controller, ...]:
        """Storage controllers, with what hangs on them, in order of kind and number."""
        units: dict[tuple[str, int], list[tuple[int, Unit]]] = {}
        there: set[tuple[str, int]] = set()
        for key in self.entries:
            found = _UNIT.fullmatch(key)
            if found is None or not self.flag(key):
                continue
            kind, number, unit = found.groups()
            if unit is not None:
                units.setdefault((kind, int(number)), []).append((int(unit), self._unit(key.removesuffix(".present"))))
            if unit is None or kind == "ide":
                there.add((kind, int(number)))
        return tuple(
            Controller(
                f"{kind}{number}",
                kind,
                self.word(f"{kind}{number}.virtualDev"),
                tuple(unit for _, unit in sorted(units.get((kind, number), []), key=lambda each: each[0])),
            )
            for kind, number in sorted(there)
        )

    @property
    def nics(self) -> tuple[Nic, ...]:
        """Network cards, by number."""
        filters: dict[str, list[str]] = {}
        for key, entry in self.entries.items():
            name, dot, rest = key.partition(".filter")
            if dot and rest.endswith(".name") and entry.value:
                filters.setdefault(name, []).append(entry.value)
        return tuple(
            Nic(
                name,
                self.word(f"{name}.virtualDev"),
                self.flag(f"{name}.startConnected") is not False,
                tuple(filters.get(name, ())),
            )
            for name in self._numbered("ethernet")
        )

    @property
    def passthroughs(self) -> tuple[Passthrough, ...]:
        """PCI devices and VFs handed to the VM, by number."""
        return tuple(
            Passthrough(
                name,
                self.text(f"{name}.id"),
                _pci_address(self.text(f"{name}.id") or ""),
                bool(self.text(f"{name}.pfId")),
            )
            for name in self._numbered("pcipassthru")
        )

    def _numbered(self, kind: str) -> Iterator[str]:
        """Names of the present devices of a kind, by number."""
        found = (
            match for key in self.entries if (match := _NUMBERED.fullmatch(key)) and match[1] == kind and self.flag(key)
        )
        yield from (f"{kind}{number}" for number in sorted(int(match[2]) for match in found))

    def _unit(self, name: str) -> Unit:
        return Unit(
            name,
            self.text(f"{name}.fileName") or None,
            self.word(f"{name}.deviceType"),
            self.word(f"{name}.mode") or "persistent",
            self.flag(f"{name}.startConnected") is not False,
            self.flag(f"{name}.clientDevice") is True,
        )

    def _positive(self, key: str, default: int) -> int:
        number = self.number(key)
        if number is None and self.encrypted:
            raise Unreadable(self.source, f"no {key} in the part that is not encrypted")
        if number is not None and not 0 < number < 1 << 40:
            raise self._nonsense(key, "a number above 0")
        return default if number is None else number

    def _limit(self, key: str, shift: int) -> int | None:
        number = None if self.word(key) == "unlimited" else self.number(key)
        return None if number is None or number < 0 else number << shift

    def _nonsense(self, key: str, wanted: str) -> Unreadable:
        where, line = self.evidence(key)
        return Unreadable(where, f"{line[:80]} is not {wanted}")


def parse(data: bytes, source: str) -> Vmx:
    """A file's settings. Raises VmxError naming the line that is none."""
    return Vmx(source, *read_dictionary(data, source))


def _pci_address(id: str) -> str | None:
    """`00000:129:00.0`, each part decimal → `0000:81:00.0`."""
    found = _PCI_ID.fullmatch(id)
    if found is None:
        return None
    domain, bus, device = int(found[1] or 0), int(found[2]), int(found[3])
    return f"{domain:04x}:{bus:02x}:{device:02x}.{found[4]}" if bus < 256 and device < 32 and domain < 1 << 16 else None
