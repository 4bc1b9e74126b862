"""What holds for every check, whatever a machine says: no crash, and missing evidence never becomes a pass."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import machines
from tests.checks.case import Case, cases
from tests.tree import plant
from vmtune.audit import Result
from vmtune.check import Role, Status, Workload
from vmtune.host import Host
from vmtune.root.memory import Link

FAILING = [case for case in cases() if case.outcome is Status.FAIL and not case.vmx]
BY_A_FILE = [case for case in FAILING if ": " in case.change or ":\n" in case.change or case.swap[0]]
"""Cases whose fault stands in a file, not in a link or a gap."""
GARBAGE = ("", "\x00\xff\x00", "-1", "99999999999999999999", "[", "a b c", "0-", "NaN", "Unknown", "(null)")
FILES_OF_A_CASE = 12


class Judged(NamedTuple):
    """What became of one check, and the files that it read."""

    statuses: set[Status]
    read: list[str]


def judge(case: Case, extra: str = "") -> Judged:
    changed = case._replace(change=f"{case.change}\n{extra}")
    host = machines.host(changed.machine, changed.change, swap=changed.swap)
    results = changed.judge(host)
    return Judged({row.status for row in results}, sorted(path for path, data in host.root.data.items() if data))


def name(case: Case) -> str:
    return f"{case.check}-{case.expect.replace(' ', '-')}-{case.machine}"


@pytest.mark.parametrize("case", BY_A_FILE, ids=name)
def test_evidence_that_cannot_be_read_is_no_pass(case: Case) -> None:
    """A file that made a finding, refused: the finding stays, or the check does not know; it never passes."""
    judged = judge(case)
    for path in [path for path in judged.read if _is_evidence(case, path)]:
        statuses = judge(case, f"{path} ! permission denied").statuses
        assert Status.ERROR not in statuses, path
        assert statuses & {Status.FAIL, Status.UNKNOWN}, (path, statuses)


def _is_evidence(case: Case, path: str) -> bool:
    """Whether the change of the case touches that file."""
    if case.swap[0]:
        return path in ("/etc/libvirt/qemu/db01.xml", "/proc/cmdline")
    lines = [line for line in case.change.splitlines() if not line.startswith("  ")]
    return path.lstrip("/") in {line.partition(": ")[0].rstrip(":") for line in lines}


@pytest.mark.parametrize("case", FAILING, ids=name)
def test_garbage_in_any_file_is_no_crash(case: Case) -> None:
    draw = random.Random(case.check)
    read = judge(case).read
    for path in draw.sample(read, min(FILES_OF_A_CASE, len(read))):
        statuses = judge(case, f"{path} -\n{path}: {draw.choice(GARBAGE)}").statuses
        assert Status.ERROR not in statuses, path


def everything(host: Host) -> list[Result]:
    """Each check asked of a machine in all roles, for each workload."""
    from vmtune.audit import Options

    rows = []
    for workload in Workload:
        rows += machines.audit(host, options=Options(workload=workload, roles=tuple(Role), sample_seconds=0))
    return rows


@pytest.mark.parametrize("machine", machines.NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mangled_machine_is_no_crash(machine: str, data: st.DataObject) -> None:
    """Any few files missing, refused, garbled, or links to somewhere else."""
    store = machines.host(machine).root.store
    entries = [path for path, node in store.entries() if node is not None]  # type: ignore[attr-defined]
    lines = []
    for path in data.draw(st.lists(st.sampled_from(entries), min_size=1, max_size=30, unique=True)):
        how = data.draw(
            st.sampled_from(["-", "! permission denied", *(f": {text}" for text in GARBAGE), "-> ../x", "-> /"])
        )
        lines.append(f"{path} -")
        if how != "-":
            lines.append(f"{path}{how}" if how.startswith(":") else f"{path} {how}")
    statuses = {row.status for row in everything(machines.host(machine, *lines))}
    assert Status.ERROR not in statuses


def test_nothing_at_all_is_no_pass() -> None:
    """An empty machine, and one of which nothing may be read."""
    for host in (
        Host(plant()),
        Host(plant("proc ! permission denied\nsys ! permission denied\netc ! permission denied")),
    ):
        statuses = {row.status for row in everything(host)}
        assert statuses <= {Status.UNKNOWN, Status.SKIP, Status.INFO}


def test_one_unreadable_device_of_a_hundred() -> None:
    """The other 99 are judged."""
    lines = []
    for number in range(100):
        folder = f"sys/devices/pci0000:00/0000:00:05.0/nvme/nvme{number}"
        lines.append(f"sys/class/nvme/nvme{number} -> ../../{folder[4:]}")
        lines.append(f"{folder}/state: {'dead' if number == 7 else 'live'}")
        lines.append(f"{folder}/transport: pcie")
    lines.append("sys/devices/pci0000:00/0000:00:05.0/nvme/nvme42/state ! input/output error")
    rows = machines.audit(Host(plant("\n".join(lines))), only="nvme-controller-down")
    told = {(row.status.value, row.target, row.judged) for row in rows}
    assert told == {("fail", "nvme7", 1), ("unknown", "nvme42", 1), ("pass", "NVMe controllers", 98)}


def test_a_hundred_thousand_devices() -> None:
    host = Host(plant("sys/class/nvme/"))
    for number in range(100_000):
        host.root.store.put(f"/sys/class/nvme/nvme{number}", Link("../../devices/d"))  # type: ignore[attr-defined]
    host.root.store.put("/sys/devices/d/state", b"live\n")  # type: ignore[attr-defined]
    rows = machines.audit(host, only="nvme-controller-down")
    assert sum(row.judged for row in rows) == 100_000
    assert {row.status for row in rows} == {Status.PASS}
