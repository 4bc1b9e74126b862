"""What the machine is and runs: firmware, kernel, modules, mounts, processes."""

from __future__ import annotations

from bench.giant.shape import KERNEL, NODE_PAGES, Shape
from bench.giant.tree import Tree, attributes, mask, ranges

_DMI = attributes("""
    bios_date 03/14/2025
    bios_vendor Example Firmware
    bios_version 2.5.1
    board_name X13GIANT
    board_vendor Example Systems
    chassis_type 23
    chassis_vendor Example Systems
    product_family Servers
    product_name Giant 8000
    sys_vendor Example Systems
""")
_SYSCTLS = {
    "kernel": attributes("""
        arch x86_64
        hostname giant
        numa_balancing 0
        ostype Linux
        pid_max 4194304
        randomize_va_space 2
        sched_rt_runtime_us 950000
        threads-max 99000000
        timer_migration 1
        version #1 SMP PREEMPT_DYNAMIC
        watchdog 0
    """)
    | {"osrelease": KERNEL},
    "vm": attributes("""
        compaction_proactiveness 20
        dirty_background_bytes 0
        dirty_background_ratio 10
        dirty_bytes 0
        dirty_expire_centisecs 3000
        dirty_ratio 20
        dirty_writeback_centisecs 500
        max_map_count 1048576
        min_free_kbytes 4194304
        nr_hugepages 0
        nr_overcommit_hugepages 0
        overcommit_memory 0
        overcommit_ratio 50
        stat_interval 1
        swappiness 10
        vfs_cache_pressure 100
        watermark_scale_factor 10
        zone_reclaim_mode 0
    """),
    "net/core": attributes("""
        default_qdisc fq_codel
        netdev_budget 300
        netdev_max_backlog 1000
        rmem_max 212992
        somaxconn 4096
        wmem_max 212992
    """),
    "fs": attributes("""
        aio-max-nr 1048576
        aio-nr 0
        file-max 9223372036854775807
        nr_open 1073741816
    """),
}
_KVM = attributes("""
    enable_vmware_backdoor N
    halt_poll_ns 200000
    halt_poll_ns_grow 2
    halt_poll_ns_grow_start 10000
    halt_poll_ns_shrink 0
    ignore_msrs N
    kvmclock_periodic_sync Y
    min_timer_period_us 200
    nx_huge_pages N
    nx_huge_pages_recovery_period_ms 0
    nx_huge_pages_recovery_ratio 60
    report_ignored_msrs Y
    tdp_mmu Y
    vector_hashing Y
""")
_KVM_INTEL = attributes("""
    dump_invalid_vmcs N
    emulate_invalid_guest_state Y
    enable_apicv Y
    enable_ipiv Y
    ept Y
    eptad Y
    fasteoi Y
    flexpriority Y
    nested Y
    ple_gap 128
    ple_window 4096
    pml Y
    preemption_timer Y
    sgx N
    unrestricted_guest Y
    vmentry_l1d_flush not required
    vnmi Y
    vpid Y
""")
_MODULES = {
    "kvm": _KVM,
    "kvm_intel": _KVM_INTEL,
    "vfio": {"enable_unsafe_noiommu_mode": "N"},
    "vfio_iommu_type1": {"allow_unsafe_interrupts": "N", "disable_hugepages": "N", "dma_entry_limit": "65535"},
    "vfio_pci": {"disable_idle_d3": "N", "enable_sriov": "N", "nointxmask": "N"},
    "vhost": {"max_iotlb_entries": "2048", "max_mem_regions": "64"},
    "vhost_net": {"experimental_zcopytx": "0"},
    "ice": {},
    "iavf": {},
    "nvme": {"io_queue_depth": "1024", "poll_queues": "0", "write_queues": "0"},
}
_SERVICES = {1: "systemd", 900: "systemd-journal", 950: "systemd-udevd", 1200: "dbus-daemon", 1210: "chronyd"}
_SERVICES |= {1300: "sshd", 1400: "libvirtd", 1410: "virtlogd", 1420: "virtlockd"}
_SELF = 4_000_000
_MOUNTS = """\
22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
23 22 0:21 / /sys rw,nosuid,nodev,noexec,relatime shared:2 - sysfs sysfs rw
24 22 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:3 - proc proc rw
25 22 0:23 / /run rw,nosuid,nodev shared:4 - tmpfs tmpfs rw,size=13194139536k,mode=755
26 23 0:24 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:5 - cgroup2 cgroup2 rw
27 22 0:25 / /dev/hugepages rw,nosuid,nodev,relatime shared:6 - hugetlbfs hugetlbfs rw,pagesize=1024M
28 22 8:1 / /boot rw,relatime shared:7 - ext4 /dev/sda1 rw"""


def write(tree: Tree, shape: Shape) -> None:
    """Everything that is no device."""
    every = ranges(range(shape.cpus))
    tree.files("/sys/devices/virtual/dmi/id", _DMI)
    tree.link("/sys/class/dmi/id", "/sys/devices/virtual/dmi/id")
    bios = (
        b"\0\x1a\0\0\1\2\0\xf0\3\xff\x98\x8b\x3f\1\0\0\0\0\x03\x0d\5\2\xff\xff\0\0Example Firmware\0"
        + b"2.5.1\0"
        + b"03/14/2025\0\0"
    )
    tree.file("/sys/firmware/dmi/entries/0-0/raw", bios)
    tree.folder("/sys/hypervisor")
    clock = {"current_clocksource": "tsc", "available_clocksource": "tsc hpet acpi_pm"}
    tree.files("/sys/devices/system/clocksource/clocksource0", clock)
    tree.folder("/sys/devices/virtual/misc/kvm")
    tree.link("/sys/class/misc/kvm", "/sys/devices/virtual/misc/kvm")
    for name, parameters in _MODULES.items():
        tree.folder(f"/sys/module/{name}")
        if parameters:
            tree.files(f"/sys/module/{name}/parameters", parameters)
    told = {"cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc", "cpuset.cpus.effective": every}
    told |= {"cpuset.cpus.isolated": "", "cpuset.mems.effective": ranges(range(shape.nodes)), "cgroup.type": "domain"}
    tree.files("/sys/fs/cgroup", told)
    for folder, texts in _SYSCTLS.items():
        tree.files(f"/proc/sys/{folder}", texts)
    options = f"intel_iommu=on hugepagesz=1G hugepages={NODE_PAGES * shape.nodes} default_hugepagesz=2M nmi_watchdog=0"
    tree.file(
        "/proc/cmdline", f"BOOT_IMAGE=/vmlinuz-{KERNEL} root=UUID=00000000-0000-4000-8000-000000000001 ro {options}"
    )
    tree.file(
        "/proc/version", f"Linux version {KERNEL} (build@example.org) (gcc 14.2.0, GNU ld 2.44) #1 SMP PREEMPT_DYNAMIC"
    )
    tree.file("/proc/loadavg", "12.00 11.50 11.00 14/9000 3999999")
    tree.file("/proc/uptime", "864000.00 430000000.00")
    tree.file("/proc/stat", _stat(shape))
    for name in ("cpu", "io", "memory"):
        line = "avg10=0.00 avg60=0.00 avg300=0.00 total=1000"
        tree.file(f"/proc/pressure/{name}", f"some {line}\nfull {line}")
    tree.file("/etc/os-release", 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"')
    tree.file("/etc/fstab", "/dev/sda2 / ext4 defaults 0 1\n/dev/sda3 none swap sw 0 0")
    _processes(tree, shape)


def _stat(shape: Shape) -> str:
    ticks = (4_000_000, 1000, 2_000_000, 76_000_000, 20_000, 0, 40_000, 0, 3_000_000, 0)
    lines = ["cpu  " + " ".join(str(number * shape.cpus) for number in ticks)]
    lines += [f"cpu{cpu} " + " ".join(map(str, ticks)) for cpu in range(shape.cpus)]
    rest = "intr 1000000000\nctxt 20000000000\nbtime 1760000000\nprocesses 4000000\nprocs_running 14\nprocs_blocked 0"
    return "\n".join([*lines, rest, "softirq 1000000000 0 0 0 0 0 0 0 0 0 0"])


def _processes(tree: Tree, shape: Shape) -> None:
    """systemd and what it starts, four threads of the kernel for each CPU, and vmtune itself."""
    for pid, name in _SERVICES.items():
        _process(tree, shape, pid, name, f"/usr/sbin/{name}", list(range(shape.cpus)))
    _process(tree, shape, 2, "kthreadd", "", list(range(shape.cpus)))
    for cpu in range(shape.cpus):
        for place, name in enumerate((f"cpuhp/{cpu}", f"migration/{cpu}", f"ksoftirqd/{cpu}", f"kworker/{cpu}:0")):
            _process(tree, shape, 10_000 + 4 * cpu + place, name, "", [cpu])
    _process(tree, shape, _SELF, "vmtune", "vmtune", list(range(shape.cpus)))
    tree.text("/proc/self", str(_SELF))
    tree.text("/proc/mounts", "self/mounts")
    here = f"/proc/{_SELF}"
    tree.file(f"{here}/mountinfo", _MOUNTS)
    fields = [line.split() for line in _MOUNTS.splitlines()]
    tree.file(f"{here}/mounts", "\n".join(f"{words[-2]} {words[4]} {words[-3]} {words[5]} 0 0" for words in fields))
    words = (16, 0xBFEBFBFF, 6, 4096, 17, 100, 0, 0)
    tree.file(f"{here}/auxv", b"".join(word.to_bytes(8, "little") for word in words))
    for kind, number in (
        ("pid", 4026531836),
        ("uts", 4026531838),
        ("cgroup", 4026531835),
        ("mnt", 4026531841),
        ("net", 4026531840),
    ):
        tree.text(f"{here}/ns/{kind}", f"{kind}:[{number}]")


def _process(tree: Tree, shape: Shape, pid: int, name: str, command: str, cpus: list[int]) -> None:
    parent = 0 if pid < 3 else 1 if command else 2
    status = (
        f"Name:\t{name}\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{parent}\nThreads:\t1\n"
    )
    status += f"Cpus_allowed:\t{mask(cpus, shape.cpus)}\nCpus_allowed_list:\t{ranges(cpus)}\n"
    status += f"Mems_allowed_list:\t{ranges(range(shape.nodes))}"
    line = f"{pid} ({name}) S {parent} " + "0 " * 34 + f"{cpus[0]} 0 0 0 0 0 0 0 0 0 0 0 0 0"
    group = f"0::/system.slice/{name}.service" if command else "0::/"
    tree.files(f"/proc/{pid}", {"comm": name, "status": status, "stat": line, "cgroup": group})
    tree.file(f"/proc/{pid}/cmdline", f"{command}\0".encode() if command else b"")
