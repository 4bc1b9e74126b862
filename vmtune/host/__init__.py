"""What is known of a machine: one lazily read attribute a subject."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.host.block import Disk
    from vmtune.host.clock import Clock
    from vmtune.host.cmdline import Cmdline
    from vmtune.host.cpu import Cpus
    from vmtune.host.database import Database
    from vmtune.host.domain import Domain
    from vmtune.host.hugepages import Pool
    from vmtune.host.iommu import Iommu
    from vmtune.host.irq import Interrupts
    from vmtune.host.kvm import Kvm
    from vmtune.host.memory import Memory
    from vmtune.host.mounts import Mounts
    from vmtune.host.network import Interface
    from vmtune.host.numa import Numa
    from vmtune.host.nvme import NvmeController
    from vmtune.host.pci import Pci
    from vmtune.host.platform import Platform
    from vmtune.host.power import Power
    from vmtune.host.roles import Roles
    from vmtune.host.scsi import ScsiHost
    from vmtune.host.security import Security
    from vmtune.host.software import Software
    from vmtune.host.stat import CpuTime
    from vmtune.host.vmx import Vmx
    from vmtune.root import Root

T = TypeVar("T")


class Subject(Generic[T]):
    """An attribute of a Host that its module's `read(host)` makes when it is first used, once.

    What `read` could not know at all is remembered too and raised at each use.
    """

    def __init__(self, module: str) -> None:
        self.module = module

    def __set_name__(self, owner: type[Host], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, host: None, owner: type[Host]) -> Subject[T]: ...

    @overload
    def __get__(self, host: Host, owner: type[Host]) -> T: ...

    def __get__(self, host: Host | None, owner: type[Host]) -> Subject[T] | T:
        if host is None:
            return self
        if self.name not in host.known:
            read: Callable[[Host], Any] = import_module(f"vmtune.host.{self.module}").read
            try:
                host.known[self.name] = read(host)
            except Unreadable as kept:
                host.known[self.name] = kept
        known = host.known[self.name]
        if isinstance(known, Unreadable):
            raise known.again()
        return known  # type: ignore[no-any-return]


class Host:
    """A machine seen through a Root. Reading an attribute raises Unreadable where nothing can be known of that
    subject."""

    roles = Subject["Roles"]("roles")
    platform = Subject["Platform"]("platform")
    cmdline = Subject["Cmdline"]("cmdline")
    cpu = Subject["Cpus"]("cpu")
    numa = Subject["Numa"]("numa")
    memory = Subject["Memory"]("memory")
    hugepages = Subject["tuple[Pool, ...]"]("hugepages")
    power = Subject["Power"]("power")
    pci = Subject["Pci"]("pci")
    iommu = Subject["Iommu"]("iommu")
    nvme = Subject["tuple[NvmeController, ...]"]("nvme")
    scsi_hosts = Subject["tuple[ScsiHost, ...]"]("scsi")
    disks = Subject["tuple[Disk, ...]"]("block")
    network = Subject["tuple[Interface, ...]"]("network")
    interrupts = Subject["Interrupts"]("irq")
    kvm = Subject["Kvm"]("kvm")
    clock = Subject["Clock"]("clock")
    mounts = Subject["Mounts"]("mounts")
    cpu_times = Subject["tuple[CpuTime, ...]"]("stat")
    security = Subject["Security"]("security")
    software = Subject["Software"]("software")
    domains = Subject["tuple[Domain, ...]"]("domain")
    databases = Subject["tuple[Database, ...]"]("database")

    def __init__(self, root: Root) -> None:
        self.root = root
        self.known: dict[str, Any] = {}
        """Subjects read so far, by name."""
        self.vmx: tuple[Vmx, ...] = ()
        """The .vmx files to judge: they are given, never looked for."""

    def sysctl(self, name: str) -> str | None:
        """A sysctl's text (`vm.swappiness`), None where this kernel has none of that name. Raises Unreadable."""
        return self.root.read("/proc/sys/" + name.replace(".", "/"))

    def sysctl_number(self, name: str) -> int | None:
        """A sysctl that is one number. Raises Unreadable, also where it is not a number."""
        from vmtune.root.folder import known

        return known(self.root.folder("/proc/sys").number(name.replace(".", "/")))
