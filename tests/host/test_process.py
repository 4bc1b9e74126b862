from __future__ import annotations

import pytest

from tests.tree import plant
from vmtune.host import Host
from vmtune.host.process import processes, unseen
from vmtune.root import Root, Unreadable

MACHINE = """
/proc/1/comm: systemd
/proc/42/comm: qemu-system-x86
/proc/43/comm: odd) name
/proc/meminfo: MemTotal: 1 kB
/proc/4x/comm: no process
/proc/self -> 1
"""


def test_each_process_by_its_name() -> None:
    host = Host(plant(MACHINE))
    assert processes(host) == {1: "systemd", 42: "qemu-system-x86", 43: "odd) name"}
    assert unseen(host) is None


def test_they_are_looked_up_once() -> None:
    host = Host(plant(MACHINE))
    assert processes(host) is processes(host)


def test_one_that_has_ended_is_none_and_one_that_is_hidden_is_told() -> None:
    host = Host(plant(MACHINE, "/proc/77/", "/proc/78/", "/proc/78/comm ! permission denied"))
    assert sorted(processes(host)) == [1, 42, 43]
    hidden = unseen(host)
    assert hidden is not None
    assert (hidden.path, hidden.reason) == ("/proc/78/comm", "permission denied")


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ("/sys/x: 1", "absent"),
        ("/proc/cmdline: quiet", "no processes here"),
        ("/proc ! permission denied", "permission denied"),
        ("/proc/1/\n/proc/1/comm ! not in this capture\n/proc/2/", "not in this capture"),
    ],
)
def test_none_at_all(tree: str, reason: str) -> None:
    host = Host(plant(tree))
    for _ in range(2):
        with pytest.raises(Unreadable, match=reason):
            processes(host)


def test_on_a_live_machine_the_first_process_is_always_there() -> None:
    host = Host(Root(plant("/proc/42/comm: postgres").store))
    assert processes(host) == {42: "postgres"}
    assert "hidepid" in str(unseen(host))


def test_garbage_is_a_name_too() -> None:
    root = plant("/proc/1/comm: x")
    root.store.put("/proc/9/comm", b"\xff\x00\n\n")  # type: ignore[attr-defined]
    assert processes(Host(root))[9] == "\\xff\x00\n"
