"""What the machine runs on: bare metal, a hypervisor, a partition, a container; and every sign that speaks of it.

Sources: Documentation/virt and arch/*/kernel of the kernel; systemd-detect-virt(1), whose words are used (`kvm`,
`vmware`, `xen`, `oracle`, `zvm`, `powervm` …) but for `hyperv`; SMBIOS 3.x §7.1; admin-guide/namespaces. The
hypervisor is decided by the strong signs; the weak ones are only listed, for each stands on some machine that is not
what it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.host import cpuinfo, dmi
from vmtune.host.cpu import word
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

if TYPE_CHECKING:
    from vmtune.host import Host
    from vmtune.root import Root

DEVICE_TREE = "/proc/device-tree"
CLOCKSOURCES = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
SYSINFO = "/proc/sysinfo"

INITIAL_NAMESPACES = {"pid": "pid:[4026531836]", "uts": "uts:[4026531838]", "cgroup": "cgroup:[4026531835]"}
"""The kernel's own namespaces (PROC_PID_INIT_INO and its like in include/linux/proc_ns.h)."""

_CLOCKS = (("kvm-clock", "kvm"), ("hyperv_clocksource", "hyperv"), ("xen", "xen"))
_VIRTUAL_MODELS = (
    "Common KVM",
    "Common 32-bit KVM",
    "Intel Core Processor (",
    "Intel Xeon Processor (",
    "AMD EPYC Proc",
)
"""How QEMU names the CPU models that it makes up."""
_CONTROL_PROGRAMS = (("z/VM", "zvm"), ("KVM", "kvm"))
_BUILT_ON = ("kvm", "qemu", "bochs")
"""Words of which an earlier is the surer: KVM shows QEMU's hardware, QEMU may show that of Bochs."""


class Layer(NamedTuple):
    """One sign of what the machine runs on."""

    kind: str
    """Kind of sign: `cpuinfo`, `dmi`, `clocksource`, `device-tree`, `namespace`, `file` …"""
    value: str
    """What it says."""
    source: str
    """Path that it was read from."""
    weak: bool
    """Whether it is a hint only, from which nothing is decided."""
    means: str | None = None
    """The hypervisor or container that it names; "" where it tells of one without a name, None where it tells of
    none."""


@value
class Platform(NamedTuple):
    """The machine, and what is beneath it."""

    architecture: str | None
    """As `uname -m` names it (`/proc/sys/kernel/arch`, else by the form of /proc/cpuinfo)."""
    hostname: str | None
    kernel: str | None
    """Release of the running kernel."""
    hypervisor: str | None
    """What runs this machine as a virtual one. None: nothing does, or (`is_guest`) something that gives no name."""
    container: str | None
    """What holds this process in a container: `docker`, `podman`, `lxc`, `wsl`, …, `container-other`; None: it is in
    none."""
    is_guest: bool
    """Whether the machine is virtual. An s390x LPAR is not; a Xen control domain is, for what it sees is virtual."""
    xen_control_domain: bool | None
    """Whether this is the domain that rules Xen (dom0). None: there is no Xen."""
    vendor: str | None
    product: str | None
    """As the firmware names the machine (`/sys/class/dmi/id`)."""
    layers: tuple[Layer, ...]
    """Every sign, weak and contradicting ones as well."""

    @property
    def is_x86(self) -> bool:
        """Whether the CPUs are x86. Raises Unreadable."""
        return self.architecture in ("x86_64", "i686", "i586", "i486", "i386")


class _Signs:
    """Signs as they are found, and what could not be looked at."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.layers: list[Layer] = []
        self.refused: Unreadable | None = None
        """The first thing of weight that could not be read."""
        self.metal = False
        """Whether something is there that a virtual machine would not have."""

    def add(self, kind: str, value: str, source: str, means: str | None = None, *, weak: bool = False) -> None:
        """Note a sign."""
        self.layers.append(Layer(kind, " ".join(value.split())[:120], source, weak, means))

    def text(self, path: str, *, weighs: bool = True) -> str | None:
        """Text of a file, None where it is absent or cannot be read; then it is noted what was missed."""
        try:
            return self.root.read(path)
        except Unreadable as kept:
            if weighs:
                self.refused = self.refused or kept
            return None

    def there(self, path: str) -> bool:
        """Whether something is known to be there."""
        try:
            return self.root.exists(path)
        except Unreadable:
            return False


def read(host: Host) -> Platform:
    """What the machine runs on. Each attribute keeps why it is not known."""
    root = host.root
    signs = _Signs(root)
    info: cpuinfo.Info | None = None
    try:
        info = cpuinfo.read(root)
    except Unreadable as kept:
        signs.refused = kept
    if info is not None:
        _read_cpuinfo(signs, info)
    _read_dmi(signs, info)
    _read_clocksources(signs)
    _read_device_tree(signs, info)
    _read_partition(signs)
    _read_sysinfo(signs)
    xen = _read_xen(signs)
    release = _release(root)
    container = _container(signs, release)
    _read_hints(signs, info)
    hypervisor, guest = _decide(signs)
    vendor, product = (root.folder(dmi.PATH).text(name) for name in ("sys_vendor", "product_name"))
    return Platform(
        architecture=_architecture(root, info),
        hostname=word(root.folder("/proc/sys/kernel"), "hostname"),
        kernel=release,
        hypervisor=hypervisor,
        container=container,
        is_guest=guest,
        xen_control_domain=xen,
        vendor=vendor.strip() or None if isinstance(vendor, str) else vendor,
        product=product.strip() or None if isinstance(product, str) else product,
        layers=tuple(signs.layers),
    )


def _decide(signs: _Signs) -> tuple[str | None, bool]:
    """Hypervisor and whether the machine is a guest, by the strong signs."""
    words = [layer.means for layer in signs.layers if layer.means is not None and not layer.weak]
    words = [word for word in words if word not in _CONTAINERS]
    named = [word for word in words if word]
    for place, sure in enumerate(_BUILT_ON):
        if sure in named:
            named = [word for word in named if word not in _BUILT_ON[place + 1 :]]
    if words:
        return (named[0] if named else None), True
    if signs.metal:
        return None, False
    refused = signs.refused or Unreadable(cpuinfo.PATH, "nothing here tells whether the machine is virtual")
    return keep(refused), keep(refused)


def _read_cpuinfo(signs: _Signs, info: cpuinfo.Info) -> None:
    fields, path = info.fields, cpuinfo.PATH
    if "hypervisor" in info.flags:
        signs.add("cpuinfo", "flag hypervisor", path, "")
    elif info.architecture in ("x86_64", "i686") and ("microcode" in fields or "bugs" in fields):
        # Kernels before 2.6.29 did not know the flag; these lines are younger.
        signs.metal = True
    model = info.model or ""
    if model.startswith(("QEMU TCG CPU", "QEMU Virtual CPU")):
        signs.add("cpuinfo", model, path, "qemu", weak=model.startswith("QEMU Virtual CPU"))
    elif model.startswith(_VIRTUAL_MODELS):
        signs.add("cpuinfo", model, path, "qemu", weak=True)
    if (info.vendor or "").startswith("Xen/"):
        signs.add("cpuinfo", info.vendor or "", path, "xen")
    if info.architecture == "s390x":
        versions = {
            text.partition("version = ")[2][:2] for name, text in fields.items() if name.startswith("processor ")
        }
        if versions == {"FF"}:
            signs.add("cpuinfo", "version FF", path, "")
    platform = fields.get("platform", "")
    if platform == "PowerNV":
        signs.add("cpuinfo", "platform PowerNV", path)
        signs.metal = True
    elif platform.startswith("pSeries"):
        emulated = "qemu" in f"{fields.get('model')} {fields.get('machine')}".lower()
        # A compatibility mode is made by a hypervisor; without one old machines ran whole as pSeries, too.
        sure = emulated or "(architected)" in fields.get("cpu", "")
        signs.add("cpuinfo", f"platform {platform}", path, "qemu" if emulated else "powervm", weak=not sure)
    if fields.get("type") == "sun4u":
        signs.metal = True
    elif fields.get("type") == "sun4v":
        signs.add("cpuinfo", "type sun4v", path, "", weak=True)


def _read_dmi(signs: _Signs, info: cpuinfo.Info | None) -> None:
    named = dmi.read(signs.root)
    flagged = info is not None and "hypervisor" in info.flags
    plain_x86 = info is not None and info.architecture == "x86_64" and not flagged
    if named.is_cloud and (named.is_named_metal or plain_x86):
        signs.add("dmi", f"{named.vendor} {named.product}", f"{dmi.PATH}/product_name")
        signs.metal = True
        return
    found = named.hypervisors()
    for name, text, means in found:
        signs.add("dmi", text, f"{dmi.PATH}/{name}", means)
    if dmi.says_virtual(signs.root):
        signs.add("dmi", "BIOS of a virtual machine", dmi.BIOS, "")
    elif named.maker and not found and info is not None:
        signs.metal = True


def _read_clocksources(signs: _Signs) -> None:
    for clock in (signs.text(CLOCKSOURCES, weighs=False) or "").split():
        for beginning, means in _CLOCKS:
            if clock.startswith(beginning):
                signs.add("clocksource", clock, CLOCKSOURCES, means)


def _read_device_tree(signs: _Signs, info: cpuinfo.Info | None) -> None:
    path = f"{DEVICE_TREE}/hypervisor/compatible"
    hypervisor = signs.text(path, weighs=False)
    if hypervisor:
        names = (("kvm", "kvm"), ("xen", "xen"), ("vmware", "vmware"))
        means = next((word for part, word in names if part in hypervisor), "")
        signs.add("device-tree", hypervisor.replace("\0", " "), path, means)
    path = f"{DEVICE_TREE}/compatible"
    machine = signs.text(path, weighs=False) or ""
    kinds = machine.split("\0")
    if any(kind in ("qemu,pseries", "linux,dummy-virt", "riscv-virtio") for kind in kinds):
        signs.add("device-tree", machine.replace("\0", " "), path, "qemu")
    elif machine and hypervisor is None and info is not None and info.architecture not in ("ppc64", None):
        signs.metal = True


def _read_partition(signs: _Signs) -> None:
    """A logical partition of POWER: of PowerVM, unless something else was seen, for QEMU shows the same."""
    if any(layer.value == "platform PowerNV" for layer in signs.layers):
        return
    other = any(layer.means not in (None, "", "powervm") and not layer.weak for layer in signs.layers)
    path = f"{DEVICE_TREE}/ibm,partition-name"
    if signs.text(path, weighs=False):
        signs.add("partition", "named by the device tree", path, "powervm", weak=other)
    path = "/proc/ppc64/lparcfg"
    lines = (signs.text(path, weighs=False) or "").splitlines()
    if any(line.startswith("partition_name=") for line in lines):
        signs.add("partition", "named by lparcfg", path, "powervm", weak=other)


def _read_sysinfo(signs: _Signs) -> None:
    """Levels of virtualisation of s390x: VM00 is the innermost."""
    for line in (signs.text(SYSINFO, weighs=False) or "").splitlines():
        name, _, text = line.partition(":")
        if name == "LPAR Number":
            signs.add("partition", f"LPAR {text.strip()}", SYSINFO)
            signs.metal = True
        elif name.startswith("VM") and name.endswith("Control Program"):
            means = next((word for part, word in _CONTROL_PROGRAMS if part in text), "")
            signs.add("sysinfo", f"{name[:4]} {text.strip()}", SYSINFO, means)


def _read_xen(signs: _Signs) -> bool | None:
    """Signs of Xen, and whether this is the domain that rules it."""
    path = "/sys/hypervisor/type"
    kind = signs.text(path, weighs=False)
    if kind:
        signs.add("hypervisor", kind, path, kind if kind == "xen" else "")
    path = "/proc/xen/capabilities"
    try:
        capabilities = signs.root.read(path)
    except Unreadable as kept:
        return keep(kept) if kind == "xen" else None
    if capabilities is None:
        return False if kind == "xen" else None
    ruler = "control_d" in capabilities
    signs.add("hypervisor", "Xen control domain" if ruler else "Xen domain", path, "xen")
    return ruler


_CONTAINERS = (
    "docker",
    "podman",
    "lxc",
    "lxc-libvirt",
    "systemd-nspawn",
    "openvz",
    "rkt",
    "wsl",
    "proot",
    "container-other",
)


def _container(signs: _Signs, release: str | None) -> str | None:
    """Container that this process is in. Namespaces prove it; files and variables, which an image may have brought
    along, name it, and decide where the namespaces cannot be seen."""
    own = _namespaces(signs)
    hints = []
    for path, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if signs.there(path):
            signs.add("file", "there", path, name, weak=True)
            hints.append(name)
    path = "/proc/1/environ"
    environment = signs.text(path, weighs=False) or ""
    told = next((entry[10:] for entry in environment.split("\0") if entry.startswith("container=")), None)
    if told is None:
        path = "/run/systemd/container"
        told = signs.text(path, weighs=False)
    inside = isinstance(own, Unreadable) or "pid" in own or bool(own and (hints or told))
    if told:
        told = told if told in _CONTAINERS else "container-other"
        signs.add("container", told, path, told, weak=not inside)
    if isinstance(release, str) and ("microsoft" in release.lower() or "WSL" in release):
        signs.add("kernel", release, "/proc/sys/kernel/osrelease", "wsl")
        return "wsl"
    if isinstance(own, Unreadable):
        return told or keep(own)
    return (told or (hints[0] if hints else "container-other")) if inside else None


def _namespaces(signs: _Signs) -> set[str] | Unreadable:
    """Kinds of namespaces in which this process is not in the kernel's own."""
    own = set()
    try:
        for kind, initial in INITIAL_NAMESPACES.items():
            path = f"/proc/self/ns/{kind}"
            namespace = signs.root.link(path)
            if namespace not in (None, initial):
                own.add(kind)
                signs.add("namespace", namespace or "", path, "container-other", weak=kind != "pid")
    except Unreadable as kept:
        return kept
    return own


def _read_hints(signs: _Signs, info: cpuinfo.Info | None) -> None:
    """What a virtual machine often has, and some bare metal too."""
    if signs.there("/dev/kvm"):
        flagged = info is None or info.architecture != "x86_64" or info.flags & {"vmx", "svm"}
        said = "can run VMs" if flagged else "can run VMs, although no flag of the CPU says so"
        signs.add("device", said, "/dev/kvm", weak=True)
    try:
        virtio = signs.root.names("/sys/bus/virtio/devices") or []
    except Unreadable:
        virtio = []
    if virtio:
        signs.add("virtio", f"{len(virtio)} devices", "/sys/bus/virtio/devices", "", weak=True)


def _release(root: Root) -> str | None:
    """Release of the running kernel; the third word of /proc/version where the sysctl is not there."""
    told = word(root.folder("/proc/sys/kernel"), "osrelease")
    if isinstance(told, str):
        return told
    version = root.folder("/proc").text("version")
    words = version.split() if isinstance(version, str) else []
    if words[:2] == ["Linux", "version"] and len(words) > 2:
        return words[2]
    return told


def _architecture(root: Root, info: cpuinfo.Info | None) -> str | None:
    told = word(root.folder("/proc/sys/kernel"), "arch")
    if isinstance(told, str):
        return told
    if root.live:
        import os

        return os.uname().machine
    if info is None or info.architecture is None:
        return told or keep(Unreadable(cpuinfo.PATH, "it tells no architecture"))
    if info.architecture == "ppc64" and root.folder("/sys/kernel").text("cpu_byteorder") == "little":
        return "ppc64le"
    return info.architecture
