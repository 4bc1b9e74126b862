"""Where domains come from: definitions, what runs of them, QEMU without libvirt, networks."""

from __future__ import annotations

import errno

import pytest

from tests.tree import plant
from vmtune.cpuset import CpuSet
from vmtune.host import Host
from vmtune.host.domain import Domain, broken
from vmtune.host.domain import networks as network_pools
from vmtune.root.unreadable import Unreadable

FIRST, SECOND = "11111111-2222-4333-8444-000000000001", "11111111-2222-4333-8444-000000000002"


def definition(name: str, uuid: str, body: str = "<vcpu>2</vcpu>") -> str:
    return f"<domain type='kvm'><name>{name}</name><uuid>{uuid}</uuid><memory unit='GiB'>1</memory>{body}</domain>"


def status(name: str, uuid: str, pid: int, body: str = "<vcpu>2</vcpu>") -> str:
    return f"<domstatus state='running' pid='{pid}'>{definition(name, uuid, body)}</domstatus>"


LIBVIRT = f"""
/etc/libvirt/qemu/db01.xml: {definition("db01", FIRST)}
/etc/libvirt/qemu/web.xml: {definition("web", SECOND)}
/etc/libvirt/qemu/autostart/db01.xml -> /etc/libvirt/qemu/db01.xml
/etc/libvirt/qemu/networks/
/etc/libvirt/qemu/notes.txt: not read
/run/libvirt/qemu/db01.xml: {status("db01", FIRST, 4711, "<vcpu>4</vcpu>")}
/run/libvirt/qemu/driver.pid: 99
/var/lib/libvirt/qemu/snapshot/db01/before.xml: <domainsnapshot/>
/var/lib/libvirt/qemu/snapshot/db01/after.xml: <domainsnapshot/>
/var/lib/libvirt/qemu/save/web.save: LibvirtQemudSave
/proc/1/comm: systemd
/sys/devices/system/cpu/online: 0-7
"""


def found(*texts: str) -> tuple[Domain, ...]:
    return Host(plant(*texts)).domains


def test_a_domain_is_what_is_defined_with_what_runs_of_it() -> None:
    db01, web = found(LIBVIRT)
    assert (db01.name, db01.source, db01.live, db01.vcpus) == ("db01", "/etc/libvirt/qemu/db01.xml", False, 2)
    running = db01.running
    assert running is not None
    assert (running.live, running.vcpus, running.source) == (True, 4, "/run/libvirt/qemu/db01.xml")
    assert running.status is not None
    assert running.status.pid == 4711
    assert (db01.now, db01.documents, db01.is_running, db01.is_persistent) == (running, (db01, running), True, True)
    assert (db01.autostart, db01.snapshots, db01.saved) == (True, 2, False)
    assert (web.running, web.is_running, web.autostart, web.snapshots, web.saved) == (None, False, False, 0, True)


def test_a_transient_domain_is_told_by_its_running_form() -> None:
    (only,) = found(f"/run/libvirt/qemu/t.xml: {status('t', FIRST, 5)}", "/proc/1/comm: init")
    assert (only.name, only.live, only.running, only.is_running, only.is_persistent) == ("t", True, None, True, False)


def test_no_libvirt_and_no_qemu_is_no_domain() -> None:
    assert found("/proc/1/comm: systemd") == ()
    assert broken(Host(plant("/proc/1/comm: systemd"))) == ()


def test_a_broken_document_is_named_and_loses_no_other() -> None:
    root = plant(
        LIBVIRT, "/etc/libvirt/qemu/bad.xml: <domain><name>bad</name>", "/run/libvirt/qemu/odd.xml: <domainsnapshot/>"
    )
    root.store.put("/etc/libvirt/qemu/shut.xml", errno.EACCES)  # type: ignore[attr-defined]
    host = Host(root)
    assert [domain.name for domain in host.domains] == ["db01", "web"]
    assert broken(host) == (
        ("bad", "/etc/libvirt/qemu/bad.xml", "line 2, column 1: no element found"),
        ("shut", "/etc/libvirt/qemu/shut.xml", "permission denied"),
        ("odd", "/run/libvirt/qemu/odd.xml", "a <domainsnapshot>, expected a <domain>"),
    )


def test_bytes_that_are_no_utf8_are_named() -> None:
    root = plant(LIBVIRT)
    root.store.put("/etc/libvirt/qemu/raw.xml", b"<domain><name>\xff</name></domain>")  # type: ignore[attr-defined]
    host = Host(root)
    assert [each.reason for each in broken(host)] == ["line 1: not UTF-8, as libvirt writes it"]


def test_a_second_document_of_one_name_is_refused() -> None:
    host = Host(plant(LIBVIRT, f"/etc/libvirt/qemu/zz.xml: {definition('db01', FIRST)}"))
    assert len(host.domains) == 2
    assert broken(host) == (("zz", "/etc/libvirt/qemu/zz.xml", "domain db01 again, as in /etc/libvirt/qemu/db01.xml"),)


def test_a_second_definition_of_what_runs_is_refused() -> None:
    host = Host(plant(LIBVIRT, f"/etc/libvirt/qemu/zz.xml: {definition('zz', FIRST)}"))
    assert [each.name for each in broken(host)] == ["zz"]


def test_what_runs_under_the_name_of_another_is_told_apart() -> None:
    names = [
        domain.name for domain in found(LIBVIRT, f"/run/libvirt/qemu/web.xml: {status('web', FIRST[:-1] + '9', 77)}")
    ]
    assert names == ["db01", "web", "web@77"]


def test_folders_nobody_may_list() -> None:
    shut = "/etc/libvirt/qemu ! permission denied\n/run/libvirt/qemu ! permission denied\n/proc/1/comm: systemd"
    with pytest.raises(Unreadable, match="/etc/libvirt/qemu: permission denied"):
        found(shut)
    with pytest.raises(Unreadable, match="permission denied"):
        broken(Host(plant(shut)))
    half = Host(plant(LIBVIRT, "/run/libvirt/qemu ! permission denied"))
    assert [domain.name for domain in half.domains] == ["db01", "web"]
    assert [each.source for each in broken(half)] == ["/run/libvirt/qemu"]


def test_what_only_other_folders_tell_is_kept_where_they_are_shut() -> None:
    db01, _ = found(
        LIBVIRT, "/var/lib/libvirt/qemu/snapshot ! permission denied", "/var/lib/libvirt/qemu/save ! permission denied"
    )
    assert db01.autostart is True
    for name in ("snapshots", "saved"):
        with pytest.raises(Unreadable, match="permission denied"):
            getattr(db01, name)


def test_processes_that_cannot_be_seen_do_not_matter_where_libvirt_is() -> None:
    assert len(found(LIBVIRT.replace("/proc/1/comm: systemd", ""))) == 2
    with pytest.raises(Unreadable, match="/proc"):
        found("/sys/devices/system/cpu/online: 0")


QEMU = (
    "/usr/bin/kvm\0-id\x00100\0-name\0vm100,debug-threads=on\0-pidfile\0/var/run/qemu-server/100.pid\0"
    f"-smbios\0type=1,uuid={SECOND}\0-smp\x004,sockets=2,cores=2,maxcpus=4\0-m\x008192\0-cpu\0host\0-enable-kvm\0"
)
STATUS = "Name:\tkvm\nUid:\t0\t0\t0\t0\nVmSwap:\t 4 kB\nSeccomp:\t2\nCpus_allowed_list:\t0-7\n"
PROCESSES = """
/usr/bin/qemu-system-x86_64: ELF
/proc/1/comm: systemd
/proc/900/comm: kvm
/proc/900/exe -> /usr/bin/qemu-system-x86_64
/sys/devices/system/cpu/online: 0-7
"""


def with_process(*texts: str, command: str = QEMU, threads: dict[int, tuple[str, str]] | None = None) -> Host:
    root = plant(PROCESSES, *texts)
    put = root.store.put  # type: ignore[attr-defined]
    put("/proc/900/cmdline", command.encode())
    put("/proc/900/status", STATUS.encode())
    for tid, (name, cpus) in (threads or {}).items():
        put(f"/proc/900/task/{tid}/status", f"Name:\t{name}\nCpus_allowed_list:\t{cpus}\n".encode())
    return Host(root)


def test_a_vm_without_libvirt_is_a_domain() -> None:
    threads = {
        900: ("kvm", "0-1"),
        903: ("CPU 0/KVM", "4"),
        904: ("CPU 1/KVM", "5"),
        905: ("CPU 2/KVM", "0-7"),
        906: ("CPU 3/KVM", "6"),
    }
    (vm,) = with_process(threads=threads).domains
    assert (vm.name, vm.uuid, vm.owner, vm.live, vm.type) == ("vm100", SECOND, "Proxmox", True, "kvm")
    assert (vm.source, vm.vcpus, vm.memory_bytes) == ("/proc/900/cmdline", 4, 8 << 30)
    assert vm.vcpupin == {0: CpuSet([4]), 1: CpuSet([5]), 3: CpuSet([6])}
    assert (vm.emulatorpin, vm.is_pinned) == (CpuSet([0, 1]), False)
    assert vm.status is not None
    assert vm.status.pid == 900
    assert vm.autostart is False


def test_threads_without_names_hide_the_pins() -> None:
    (vm,) = with_process(threads={900: ("kvm", "0-7"), 903: ("kvm", "4")}).domains
    with pytest.raises(Unreadable, match="threads bear no names"):
        _ = vm.vcpupin
    assert vm.vcpus == 4


def test_the_process_of_a_libvirt_domain_is_no_domain_of_its_own() -> None:
    by_uuid = with_process(f"/run/libvirt/qemu/web.xml: {status('web', SECOND, 901)}")
    assert [domain.name for domain in by_uuid.domains] == ["web"]
    by_pid = with_process(f"/run/libvirt/qemu/db.xml: {status('db', FIRST, 900)}")
    assert [domain.name for domain in by_pid.domains] == ["db"]


def test_a_process_is_what_runs_of_a_definition_where_no_status_tells() -> None:
    (web,) = with_process(f"/etc/libvirt/qemu/web.xml: {definition('web', SECOND)}").domains
    assert (web.live, web.running and web.running.source) == (False, "/proc/900/cmdline")


@pytest.mark.parametrize(
    ("text", "count", "named"),
    [
        ("/proc/900/exe -> /home/eve/qemu-system-x86_64\n/home/eve/qemu-system-x86_64: ELF", 1, ()),
        ("/proc/900/exe ! permission denied", 0, ("/proc/900/exe",)),
        ("/proc/900/exe -> /gone", 0, ("/gone",)),
    ],
)
def test_what_is_run_decides_whether_it_counts(text: str, count: int, named: tuple[str, ...]) -> None:
    host = with_process(text, "/etc/libvirt/qemu/")
    assert len(host.domains) == count
    assert tuple(each.source for each in broken(host)) == named


NETWORKS = """
/etc/libvirt/qemu/networks/default.xml:
  <network><name>default</name><forward mode='nat'/><bridge name='virbr0'/></network>
/etc/libvirt/qemu/networks/vfs.xml:
  <network><name>vfs</name><forward mode='hostdev' managed='yes'><pf dev='ens1f0'/></forward></network>
/etc/libvirt/qemu/networks/list.xml:
  <network><name>list</name><port isolated='yes'/><mtu size='9000'/>
  <forward mode='hostdev'><address type='pci' bus='0x3b' slot='0x02' function='0x1'/></forward></network>
/etc/libvirt/qemu/networks/alone.xml: <network><name>alone</name></network>
/etc/libvirt/qemu/networks/bad.xml: <domain/>
/etc/libvirt/qemu/networks/autostart/default.xml -> ../default.xml
"""


def test_networks() -> None:
    read = network_pools.read(Host(plant(NETWORKS)))
    by_name = {network.name: network for network in read}
    assert (by_name["default"].mode, by_name["default"].bridge, by_name["default"].autostart) == ("nat", "virbr0", True)
    assert (by_name["vfs"].pfs, by_name["vfs"].is_pool, by_name["vfs"].managed) == (("ens1f0",), True, True)
    assert by_name["list"].addresses == ("0000:3b:02.1",)
    assert (by_name["list"].isolated, by_name["list"].mtu, by_name["list"].autostart) == (True, 9000, False)
    assert (by_name["alone"].mode, by_name["alone"].is_pool) == (None, False)
    assert [(each.name, each.reason) for each in read.broken] == [("bad", "a <domain>, expected a <network>")]


def test_no_networks_and_networks_nobody_may_list() -> None:
    assert network_pools.read(Host(plant("/proc/1/comm: x"))) == ()
    with pytest.raises(Unreadable, match="permission denied"):
        network_pools.read(Host(plant("/etc/libvirt/qemu/networks ! permission denied")))
    wrong = network_pools.parse(
        "<network><name>n</name><forward mode='hostdev'><address bus='x'/></forward></network>", "n.xml"
    )
    with pytest.raises(Unreadable, match="is not a PCI address"):
        _ = wrong.addresses
    with pytest.raises(Unreadable, match="without a <name>"):
        network_pools.parse("<network/>", "n.xml")
