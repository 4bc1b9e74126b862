"""Domains by libvirt's XML, in the shapes that those who write it give it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtune.cpuset import EMPTY, CpuSet
from vmtune.host.domain import BadDomain, Domain, from_file
from vmtune.host.domain.devices import Balloon, Rng
from vmtune.host.domain.document import cpu_set, scaled_bytes
from vmtune.host.domain.processor import Topology
from vmtune.root.unreadable import Unreadable

GIB = 1 << 30

VIRT_MANAGER = """<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE OVERWRITTEN.
-->
<domain type='kvm'>
  <name>db01</name>
  <uuid>0F8FAD5B-D9CB-469F-A165-70867728950E</uuid>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
    <vmtune:workload xmlns:vmtune="https://vmtune.dev/xmlns/domain/1">db</vmtune:workload>
  </metadata>
  <memory unit='GiB'>64</memory>
  <currentMemory unit='KiB'>33554432</currentMemory>
  <memoryBacking>
    <hugepages><page size='1' unit='G' nodeset='0'/><page size='2048'/></hugepages>
    <nosharepages/><locked/>
    <source type='memfd'/><access mode='shared'/><allocation mode='immediate' threads='4'/>
  </memoryBacking>
  <memtune><hard_limit unit='G'>70</hard_limit><swap_hard_limit>1048576</swap_hard_limit></memtune>
  <vcpu placement='static' cpuset='0-7,^3' current='4'>8</vcpu>
  <iothreads>3</iothreads>
  <iothreadids><iothread id='5'/></iothreadids>
  <cputune>
    <shares>2048</shares><period>100000</period><quota>-1</quota><emulator_quota>50000</emulator_quota>
    <vcpupin vcpu='0' cpuset='8'/><vcpupin vcpu='1' cpuset='40'/>
    <vcpupin vcpu='2' cpuset='9'/><vcpupin vcpu='3' cpuset='41'/><vcpupin vcpu='7' cpuset='63'/>
    <emulatorpin cpuset='0-1'/><iothreadpin iothread='5' cpuset='2'/>
    <vcpusched vcpus='0-3' scheduler='fifo' priority='1'/>
    <cachetune vcpus='0-3'><cache id='0' level='3' type='both' size='3' unit='MiB'/></cachetune>
  </cputune>
  <numatune><memory mode='strict' nodeset='0'/></numatune>
  <resource><partition>/machine/db</partition></resource>
  <os firmware='efi'>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <firmware><feature enabled='yes' name='secure-boot'/><feature enabled='no' name='enrolled-keys'/></firmware>
    <loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/db01_VARS.fd</nvram>
    <boot dev='hd'/><boot dev='network'/>
  </os>
  <features>
    <acpi/><apic eoi='on'/><pmu state='off'/><smm state='on'/>
    <kvm><hint-dedicated state='on'/><poll-control state='off'/></kvm>
  </features>
  <cpu mode='host-passthrough' check='none' migratable='on'>
    <topology sockets='1' dies='1' cores='4' threads='2'/>
    <cache mode='passthrough'/>
    <feature policy='require' name='invtsc'/><feature policy='disable' name='vmx'/>
  </cpu>
  <clock offset='utc'>
    <timer name='rtc' tickpolicy='catchup'/><timer name='pit' tickpolicy='delay'/><timer name='hpet' present='no'/>
    <timer name='tsc' frequency='2500000000' mode='native'/>
  </clock>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>preserve</on_crash>
  <pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='yes'/></pm>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native' discard='unmap' detect_zeroes='off' queues='4'
        iothread='5' copy_on_read='off' error_policy='stop'/>
      <source dev='/dev/vg0/data'/><target dev='vda' bus='virtio'/><serial>DATA</serial>
      <iotune><read_iops_sec>500</read_iops_sec><write_iops_sec>0</write_iops_sec><group_name>g</group_name></iotune>
      <blockio logical_block_size='4096' physical_block_size='4096'/>
      <boot order='1'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <disk type='file' device='disk' snapshot='external'>
      <driver name='qemu' type='qcow2'/>
      <source file='/img/top.qcow2'/>
      <backingStore type='file'>
        <format type='qcow2'/><source file='/img/mid.qcow2'/>
        <backingStore type='file'><format type='raw'/><source file='/img/base.img'/><backingStore/></backingStore>
      </backingStore>
      <target dev='sda' bus='scsi' rotation_rate='1'/><shareable/><transient/>
      <address type='drive' controller='2' bus='0' target='0' unit='0'/>
    </disk>
    <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/><readonly/></disk>
    <disk type='nvme' device='disk'>
      <source type='pci' managed='yes' namespace='1'>
        <address domain='0x0000' bus='0x5e' slot='0x00' function='0x0'/></source>
      <target dev='vdb' bus='virtio'/>
    </disk>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw'><iothreads><iothread id='1'/><iothread id='2'/></iothreads></driver>
      <source protocol='rbd' name='pool/image'><host name='mon' port='6789'/></source>
      <backingStore/><target dev='vdc' bus='virtio'/>
    </disk>
    <disk type='volume' device='lun'><source pool='p' volume='v'/><target dev='sdc' bus='scsi'/></disk>
    <controller type='scsi' index='2' model='virtio-scsi'>
      <driver queues='8' iothread='5' cmd_per_lun='128' max_sectors='512'/>
    </controller>
    <controller type='pci' index='9' model='pcie-expander-bus'>
      <target busNr='180'><node>1</node></target>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/>
    </controller>
    <interface type='hostdev' managed='yes'>
      <mac address='52:54:00:AA:bb:01'/>
      <source><address type='pci' domain='0x0000' bus='0x3b' slot='0x02' function='0x1'/></source>
      <vlan trunk='yes'><tag id='42'/><tag id='47' nativeMode='untagged'/></vlan>
      <teaming type='transient' persistent='ua-up'/>
    </interface>
    <interface type='bridge' trustGuestRxFilters='yes'>
      <mac address='52:54:00:aa:bb:01' currentAddress='52:54:00:aa:bb:99'/>
      <source bridge='br0'/><virtualport type='openvswitch'/><target dev='vnet0'/><model type='virtio'/>
      <driver name='vhost' queues='4' rx_queue_size='1024' tx_queue_size='256'/>
      <bandwidth><inbound average='1000' peak='5000' burst='1024'/><outbound average='128'/></bandwidth>
      <filterref filter='clean-traffic'>
        <parameter name='IP' value='10.0.0.7'/><parameter name='IP' value='10.0.0.8'/></filterref>
      <port isolated='yes'/><link state='up'/><mtu size='9000'/><alias name='ua-up'/>
    </interface>
    <interface type='direct'><source dev='eth0' mode='vepa'/><model type='e1000'/></interface>
    <hostdev mode='subsystem' type='pci' managed='no'>
      <driver name='vfio' model='mlx5_vfio_pci'/>
      <source><address domain='0x0000' bus='0x81' slot='0x00' function='0x0'/></source><rom bar='off'/>
      <address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>
    </hostdev>
    <hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>
    <hostdev mode='subsystem' type='mdev' model='vfio-pci'>
      <source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>
    <graphics type='vnc' port='-1' autoport='yes' passwd='hunter2'><listen type='address' address='0.0.0.0'/></graphics>
    <graphics type='spice' listen='127.0.0.1' tlsPort='5901' defaultMode='secure'/>
    <memballoon model='virtio' autodeflate='on' freePageReporting='on'><stats period='5'/></memballoon>
    <rng model='virtio'><rate bytes='1024' period='1000'/><backend model='random'>/dev/urandom</backend></rng>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0' persistent_state='yes'/></tpm>
    <tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>
    <watchdog model='itco' action='reset'/><panic model='isa'/><panic model='hyperv'/>
    <serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555'/><target type='isa-serial' port='0'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
    <filesystem type='mount' accessmode='passthrough'>
      <driver type='virtiofs'/><source dir='/srv'/><target dir='share'/><readonly/>
    </filesystem>
    <iommu model='intel'><driver intremap='on' eim='on' iotlb='on'/></iommu>
    <memory model='dimm'>
      <source><pagesize unit='KiB'>2048</pagesize><nodemask>1-3</nodemask></source>
      <target><size unit='KiB'>524288</size><node>0</node></target>
    </memory>
    <video><model type='qxl' ram='65536' vram='65536' heads='1'/></video>
    <shmem name='s'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>
    <lease><lockspace>a</lockspace><key>k</key></lease><redirdev bus='usb' type='spicevmc'/><vsock model='virtio'/>
  </devices>
  <seclabel type='dynamic' model='apparmor' relabel='yes'/>
  <seclabel type='none' model='dac'/>
  <blkiotune><weight>500</weight><device><path>/dev/sda</path><read_bytes_sec>1000</read_bytes_sec></device></blkiotune>
  <launchSecurity type='sev'/>
  <qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
    <qemu:arg value='-newarg'/><qemu:env name='A' value='1'/>
  </qemu:commandline>
  <qemu:override xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>
</domain>
"""

NOVA = """<domain type="kvm">
  <uuid>5b54c8b6-f0bb-4ee7-8d57-92a0c9c3f4a8</uuid>
  <name>instance-00000001</name>
  <memory>8388608</memory>
  <vcpu cpuset="4-7">4</vcpu>
  <metadata>
    <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
      <nova:flavor name="f"><nova:memory>8192</nova:memory>
        <nova:extraSpecs><nova:extraSpec name="hw:cpu_policy">dedicated</nova:extraSpec></nova:extraSpecs>
      </nova:flavor>
      <nova:owner><nova:user uuid="u">alice</nova:user><nova:project uuid="p-1">red</nova:project></nova:owner>
    </nova:instance>
  </metadata>
  <sysinfo type="smbios"><system><entry name="product">OpenStack Nova</entry></system></sysinfo>
  <os><type machine="q35">hvm</type><boot dev="hd"/><smbios mode="sysinfo"/></os>
  <devices/>
</domain>"""

OVIRT = """<domain xmlns:ns0="http://ovirt.org/vm/tune/1.0" xmlns:ovirt-vm="http://ovirt.org/vm/1.0" type="kvm">
  <name>ovm</name><uuid>5b54c8b6f0bb4ee78d5792a0c9c3f4a9</uuid>
  <metadata>
    <ns0:qos/>
    <ovirt-vm:vm><ovirt-vm:cpuPolicy>siblings</ovirt-vm:cpuPolicy></ovirt-vm:vm>
  </metadata>
  <maxMemory slots="16" unit="KiB">67108864</maxMemory><memory unit="KiB">4194304</memory>
  <vcpu current="2">32</vcpu>
  <vcpus><vcpu id="0" enabled="yes" hotpluggable="no"/><vcpu id="1" enabled="no" hotpluggable="yes"/>
    <vcpu id="2" enabled="yes" hotpluggable="yes"/></vcpus>
</domain>"""

KUBEVIRT = """<domain type="kvm" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
  <name>ns_vm</name>
  <memory unit="b">1073741824</memory>
  <metadata><kubevirt xmlns="http://kubevirt.io"><uid>u</uid><label>{label}</label></kubevirt></metadata>
  <vcpu placement="static">1</vcpu>
</domain>"""

WINDOWS = """<domain type='kvm'><name>win</name><memory unit='MiB'>4096</memory><vcpu>4</vcpu>
  <metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'><l:os id='http://microsoft.com/win/2k22'/></l:libosinfo></metadata>
  <os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type><loader type='rom'>/usr/share/seabios/bios.bin</loader></os>
  <features><hyperv mode='custom'><relaxed state='on'/><vapic state='on'/><spinlocks state='on' retries='8191'/>
    <stimer state='on'><direct state='on'/></stimer><evmcs state='off'/></hyperv><ioapic driver='qemu'/></features>
  <clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>
</domain>"""

CELLS = """<domain type='qemu'><name>wide</name><memory unit='GiB'>8</memory><vcpu placement='auto'>4</vcpu>
  <numatune><memory mode='preferred' placement='auto'/><memnode cellid='0' mode='strict' nodeset='2'/>
    <memnode cellid='1' mode='strict' nodeset='3'/></numatune>
  <cpu mode='custom' match='exact'><model fallback='forbid'>EPYC-Rome</model><vendor>AMD</vendor>
    <topology sockets='2' cores='2' threads='1'/>
    <numa>
      <cell id='0' cpus='0-1' memory='4' unit='GiB' memAccess='shared'>
        <distances><sibling id='0' value='10'/><sibling id='1' value='21'/></distances></cell>
      <cell id='1' cpus='2-3' memory='4194304'/>
    </numa></cpu>
</domain>"""


def domain(body: str, name: str = "d") -> Domain:
    """A domain of some elements beside its name and memory."""
    return from_file(f"<domain type='kvm'><name>{name}</name><memory>1048576</memory>{body}</domain>", "d.xml")


@pytest.fixture(scope="module")
def db01() -> Domain:
    return from_file(VIRT_MANAGER, "db01.xml")


def test_a_domain_is_told_whole(db01: Domain) -> None:
    assert (db01.name, db01.uuid) == ("db01", "0f8fad5b-d9cb-469f-a165-70867728950e")
    assert (db01.type, db01.source, db01.live, db01.is_running) == ("kvm", "db01.xml", False, False)
    assert (db01.autostart, db01.snapshots, db01.saved, db01.status) == (None, None, None, None)
    assert (db01.partition, db01.emulator) == ("/machine/db", "/usr/bin/qemu-system-x86_64")
    assert (db01.on_poweroff, db01.on_reboot, db01.on_crash, db01.on_lockfailure) == (
        "destroy",
        "restart",
        "preserve",
        None,
    )
    assert db01.sleep_states == {"suspend-to-mem": False, "suspend-to-disk": True}
    assert (db01.leases, db01.redirected_usb, db01.vsock, db01.launch_security) == (1, 1, True, "sev")
    assert (db01.qemu_arguments, db01.qemu_environment, db01.has_qemu_overrides) == (("-newarg",), {"A": "1"}, True)
    assert [(label.type, label.model) for label in db01.labels] == [("dynamic", "apparmor"), ("none", "dac")]
    assert db01.now is db01
    assert db01.documents == (db01,)


def test_memory(db01: Domain) -> None:
    assert (db01.memory_bytes, db01.current_memory_bytes, db01.max_memory_bytes) == (64 * GIB, 32 * GIB, None)
    backing = db01.backing
    assert backing is not None
    assert backing.hugepages is not None
    assert [(page.size_bytes, page.cells) for page in backing.hugepages] == [(GIB, CpuSet([0])), (2 << 20, None)]
    assert (backing.nosharepages, backing.locked, backing.discard) == (True, True, False)
    assert (backing.source, backing.access) == ("memfd", "shared")
    assert (backing.allocation, backing.allocation_threads) == ("immediate", 4)
    limits = db01.limits
    assert limits is not None
    assert (limits.hard_limit_bytes, limits.swap_hard_limit_bytes, limits.soft_limit_bytes) == (70 * GIB, GIB, None)
    (dimm,) = db01.memory_devices
    assert (dimm.model, dimm.size_bytes, dimm.cell, dimm.nodes) == ("dimm", GIB // 2, 0, CpuSet([1, 2, 3]))
    assert dimm.page_bytes == 2 << 20


def test_processors(db01: Domain) -> None:
    assert (db01.vcpus, db01.vcpus_max, db01.vcpu_ids) == (4, 8, CpuSet(range(4)))
    assert (db01.placement, db01.cpuset) == ("static", CpuSet.parse("0-2,4-7"))
    assert (db01.iothreads, db01.iothread_ids) == (3, CpuSet([1, 2, 5]))
    assert db01.vcpupin[7] == CpuSet([63])
    assert db01.pinned_cpus == CpuSet([8, 9, 40, 41])
    assert db01.emulatorpin == db01.emulator_cpus == CpuSet([0, 1])
    assert db01.iothreadpin == {5: CpuSet([2])}
    assert (db01.cpus_of(0), db01.cpus_of(6)) == (CpuSet([8]), db01.cpuset)
    tuning = db01.tuning
    assert (tuning.shares, tuning.cache_ways, tuning.emulatorsched) == (2048, True, None)
    assert tuning.vcpusched == ((CpuSet(range(4)), "fifo", 1),)
    assert (tuning.quotas.cap("vcpu"), tuning.quotas.cap("emulator"), tuning.quotas.cap("global")) == (None, 0.5, None)
    cpu = db01.cpu
    assert cpu is not None
    assert (cpu.mode, cpu.check, cpu.migratable, cpu.model, cpu.cache_mode) == (
        "host-passthrough",
        "none",
        True,
        None,
        "passthrough",
    )
    assert cpu.features == {"invtsc": "require", "vmx": "disable"}
    assert cpu.topology is not None
    assert cpu.topology.cpus == 8
    assert tuple(cpu.topology) == (1, 1, None, 4, 2)


def test_machine(db01: Domain) -> None:
    firmware = db01.firmware
    assert (firmware.machine, firmware.architecture, firmware.firmware, firmware.is_efi) == (
        "pc-q35-7.2",
        "x86_64",
        "efi",
        True,
    )
    assert firmware.features == {"secure-boot": True, "enrolled-keys": False}
    assert (firmware.loader_secure, firmware.loader_readonly, firmware.loader_type) == (True, True, "pflash")
    assert firmware.nvram_template == "/usr/share/OVMF/OVMF_VARS.fd"
    assert firmware.boot == ("hd", "network")
    features = db01.features
    assert features.switches == {"acpi": True, "apic": True, "pmu": False, "smm": True}
    assert features.kvm == {"hint-dedicated": True, "poll-control": False}
    assert (features.apic_eoi, features.hyperv_mode) == (True, None)
    hpet, tsc = db01.clock.timer("hpet"), db01.clock.timer("tsc")
    assert hpet is not None
    assert hpet.present is False
    assert tsc is not None
    assert (tsc.frequency, tsc.mode) == (2_500_000_000, "native")
    assert db01.clock.timer("kvmclock") is None


def test_disks(db01: Domain) -> None:
    data, top, cdrom, nvme, network, volume = db01.disks
    driver = data.driver
    assert (driver.format, driver.cache, driver.io, driver.discard) == ("raw", "none", "native", "unmap")
    assert (driver.queues, driver.iothread, driver.copy_on_read, driver.error_policy) == (4, 5, False, "stop")
    assert (data.source, data.target, data.bus, data.serial, data.backing) == (
        "/dev/vg0/data",
        "vda",
        "virtio",
        "DATA",
        None,
    )
    assert data.limits == {"read_iops_sec": 500}
    assert (data.logical_block_bytes, data.address, data.boot_order) == (4096, "0000:04:00.0", 1)
    assert top.backing == (("file", "qcow2", "/img/mid.qcow2"), ("file", "raw", "/img/base.img"))
    assert (top.shareable, top.transient, top.controller, top.rotation_rate, top.snapshot) == (
        True,
        True,
        2,
        1,
        "external",
    )
    assert (cdrom.device, cdrom.source, cdrom.readonly, cdrom.is_plain) == ("cdrom", None, True, False)
    assert nvme.source == "0000:5e:00.0"
    assert (network.source, network.protocol, network.backing) == ("pool/image", "rbd", ())
    assert network.driver.iothreads == CpuSet([1, 2])
    assert (volume.source, volume.device, volume.is_plain) == ("p/v", "lun", True)
    assert db01.block_tuning == (500, {"/dev/sda": {"read_bytes_sec": 1000}})
    scsi, expander = db01.controllers
    assert (scsi.queues, scsi.iothread, scsi.cmd_per_lun, scsi.max_sectors) == (8, 5, 128, 512)
    assert (scsi.number, scsi.model) == (2, "virtio-scsi")
    assert (expander.cell, expander.bus, expander.address) == (1, 180, "0000:00:05.0")


def test_interfaces_and_host_devices(db01: Domain) -> None:
    vf, bridge, direct = db01.interfaces
    assert (vf.host_address, vf.managed, vf.mac, vf.is_assigned) == ("0000:3b:02.1", True, "52:54:00:aa:bb:01", True)
    assert (vf.vlans, vf.vlan_trunk, vf.teaming, vf.teaming_partner) == ((42, 47), True, "transient", "ua-up")
    assert (bridge.bridge, bridge.virtual_port, bridge.target, bridge.driver) == (
        "br0",
        "openvswitch",
        "vnet0",
        "vhost",
    )
    assert (bridge.queues, bridge.rx_queue_size, bridge.tx_queue_size, bridge.mtu) == (4, 1024, 256, 9000)
    assert bridge.bandwidth == {
        "inbound.average": 1000,
        "inbound.peak": 5000,
        "inbound.burst": 1024,
        "outbound.average": 128,
    }
    assert bridge.filter_parameters == {"IP": ("10.0.0.7", "10.0.0.8")}
    assert (bridge.filter, bridge.isolated, bridge.trust_guest_filters) == ("clean-traffic", True, True)
    assert (bridge.current_mac, bridge.link, bridge.alias) == ("52:54:00:aa:bb:99", "up", "ua-up")
    assert (direct.source, direct.mode, direct.model, direct.host_address) == ("eth0", "vepa", "e1000", None)
    pci, usb, mdev = db01.host_devices
    assert (pci.host_address, pci.managed, pci.driver, pci.model) == ("0000:81:00.0", False, "vfio", "mlx5_vfio_pci")
    assert (pci.rom_bar, pci.address) == (False, "0000:07:00.0")
    assert (usb.source, usb.host_address) == ("0x1234:0xbeef", None)
    assert (mdev.mdev, mdev.model) == ("c2177883-f1bb-47f0-914d-32a22e3a8804", "vfio-pci")
    assert db01.host_addresses == ("0000:81:00.0", "0000:3b:02.1", "0000:5e:00.0")


def test_other_devices(db01: Domain) -> None:
    vnc, spice = db01.graphics
    assert (vnc.port, vnc.autoport, vnc.has_password, vnc.listens[0].address) == (-1, True, True, "0.0.0.0")
    assert (spice.listens[0].address, spice.tls_port, spice.default_mode, spice.has_password) == (
        "127.0.0.1",
        5901,
        "secure",
        False,
    )
    assert db01.balloon == ("virtio", True, True, 5)
    assert db01.rngs == (("virtio", "random", "/dev/urandom", 1024),)
    assert db01.tpms[0][:4] == ("tpm-crb", "emulator", "2.0", True)
    assert (db01.tpms[1].backend, db01.tpms[1].path) == ("passthrough", "/dev/tpm0")
    assert (db01.watchdogs, db01.panics) == ((("itco", "reset"),), ("isa", "hyperv"))
    serial, agent = db01.characters
    assert (serial.device, serial.host, serial.service, serial.mode) == ("serial", "0.0.0.0", "4555", "bind")
    assert (agent.name, agent.state) == ("org.qemu.guest_agent.0", "connected")
    assert db01.filesystems == (("mount", "passthrough", "virtiofs", "/srv", "share", True),)
    assert db01.virtual_iommu == ("intel", True, None, True, True)
    assert db01.videos == (("qxl", 128 << 20),)
    assert db01.shared_memory == (("s", "ivshmem-plain", 4 << 20),)


def test_no_secret_is_kept(db01: Domain) -> None:
    assert "hunter2" not in repr(db01)


def test_metadata_of_owners(db01: Domain) -> None:
    assert (db01.owner, db01.metadata.workload, db01.metadata.is_windows) == (None, "db", False)
    nova = from_file(NOVA, "n")
    assert (nova.owner, nova.metadata.dedicated, nova.metadata.tenant) == ("Nova", True, "p-1")
    assert (nova.uuid, nova.cpuset, nova.cpus_of(2)) == (
        "5b54c8b6-f0bb-4ee7-8d57-92a0c9c3f4a8",
        CpuSet.parse("4-7"),
        CpuSet.parse("4-7"),
    )
    ovirt = from_file(OVIRT, "o")
    assert (ovirt.owner, ovirt.metadata.dedicated, ovirt.uuid) == (
        "oVirt",
        True,
        "5b54c8b6-f0bb-4ee7-8d57-92a0c9c3f4a9",
    )
    assert (ovirt.vcpu_ids, ovirt.max_memory_bytes) == (CpuSet([0, 2]), 64 * GIB)
    assert from_file(KUBEVIRT.format(label="vm"), "k").owner == "KubeVirt"
    assert from_file(KUBEVIRT.format(label="harvesterhci.io/creator"), "k").owner == "Harvester"
    assert from_file(KUBEVIRT.format(label=""), "k").metadata.dedicated is None
    wrong = domain("<metadata><w:workload xmlns:w='https://vmtune.dev/xmlns/domain/1'>fast</w:workload></metadata>")
    with pytest.raises(Unreadable, match="'fast' is none of db, network, latency, general"):
        _ = wrong.metadata.workload


def test_a_windows_domain() -> None:
    windows = from_file(WINDOWS, "w")
    assert windows.metadata.is_windows is True
    assert windows.features.hyperv == {
        "relaxed": True,
        "vapic": True,
        "spinlocks": True,
        "stimer": True,
        "evmcs": False,
    }
    assert (windows.features.hyperv_mode, windows.features.spinlock_retries) == ("custom", 8191)
    assert (windows.features.ioapic_driver, windows.clock.offset) == ("qemu", "localtime")
    assert windows.firmware.is_efi is None


def test_a_domain_of_cells() -> None:
    wide = from_file(CELLS, "c")
    first, second = wide.cells
    assert (first.cpus, first.memory_bytes, first.distances, first.memory_access) == (
        CpuSet([0, 1]),
        4 * GIB,
        {0: 10, 1: 21},
        "shared",
    )
    assert (second.id, second.memory_bytes, second.distances) == (1, 4 * GIB, {})
    tune = wide.numatune
    assert tune is not None
    assert (tune.mode, tune.placement, tune.nodeset) == ("preferred", "auto", None)
    assert tune.cells == ((0, "strict", CpuSet([2])), (1, "strict", CpuSet([3])))
    assert wide.memory_nodes == CpuSet([2, 3])
    assert (wide.type, wide.floor, wide.is_pinned) == ("qemu", None, False)
    assert wide.cpu is not None
    assert (wide.cpu.model, wide.cpu.fallback, wide.cpu.vendor, wide.cpu.mode) == (
        "EPYC-Rome",
        "forbid",
        "AMD",
        "custom",
    )


def test_like_values_are_kept_once_but_never_of_another_class() -> None:
    first, second = (domain("<devices><memballoon/><rng/><controller type='usb'/></devices>") for _ in range(2))
    assert (type(first.balloon), type(first.rngs[0])) == (Balloon, Rng)
    assert first.controllers[0] is second.controllers[0]


def test_a_bare_domain_says_nothing() -> None:
    bare = domain("")
    assert (bare.vcpus, bare.vcpus_max, bare.iothreads, bare.iothread_ids) == (1, 1, None, EMPTY)
    assert (bare.uuid, bare.cpu, bare.cells, bare.backing, bare.balloon, bare.numatune) == (
        None,
        None,
        (),
        None,
        None,
        None,
    )
    assert (bare.vcpupin, bare.emulator_cpus, bare.pinned_cpus, bare.is_pinned) == ({}, None, EMPTY, False)
    assert (bare.firmware.machine, bare.firmware.is_efi, bare.features.switches) == (None, False, {})
    assert (bare.disks, bare.graphics, bare.qemu_arguments, bare.owner) == ((), (), (), None)
    assert Topology(None, None, None, None, None).cpus == 1


@pytest.mark.parametrize(
    ("pins", "cores", "answer"),
    [
        ("<vcpupin vcpu='0' cpuset='4'/><vcpupin vcpu='1' cpuset='5'/>", {}, True),
        ("<vcpupin vcpu='0' cpuset='4,36'/><vcpupin vcpu='1' cpuset='4,36'/>", {4: CpuSet([4, 36])}, True),
        ("<vcpupin vcpu='0' cpuset='4,36'/><vcpupin vcpu='1' cpuset='5'/>", {}, False),
        ("<vcpupin vcpu='0' cpuset='4-7'/><vcpupin vcpu='1' cpuset='5'/>", {4: CpuSet([4, 36])}, False),
        ("<vcpupin vcpu='0' cpuset='4'/>", {}, False),
        ("", {}, False),
    ],
)
def test_dedicated_means_that_each_vcpu_has_a_cpu_or_core_of_its_own(
    pins: str, cores: dict[int, CpuSet], answer: bool
) -> None:
    assert domain(f"<vcpu>2</vcpu><cputune>{pins}</cputune>").dedicated(cores) is answer


def test_vcpus_that_are_not_there_need_no_pin() -> None:
    assert domain("<vcpu current='1'>4</vcpu><cputune><vcpupin vcpu='0' cpuset='3'/></cputune>").dedicated({}) is True
    assert from_file(NOVA, "n").dedicated({}) is True


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ("<vcpu>many</vcpu>", "vcpus", "domain/vcpu: 'many' is not a number"),
        ("<vcpu>-2</vcpu>", "vcpus_max", "domain/vcpu: '-2' is not a number from 1"),
        ("<vcpu>99999999</vcpu>", "vcpu_ids", "up to 65535"),
        ("<vcpu current='9'>8</vcpu>", "vcpus", "domain/vcpu@current: '9' is not a number of vCPUs up to 8"),
        ("<vcpu cpuset='a-b'>1</vcpu>", "cpuset", "domain/vcpu@cpuset: 'a-b' is not a list of numbers"),
        ("<vcpus><vcpu id='0' enabled='perhaps'/></vcpus>", "vcpu_ids", "'perhaps' is not yes, on, no or off"),
        (
            "<cputune><vcpupin vcpu='-1' cpuset='0'/></cputune>",
            "vcpupin",
            "cputune/vcpupin@vcpu: '-1' is not a number from 0",
        ),
        ("<cputune><vcpupin vcpu='0' cpuset=''/></cputune>", "vcpupin", "cputune/vcpupin@cpuset: '' is not a list"),
        ("<cputune><vcpupin vcpu='0'/></cputune>", "vcpupin", "cputune/vcpupin@cpuset: missing"),
        (
            "<cputune><vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='0' cpuset='2'/></cputune>",
            "vcpupin",
            "not pinned once",
        ),
        ("<cputune><emulatorpin cpuset='0-70000'/></cputune>", "emulatorpin", "cputune/emulatorpin@cpuset"),
        ("<iothreads>1000000</iothreads>", "iothread_ids", "not a number of threads"),
        (
            "<iothreads>2</iothreads><iothreadids><iothread/></iothreadids>",
            "iothread_ids",
            r"iothreadids/iothread@id: missing",
        ),
        ("<cpu><numa><cell id='0'/></numa></cpu>", "cells.0.memory_bytes", r"cpu/numa/cell\[1\]@memory: missing"),
        ("<cpu><numa><cell id='0' memory='1'/><cell id='0' memory='1'/></numa></cpu>", "cells", "two cells of one id"),
        (
            "<memtune><hard_limit unit='parsec'>1</hard_limit></memtune>",
            "limits.hard_limit_bytes",
            "'1 parsec' is not a size",
        ),
        ("<uuid>nonsense</uuid>", "uuid", "domain/uuid: 'nonsense' is not a UUID"),
        ("<features><kvm><hidden state='?'/></kvm></features>", "features.kvm", "features/hidden@state"),
        (
            "<devices><disk/><disk><driver queues='x'/></disk></devices>",
            "disks.1.driver.queues",
            r"devices/disk\[2\]/driver@queues: 'x'",
        ),
        (
            "<devices><disk><iotune><read_iops_sec>1e3</read_iops_sec></iotune></disk></devices>",
            "disks.0.limits",
            "'1e3'",
        ),
        (
            "<devices><interface><mac address='zz'/></interface></devices>",
            "interfaces.0.mac",
            "'zz' is not a MAC address",
        ),
        (
            "<devices><hostdev type='pci'><source><address bus='0x100' slot='0'/></source></hostdev></devices>",
            "host_devices.0.host_address",
            r"devices/hostdev\[1\]/address: '0:0x100:0:0' is not a PCI address",
        ),
        (
            "<devices><hostdev type='pci'><source><address bus='x'/></source></hostdev></devices>",
            "host_addresses",
            "PCI address",
        ),
        ("<devices><interface><vlan><tag id='x'/></vlan></interface></devices>", "interfaces.0.vlans", "'x'"),
    ],
)
def test_garbage_is_kept_in_its_field_and_named(body: str, field: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason) as caught:
        field_of(domain(body), field)
    assert caught.value.path == "d.xml"


def field_of(held: Any, path: str) -> Any:
    for part in path.split("."):
        held = held[int(part)] if part.isdigit() else getattr(held, part)
    return held


def test_one_bad_attribute_loses_nothing_else() -> None:
    odd = domain("<devices><disk><driver queues='x' cache='none'/><target dev='vda'/></disk></devices>")
    assert (odd.disks[0].driver.cache, odd.disks[0].target, odd.memory_bytes) == ("none", "vda", GIB)


def test_a_domain_without_memory_is_still_judged_for_the_rest() -> None:
    odd = from_file("<domain><name>d</name><vcpu>2</vcpu></domain>", "d.xml")
    assert odd.vcpus == 2
    with pytest.raises(Unreadable, match="domain@memory: missing"):
        _ = odd.current_memory_bytes


@pytest.mark.parametrize("name", ["", "a/b", "line\nbreak", "x" * 5000])
def test_what_has_no_name_is_no_domain(name: str) -> None:
    with pytest.raises(BadDomain, match="name"):
        domain("", name)


STATUS = """<domstatus state='paused' reason='ioerror' pid='4711'>
  <taint flag='high-privileges'/><taint flag='custom-argv'/>
  <vcpus><vcpu id='0' pid='4720'/><vcpu pid='4721'/></vcpus>
  <qemuCaps>
    <flag name='kvm'/>
  </qemuCaps>
  <job type='backup' async='backup'/>
  <numad nodeset='1' cpuset='8-15'/>
  <domain type='kvm' id='1'>
    <name>db01</name><uuid>0f8fad5b-d9cb-469f-a165-70867728950e</uuid><memory>1048576</memory>
    <vcpu placement='auto' cpuset='0-3'>2</vcpu>
    <devices>
      <interface type='network'>
        <source network='vms'/>
        <actual type='bridge'><source bridge='virbr0'/><port isolated='yes'/><vlan><tag id='9'/></vlan></actual>
        <target dev='vnet7'/>
      </interface>
      <interface type='network'>
        <source network='vfs'/>
        <actual type='hostdev' managed='yes'>
          <source><address type='pci' bus='0x3b' slot='0x02' function='0x3'/></source></actual>
      </interface>
      <disk type='file' device='disk'>
        <source file='/a'/><mirror type='file' job='active-commit'/><target dev='vda'/></disk>
    </devices>
  </domain>
</domstatus>"""


def test_the_status_of_a_running_domain() -> None:
    live = from_file(STATUS, "live.xml")
    assert (live.live, live.is_running, live.is_persistent) == (True, True, False)
    status = live.status
    assert status is not None
    assert (status.state, status.reason, status.pid, status.job) == ("paused", "ioerror", 4711, "backup")
    assert status.vcpu_pids == {0: 4720, 1: 4721}
    assert status.taints == ("high-privileges", "custom-argv")
    assert live.floor == live.cpus_of(0) == CpuSet(range(8, 16))
    bridge, vf = live.interfaces
    assert (bridge.source, bridge.actual, bridge.bridge, bridge.isolated, bridge.vlans) == (
        "vms",
        "bridge",
        "virbr0",
        True,
        (9,),
    )
    assert (vf.actual, vf.managed, vf.host_address, vf.is_assigned) == ("hostdev", True, "0000:3b:02.3", True)
    assert live.disks[0].job == "active-commit"


def test_lines_stay_right_below_what_is_left_out_of_a_status() -> None:
    with pytest.raises(BadDomain, match=r"live.xml: line 9, column \d+: not well-formed"):
        from_file(STATUS.replace("<domain type='kvm' id='1'>", "<domain type='kvm' id=1>"), "live.xml")


def test_a_dump_of_a_running_domain_tells_what_runs() -> None:
    assert from_file("<domain id='3'><name>x</name><memory>1</memory></domain>", "x").live is True


@pytest.mark.parametrize(
    ("text", "unit", "size"),
    [
        ("3", None, 3 << 10),
        ("3", "", 3 << 10),
        ("3", "b", 3),
        ("3", "bytes", 3),
        ("3", "k", 3 << 10),
        ("3", "KiB", 3 << 10),
        ("3", "KB", 3_000),
        ("3", "M", 3 << 20),
        ("3", "MB", 3_000_000),
        ("3", "mib", 3 << 20),
        (" 3 ", "GiB", 3 << 30),
        ("3", "TB", 3 * 10**12),
        ("3", "PiB", 3 << 50),
        ("3", "E", 3 << 60),
    ],
)
def test_units(text: str, unit: str | None, size: int) -> None:
    assert scaled_bytes(text, unit) == size


@pytest.mark.parametrize(
    ("text", "unit"),
    [("", None), ("-1", None), ("1.5", "G"), ("1", "KiBi"), ("1", "x"), ("1", "ib"), ("9", "E"), ("٣", None)],
)
def test_no_units(text: str, unit: str | None) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message names the text
        scaled_bytes(text, unit)


def test_memory_is_counted_in_whole_kib() -> None:
    odd = from_file("<domain><name>d</name><memory unit='b'>1025</memory></domain>", "d")
    assert odd.memory_bytes == 2048


@given(st.integers(0, 10**9), st.sampled_from(["b", "KB", "KiB", "MB", "MiB", "GB", "GiB"]))
def test_a_size_is_its_number_of_units(count: int, unit: str) -> None:
    assert scaled_bytes(str(count), unit) == count * scaled_bytes("1", unit)


@given(st.text(max_size=30), st.text(max_size=6))
def test_any_text_is_a_size_or_an_error(text: str, unit: str) -> None:
    with suppress(ValueError):
        assert 0 <= scaled_bytes(text, unit) < 1 << 63


@given(st.sets(st.integers(0, 600), min_size=1))
def test_lists_of_cpus_round_trip(members: set[int]) -> None:
    assert set(cpu_set(str(CpuSet(members)))) == members


@given(
    st.dictionaries(
        st.sampled_from(["vcpu", "current", "cpuset", "queues", "memory"]), st.text("0123456789-,^ax ", max_size=12)
    )
)
def test_whatever_the_attributes_say_nothing_but_unreadable_is_raised(words: dict[str, str]) -> None:
    said = {"vcpu": "1", "current": "1", "cpuset": "0", "queues": "1", "memory": "1"} | words
    odd = from_file(
        "<domain><name>d</name><memory>{memory}</memory><vcpu current='{current}' cpuset='{cpuset}'>{vcpu}</vcpu>"
        "<cputune><vcpupin vcpu='{vcpu}' cpuset='{cpuset}'/></cputune>"
        "<devices><interface><driver queues='{queues}'/></interface></devices></domain>".format(**said),
        "d",
    )
    for path in ("vcpus", "memory_bytes", "vcpupin", "cpuset", "interfaces.0.queues", "pinned_cpus", "is_pinned"):
        with suppress(Unreadable):
            assert field_of(odd, path) is not None
