"""A domain: what libvirt, or QEMU's command line, says of one VM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from vmtune.cpuset import CpuSet, union
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

if TYPE_CHECKING:
    from vmtune.host.domain.devices import (
        Balloon,
        Character,
        Filesystem,
        Graphics,
        Rng,
        SharedMemory,
        Tpm,
        Video,
        VirtualIommu,
        Watchdog,
    )
    from vmtune.host.domain.disks import BlockTuning, Controller, Disk
    from vmtune.host.domain.interfaces import HostDevice, Interface
    from vmtune.host.domain.machine import Features, Firmware, GuestClock, SecurityLabel
    from vmtune.host.domain.memory import Backing, Limits, MemoryDevice, NumaTune
    from vmtune.host.domain.metadata import Metadata
    from vmtune.host.domain.processor import Cell, GuestCpu, Tuning
    from vmtune.host.numa import Numa

T = TypeVar("T")


class BadDomain(Unreadable):
    """A file that is no domain: what is wrong, and in which line or place."""


class Broken(NamedTuple):
    """A document that no value could be made of."""

    name: str
    """What the VM is called, as far as it can be known: the file's name."""
    source: str
    reason: str


class Found(tuple[T, ...], Generic[T]):
    """All that were found, and what of them nobody can read."""

    broken: tuple[Broken, ...] = ()

    @classmethod
    def of(cls, values: Iterable[T], broken: Iterable[Broken]) -> Found[T]:
        """These, with those that are broken."""
        made = cls(values)
        made.broken = tuple(broken)
        return made


@value
class Status(NamedTuple):
    """What libvirt notes of a running domain (`<domstatus>`, /run/libvirt/qemu/NAME.xml)."""

    state: str | None
    """running, paused, …"""
    reason: str | None
    """booted, migrated, ioerror, …"""
    pid: int | None
    """Of QEMU."""
    vcpu_pids: dict[int, int]
    """Thread of each vCPU; empty with TCG."""
    numad_nodes: CpuSet | None
    numad_cpus: CpuSet | None
    """What numad chose for placement auto."""
    taints: tuple[str, ...]
    """high-privileges, custom-argv, host-cpu, …"""
    job: str | None
    """A job that runs, as a migration or backup."""


@value
class Domain(NamedTuple):
    """A libvirt domain, or a VM that QEMU runs without libvirt.

    It says what the next start will bring. What runs now is `running`, where it runs; a domain that exists only while
    it runs (transient, or without libvirt) is told by its running form. None in a field: not said.
    """

    name: str
    uuid: str | None
    source: str
    """Path of the document, or of QEMU's command line."""
    type: str | None
    """Hypervisor: kvm, qemu (emulated), xen, …"""
    live: bool
    """Whether this tells of what runs now."""
    status: Status | None
    """Only where `live`."""
    running: Domain | None
    """What runs now of this domain; None where it does not run, or where this itself tells it."""
    autostart: bool | None
    """Whether it starts with the host; None: nobody says so of a file alone."""
    snapshots: int | None
    """Snapshots that libvirt knows; None: nobody says so of a file alone."""
    saved: bool | None
    """Whether a saved state, which holds its old definition, waits to be resumed; None: nobody says so of a file."""

    memory_bytes: int
    """Memory at boot, in whole KiB (`memory`)."""
    current_memory_bytes: int
    """Memory that the balloon leaves (`currentMemory`)."""
    max_memory_bytes: int | None
    """What hotplug may raise it to (`maxMemory`)."""
    backing: Backing | None
    limits: Limits | None
    numatune: NumaTune | None
    memory_devices: tuple[MemoryDevice, ...]

    vcpus: int
    """vCPUs at boot (`vcpu@current`)."""
    vcpus_max: int
    """vCPUs that there may be."""
    vcpu_ids: CpuSet
    """vCPUs at boot, by number."""
    placement: str | None
    """static or auto (numad decides, and `cpuset` is ignored)."""
    cpuset: CpuSet | None
    """CPUs for threads that have no pin of their own (`vcpu@cpuset`)."""
    iothreads: int | None
    """IOThreads asked for."""
    iothread_ids: CpuSet
    """Ids of IOThreads that there are."""
    tuning: Tuning
    cpu: GuestCpu | None
    cells: tuple[Cell, ...]
    partition: str | None
    """cgroup it is put below (`resource/partition`)."""

    firmware: Firmware
    features: Features
    clock: GuestClock
    on_poweroff: str | None
    on_reboot: str | None
    on_crash: str | None
    on_lockfailure: str | None
    sleep_states: dict[str, bool]
    """suspend-to-mem and suspend-to-disk (`pm`)."""

    emulator: str | None
    """Path of QEMU."""
    disks: tuple[Disk, ...]
    controllers: tuple[Controller, ...]
    interfaces: tuple[Interface, ...]
    host_devices: tuple[HostDevice, ...]
    graphics: tuple[Graphics, ...]
    balloon: Balloon | None
    """None: not said, so libvirt adds one."""
    rngs: tuple[Rng, ...]
    tpms: tuple[Tpm, ...]
    watchdogs: tuple[Watchdog, ...]
    panics: tuple[str, ...]
    """Models of panic notifiers: isa, pvpanic, hyperv, …"""
    characters: tuple[Character, ...]
    filesystems: tuple[Filesystem, ...]
    virtual_iommu: VirtualIommu | None
    videos: tuple[Video, ...]
    shared_memory: tuple[SharedMemory, ...]
    leases: int
    """Disk leases that it holds."""
    redirected_usb: int
    vsock: bool
    block_tuning: BlockTuning | None
    throttle_groups: dict[str, dict[str, int]]

    labels: tuple[SecurityLabel, ...]
    launch_security: str | None
    """sev, sev-snp, tdx, s390-pv."""
    qemu_arguments: tuple[str, ...]
    """Arguments handed to QEMU behind libvirt's back (`qemu:commandline`), or all of them without libvirt."""
    qemu_environment: dict[str, str]
    has_qemu_overrides: bool
    """Whether QEMU's properties or capabilities are overridden (`qemu:override`, `qemu:capabilities`)."""
    metadata: Metadata

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self.live or self.running is not None

    @property
    def is_persistent(self) -> bool:
        """Whether it is there also while it does not run."""
        return not self.live

    @property
    def now(self) -> Domain:
        """What runs now, else what would be started."""
        return self.running or self

    @property
    def documents(self) -> tuple[Domain, ...]:
        """What is defined, and what runs now."""
        return (self,) if self.running is None else (self, self.running)

    @property
    def owner(self) -> str | None:
        """Who defines it and would define it again."""
        return self.metadata.owner

    @property
    def vcpupin(self) -> dict[int, CpuSet]:
        """CPUs by vCPU, as written."""
        return self.tuning.vcpupin

    @property
    def emulatorpin(self) -> CpuSet | None:
        """CPUs of QEMU's own threads."""
        return self.tuning.emulatorpin

    @property
    def iothreadpin(self) -> dict[int, CpuSet]:
        """CPUs by IOThread id."""
        return self.tuning.iothreadpin

    @property
    def floor(self) -> CpuSet | None:
        """CPUs of a thread without a pin of its own: numad's choice, or `cpuset`; None: any."""
        if self.placement == "auto":
            return self.status.numad_cpus if self.status is not None else None
        return self.cpuset

    def cpus_of(self, vcpu: int) -> CpuSet | None:
        """CPUs that a vCPU may use; None: any."""
        return self.vcpupin.get(vcpu, self.floor)

    @property
    def emulator_cpus(self) -> CpuSet | None:
        """CPUs that QEMU's own threads may use; None: any."""
        return self.floor if self.emulatorpin is None else self.emulatorpin

    @property
    def pinned_cpus(self) -> CpuSet:
        """CPUs that pins of its vCPUs name."""
        ids = self.vcpu_ids
        return union(cpus for vcpu, cpus in self.vcpupin.items() if vcpu in ids)

    @property
    def is_pinned(self) -> bool:
        """Whether each vCPU has a pin of its own."""
        pins = self.vcpupin
        return all(vcpu in pins for vcpu in self.vcpu_ids)

    def dedicated(self, cores: Mapping[int, CpuSet]) -> bool:
        """Whether its vCPUs have CPUs of their own: each pinned to one CPU or within one core, or the owner says so.

        `cores` gives the siblings of each CPU. A CPU that is not in it is a core by itself.
        """
        if self.metadata.dedicated:
            return True
        pins = self.vcpupin
        for vcpu in self.vcpu_ids:
            pin = pins.get(vcpu)
            first = None if pin is None else pin.first
            if pin is None or first is None:
                return False
            if len(pin) > 1 and not pin <= cores.get(first, CpuSet((first,))):
                return False
        return True

    def nodes(self, numa: Numa) -> CpuSet:
        """Host nodes it is confined to: those of its pinned CPUs, else of its memory; empty where it is not."""
        pinned = self.pinned_cpus or self.floor
        return numa.cpus_nodes(pinned) if pinned else self.memory_nodes

    @property
    def memory_nodes(self) -> CpuSet:
        """Host nodes that its memory is put on; empty where nothing is said."""
        tune = self.numatune
        if tune is None:
            return CpuSet()
        return union(nodes for nodes in (tune.nodeset, *(cell.nodes for cell in tune.cells)) if nodes is not None)

    @property
    def host_addresses(self) -> tuple[str, ...]:
        """PCI addresses of the host's functions that are given to it: hostdevs, VFs and NVMe drives."""
        named = (
            *(device.host_address for device in self.host_devices),
            *(interface.host_address for interface in self.interfaces),
            *(disk.source for disk in self.disks if disk.type == "nvme"),
        )
        return tuple(address for address in named if address is not None)
