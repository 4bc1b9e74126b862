"""Defined libvirt domains of six shapes, each with a VF of its own, as /etc/libvirt/qemu holds them."""

from __future__ import annotations

from bench.giant.pci import Function, Machine
from bench.giant.shape import Shape
from bench.giant.tree import Tree

HOME = "/etc/libvirt/qemu"
_HEAD = """\
<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh edit {name}
or other application using the libvirt API.
-->

"""
_KINDS = ("pinned", "floating", "cells", "windows", "many-disks", "old")
_CONTROLLERS = """\
    <controller type='usb' index='0' model='qemu-xhci' ports='15'>
      <address type='pci' domain='0x0000' bus='0x02' slot='0x00' function='0x0'/>
    </controller>
    <controller type='pci' index='0' model='pcie-root'/>
    <controller type='pci' index='1' model='pcie-root-port'>
      <model name='pcie-root-port'/>
      <target chassis='1' port='0x10'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0' multifunction='on'/>
    </controller>
    <controller type='pci' index='2' model='pcie-root-port'>
      <model name='pcie-root-port'/>
      <target chassis='2' port='0x11'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x1'/>
    </controller>"""
_METADATA = """\
  <metadata>
    <example:owner xmlns:example='https://example.org/xmlns/1'>team{team}</example:owner>
  </metadata>"""
_BACKING = """\
  <memoryBacking>
    <hugepages>
      <page size='1048576' unit='KiB'/>
    </hugepages>
    <{more}/>
  </memoryBacking>
  <numatune>
    <memory mode='strict' nodeset='{node}'/>
  </numatune>"""
_OLD_CPU = """\
  <cpu mode='custom' match='exact' check='partial'>
    <model fallback='allow'>Skylake-Server</model>
  </cpu>"""
_CDROM = """\
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/>
      <target dev='sdz' bus='sata'/>
      <readonly/>
    </disk>
    <controller type='scsi' index='0' model='virtio-scsi'>
      <driver queues='4'/>
    </controller>"""
_IMAGE = """\
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='writeback'/>
      <source file='/var/lib/libvirt/images/{name}.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>"""
_VOLUME = """\
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native'{options}/>
      <source dev='/dev/vg0/{volume}'/>
      <target dev='{target}' bus='{bus}'/>
    </disk>"""
_BRIDGED = """\
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='br0'/>
      <model type='{model}'/>
    </interface>"""
_VF = """\
    <interface type='hostdev' managed='yes'>
      <mac address='{mac}'/>
      <source>
        <address type='pci' domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>
      </source>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </interface>"""
_TAIL = """\
    <serial type='pty'>
      <target type='isa-serial' port='0'>
        <model name='isa-serial'/>
      </target>
    </serial>
    <console type='pty'>
      <target type='serial' port='0'/>
    </console>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0'/>
      <address type='virtio-serial' controller='0' bus='0' port='1'/>
    </channel>
    <input type='mouse' bus='ps2'/>
    <input type='keyboard' bus='ps2'/>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'>
      <listen type='address' address='127.0.0.1'/>
    </graphics>
    <audio id='1' type='none'/>
    <video>
      <model type='vga' vram='16384' heads='1' primary='yes'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0'/>
    </video>
    <memballoon model='none'/>
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
    </rng>"""
_CLOCK = """\
  <clock offset='utc'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='pit' tickpolicy='delay'/>
    <timer name='hpet' present='no'/>
  </clock>"""
_WINDOWS_CLOCK = """\
  <clock offset='localtime'>
    <timer name='hypervclock' present='yes'/>
    <timer name='hpet' present='no'/>
  </clock>"""
_HYPERV = """\
    <hyperv mode='custom'>
      <relaxed state='on'/>
      <vapic state='on'/>
      <spinlocks state='on' retries='8191'/>
      <vpindex state='on'/>
      <synic state='on'/>
      <stimer state='on'/>
    </hyperv>
"""


def write(tree: Tree, shape: Shape, found: Machine) -> None:
    """All domains, the network and the settings of libvirt."""
    tree.file(
        "/etc/libvirt/qemu.conf", '# Master configuration file for the QEMU driver.\nsecurity_driver = "apparmor"'
    )
    tree.file(
        f"{HOME}/networks/default.xml", "<network>\n  <name>default</name>\n  <bridge name='virbr0'/>\n</network>"
    )
    vfs = [vf for vfs in found.vfs for vf in vfs]
    for number in range(shape.domains):
        name = f"vm{number:04}"
        tree.file(
            f"{HOME}/{name}.xml",
            _HEAD.format(name=name) + _domain(shape, number, name, vfs[number % len(vfs)] if vfs else None),
        )
        if number % 4 == 0:
            tree.link(f"{HOME}/autostart/{name}.xml", f"{HOME}/{name}.xml")


def _domain(shape: Shape, number: int, name: str, vf: Function | None) -> str:
    kind = _KINDS[number % len(_KINDS)]
    node = vf.node if vf else number % shape.nodes
    vcpus = {"pinned": 2, "floating": 4, "cells": 8, "windows": 4, "many-disks": 2, "old": 1}[kind]
    gib = {"pinned": 1, "floating": 2, "cells": 4, "windows": 4, "many-disks": 1, "old": 1}[kind]
    machine = "pc-i440fx-6.2" if kind == "old" else "pc-q35-9.2"
    uuid = f"00000000-0000-4000-8000-{number:012x}"
    parts = [
        f"<domain type='kvm'>\n  <name>{name}</name>\n  <uuid>{uuid}</uuid>",
        _METADATA.format(team=number % 16),
        f"  <memory unit='KiB'>{gib << 20}</memory>\n  <currentMemory unit='KiB'>{gib << 20}</currentMemory>",
        _memory(kind, node),
        _processors(shape, kind, vcpus, node, number),
        f"  <os>\n    <type arch='x86_64' machine='{machine}'>hvm</type>\n    <boot dev='hd'/>\n  </os>",
        f"  <features>\n    <acpi/>\n    <apic/>\n{_HYPERV * (kind == 'windows')}  </features>",
        _cpu(kind, vcpus, gib),
        _WINDOWS_CLOCK if kind == "windows" else _CLOCK,
        "  <on_poweroff>destroy</on_poweroff>\n  <on_reboot>restart</on_reboot>\n  <on_crash>destroy</on_crash>",
        "  <pm>\n    <suspend-to-mem enabled='no'/>\n    <suspend-to-disk enabled='no'/>\n  </pm>",
        "  <devices>\n    <emulator>/usr/bin/qemu-system-x86_64</emulator>",
        _disks(kind, name),
        "" if kind == "old" else _CONTROLLERS,
        _interface(kind, number, vf),
        _TAIL,
        "  </devices>\n</domain>",
    ]
    return "\n".join(part for part in parts if part)


def _memory(kind: str, node: int) -> str:
    if kind in ("floating", "old"):
        return ""
    return _BACKING.format(more="nosharepages" if kind == "pinned" else "locked", node=node)


def _processors(shape: Shape, kind: str, vcpus: int, node: int, number: int) -> str:
    """vCPUs, and where they run: a core of the node for each two of a pinned domain."""
    first = node * shape.cores_per_node
    if kind in ("floating", "old"):
        near = f" cpuset='{first}-{first + shape.cores_per_node - 1}'" if kind == "floating" else ""
        return f"  <vcpu placement='static'{near}>{vcpus}</vcpu>"
    lines = [f"  <vcpu placement='static'>{vcpus}</vcpu>"]
    threads = 2 if kind in ("cells", "many-disks") else 0
    if threads:
        lines.append(f"  <iothreads>{threads}</iothreads>")
    lines.append("  <cputune>")
    cores = -(-vcpus // 2)
    free = max(1, shape.cores_per_node - 2)
    for vcpu in range(vcpus):
        core = first + (2 + (number * cores + vcpu // 2) % free) % shape.cores_per_node
        lines.append(f"    <vcpupin vcpu='{vcpu}' cpuset='{shape.core(core)[vcpu % 2]}'/>")
    lines.append(f"    <emulatorpin cpuset='{first},{first + shape.cores}'/>")
    lines += [f"    <iothreadpin iothread='{thread}' cpuset='{first}'/>" for thread in range(1, threads + 1)]
    return "\n".join([*lines, "  </cputune>"])


def _cpu(kind: str, vcpus: int, gib: int) -> str:
    if kind == "old":
        return _OLD_CPU
    lines = ["  <cpu mode='host-passthrough' check='none' migratable='on'>"]
    if kind != "floating":
        lines.append(f"    <topology sockets='1' dies='1' clusters='1' cores='{vcpus // 2}' threads='2'/>")
        lines.append("    <cache mode='passthrough'/>")
    if kind == "cells":
        lines.append("    <numa>")
        half, kib = vcpus // 2, (gib << 20) // 2
        for cell in range(2):
            cpus = f"{cell * half}-{cell * half + half - 1}"
            lines.append(f"      <cell id='{cell}' cpus='{cpus}' memory='{kib}' unit='KiB' memAccess='shared'/>")
        lines.append("    </numa>")
    return "\n".join([*lines, "  </cpu>"])


def _disks(kind: str, name: str) -> str:
    if kind == "windows":
        return "\n".join([_disk(name, "sda", "scsi", " discard='unmap'"), _CDROM])
    if kind == "many-disks":
        return "\n".join(
            _disk(f"{name}-{letter}", f"vd{letter}", "virtio", f" iothread='{1 + place % 2}'")
            for place, letter in enumerate("abcdefgh")
        )
    if kind == "floating":
        return _IMAGE.format(name=name)
    return _disk(name, "hda" if kind == "old" else "vda", "ide" if kind == "old" else "virtio", "")


def _disk(volume: str, target: str, bus: str, options: str) -> str:
    return _VOLUME.format(volume=volume, target=target, bus=bus, options=options)


def _interface(kind: str, number: int, vf: Function | None) -> str:
    mac = f"02:01:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    if kind in ("floating", "old") or vf is None:
        model = "e1000" if kind == "old" else "virtio"
        return _BRIDGED.format(mac=mac, model=model)
    domain, bus, slot, function = vf.address[:4], vf.address[5:7], vf.address[8:10], vf.address[-1]
    return _VF.format(mac=mac, domain=domain, bus=bus, slot=slot, function=function)
