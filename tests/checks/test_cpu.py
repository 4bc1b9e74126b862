"""CPUs and the vCPUs pinned to them."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

SIBLINGS, CONFLICT = "smt-siblings-offline", "vcpu-pin-conflict"
CPU = "sys/devices/system/cpu"
HALF = f"""
{CPU}/online: 0-3,5-7
{CPU}/offline: 4
{CPU}/cpu0/topology/core_cpus_list: 0
{CPU}/cpu4/online: 0
"""
HYBRID = f"{HALF}\nsys/devices/cpu_core/cpus: 1-3,5-7\nsys/devices/cpu_atom/cpus: 0"
PIN = "<vcpupin vcpu='1' cpuset='7'/>"


def domain(name: str, pins: str) -> str:
    """A second domain, of two vCPUs on ordinary memory."""
    return "\n".join(
        [
            f"etc/libvirt/qemu/{name}.xml:",
            f"  <domain type='kvm'><name>{name}</name><memory unit='GiB'>1</memory><vcpu>2</vcpu>",
            f"    <cputune>{pins}</cputune><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>",
        ]
    )


CASES = [
    Case(SIBLINGS, "pass", "kvm-host"),
    Case(SIBLINGS, "pass", "kvm-guest"),
    Case(SIBLINGS, "low host", "kvm-host", HALF, reason="CPUs 4 are offline"),
    # Small cores have one thread by design.
    Case(SIBLINGS, "pass", "kvm-host", HYBRID),
    Case(SIBLINGS, "info", "kvm-host", workload=Workload.LATENCY),
    Case(SIBLINGS, "unknown", "kvm-host", f"{CPU}/online ! permission denied"),
    Case(CONFLICT, "pass", "kvm-host"),
    Case(CONFLICT, "critical domain/db01", "kvm-host", swap=(PIN, "<vcpupin vcpu='1' cpuset='99'/>"), reason="99"),
    Case(
        CONFLICT,
        "high domain/db01",
        "kvm-host",
        swap=(PIN, "<vcpupin vcpu='1' cpuset='3'/>"),
        reason="both pinned to CPU 3",
    ),
    Case(
        CONFLICT,
        "high domain/web",
        "kvm-host",
        domain("web", "<vcpupin vcpu='0' cpuset='3'/><vcpupin vcpu='1' cpuset='2'/>"),
    ),
    # A set to float over is no pin, but another's own CPU must not be in it.
    Case(
        CONFLICT,
        "high domain/web",
        "kvm-host",
        domain("web", "<vcpupin vcpu='0' cpuset='2-3'/>"),
        reason="belong to db01",
    ),
    Case(CONFLICT, "pass", "kvm-host", domain("web", "<vcpupin vcpu='0' cpuset='2,6'/>")),
    Case(CONFLICT, "unknown", "kvm-host", f"{CPU}/online: garbage"),
    Case(CONFLICT, "unknown", "kvm-host", swap=(PIN, "<vcpupin vcpu='1' cpuset='x'/>"), reason="vcpupin"),
    Case(CONFLICT, "unknown", "kvm-host", "etc/libvirt/qemu/broken.xml: <domain", reason="broken.xml"),
]
