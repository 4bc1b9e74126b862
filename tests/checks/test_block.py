"""Block devices: the I/O scheduler."""

from __future__ import annotations

from tests.checks.case import Case
from vmtune.check import Workload

CHECK = "io-scheduler-unsuited"
VDA = "sys/devices/pci0000:00/0000:00:05.0/virtio0/block/vda"
NVME = "sys/devices/pci0000:80/0000:80:03.0/0000:82:00.0/nvme/nvme0/nvme0n1"
ONE_QUEUE = "\n".join(f"{VDA}/mq/{queue}/cpu_list -" for queue in (1, 2, 3))

CASES = [
    Case(CHECK, "pass", "kvm-host"),
    Case(CHECK, "pass", "vmware-guest"),
    Case(CHECK, "low nvme0n1", "kvm-host", f"{NVME}/queue/scheduler: none [mq-deadline] kyber", reason="mq-deadline"),
    Case(CHECK, "low nvme0n1", "kvm-host", f"{NVME}/queue/scheduler: none mq-deadline [kyber]"),
    Case(CHECK, "low vda", "kvm-guest", f"{VDA}/queue/scheduler: none mq-deadline [bfq]"),
    # mq-deadline on a virtio disk is nobody's mistake, and worth a word where fairness to reads matters.
    Case(CHECK, "pass", "kvm-guest", f"{VDA}/queue/scheduler: none [mq-deadline]"),
    Case(CHECK, "info", "kvm-guest", f"{VDA}/queue/scheduler: none [mq-deadline]\n{ONE_QUEUE}", workload=Workload.DB),
    # A virtio disk calls itself rotational whatever lies below it.
    Case(CHECK, "pass", "kvm-guest", f"{VDA}/queue/rotational: 1"),
    Case(CHECK, "unknown", "kvm-guest", f"{VDA}/queue/scheduler ! permission denied"),
    Case(CHECK, "unknown", "kvm-guest", f"{VDA}/queue/scheduler: [a] [b]", reason="one word in brackets"),
    Case(CHECK, "skip", "kvm-guest", f"{VDA}/queue/scheduler -", reason="no scheduler"),
    Case(CHECK, "unknown", "kvm-guest", f"{VDA}/queue/scheduler: gibberish"),
    Case(CHECK, "unknown", "kvm-guest", f"{VDA}/queue -"),
]
