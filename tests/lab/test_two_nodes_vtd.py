"""A host of VMs: its nodes, pages, IOMMU groups, VFs and frequencies, against domains that it is to run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.judged import WORKLOAD, Row, failing, mend, passes
from tests.lab.machine import Machine

pytestmark = pytest.mark.machine("two-nodes-vtd")

DOMAIN = "/etc/libvirt/qemu/db01.xml"
NVME = "/sys/bus/pci/devices/0000:81:00.0"
TWO_PORTS_ON_ONE_LANE = """
-device pcie-root-port,id=rp9,bus=pcie.0,chassis=9,slot=9
-netdev user,id=net8 -device vmxnet3,netdev=net8,bus=rp9,addr=0.0,multifunction=on,romfile=
-netdev user,id=net9 -device vmxnet3,netdev=net9,bus=rp9,addr=0.1,romfile=
"""
"""2 Gb/s of ports on 2.5 GT/s, of which 2 Gb/s are payload."""


def define(m: Machine, *, cpus: tuple[int, int] = (2, 3), nodeset: str = "1", pages: bool = True, device: str = "",
           disk: str = "<driver name='qemu' type='raw' cache='none' io='native'/>", target: str = "virtio",
           cputune: bool = True) -> None:  # fmt: skip
    """Write the definition of a domain that suits this host but for what is given; libvirt itself is not needed."""
    pins = "".join(f"<vcpupin vcpu='{vcpu}' cpuset='{cpu}'/>" for vcpu, cpu in enumerate(cpus))
    bus, slot = device[5:7], device[8:10]
    hostdev = (
        f"<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x{bus}' "
        f"slot='0x{slot}' function='0x{device[-1:]}'/></source></hostdev>"
    )
    memory = "<memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages></memoryBacking>"
    tuned = f"<cputune>{pins}</cputune><numatune><memory mode='strict' nodeset='{nodeset}'/></numatune>"
    m.write(
        DOMAIN,
        f"""<domain type='kvm'><name>db01</name><uuid>11111111-2222-4333-8444-555555555555</uuid>
<memory unit='MiB'>128</memory><vcpu placement='static'>2</vcpu>
{memory if pages else ""}{tuned if cputune else ""}
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='block' device='disk'>{disk}<source dev='/dev/nvme0n1'/><target dev='vda' bus='{target}'/></disk>
{hostdev if device else ""}</devices></domain>
""",
    )


@pytest.fixture(autouse=True)
def _no_domain(m: Machine) -> Iterator[None]:
    yield
    if m.on:
        m.shell(f"rm -f {DOMAIN}")


def keys(found: list[Row]) -> list[str | None]:
    return [row["key"] for row in found]


def test_nobody_may_open_dev_kvm(m: Machine) -> None:
    """The kernel makes it 0600; it is udev that gives it to a group, and there is none here."""
    m.shell("chmod 0600 /dev/kvm")
    assert keys(mend(m, "hw-virt-unavailable")) == ["mode"]


def test_no_dev_kvm(m: Machine) -> None:
    m.shell("rmmod kvm_amd kvm")
    (found,) = failing(m, "hw-virt-unavailable")
    assert "kvm_amd is not loaded" in found["message"]
    for command in found["remedy"]["now"]:
        m.shell(command)
    mend(m, "hw-virt-unavailable")  # there again, and for root alone


def test_pages_short_on_a_node(m: Machine) -> None:
    define(m)
    m.write("/proc/sys/vm/nr_hugepages", "64")
    assert m.read("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages") == "32"
    found = failing(m, "hugepages-node-short")
    assert {row["target"] for row in found} == {"node0", "node1"}, "an even split: short on one, idle on the other"
    mend(m, "hugepages-node-short")
    assert m.read("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages") == "64"
    assert m.read("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages") == "0"
    m.write("/proc/sys/vm/nr_hugepages", "0")


def test_pages_that_memory_has_no_room_for(m: Machine) -> None:
    """The kernel takes any number without a word; only reading it back tells."""
    m.write("/etc/sysctl.d/90-pages.conf", "vm.nr_hugepages = 100000\n")
    m.write("/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "100000")
    (found,) = failing(m, "hugepages-pool-short")
    assert 100 < int(found["actual"]) < 512, "what node 1 had room for"
    m.write("/etc/sysctl.d/90-pages.conf", "vm.nr_hugepages = 16\n")
    m.write("/proc/sys/vm/nr_hugepages", "0")
    mend(m, "hugepages-pool-short")
    m.shell("rm /etc/sysctl.d/90-pages.conf; echo 0 >/proc/sys/vm/nr_hugepages")


def test_transparent_hugepages(m: Machine) -> None:
    define(m, pages=False)
    m.write("/sys/kernel/mm/transparent_hugepage/enabled", "never")
    m.write("/sys/kernel/mm/transparent_hugepage/defrag", "always")
    assert sorted(str(key) for key in keys(mend(m, "thp-unsuited"))) == ["defrag", "enabled"]


def test_governor(m: Machine) -> None:
    policy = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
    for governor in ("powersave", "schedutil"):
        m.shell(
            f"for each in /sys/devices/system/cpu/cpufreq/policy*; do echo {governor} >$each/scaling_governor; done"
        )
        assert keys(mend(m, "cpu-governor-slow")) == [governor]
        assert m.read(policy) == "performance"


def test_pinned_to_a_cpu_that_is_offline(m: Machine) -> None:
    define(m)
    m.write("/sys/devices/system/cpu/cpu3/online", "0")
    assert keys(mend(m, "vcpu-pin-conflict", target="domain/db01")) == ["offline"]
    assert m.read("/sys/devices/system/cpu/online") == "0-3"


def test_two_vcpus_on_one_cpu(m: Machine) -> None:
    define(m, cpus=(2, 2))
    failing(m, "vcpu-pin-conflict")
    define(m)
    passes(m, "vcpu-pin-conflict", target="domain/db01")


def test_domain_over_two_nodes(m: Machine) -> None:
    define(m, cputune=False)
    failing(m, "vcpus-span-nodes")
    define(m)
    passes(m, "vcpus-span-nodes")


def test_cache_and_bus_of_a_domain_s_disk(m: Machine) -> None:
    define(m, disk="<driver name='qemu' type='raw' cache='unsafe'/>", target="sata")
    assert failing(m, "disk-cache-unsafe")[0]["severity"] == "critical"
    failing(m, "emulated-controller", target="domain/db01")
    define(m)
    passes(m, "disk-cache-unsafe")
    passes(m, "emulated-controller", target="domain/db01")


def test_vf_of_another_node(m: Machine) -> None:
    m.write(f"{NVME}/sriov_drivers_autoprobe", "0")
    m.write(f"{NVME}/sriov_numvfs", "2")
    address = m.shell(f"basename $(readlink {NVME}/virtfn1)").strip()
    assert m.read(f"/sys/bus/pci/devices/{address}/numa_node") == "1"
    define(m, cpus=(0, 1), nodeset="0", device=address)
    (found,) = failing(m, "vf-remote-node")
    assert found["message"].startswith(f"VF {address} is on node 1")
    define(m, device=address)
    passes(m, "vf-remote-node")
    passes(m, "iommu-group-shared")
    m.write(f"{NVME}/sriov_numvfs", "0")


def test_group_that_a_host_driver_shares(m: Machine) -> None:
    """Two NICs behind a conventional bridge: the IOMMU cannot tell them apart."""
    device, other = "0000:01:01.0", "0000:01:02.0"
    define(m, device=device)
    assert [row["key"] for row in mend(m, "iommu-group-shared")] == [other]
    assert m.shell(f"basename $(readlink /sys/bus/pci/devices/{other}/driver)").strip() == "vfio-pci"
    m.shell(
        f"cd /sys/bus/pci/devices/{other}; echo {other} >driver/unbind; echo >driver_override; "
        f"echo {other} >/sys/bus/pci/drivers_probe"
    )
    assert m.shell(f"basename $(readlink /sys/bus/pci/devices/{other}/driver)").strip() == "e1000"


def test_nvme_path_that_is_gone(m: Machine) -> None:
    """A controller over TCP whose target goes away and comes back, all in this machine."""
    target = "/sys/kernel/config/nvmet"
    m.shell(
        "ifconfig lo 127.0.0.1 up; mount -t configfs configfs /sys/kernel/config; "
        f"mkdir -p {target}/subsystems/lab {target}/ports/1; cd {target}; "
        "echo 1 >subsystems/lab/attr_allow_any_host; cd ports/1; echo tcp >addr_trtype; echo ipv4 >addr_adrfam; "
        f"echo 127.0.0.1 >addr_traddr; echo 4420 >addr_trsvcid; ln -s {target}/subsystems/lab subsystems/lab"
    )
    m.write("/dev/nvme-fabrics", "transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=lab,reconnect_delay=1,"
                                 "keep_alive_tmo=2,hostnqn=lab-host")  # fmt: skip
    passes(m, "nvme-controller-down")
    m.shell(f"rm {target}/ports/1/subsystems/lab; sleep 4")
    found = failing(m, "nvme-controller-down", *WORKLOAD, "--sample", "5")
    assert [row["actual"] for row in found] == ["connecting"]
    m.shell(f"cd {target}/ports/1; ln -s {target}/subsystems/lab subsystems/lab; sleep 3")
    passes(m, "nvme-controller-down")
    m.shell("for each in /sys/class/nvme/*; do grep -q tcp $each/transport && echo 1 >$each/delete_controller; done; :")


def test_iommu_and_nodes_off_on_the_command_line(m: Machine) -> None:
    """Right command lines are for good: the report that the machine has with its own one shows both checks passing."""
    m.boot_again(cmdline="intel_iommu=off numa=off", qemu=TWO_PORTS_ON_ONE_LANE)
    define(m, device="0000:81:00.0")
    (found,) = failing(m, "iommu-off")
    assert "the kernel has it off" in found["message"]
    assert keys(failing(m, "numa-layout-hidden")) == ["cmdline"]
    (command,) = failing(m, "numa-layout-hidden")[0]["remedy"]["for_good"]
    assert command == "grubby --update-kernel=ALL --remove-args=numa=off"
    m.shell("for each in /sys/class/net/eth*; do ifconfig ${each##*/} up; done; sleep 1")
    assert [row["key"] for row in failing(m, "pcie-link-degraded")] == ["capacity"]
    m.boot_again(cmdline=m.description.cmdline, qemu="")
    define(m, device="0000:81:00.0")
    passes(m, "iommu-off")
    passes(m, "numa-layout-hidden")
    passes(m, "pcie-link-degraded")
