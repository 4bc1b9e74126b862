"""The CPU ledger: who claims each CPU."""

from __future__ import annotations

import pytest

from tests.tree import plant
from vmtune.cpuset import EMPTY, CpuSet
from vmtune.host import Host
from vmtune.host.domain import Domain, from_file
from vmtune.ledger import Claim, Ledger, account, ledger, parse_environment, read_irqbalance, read_slices
from vmtune.root.unreadable import Unreadable

CPUS = (
    "/sys/devices/system/cpu/online: 0-7\n/sys/devices/system/cpu/isolated: 6-7\n/sys/devices/system/cpu/nohz_full: 7\n"
)
for cpu in range(8):
    CPUS += f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list: {cpu % 4},{cpu % 4 + 4}\n"
    CPUS += f"/sys/devices/system/cpu/cpu{cpu}/topology/package_cpus_list: 0-7\n"
CPUS += "/sys/devices/system/node/online: 0-1\n"
CPUS += "/sys/devices/system/node/node0/cpulist: 0-1,4-5\n/sys/devices/system/node/node0/distance: 10 21\n"
CPUS += "/sys/devices/system/node/node1/cpulist: 2-3,6-7\n/sys/devices/system/node/node1/distance: 21 10\n"
CPUS += "/sys/devices/system/node/node0/meminfo: Node 0 MemTotal: 1024 kB\n"
CPUS += "/sys/devices/system/node/node1/meminfo: Node 1 MemTotal: 1024 kB\n"


def domain(name: str, body: str) -> Domain:
    return from_file(f"<domain type='kvm'><name>{name}</name><memory>1024</memory>{body}</domain>", f"{name}.xml")


def pinned(name: str, pins: str, more: str = "") -> Domain:
    """A domain with a vCPU for each set of CPUs, parted by blanks."""
    sets = pins.split()
    each = "".join(f"<vcpupin vcpu='{vcpu}' cpuset='{cpus}'/>" for vcpu, cpus in enumerate(sets))
    return domain(name, f"<vcpu>{len(sets)}</vcpu><cputune>{each}{more}</cputune>")


@pytest.fixture
def machine() -> Host:
    return Host(plant(CPUS, "/proc/1/comm: systemd"))


def of(machine: Host, *domains: Domain) -> Ledger:
    return account(machine.cpu, domains)


def test_a_machine_without_vms_is_housekeeping_but_for_isolated_cpus(machine: Host) -> None:
    made = of(machine)
    assert (made.online, made.isolated, made.vm_cores) == (CpuSet(range(8)), CpuSet([6, 7]), CpuSet([6, 7]))
    assert (made.housekeeping, made.pinned, made.overlaps, made.unknown) == (CpuSet(range(6)), EMPTY, (), ())
    row = made.row(7)
    assert row is not None
    assert (row.cpu, row.node, row.core, [claim.kind for claim in row.claims]) == (
        7,
        1,
        CpuSet([3, 7]),
        ["isolated", "nohz_full"],
    )
    assert made.row(8) is None


def test_cores_of_dedicated_domains_are_no_housekeeping(machine: Host) -> None:
    made = of(machine, pinned("db", "1 5"), pinned("web", "2-3"), domain("free", "<vcpu>2</vcpu>"))
    assert made.vm_cores == CpuSet([1, 5, 6, 7])
    assert made.housekeeping == CpuSet([0, 2, 3, 4])
    assert made.pinned == CpuSet([1, 2, 3, 5])
    row = made.row(1)
    assert row is not None
    assert [(claim.kind, claim.owners, claim.number, claim.dedicated) for claim in row.claims] == [
        ("vcpu", ("db",), 0, True),
        ("floating", ("free",), None, False),
    ]
    assert made.owners(CpuSet([2]), "vcpu") == ("web",)
    assert made.owners(CpuSet([0]), "vcpu", "floating") == ("free",)


def test_a_set_within_one_core_is_dedicated(machine: Host) -> None:
    assert of(machine, pinned("db", "1,5 1,5")).vm_cores == CpuSet([1, 5, 6, 7])
    assert of(machine, pinned("db", "1,2")).vm_cores == CpuSet([6, 7])


def test_overlaps_name_each_thread(machine: Host) -> None:
    made = of(machine, pinned("a", "1 2", "<emulatorpin cpuset='2'/>"), pinned("b", "1"), pinned("c", "3"))
    assert [
        (overlap.cpu, [(claim.kind, claim.owners[0], claim.number) for claim in overlap.claims])
        for overlap in made.overlaps
    ] == [
        (1, [("vcpu", "a", 0), ("vcpu", "b", 0)]),
        (2, [("vcpu", "a", 1), ("emulator", "a", None)]),
    ]
    iothread = pinned("d", "0", "<iothreadpin iothread='1' cpuset='0'/>")
    assert [claim.kind for claim in of(machine, iothread).overlaps[0].claims] == ["vcpu", "iothread"]


def test_two_vcpus_of_one_domain_on_one_cpu_overlap(machine: Host) -> None:
    (overlap,) = of(machine, pinned("a", "1 1")).overlaps
    assert [claim.number for claim in overlap.claims] == [0, 1]


def test_what_is_defined_and_what_runs_of_one_domain_do_not_overlap(machine: Host) -> None:
    both = pinned("a", "1")._replace(running=pinned("a", "1,5")._replace(live=True))
    made = of(machine, both)
    assert made.overlaps == ()
    assert [(claim.number, claim.cpus) for claim in made.claims if claim.kind == "vcpu"] == [
        (0, CpuSet([1])),
        (0, CpuSet([1, 5])),
    ]
    same = pinned("a", "1")._replace(running=pinned("a", "1")._replace(live=True))
    assert sum(claim.kind == "vcpu" for claim in of(machine, same).claims) == 1


def test_pins_of_vcpus_that_are_not_there_claim_nothing(machine: Host) -> None:
    ghost = domain("g", "<vcpu>1</vcpu><cputune><vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='9' cpuset='3'/></cputune>")
    assert of(machine, ghost).pinned == CpuSet([0])


def test_cores_shared_by_domains(machine: Host) -> None:
    made = of(machine, pinned("a", "1"), pinned("b", "5"), pinned("c", "2 6"))
    assert [(shared.core, shared.owners) for shared in made.shared_cores] == [(CpuSet([1, 5]), ("a", "b"))]


def test_floating_domains_are_put_together_by_their_cpus(machine: Host) -> None:
    made = of(machine, *(domain(f"f{place}", "<vcpu cpuset='0-3'>1</vcpu>") for place in range(3)), domain("g", ""))
    assert [(claim.owners, claim.cpus) for claim in made.claims if claim.kind == "floating"] == [
        (("f0", "f1", "f2"), CpuSet(range(4))),
        (("g",), CpuSet(range(8))),
    ]


def test_pins_to_cpus_that_are_offline_are_kept_in_the_claims(machine: Host) -> None:
    made = of(machine, pinned("a", "40"))
    assert (made.pinned, made.vm_cores, made.housekeeping) == (CpuSet([40]), CpuSet([6, 7, 40]), CpuSet(range(6)))


def test_a_domain_whose_pins_are_garbage_is_unknown(machine: Host) -> None:
    odd = domain("odd", "<vcpu>1</vcpu><cputune><vcpupin vcpu='0' cpuset='?'/></cputune>")
    made = of(machine, odd, pinned("a", "1"))
    assert [(each.name, each.source) for each in made.unknown] == [("odd", "odd.xml")]
    assert made.pinned == CpuSet([1])


def test_isolation_nobody_can_read_makes_vm_cores_unknown() -> None:
    host = Host(plant(CPUS, "/sys/devices/system/cpu/isolated: nonsense"))
    made = account(host.cpu, (pinned("a", "1"),))
    assert made.pinned == CpuSet([1])
    for name in ("vm_cores", "housekeeping", "isolated"):
        with pytest.raises(Unreadable, match="nonsense"):
            getattr(made, name)


MACHINE = (
    CPUS
    + """
/etc/libvirt/qemu/db.xml:
  <domain type='kvm'><name>db</name><memory>1</memory><vcpu>1</vcpu>
  <cputune><vcpupin vcpu='0' cpuset='3'/></cputune></domain>
/etc/libvirt/qemu/bad.xml: <domain>
/proc/1/comm: systemd
/proc/77/comm: irqbalance
/etc/default/irqbalance:
  # a comment
  IRQBALANCE_BANNED_CPULIST="2-3"
/sys/fs/cgroup/cgroup.controllers: cpuset cpu
/sys/fs/cgroup/cpuset.cpus.isolated: 2
/sys/fs/cgroup/system.slice/cpuset.cpus: 0-1
/sys/fs/cgroup/system.slice/cpuset.cpus.effective: 0-1
/sys/fs/cgroup/system.slice/cpuset.cpus.partition: member
/sys/fs/cgroup/user.slice/cpuset.cpus:
/sys/fs/cgroup/machine.slice/cgroup.procs:
/sys/fs/cgroup/dev-hugepages.mount/cgroup.procs:
/proc/interrupts:
              CPU0       CPU1
   24:          1          9  PCI-MSIX-0000:01:00.0   1-edge      nvme0q1
   25:          0          0  PCI-MSIX-0000:01:00.0   2-edge
/proc/irq/24/smp_affinity_list: 0-7
/proc/irq/24/effective_affinity_list: 3
/proc/irq/default_smp_affinity: ff
"""
)


def test_the_ledger_of_a_machine() -> None:
    host = Host(plant(MACHINE))
    made = ledger(host)
    assert made is ledger(host)
    assert (made.isolated, made.vm_cores, made.housekeeping) == (
        CpuSet([2, 6, 7]),
        CpuSet([2, 3, 6, 7]),
        CpuSet([0, 1, 4, 5]),
    )
    assert [each.name for each in made.unknown] == ["bad"]
    row = made.row(3)
    assert row is not None
    assert [(claim.kind, claim.owners[0]) for claim in row.claims] == [
        ("vcpu", "db"),
        ("irq", "irq 24 nvme0q1"),
        ("banned", "irqbalance"),
    ]
    assert [(claim.kind, claim.owners, claim.source) for claim in made.row(0).claims] == [  # type: ignore[union-attr]
        ("slice", ("system.slice",), "/sys/fs/cgroup/system.slice/cpuset.cpus")
    ]
    assert [each.name for each in made.slices] == ["machine.slice", "system.slice", "user.slice"]
    machine, system, user = made.slices
    assert (system.asked, system.effective, system.partition) == (CpuSet([0, 1]), CpuSet([0, 1]), "member")
    assert (user.asked, user.effective, machine.asked) == (EMPTY, None, None)
    assert (made.irqbalance.running, made.irqbalance.banned, made.irqbalance.path) == (
        True,
        CpuSet([2, 3]),
        "/etc/default/irqbalance",
    )


def test_where_no_domain_can_be_known_neither_can_vm_cores() -> None:
    host = Host(plant(CPUS, "/etc/libvirt/qemu ! permission denied", "/proc/1/comm: systemd"))
    made = ledger(host)
    assert [each.source for each in made.unknown] == ["/etc/libvirt/qemu"]
    with pytest.raises(Unreadable, match="permission denied"):
        _ = made.vm_cores
    assert len(made.rows) == 8


def test_without_cpus_there_is_no_ledger() -> None:
    with pytest.raises(Unreadable):
        ledger(Host(plant("/sys/devices/system/cpu ! permission denied")))


def test_slices_of_cgroup_v1() -> None:
    host = Host(
        plant("/sys/fs/cgroup/cpuset/machine/cpuset.cpus: 1-3\n/sys/fs/cgroup/cpuset/machine/cpuset.effective_cpus: 1")
    )
    (machine,) = read_slices(host.root.folder("/sys/fs/cgroup/cpuset"))
    assert (machine.asked, machine.effective, machine.partition) == (CpuSet([1, 2, 3]), CpuSet([1]), None)


def test_slices_nobody_may_list_and_garbage() -> None:
    host = Host(plant(CPUS, "/proc/1/comm: x", "/sys/fs/cgroup ! permission denied"))
    made = ledger(host)
    with pytest.raises(Unreadable, match="permission denied"):
        _ = made.slices
    (odd,) = read_slices(Host(plant("/sys/fs/cgroup/a.slice/cpuset.cpus: all")).root.folder("/sys/fs/cgroup"))
    with pytest.raises(Unreadable, match="'all' is not a list of CPUs"):
        _ = odd.asked


@pytest.mark.parametrize(
    ("text", "banned", "mask"),
    [
        ("/etc/default/irqbalance: IRQBALANCE_ARGS=", None, None),
        ("/etc/default/irqbalance: IRQBALANCE_BANNED_CPULIST=", EMPTY, None),
        ("/etc/sysconfig/irqbalance: IRQBALANCE_BANNED_CPUS=ff", None, CpuSet(range(8))),
        ("/etc/default/irqbalance: #IRQBALANCE_BANNED_CPULIST=1", None, None),
    ],
)
def test_what_irqbalance_leaves_alone(text: str, banned: CpuSet | None, mask: CpuSet | None) -> None:
    read = read_irqbalance(Host(plant(text, "/proc/1/comm: systemd")))
    assert (read.running, read.banned, read.banned_by_mask) == (False, banned, mask)


def test_irqbalance_that_cannot_be_known() -> None:
    read = read_irqbalance(Host(plant("/etc/default/irqbalance: IRQBALANCE_BANNED_CPULIST=x")))
    with pytest.raises(Unreadable, match="/proc"):
        _ = read.running
    with pytest.raises(Unreadable, match="/etc/default/irqbalance"):
        _ = read.banned
    shut = read_irqbalance(Host(plant("/etc/default/irqbalance ! permission denied")))
    with pytest.raises(Unreadable, match="permission denied"):
        _ = shut.banned
    unit = "/run/systemd/units/invocation:irqbalance.service -> 0123"
    assert read_irqbalance(Host(plant(unit))).running is True
    assert read_irqbalance(Host(plant("/proc/1/comm: systemd"))) == (False, None, None, None)


def test_environment_files() -> None:
    assert parse_environment("A=1\n # B=2\n;C=3\nexport D='x y'\nE=\nA=\"2\"\nno assignment") == {
        "A": "2",
        "D": "x y",
        "E": "",
    }


def test_many_domains_are_no_trouble(machine: Host) -> None:
    many = [pinned(f"d{place}", str(place % 8)) for place in range(300)]
    made = of(machine, *many)
    assert len(made.overlaps) == 8
    assert sum(len(overlap.claims) for overlap in made.overlaps) == 300
    assert isinstance(made.claims[0], Claim)
