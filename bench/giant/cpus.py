"""CPUs: topology, caches, frequency, idle states, vulnerabilities."""

from __future__ import annotations

from bench.giant.shape import Shape
from bench.giant.tree import Tree, attributes, mask, ranges

CPU = "/sys/devices/system/cpu"
FLAGS = (
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush dts acpi mmx fxsr sse sse2 "
    "ss ht tm pbe syscall nx pdpe1gb rdtscp lm constant_tsc art arch_perfmon pebs bts rep_good nopl xtopology "
    "nonstop_tsc cpuid aperfmperf tsc_known_freq pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 sdbg "
    "fma cx16 xtpr pdcm pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave avx f16c rdrand "
    "lahf_lm abm 3dnowprefetch cpuid_fault epb cat_l3 cat_l2 cdp_l3 intel_ppin cdp_l2 ssbd mba ibrs ibpb stibp "
    "ibrs_enhanced tpr_shadow flexpriority ept vpid ept_ad fsgsbase tsc_adjust bmi1 avx2 smep bmi2 erms invpcid "
    "cqm rdt_a avx512f avx512dq rdseed adx smap avx512ifma clflushopt clwb intel_pt avx512cd sha_ni avx512bw "
    "avx512vl xsaveopt xsavec xgetbv1 xsaves cqm_llc cqm_occup_llc cqm_mbm_total cqm_mbm_local split_lock_detect "
    "user_shstk avx_vnni avx512_bf16 wbnoinvd dtherm ida arat pln pts hwp hwp_act_window hwp_epp hwp_pkg_req vnmi "
    "avx512vbmi umip pku ospke waitpkg avx512_vbmi2 gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme "
    "avx512_vpopcntdq la57 rdpid bus_lock_detect cldemote movdiri movdir64b enqcmd fsrm md_clear serialize "
    "tsxldtrk pconfig arch_lbr ibt amx_bf16 avx512_fp16 amx_tile amx_int8 flush_l1d arch_capabilities"
)
_CACHES = (
    # level, type, size, sets, ways
    (1, "Data", "48K", 64, 12),
    (1, "Instruction", "32K", 64, 8),
    (2, "Unified", "2048K", 2048, 16),
    (3, "Unified", "122880K", 98304, 20),
)
_STATES = (
    # name, description, latency, residency
    ("POLL", "CPUIDLE CORE POLL IDLE", 0, 0),
    ("C1", "MWAIT 0x00", 1, 1),
    ("C1E", "MWAIT 0x01", 2, 4),
    ("C6", "MWAIT 0x20", 290, 800),
)
_VULNERABILITIES = attributes("""
    gather_data_sampling Not affected
    ghostwrite Not affected
    indirect_target_selection Not affected
    itlb_multihit Not affected
    l1tf Not affected
    mds Not affected
    meltdown Not affected
    mmio_stale_data Not affected
    old_microcode Not affected
    reg_file_data_sampling Not affected
    retbleed Not affected
    spec_rstack_overflow Not affected
    spec_store_bypass Mitigation: Speculative Store Bypass disabled via prctl
    spectre_v1 Mitigation: usercopy/swapgs barriers and __user pointer sanitization
    spectre_v2 Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; PBRSB-eIBRS: SW sequence; BHI: BHI_DIS_S
    srbds Not affected
    tsa Not affected
    tsx_async_abort Not affected
    vmscape Mitigation: IBPB before exit to userspace
""")
_FREQUENCY = attributes("""
    base_frequency 2000000
    cpuinfo_max_freq 3800000
    cpuinfo_min_freq 800000
    cpuinfo_transition_latency 0
    energy_performance_available_preferences default performance balance_performance balance_power power
    energy_performance_preference performance
    scaling_available_governors performance powersave
    scaling_cur_freq 2600000
    scaling_driver intel_pstate
    scaling_governor performance
    scaling_max_freq 3800000
    scaling_min_freq 800000
    scaling_setspeed <unsupported>
""")


def write(tree: Tree, shape: Shape) -> None:
    """All of /sys/devices/system/cpu, and /proc/cpuinfo."""
    every = ranges(range(shape.cpus))
    tree.files(CPU, {"online": every, "present": every, "possible": every, "offline": "", "isolated": ""})
    tree.files(
        CPU,
        {"nohz_full": "(null)", "kernel_max": 8191, "enabled": every, "modalias": "cpu:type:x86,ven0000fam0006mod008F"},
    )
    tree.files(f"{CPU}/smt", {"active": 1, "control": "on"})
    tree.files(f"{CPU}/vulnerabilities", _VULNERABILITIES)
    governors = {"current_governor": "menu", "current_governor_ro": "menu", "available_governors": "ladder menu teo"}
    tree.files(f"{CPU}/cpuidle", {"current_driver": "intel_idle", **governors})
    pstate = {
        "status": "active",
        "no_turbo": 0,
        "max_perf_pct": 100,
        "min_perf_pct": 21,
        "num_pstates": 31,
        "turbo_pct": 59,
    }
    tree.files(f"{CPU}/intel_pstate", {**pstate, "hwp_dynamic_boost": 0})
    for number in range(shape.cpus):
        _cpu(tree, shape, number)
    tree.file("/proc/cpuinfo", "\n\n".join(_block(shape, number) for number in range(shape.cpus)) + "\n")


def _cpu(tree: Tree, shape: Shape, number: int) -> None:
    path = f"{CPU}/cpu{number}"
    core = number % shape.cores
    node = shape.node_of_core(core)
    package = node // shape.nodes_per_package
    threads, whole = shape.core(core), shape.package(package)
    _topology(tree, f"{path}/topology", shape, package, core, threads, whole)
    for index, (level, kind, size, sets, ways) in enumerate(_CACHES):
        sharing = whole if level == 3 else threads
        told = {"level": level, "type": kind, "size": size, "number_of_sets": sets, "ways_of_associativity": ways}
        told |= {"shared_cpu_list": ranges(sharing), "shared_cpu_map": mask(sharing, shape.cpus)}
        told |= {
            "coherency_line_size": 64,
            "physical_line_partition": 1,
            "uevent": "",
            "id": package if level == 3 else core,
        }
        tree.files(f"{path}/cache/index{index}", told)
    for index, (name, description, latency, residency) in enumerate(_STATES):
        state = {"name": name, "desc": description, "latency": latency, "residency": residency, "power": 0}
        state |= {"disable": 0, "default_status": "enabled", "above": 0, "below": 0, "rejected": 0}
        tree.files(f"{path}/cpuidle/state{index}", {**state, "usage": 1000 * index, "time": 1000_000 * index})
    policy = f"{CPU}/cpufreq/policy{number}"
    tree.files(policy, {**_FREQUENCY, "affected_cpus": number, "related_cpus": number})
    tree.link(f"{path}/cpufreq", policy)
    tree.link(f"{path}/node{node}", f"/sys/devices/system/node/node{node}")
    tree.link(f"{path}/subsystem", "/sys/bus/cpu")
    tree.files(f"{path}/microcode", {"version": "0x2b000639", "processor_flags": "0x87"})
    tree.files(f"{path}/hotplug", {"fail": -1, "state": 238, "target": 238})
    tree.files(
        path,
        {
            "uevent": "DRIVER=processor\nMODALIAS=cpu:type:x86,ven0000fam0006mod008F",
            **({"online": 1} if number else {}),
        },
    )


def _topology(
    tree: Tree, path: str, shape: Shape, package: int, core: int, threads: tuple[int, int], whole: list[int]
) -> None:
    """The sets of siblings, each by its new and its old name."""
    told: dict[str, object] = {"physical_package_id": package, "die_id": 0, "ppin": f"0x{0x5A0000 + package:x}"}
    told |= {"core_id": core % (shape.cores // shape.packages), "cluster_id": core}
    sets = {"core_cpus": threads, "thread_siblings": threads, "cluster_cpus": threads}
    for name, cpus in (sets | {"package_cpus": whole, "core_siblings": whole, "die_cpus": whole}).items():
        told |= {name: mask(cpus, shape.cpus), f"{name}_list": ranges(cpus)}
    tree.files(path, told)


def _block(shape: Shape, number: int) -> str:
    core = number % shape.cores
    a_package = shape.cores // shape.packages
    package, core_id = divmod(core, a_package)
    apic = package << 7 | core_id << 1 | number // shape.cores
    fields = {
        "processor\t": number,
        "vendor_id\t": "GenuineIntel",
        "cpu family\t": 6,
        "model\t\t": 143,
        "model name\t": "Intel(R) Xeon(R) Platinum 8490X",
        "stepping\t": 8,
        "microcode\t": "0x2b000639",
        "cpu MHz\t\t": "2600.000",
        "cache size\t": "122880 KB",
        "physical id\t": package,
        "siblings\t": 2 * a_package,
        "core id\t\t": core_id,
        "cpu cores\t": a_package,
        "apicid\t\t": apic,
        "initial apicid\t": apic,
        "fpu\t\t": "yes",
        "fpu_exception\t": "yes",
        "cpuid level\t": 32,
        "wp\t\t": "yes",
        "flags\t\t": FLAGS,
        "vmx flags\t": "vnmi preemption_timer posted_intr invvpid ept_x_only ept_ad ept_1gb flexpriority vtpr mtf",
        "bugs\t\t": "spectre_v1 spectre_v2 spec_store_bypass swapgs eibrs_pbrsb bhi vmscape",
        "bogomips\t": "4000.00",
        "clflush size\t": 64,
        "cache_alignment\t": 64,
        "address sizes\t": "52 bits physical, 57 bits virtual",
        "power management": "",
    }
    return "\n".join(f"{name}: {said}" for name, said in fields.items())
