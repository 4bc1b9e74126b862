"""KVM: the device and the modules' parameters (kernel: virt/kvm/kvm_main.c, kernel/params.c)."""

from __future__ import annotations

from stat import S_ISCHR
from typing import NamedTuple

from vmtune.host import Host
from vmtune.root import Root, Unreadable
from vmtune.root.folder import keep
from vmtune.value import value

DEVICE = "/dev/kvm"
OFFER = "/sys/class/misc/kvm"
MISC = "/proc/misc"
MODULES = "/sys/module"


@value
class Kvm(NamedTuple):
    """Whether this kernel runs VMs, and how it is set to."""

    path: str
    device: bool | None
    """Whether there is /dev/kvm. Where a capture lacks /dev: whether the kernel offers it (`offered`)."""
    offered: bool | None
    """/sys/class/misc/kvm: the kernel has the device, even where a container does not see it."""
    mode: int | None
    """Permission bits of /dev/kvm (0o660)."""
    uid: int | None
    gid: int | None
    """Owner and group of /dev/kvm."""
    modules: dict[str, dict[str, str]]
    """Parameters of each module whose name begins with kvm: kvm, kvm_intel, kvm_amd, kvm_hv; built in or loaded. Those
    that could not be read are not in it; `parameter` knows of them."""
    refused: tuple[Unreadable, ...]

    def parameter(self, module: str, name: str) -> str | None:
        """A module's parameter, None where there is no such module or parameter. Raises Unreadable."""
        path = f"{MODULES}/{module}/parameters/{name}"
        for kept in self.refused:
            if kept.path in (path, path.rpartition("/")[0]):
                raise kept.again()
        return self.modules.get(module, {}).get(name)


def read(host: Host) -> Kvm:
    """The device and all modules."""
    root = host.root
    offered = _offered(root)
    mode, uid, gid = _mode(root)
    modules, refused = _modules(root)
    return Kvm(DEVICE, _device(root, offered), offered, mode, uid, gid, modules, refused)


def _offered(root: Root) -> bool | None:
    """Whether the kernel has registered the device: by its class, else by the list of all such devices."""
    try:
        return root.exists(OFFER)
    except Unreadable as kept:
        try:
            listed = root.read(MISC)
        except Unreadable:
            listed = None
        return keep(kept) if listed is None else any(line.split()[-1:] == ["kvm"] for line in listed.splitlines())


def _device(root: Root, offered: bool | None) -> bool | None:
    try:
        return root.exists(DEVICE)
    except Unreadable as kept:
        return offered if isinstance(offered, bool) and not root.live else keep(kept)


def _mode(root: Root) -> tuple[int | None, int | None, int | None]:
    try:
        found = root.mode(DEVICE)
    except Unreadable as kept:
        return keep(kept), keep(kept), keep(kept)
    if found is None:
        return None, None, None
    if not S_ISCHR(found[0]):  # a file that stands for the device in a captured tree
        gap = Unreadable(DEVICE, "is no device here: its mode is not known")
        return keep(gap), keep(gap), keep(gap)
    return found[0] & 0o7777, found[1], found[2]


def _modules(root: Root) -> tuple[dict[str, dict[str, str]], tuple[Unreadable, ...]]:
    try:
        names = [name for name in root.names(MODULES) or () if name.startswith("kvm")]
    except Unreadable as kept:
        return keep(kept), keep(kept)
    modules: dict[str, dict[str, str]] = {}
    refused: list[Unreadable] = []
    for name in names:
        modules[name], kept_ones = parameters(root, name)
        refused += kept_ones
    return modules, tuple(refused)


def parameters(root: Root, module: str) -> tuple[dict[str, str], list[Unreadable]]:
    """A module's parameters as they read, and those that could not be read."""
    path = f"{MODULES}/{module}/parameters"
    found: dict[str, str] = {}
    refused: list[Unreadable] = []
    try:
        names = root.names(path) or ()
    except Unreadable as kept:
        return found, [Unreadable(path, kept.reason)]
    for name in names:
        try:
            text = root.read(f"{path}/{name}")
        except Unreadable as kept:
            refused.append(kept)
            continue
        if text is not None:
            found[name] = text
    return found, refused
