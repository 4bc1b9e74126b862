"""What the machine runs on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import Unreadable, plant
from vmtune.host import Host
from vmtune.host.platform import Platform
from vmtune.value import peek

DMI = "/sys/class/dmi/id"
CLOCKS = "/sys/devices/system/clocksource/clocksource0/available_clocksource"


def platform(*trees: str) -> Platform:
    return Host(plant(*trees)).platform


def x86(*flags: str, model: str = "A CPU", extra: str = "microcode : 0x1") -> str:
    words = " ".join(("fpu", "lm", *flags))
    return f"/proc/cpuinfo:\n  vendor_id : AuthenticAMD\n  model name : {model}\n  flags : {words}\n  {extra}"


ARM = "/proc/cpuinfo:\n  processor : 0\n  Features : fp asimd\n  CPU implementer : 0x41\n  CPU part : 0xd0c"
GUEST = x86("hypervisor")
HOME = "/proc/self/ns/pid -> pid:[4026531836]"


def dmi(vendor: str, product: str, **more: str) -> str:
    lines = [f"{DMI}/sys_vendor: {vendor}", f"{DMI}/product_name: {product}"]
    return "\n".join(lines + [f"{DMI}/{name}: {text}" for name, text in more.items()])


def kinds(found: Platform, *, weak: bool) -> list[tuple[str, str | None]]:
    return [(layer.kind, layer.means) for layer in found.layers if layer.weak is weak]


# -- bare metal and virtual machines --------------------------------------------------------------------------


def test_bare_metal() -> None:
    found = platform(x86("vmx"), dmi("Dell Inc.", "PowerEdge R750"), f"{CLOCKS}: tsc hpet acpi_pm", HOME)
    assert found.is_guest is False
    assert found.hypervisor is None
    assert found.container is None
    assert found.layers == ()
    assert (found.vendor, found.product) == ("Dell Inc.", "PowerEdge R750")
    assert found.xen_control_domain is None
    assert found.is_x86


def test_firecracker() -> None:
    """No DMI, a stray /.dockerenv, /dev/kvm without a flag for it: a KVM guest, in no container."""
    found = platform(
        GUEST, f"{CLOCKS}: tsc kvm-clock", HOME, "/.dockerenv:", "/dev/kvm:", "/sys/bus/virtio/devices/virtio0/"
    )
    assert found.is_guest is True
    assert found.hypervisor == "kvm"
    assert found.container is None
    assert (found.vendor, found.product) == (None, None)
    assert kinds(found, weak=False) == [("cpuinfo", ""), ("clocksource", "kvm")]
    assert kinds(found, weak=True) == [("file", "docker"), ("device", None), ("virtio", "")]
    assert "no flag" in next(layer.value for layer in found.layers if layer.kind == "device")


@pytest.mark.parametrize(
    ("names", "clocks", "hypervisor"),
    [
        (("QEMU", "Standard PC (Q35 + ICH9, 2009)"), "tsc kvm-clock acpi_pm", "kvm"),
        (("QEMU", "Standard PC (Q35 + ICH9, 2009)"), "tsc hpet acpi_pm", "qemu"),
        (("Red Hat", "KVM"), "", "kvm"),
        (("Apache Software Foundation", "CloudStack KVM Hypervisor"), "", "kvm"),
        (("OpenStack Foundation", "OpenStack Nova"), "", "kvm"),
        (("VMware, Inc.", "VMware7,1"), "tsc", "vmware"),
        (("VMware, Inc.", "VMware Virtual Platform"), "tsc", "vmware"),
        (("Microsoft Corporation", "Virtual Machine"), "hyperv_clocksource_tsc_page acpi_pm", "hyperv"),
        (("Xen", "HVM domU"), "xen tsc", "xen"),
        (("innotek GmbH", "VirtualBox"), "tsc", "oracle"),
        (("Amazon EC2", "m5.large"), "kvm-clock tsc", "kvm"),
        (("Google", "Google Compute Engine"), "kvm-clock tsc", "kvm"),
        (("Parallels Software International Inc.", "Parallels Virtual Platform"), "tsc", "parallels"),
        (("", "BHYVE"), "tsc", "bhyve"),
        (("Somebody", "Something"), "tsc", None),
    ],
)
def test_x86_guests(names: tuple[str, str], clocks: str, hypervisor: str | None) -> None:
    found = platform(GUEST, dmi(*names), f"{CLOCKS}: {clocks}")
    assert found.is_guest is True
    assert found.hypervisor == hypervisor


@pytest.mark.parametrize(
    ("cpu", "names"),
    [
        (x86("vmx"), ("Amazon EC2", "i3.metal")),
        (x86("vmx"), ("Amazon EC2", "c7i.metal-24xl")),
        (x86("vmx"), ("Google", "Google Compute Engine")),
        (x86("vmx"), ("Alibaba Cloud", "Alibaba Cloud ECS")),
        (ARM, ("Amazon EC2", "m7g.metal")),
        (x86("vmx"), ("Microsoft Corporation", "Surface Hub 2S")),
        (x86("vmx"), ("Oracle Corporation", "ORACLE SERVER X6-2")),
        (ARM, ("Huawei", "TaiShan 200")),
    ],
)
def test_clouds_and_makers_have_bare_metal(cpu: str, names: tuple[str, str]) -> None:
    found = platform(cpu, dmi(*names))
    assert found.is_guest is False
    assert found.hypervisor is None


def test_arm_guests() -> None:
    """No flag tells of a hypervisor there."""
    assert platform(ARM, dmi("Amazon EC2", "m7g.large")).hypervisor == "kvm"
    assert platform(ARM, dmi("QEMU", "KVM Virtual Machine")).hypervisor == "kvm"
    assert platform(ARM, "/proc/device-tree/hypervisor/compatible: linux,kvm").hypervisor == "kvm"
    assert platform(ARM, "/proc/device-tree/hypervisor/compatible: xen,xen-4.17\0xen,xen").hypervisor == "xen"
    assert platform(ARM, "/proc/device-tree/compatible: linux,dummy-virt").hypervisor == "qemu"
    board = platform(ARM, "/proc/device-tree/compatible: raspberrypi,4-model-b\0brcm,bcm2711")
    assert board.is_guest is False


def test_firmware_of_a_virtual_machine() -> None:
    root = plant(ARM, dmi("Somebody", "Something"), "/sys/firmware/dmi/entries/0-0/type: 0")
    root.remember("/sys/firmware/dmi/entries/0-0/raw", bytes([0, 24] + [0] * 17 + [0x14, 0, 0, 0, 0]))
    found = Host(root).platform
    assert found.is_guest is True
    assert found.hypervisor is None


def test_a_hidden_flag() -> None:
    """KVM can hide the flag; the firmware's names remain."""
    assert platform(x86(), dmi("QEMU", "Standard PC")).is_guest is True


@pytest.mark.parametrize(
    ("model", "hypervisor", "weak"),
    [("QEMU TCG CPU version 2.5+", "qemu", False), ("QEMU Virtual CPU version 2.5+", None, True)],
)
def test_cpu_models(model: str, hypervisor: str | None, weak: bool) -> None:
    found = platform(x86("hypervisor", model=model))
    assert found.hypervisor == hypervisor
    assert [layer.weak for layer in found.layers if layer.means == "qemu"] == [weak]


def test_an_old_kernel_knows_no_flag() -> None:
    """Before 2.6.29 its absence proves nothing."""
    with pytest.raises(Unreadable):
        _ = platform(x86(extra="bogomips : 1")).is_guest
    assert platform(x86(extra="bogomips : 1"), dmi("Dell Inc.", "PowerEdge 1950")).is_guest is False


# -- Xen, POWER, s390x, SPARC ---------------------------------------------------------------------------------


def test_xen() -> None:
    ruler = platform(x86(), "/sys/hypervisor/type: xen", "/proc/xen/capabilities: control_d")
    assert (ruler.hypervisor, ruler.is_guest, ruler.xen_control_domain) == ("xen", True, True)
    domain = platform(GUEST, "/sys/hypervisor/type: xen", f"{CLOCKS}: xen tsc")
    assert (domain.hypervisor, domain.xen_control_domain) == ("xen", False)
    old = platform(x86(extra="x : y"), "/proc/xen/capabilities:")
    assert (old.hypervisor, old.xen_control_domain) == ("xen", False)
    closed = platform(GUEST, "/sys/hypervisor/type: xen", "/proc/xen/capabilities ! permission denied")
    assert closed.hypervisor == "xen"
    with pytest.raises(Unreadable):
        _ = closed.xen_control_domain


def power(cpu: str, board: str) -> str:
    return f"/proc/cpuinfo:\n  processor : 0\n  cpu : {cpu}\n  timebase : 512000000\n  {board}"


PARTITION = "/proc/ppc64/lparcfg:\n  partition_id=3\n  partition_name=x"


def test_power() -> None:
    metal = platform(power("POWER9, altivec supported", "platform : PowerNV"), PARTITION)
    assert (metal.is_guest, metal.hypervisor) == (False, None)
    partition = platform(power("POWER9 (architected)", "platform : pSeries"), PARTITION)
    assert (partition.is_guest, partition.hypervisor) == (True, "powervm")
    named = platform(power("POWER9", "platform : pSeries"), "/proc/device-tree/ibm,partition-name: x")
    assert named.hypervisor == "powervm"
    emulated = "platform : pSeries\n  model : IBM pSeries (emulated by qemu)"
    kvm = platform(power("POWER9", emulated), PARTITION, "/proc/device-tree/hypervisor/compatible: linux,kvm")
    assert kvm.hypervisor == "kvm"
    assert platform(power("POWER9", emulated), PARTITION).hypervisor == "qemu"
    with pytest.raises(Unreadable):
        _ = platform(power("POWER4", "platform : pSeries")).is_guest


def s390(version: str, *lines: str) -> list[str]:
    cpu = f"/proc/cpuinfo:\n  vendor_id : IBM/S390\n  processor 0: version = {version},  machine = 3931"
    return [cpu, "\n  ".join(["/proc/sysinfo:", *lines])] if lines else [cpu]


def test_s390() -> None:
    lpar = platform(*s390("00", "LPAR Number:  4"))
    assert (lpar.is_guest, lpar.hypervisor) == (False, None)
    assert [layer.kind for layer in lpar.layers] == ["partition"]
    kvm = platform(
        *s390("FF", "LPAR Number: 4", "VM00 Control Program: KVM/Linux", "VM01 Control Program: z/VM    7.2.0")
    )
    assert (kvm.is_guest, kvm.hypervisor) == (True, "kvm")
    assert [layer.means for layer in kvm.layers if layer.kind == "sysinfo"] == ["kvm", "zvm"]
    assert platform(*s390("FF", "VM00 Control Program: z/VM 7.2.0")).hypervisor == "zvm"
    unnamed = platform(*s390("FF"))
    assert (unnamed.is_guest, unnamed.hypervisor) == (True, None)
    with pytest.raises(Unreadable):
        _ = platform(*s390("00")).is_guest


def test_sparc() -> None:
    assert platform("/proc/cpuinfo:\n  cpu : X\n  type : sun4u").is_guest is False
    with pytest.raises(Unreadable):
        _ = platform("/proc/cpuinfo:\n  cpu : X\n  type : sun4v").is_guest


def test_nothing_is_guessed() -> None:
    """No proc tree: firmware names may prove a guest, never its absence."""
    found = platform(dmi("HP", "ProLiant DL360 Gen9"), "/proc ! not in this capture")
    assert found.vendor == "HP"
    for field in ("is_guest", "hypervisor", "container", "kernel", "hostname", "architecture"):
        with pytest.raises(Unreadable):
            getattr(found, field)
    assert platform(dmi("VMware, Inc.", "VMware7,1"), "/proc ! not in this capture").hypervisor == "vmware"


# -- containers -----------------------------------------------------------------------------------------------

AWAY = "/proc/self/ns/pid -> pid:[4026532456]"


@pytest.mark.parametrize(
    ("tree", "container"),
    [
        (HOME, None),
        (f"{HOME}\n/.dockerenv:\n/run/.containerenv:", None),
        (f"{HOME}\n/run/systemd/container: lxc", None),
        (AWAY, "container-other"),
        (f"{AWAY}\n/.dockerenv:", "docker"),
        (f"{AWAY}\n/run/.containerenv:", "podman"),
        (f"{AWAY}\n/proc/1/environ: PATH=/bin\0container=lxc\0", "lxc"),
        (f"{AWAY}\n/run/systemd/container: systemd-nspawn", "systemd-nspawn"),
        (f"{AWAY}\n/run/systemd/container: something-new", "container-other"),
        # Without a PID namespace of its own (docker run --pid=host) another one and the file tell together.
        (f"{HOME}\n/proc/self/ns/uts -> uts:[4026532455]\n/.dockerenv:", "docker"),
        (f"{HOME}\n/proc/self/ns/uts -> uts:[4026532455]", None),
        # Namespaces that cannot be seen: what PID 1 says counts, a file does not.
        ("/proc/self/ns ! permission denied\n/run/systemd/container: podman", "podman"),
    ],
)
def test_containers(tree: str, container: str | None) -> None:
    assert platform(x86("vmx"), tree).container == container


def test_unknown_container() -> None:
    found = platform(x86("vmx"), "/proc/self/ns ! permission denied", "/.dockerenv:")
    with pytest.raises(Unreadable):
        _ = found.container
    assert found.is_guest is False


def test_a_container_is_no_guest() -> None:
    found = platform(x86("vmx"), AWAY, "/.dockerenv:")
    assert (found.is_guest, found.hypervisor, found.container) == (False, None, "docker")
    inside = platform(GUEST, f"{CLOCKS}: kvm-clock", AWAY, "/.dockerenv:")
    assert (inside.is_guest, inside.hypervisor, inside.container) == (True, "kvm", "docker")


def test_wsl() -> None:
    found = platform(GUEST, "/proc/sys/kernel/osrelease: 5.15.90.1-microsoft-standard-WSL2", AWAY)
    assert (found.container, found.is_guest, found.hypervisor) == ("wsl", True, None)


# -- names ----------------------------------------------------------------------------------------------------


def test_names() -> None:
    found = platform(
        "/proc/sys/kernel/hostname: db-host",
        "/proc/sys/kernel/osrelease: 6.1.0-13-amd64",
        "/proc/version: Linux version 5.0.0 (x@y)",
        "/proc/sys/kernel/arch: riscv64",
        GUEST,
    )
    assert (found.hostname, found.kernel, found.architecture) == ("db-host", "6.1.0-13-amd64", "riscv64")
    assert not found.is_x86


def test_release_of_proc_version() -> None:
    assert platform("/proc/version: Linux version 5.10.0-8 (x@y) #1 SMP").kernel == "5.10.0-8"
    assert platform("/proc/version: something else").kernel is None
    assert platform("/proc/version: Linux version").kernel is None


@pytest.mark.parametrize(
    ("tree", "architecture"),
    [
        (x86(), "x86_64"),
        (ARM, "aarch64"),
        ("\n".join(s390("00")), "s390x"),
        (power("POWER9", "platform : PowerNV"), "ppc64"),
        (power("POWER9", "platform : PowerNV") + "\n/sys/kernel/cpu_byteorder: little", "ppc64le"),
    ],
)
def test_architecture(tree: str, architecture: str) -> None:
    assert platform(tree).architecture == architecture


def test_no_architecture() -> None:
    found = platform("/proc/cpuinfo ! permission denied")
    with pytest.raises(Unreadable):
        _ = found.architecture
    with pytest.raises(Unreadable):
        _ = found.is_x86


def test_garbage_names() -> None:
    found = platform(x86("vmx"), f"{DMI}/sys_vendor:\n{DMI}/product_name:  \n{CLOCKS}:")
    assert (found.vendor, found.product) == (None, None)
    assert found.is_guest is False


def test_unreadable_names() -> None:
    found = platform(GUEST, f"{DMI}/sys_vendor ! permission denied")
    with pytest.raises(Unreadable, match="permission denied"):
        _ = found.vendor
    assert found.is_guest is True


PATHS = [
    "/proc/cpuinfo",
    "/proc/sysinfo",
    "/proc/ppc64/lparcfg",
    "/proc/device-tree/compatible",
    "/proc/xen/capabilities",
    "/proc/1/environ",
    "/proc/sys/kernel/osrelease",
    "/sys/hypervisor/type",
    "/sys/firmware/dmi/entries/0-0/raw",
    f"{DMI}/sys_vendor",
    CLOCKS,
]


@given(st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=60)))
def test_any_bytes_are_read_or_kept(files: dict[str, bytes]) -> None:
    root = plant(*(f"{path}: x" for path in files))
    for path, data in files.items():
        root.remember(path, data)
    found = Host(root).platform
    for field in Platform._fields:
        assert peek(lambda field=field: getattr(found, field)) != ""  # type: ignore[misc]
    assert all(len(layer.value) <= 120 for layer in found.layers)
