"""QEMU processes, their threads, and VMs out of their command lines."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import plant
from vmtune.cpuset import CpuSet
from vmtune.host import Host
from vmtune.host.domain import Domain
from vmtune.host.domain.arguments import domain_of_process
from vmtune.host.domain.options import VALUED, Options, options
from vmtune.host.domain.qemu import Process, looks_like_qemu, read, thread_kind, threads
from vmtune.root.unreadable import Unreadable

MIB, GIB = 1 << 20, 1 << 30


def process(*arguments: str) -> Process:
    return Process(
        pid=7,
        path="/proc/7",
        name="qemu-system-x86",
        arguments=("/usr/bin/qemu-system-x86_64", *arguments),
        executable="/usr/bin/qemu-system-x86_64",
        replaced=False,
        uid=0,
        owner="root",
        trusted=True,
        seccomp=2,
        swap_bytes=0,
        anonymous_bytes=0,
        page_table_bytes=0,
        locked_bytes=0,
    )


def vm(text: str) -> Domain:
    """The VM of a command line, its words parted by blanks."""
    return domain_of_process(process(*text.split()))


PROXMOX = vm(
    "-id 100 -name vm100,debug-threads=on -pidfile /var/run/qemu-server/100.pid "
    "-smbios type=1,uuid=B77A12F3-0292-4197-A692-246FD9BA4CAF -smp 8,sockets=2,cores=4,maxcpus=8 "
    "-cpu host,+aes,-vmx,hv_relaxed,kvm=off,migratable=on,pmu=off -m 16384 "
    "-object memory-backend-file,id=ram-node0,size=8192M,mem-path=/run/hugepages/kvm/1048576kB,share=on,prealloc=yes,"
    "host-nodes=0,policy=bind -numa node,nodeid=0,cpus=0-3,memdev=ram-node0 "
    "-object memory-backend-file,id=ram-node1,size=8192M,mem-path=/run/hugepages/kvm/1048576kB,share=on,prealloc=yes,"
    "host-nodes=1,policy=bind -numa node,nodeid=1,cpus=4-7,memdev=ram-node1 "
    "-object iothread,id=iothread-virtioscsi0 "
    "-device virtio-scsi-pci,id=virtioscsi0,bus=pci.3,iothread=iothread-virtioscsi0,num_queues=8 "
    "-drive file=/dev/pve/vm-100-disk-0,if=none,id=drive-scsi0,cache=none,format=raw,aio=io_uring,"
    "detect-zeroes=on,discard=on,throttling.iops-total=500 "
    "-device scsi-hd,bus=virtioscsi0.0,drive=drive-scsi0,id=scsi0,bootindex=100,rotation_rate=1 "
    "-drive if=none,id=drive-ide2,media=cdrom,aio=io_uring -device ide-cd,bus=ide.1,drive=drive-ide2,id=ide2 "
    "-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/pve-edk2-firmware/OVMF_CODE.fd "
    "-drive if=pflash,unit=1,format=raw,id=drive-efidisk0,file=/dev/pve/vm-100-disk-1 "
    "-netdev type=tap,id=net0,ifname=tap100i0,vhost=on,queues=4 "
    "-device virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,id=net0,"
    "rx_queue_size=1024,tx_queue_size=256,host_mtu=9000 -device vfio-pci,host=0000:3b:02.1,id=hostpci0 "
    "-device virtio-balloon-pci,id=balloon0 -device i6300esb,id=w -watchdog-action reset "
    "-device virtio-rng-pci,rng=r -object rng-random,filename=/dev/urandom,id=r -tpmdev emulator,id=tpmdev,chardev=c "
    "-vnc unix:/var/run/qemu-server/100.vnc,password=on "
    "-machine type=pc-q35-8.1+pve0,smm=off -rtc base=localtime -enable-kvm"
)


def test_a_vm_of_proxmox() -> None:
    assert (PROXMOX.name, PROXMOX.uuid, PROXMOX.owner) == ("vm100", "b77a12f3-0292-4197-a692-246fd9ba4caf", "Proxmox")
    assert (PROXMOX.type, PROXMOX.live, PROXMOX.vcpus, PROXMOX.vcpus_max) == ("kvm", True, 8, 8)
    assert (PROXMOX.memory_bytes, PROXMOX.current_memory_bytes) == (16 * GIB, 16 * GIB)
    cpu = PROXMOX.cpu
    assert cpu is not None
    assert (cpu.mode, cpu.migratable, cpu.topology) == ("host-passthrough", True, (2, None, None, 4, None))
    assert cpu.features == {"aes": "require", "vmx": "disable", "kvm": "disable"}
    assert (PROXMOX.features.hyperv, PROXMOX.features.switches) == ({"relaxed": True}, {"smm": False, "pmu": False})
    assert (PROXMOX.firmware.machine, PROXMOX.firmware.architecture) == ("pc-q35-8.1+pve0", "x86_64")
    assert (PROXMOX.firmware.is_efi, PROXMOX.firmware.nvram) == (True, "/dev/pve/vm-100-disk-1")
    assert (PROXMOX.clock.offset, PROXMOX.emulator) == ("localtime", "/usr/bin/qemu-system-x86_64")


def test_its_memory() -> None:
    backing = PROXMOX.backing
    assert backing is not None
    assert (backing.hugepages, backing.source, backing.access, backing.allocation) == (
        ((GIB, None),),
        "file",
        "shared",
        "immediate",
    )
    assert [(cell.id, cell.cpus, cell.memory_bytes) for cell in PROXMOX.cells] == [
        (0, CpuSet(range(4)), 8 * GIB),
        (1, CpuSet(range(4, 8)), 8 * GIB),
    ]
    tune = PROXMOX.numatune
    assert tune is not None
    assert [(cell.cell, cell.mode, cell.nodes) for cell in tune.cells] == [
        (0, "strict", CpuSet([0])),
        (1, "strict", CpuSet([1])),
    ]
    assert PROXMOX.memory_nodes == CpuSet([0, 1])


def test_its_devices() -> None:
    disk, cdrom = PROXMOX.disks
    assert (disk.source, disk.type, disk.bus, disk.target, disk.rotation_rate) == (
        "/dev/pve/vm-100-disk-0",
        "block",
        "scsi",
        "scsi0",
        1,
    )
    assert (disk.driver.cache, disk.driver.io, disk.driver.format, disk.driver.detect_zeroes) == (
        "none",
        "io_uring",
        "raw",
        "on",
    )
    assert (disk.limits, disk.backing, disk.is_plain) == ({"total_iops_sec": 500}, None, True)
    assert (cdrom.device, cdrom.source, cdrom.is_plain) == ("cdrom", None, False)
    (scsi,) = PROXMOX.controllers
    assert (scsi.type, scsi.model, scsi.queues, scsi.iothread) == ("scsi", "virtio-scsi", 8, 1)
    assert (PROXMOX.iothreads, PROXMOX.iothread_ids) == (1, CpuSet([1]))
    (nic,) = PROXMOX.interfaces
    assert (nic.model, nic.mac, nic.driver, nic.queues, nic.target) == (
        "virtio",
        "bc:24:11:00:00:01",
        "vhost",
        4,
        "tap100i0",
    )
    assert (nic.rx_queue_size, nic.tx_queue_size, nic.mtu, nic.vlans, nic.bandwidth) == (1024, 256, 9000, (), {})
    assert PROXMOX.host_addresses == ("0000:3b:02.1",)
    (vnc,) = PROXMOX.graphics
    assert (vnc.has_password, vnc.listens[0].socket) == (True, "/var/run/qemu-server/100.vnc")
    assert (PROXMOX.balloon, PROXMOX.rngs[0].path) == (("virtio", None, None, None), "/dev/urandom")
    assert (PROXMOX.tpms[0].backend, PROXMOX.watchdogs) == ("emulator", (("i6300esb", "reset"),))


def test_block_nodes_in_json_with_a_chain() -> None:
    made = domain_of_process(
        process(
            *(
                "-blockdev",
                '{"driver":"host_device","filename":"/dev/vg/a","node-name":"file0","aio":"native","cache":{"direct":true,"no-flush":false}}',
            ),
            *("-blockdev", '{"node-name":"disk0","driver":"raw","file":"file0","discard":"unmap","read-only":false}'),
            *(
                "-device",
                '{"driver":"virtio-blk-pci","drive":"disk0","id":"virtio-disk0","iothread":"iothread2","num-queues":4}',
            ),
            *(
                "-object",
                '{"qom-type":"iothread","id":"iothread1"}',
                "-object",
                '{"qom-type":"iothread","id":"iothread2"}',
            ),
            *(
                "-blockdev",
                "driver=file,filename=/img/base.qcow2,node-name=f2",
                "-blockdev",
                "driver=qcow2,file=f2,node-name=b2",
            ),
            *("-blockdev", "driver=file,filename=/img/top.qcow2,node-name=f1,cache.direct=off,cache.no-flush=on"),
            *("-blockdev", "driver=qcow2,file=f1,backing=b2,node-name=b1", "-device", "scsi-hd,drive=b1"),
            *(
                "-blockdev",
                "driver=throttle,throttle-group=g,file=disk0,node-name=t",
                "-device",
                "nvme,drive=t,serial=S",
            ),
        )
    )
    first, chained, throttled = made.disks
    assert (first.source, first.driver.format, first.driver.io, first.driver.cache) == (
        "/dev/vg/a",
        "raw",
        "native",
        "none",
    )
    assert (first.driver.iothread, first.driver.queues, first.driver.discard, first.readonly, first.backing) == (
        2,
        4,
        "unmap",
        False,
        (),
    )
    assert (chained.driver.format, chained.driver.cache, chained.backing) == (
        "qcow2",
        "unsafe",
        (("file", "qcow2", "/img/base.qcow2"),),
    )
    assert (throttled.source, throttled.bus, throttled.serial) == ("/dev/vg/a", "nvme", "S")


def test_block_nodes_in_a_circle_end() -> None:
    made = vm(
        "-blockdev driver=qcow2,file=b,backing=a,node-name=a -blockdev driver=raw,file=a,node-name=b "
        "-device virtio-blk,drive=a"
    )
    assert made.disks[0].source is None
    assert made.disks[0].backing is not None
    assert len(made.disks[0].backing) <= 64


@pytest.mark.parametrize(
    ("text", "vcpus"),
    [
        ("", (1, 1)),
        ("-smp 4", (4, 4)),
        ("-smp cpus=2,maxcpus=8", (2, 8)),
        ("-smp maxcpus=8", (8, 8)),
        ("-smp sockets=2,cores=2,threads=2", (8, 8)),
        ("-smp 2 -smp 6", (6, 6)),
    ],
)
def test_vcpus(text: str, vcpus: tuple[int, int]) -> None:
    made = vm(text)
    assert (made.vcpus, made.vcpus_max) == vcpus
    assert made.vcpu_ids == CpuSet(range(vcpus[0]))


@pytest.mark.parametrize("text", ["-smp many", "-smp 99999999", "-smp 8,maxcpus=4", "-smp cpus=-1"])
def test_no_vcpus(text: str) -> None:
    made = vm(text)
    for read_field in (lambda: made.vcpus, lambda: made.vcpus_max, lambda: made.vcpu_ids):
        with pytest.raises(Unreadable, match="/proc/7/cmdline"):
            read_field()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 128 * MIB),
        ("-m 512", 512 * MIB),
        ("-m 4G", 4 * GIB),
        ("-m size=4194304k", 4 * GIB),
        ("-m 1.5g,slots=2,maxmem=8G", 3 * GIB // 2),
    ],
)
def test_memory(text: str, size: int) -> None:
    assert vm(text).memory_bytes == size


@pytest.mark.parametrize("text", ["-m lots", "-m nan", "-m 1e999", "-m " + "9" * 50])
def test_no_memory(text: str) -> None:
    made = vm(text)
    with pytest.raises(Unreadable, match="/proc/7/cmdline: -m"):
        _ = made.memory_bytes


def test_emulation_and_what_else_is_told() -> None:
    plain = vm("-M q35,accel=tcg -cpu qemu64 -kernel /boot/vmlinuz")
    assert (plain.type, plain.cpu and plain.cpu.model, plain.firmware.kernel, plain.name) == (
        "qemu",
        "qemu64",
        "/boot/vmlinuz",
        "qemu-7",
    )
    assert (plain.balloon, plain.backing, plain.cells, plain.owner, plain.uuid) == (
        ("none", None, None, None),
        None,
        (),
        None,
        None,
    )
    assert vm("-accel kvm -accel tcg").type == "kvm"
    assert vm("-accel tcg -machine accel=kvm").type == "qemu"
    assert vm("-uuid 5B54C8B6-F0BB-4EE7-8D57-92A0C9C3F4A8 -name guest=a").uuid == "5b54c8b6-f0bb-4ee7-8d57-92a0c9c3f4a8"
    assert vm("-name process=x,guest=b").name == "b"
    assert vm("-name ../../etc").name == "qemu-7"
    assert vm("-object memory-backend-memfd,id=a,size=1G,hugetlb=on,hugetlbsize=2M").backing == (
        (((2 * MIB, None),), False, False, "memfd", None, None, None, False)
    )
    assert vm("-device vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:5e:00.0").host_addresses == ("0000:5e:00.0",)
    assert vm("-device vfio-pci,host=5e:00.0").host_addresses == ("0000:5e:00.0",)


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [("-vnc :1", "0.0.0.0", 5901), ("-vnc 127.0.0.1:0", "127.0.0.1", 5900), ("-spice port=5930", "0.0.0.0", 5930)],
)
def test_consoles(text: str, address: str, port: int) -> None:
    (graphics,) = vm(text).graphics
    assert (graphics.listens[0].address, graphics.port) == (address, port)


def test_no_console() -> None:
    assert vm("-vnc none").graphics == ()


def test_options_escape_commas_and_take_json() -> None:
    assert options("file=/a,,b,if=none,nowait", "x") == {"file": "/a,b", "if": "none", "wait": "off"}
    assert options("kvm,on", "accel") == {"accel": "kvm", "on": "on"}
    assert options('{"a":{"b":[1,2]},"c":true,"d":null}').all("a.b") == ["1", "2"]
    assert options('{"a":{"b":[1,2]},"c":true,"d":null}')["c"] == "on"
    assert options('{"a":') == {}
    assert options("[" * 5 + "{" * 9) is not None
    assert options('{"a":' + "[" * 100_000) == {}
    assert Options([("a", "1"), ("a", "2")])["a"] == "2"


ARGUMENTS = st.lists(
    st.sampled_from([f"-{name}" for name in sorted(VALUED)])
    | st.text(alphabet='abdeiklnorstuv0129=,.:{}[]"-/', max_size=24)
    | st.sampled_from(
        [
            "virtio-blk,drive=a",
            "id=a,file=/x",
            "node,cpus=0-3",
            "memory-backend-ram,id=m,host-nodes=0,policy=bind",
            "{}",
        ]
    ),
    max_size=12,
)


@given(ARGUMENTS)
def test_any_command_line_is_a_vm(arguments: list[str]) -> None:
    made = domain_of_process(process(*arguments))
    assert made.name
    assert made.live


@pytest.mark.parametrize(
    ("comm", "answer"),
    [
        ("CPU 0/KVM", ("vcpu", 0)),
        ("CPU 127/TCG", ("vcpu", 127)),
        ("IO iothread12", ("iothread", 12)),
        ("IO iothread-vir", ("iothread", None)),
        ("IO mon_iothread", ("emulator", None)),
        ("vhost-4711", ("vhost", None)),
        ("CPU x", ("emulator", None)),
        ("qemu-system-x86", ("emulator", None)),
    ],
)
def test_threads_by_name(comm: str, answer: tuple[str, int | None]) -> None:
    assert thread_kind(comm) == answer


@pytest.mark.parametrize(
    ("comm", "answer"),
    [("qemu-kvm", True), ("kvm", True), ("kvm-pit/1", False), (".qemu-system-x8", True), ("bash", False)],
)
def test_names_of_qemu(comm: str, answer: bool) -> None:
    assert looks_like_qemu(comm) is answer


TREE = """
/etc/passwd:
  root:x:0:0::/root:/bin/sh
  libvirt-qemu:x:64055:106::/var/lib/libvirt:/bin/false
  eve:x:1000:1000::/home/eve:/bin/sh
  cloud:x:900:900::/:/bin/false
/usr/bin/qemu-system-x86_64: ELF
/proc/1/comm: systemd
/proc/self -> 1
/proc/20/comm: kvm
/proc/20/cmdline:
"""


def host_of(
    uid: int, *texts: str, exe: str = "/usr/bin/qemu-system-x86_64", called: str = "/usr/bin/qemu-system-x86_64"
) -> Host:
    status = f"Name:\tqemu-system-x86\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nVmSwap:\t      64 kB\nSeccomp:\t2\n"
    root = plant(TREE, f"/proc/30/exe -> {exe}", *texts)
    put = root.store.put  # type: ignore[attr-defined]
    put("/proc/30/comm", b"qemu-system-x86\n")
    put("/proc/30/cmdline", f"{called}\0-name\0guest=a\0".encode())
    put("/proc/30/status", status.encode())
    return Host(root)


def test_a_process_of_libvirt() -> None:
    (found,) = read(host_of(64055))
    assert (found.pid, found.path, found.uid, found.owner, found.trusted) == (
        30,
        "/proc/30",
        64055,
        "libvirt-qemu",
        True,
    )
    assert (found.executable, found.replaced) == ("/usr/bin/qemu-system-x86_64", False)
    assert (found.seccomp, found.swap_bytes, found.locked_bytes) == (2, 64 << 10, None)
    assert found.arguments == ("/usr/bin/qemu-system-x86_64", "-name", "guest=a")


@pytest.mark.parametrize(("uid", "trusted"), [(0, True), (1000, False), (900, False), (107, True), (555, False)])
def test_whose_process_it_is_decides_whether_it_counts(uid: int, trusted: bool) -> None:
    (found,) = read(host_of(uid))
    assert found.trusted is trusted


def test_the_user_of_qemu_conf_is_expected() -> None:
    (found,) = read(host_of(900, '/etc/libvirt/qemu.conf: user = "+cloud"'))
    assert found.trusted is True


def test_a_file_that_others_may_write_does_not_count() -> None:
    host = host_of(0)
    host.root.modes["/usr/bin/qemu-system-x86_64"] = (0o100777, 0, 0)
    assert read(host)[0].trusted is False
    host = host_of(0)
    host.root.modes["/usr/bin/qemu-system-x86_64"] = (0o100755, 1000, 0)
    assert read(host)[0].trusted is False


def test_a_file_that_was_replaced() -> None:
    (found,) = read(host_of(0, exe="/usr/bin/qemu-system-x86_64 (deleted)"))
    assert (found.replaced, found.executable, found.trusted) == (True, "/usr/bin/qemu-system-x86_64", True)


def test_a_file_of_a_container_cannot_be_judged() -> None:
    (found,) = read(host_of(107, exe="/usr/libexec/qemu-kvm", called="/usr/libexec/qemu-kvm"))
    with pytest.raises(Unreadable, match="it may run in a container"):
        _ = found.trusted
    assert found.uid == 107


def test_tools_and_what_has_ended_are_no_vms() -> None:
    assert read(host_of(0, called="/usr/bin/qemu-img")) == ()
    assert [each.pid for each in read(Host(plant(TREE)))] == []


def test_what_may_not_be_read_is_named() -> None:
    host = host_of(0)
    host.root.store.put("/proc/30/cmdline", errno.EACCES)  # type: ignore[attr-defined]
    assert read(host).broken == (("qemu-system-x86", "/proc/30/cmdline", "permission denied"),)
    host = host_of(0)
    host.root.store.put("/proc/30/status", b"nonsense")  # type: ignore[attr-defined]
    assert [(each.source, each.reason) for each in read(host).broken] == [("/proc/30/status", "no user ids")]
    with pytest.raises(Unreadable):
        read(Host(plant("/sys/devices/system/cpu/online: 0")))


def test_threads_and_their_affinities() -> None:
    tree = """
/proc/30/task/30/status:
  Name:	qemu-system-x86
  Cpus_allowed_list:	0-3
/proc/30/task/102/status:
  Name:	CPU 1/KVM
  Cpus_allowed_list:	5
/proc/30/task/99/status:
  Name:	IO iothread1
  Cpus_allowed_list:	nonsense
/proc/30/task/x/status: hostile
"""
    main, iothread, vcpu = threads(Host(plant(tree)), 30)
    assert (main.tid, main.kind, main.cpus, main.path) == (30, "emulator", CpuSet(range(4)), "/proc/30/task/30")
    assert (vcpu.kind, vcpu.number, vcpu.cpus) == ("vcpu", 1, CpuSet([5]))
    assert (iothread.kind, iothread.number) == ("iothread", 1)
    with pytest.raises(Unreadable, match="'nonsense' is not a list of CPUs"):
        _ = iothread.cpus
    assert threads(Host(plant(tree)), 31) == ()
    with pytest.raises(Unreadable, match="permission denied"):
        threads(Host(plant("/proc/30/task ! permission denied")), 30)


def test_the_live_machine_can_be_asked() -> None:
    from vmtune.root import live_root

    own = threads(Host(live_root()), os.getpid())
    assert own[0].tid == os.getpid()
    assert own[0].cpus
