"""KVM and its modules."""

from __future__ import annotations

from vmtune.check import HOST, Finding, Outcome, Severity, Unknown, check
from vmtune.host import Host
from vmtune.value import peek

DEVICE = "/dev/kvm"
MODULE_OF_FLAG = {"vmx": "kvm_intel", "svm": "kvm_amd"}
GROUP_MAY_OPEN = 0o060
ALL_MAY_OPEN = 0o006


@check(
    "hw-virt-unavailable",
    Severity.CRITICAL,
    over=Host,
    roles=HOST,
    see="https://docs.kernel.org/virt/kvm/index.html",
)
def hw_virt_unavailable(host: Host) -> Outcome:
    """Hardware virtualisation is missing or unusable.

    Why: without /dev/kvm no VM starts, or it is emulated instruction by instruction, many times slower.
    Fix now: modprobe kvm_intel or kvm_amd; chgrp kvm /dev/kvm; chmod g+rw /dev/kvm.
    Fix for good: switch VT-x or AMD-V on in the firmware; let udev own the device's group and mode.
    Traps: the flags vmx and svm prove nothing either way: /dev/kvm can exist without both, and a firmware lock leaves
        the flag while the module refuses to load. A container may hide the device.
    Source: virt/kvm/kvm_main.c; Documentation/virt/kvm/api.rst.
    """
    device = host.kvm.device
    if device is None:
        raise Unknown(f"{DEVICE}: not known")
    if not device:
        if host.platform.container:
            raise Unknown(f"{DEVICE} is not in this container; the machine around it may have it")
        flag = next((flag for flag in MODULE_OF_FLAG if flag in host.cpu.flags), None)
        module = MODULE_OF_FLAG.get(flag or "", "kvm")
        why = f"the CPU has {flag}" if flag else "the CPU shows neither vmx nor svm"
        loaded = module in host.kvm.modules
        yield Finding(
            f"no {DEVICE}: {why}, {module} is {'loaded' if loaded else 'not loaded'}",
            ((DEVICE, "absent"), ("/proc/cpuinfo", f"{flag} in flags" if flag else "neither vmx nor svm in flags")),
            expected=f"{DEVICE} exists",
            actual="absent",
            now=(f"modprobe {module}; dmesg | grep -i kvm",) if flag else (),
            for_good=(f"echo {module} > /etc/modules-load.d/kvm.conf",) if flag else (),
            disruption="none" if flag else "firmware",
        )
        return
    # Who may open it is no part of a tree that somebody else captured: there its being there is all that is judged.
    permissions = host.kvm.mode if host.root.live else peek(lambda: host.kvm.mode)
    if permissions is None:
        return
    if permissions & ALL_MAY_OPEN != ALL_MAY_OPEN and permissions & GROUP_MAY_OPEN != GROUP_MAY_OPEN:
        yield Finding(
            f"{DEVICE} has mode {permissions:04o}: no group but root's own user may open it, QEMU cannot",
            ((DEVICE, f"mode {permissions:04o}, owner {host.kvm.uid}, group {host.kvm.gid}"),),
            expected="0660 for the group kvm",
            actual=f"{permissions:04o}",
            now=(f"chgrp kvm {DEVICE} && chmod 0660 {DEVICE}",),
            for_good=('echo \'KERNEL=="kvm", GROUP="kvm", MODE="0660"\' > /etc/udev/rules.d/65-kvm.rules',),
            key="mode",
        )
