"""Reads and commands that never answer."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vmtune.root import Root, Unreadable, deadline, live_root
from vmtune.root.deadline import read_all, run
from vmtune.root.directory import Directory


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Neither a process nor a handle outlives a test."""
    handles = _handles()
    yield
    deadline._reap()
    assert not deadline._abandoned
    assert _children() == []
    assert _handles() == handles


def _handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def _reason(answer: object) -> str:
    assert isinstance(answer, Unreadable)
    return answer.reason


def _timed(ask: Callable[[], object]) -> float:
    start = time.monotonic()
    ask()
    return time.monotonic() - start


# -- attributes -------------------------------------------------------------------------------------------------------


def test_answers_in_order(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    paths = [str(tmp_path / name) for name in ("a", "none", "empty", "link", "a", "large")]
    answers = read_all([*paths, str(tmp_path)])
    assert answers[paths[0]] == b"1\n"
    assert answers[paths[1]] is None
    assert answers[paths[2]] == b""
    assert _reason(answers[paths[3]]) == "too many links"
    assert answers[paths[5]] == bytes(1 << 16)
    assert _reason(answers[str(tmp_path)]) == "is a folder"
    assert read_all([]) == {}


def test_one_that_hangs_costs_only_itself(tmp_path: Path) -> None:
    """A pipe without a writer hangs as a held device lock does."""
    (tmp_path / "a").write_bytes(b"1\n")
    os.mkfifo(tmp_path / "stuck")
    a, stuck = str(tmp_path / "a"), str(tmp_path / "stuck")
    answers: dict[str, object] = {}
    took = _timed(lambda: answers.update(read_all([a, stuck, f"{a}/x", a + "/../a"], 0.3)))
    assert 0.3 <= took < 5
    assert answers[a] == b"1\n"
    assert _reason(answers[stuck]) == "no answer within 0.3 s (a device lock is held)"
    assert _reason(answers[f"{a}/x"]) == "not a directory"


def test_many_that_hang_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "ALL_SECONDS", 0.4)
    paths = [str(tmp_path / f"{place:03}") for place in range(100)]
    for path in paths:
        os.mkfifo(path)
    answers: dict[str, object] = {}
    assert _timed(lambda: answers.update(read_all(paths, 0.1))) < 5
    assert _reason(answers[paths[0]]) == "no answer within 0.1 s (a device lock is held)"
    assert _reason(answers[paths[-1]]) == "not read: others of its kind gave no answer"
    assert list(answers) == paths


def test_a_helper_that_cannot_be_killed_is_abandoned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As one in an uninterruptible wait: it is reaped whenever it ends, and nobody waits for it."""
    os.mkfifo(tmp_path / "stuck")
    stuck = str(tmp_path / "stuck")
    monkeypatch.setattr(deadline, "_KILLED_SECONDS", 0.1)
    spared: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", lambda process, _: spared.append(process))
        assert _timed(lambda: read_all([stuck], 0.1)) < 5
    assert deadline._abandoned == set(spared)
    os.kill(spared[0], signal.SIGKILL)
    for _ in range(200):
        if not deadline._reap():
            break
        time.sleep(0.01)


def test_a_stuck_helper_holds_none_of_our_handles(tmp_path: Path) -> None:
    """Else whoever reads what we print through a pipe would wait for it, and not for us."""
    os.mkfifo(tmp_path / "stuck")
    program = (
        "import os\n"
        "from vmtune.root import deadline\n"
        "deadline._KILLED_SECONDS = 0\n"
        "os.kill = lambda *_: None\n"
        f"deadline.read_all([{str(tmp_path / 'stuck')!r}], 0.2)\n"
        "print(*deadline._abandoned)\n"
    )
    done = subprocess.run(
        [os.path.realpath("/proc/self/exe"), "-c", program],
        capture_output=True,
        timeout=30,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    helper = int(done.stdout)
    assert os.readlink(f"/proc/{helper}/fd/1") == "/dev/null"
    os.kill(helper, signal.SIGKILL)


def test_helpers_end_with_their_work(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n")
    for _ in range(30):
        assert read_all([str(tmp_path / "a"), str(tmp_path / "none")])[str(tmp_path / "a")] == b"1\n"
        assert _children() == []


def test_a_root_remembers_what_a_helper_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n")
    (tmp_path / "link").symlink_to("a")
    folder = os.path.realpath(tmp_path)
    with live_root() as root:
        root.guarded([f"{folder}/a", f"{folder}/link", f"{folder}/none", f"{folder}/none/x"])
        (tmp_path / "a").unlink()
        assert root.read(f"{folder}/a") == "1"
        assert root.read(f"{folder}/link") == "1"
        assert root.read(f"{folder}/none/x") is None
    with Root(Directory("/"), name="captured") as captured:
        captured.guarded([f"{folder}/a"])
        assert captured.data == {}


# -- commands ---------------------------------------------------------------------------------------------------------


def test_what_a_command_prints() -> None:
    assert run(("echo", "a", "b  c")) == "a b  c\n"
    assert run(("printf", r"\377")) == "\\xff"
    assert run(("true",)) == ""
    assert run(("pwd",)) == "/\n"


def test_a_command_that_is_not_installed() -> None:
    assert run(("no-such-command",)) is None
    assert run(("../bin/echo",)) is None
    assert run(("/bin/echo",)) is None


def test_a_command_that_fails() -> None:
    assert _reason(run(("sh", "-c", "echo no; echo why >&2; exit 3"))) == "why"
    assert _reason(run(("false",))) == "exit status 1"
    assert _reason(run(("sh", "-c", "kill -9 $$"))) == "exit status -9"


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/tmp/evil.so")
    monkeypatch.setenv("VMTUNE_TEST", "1")
    said = run(("env",))
    assert isinstance(said, str)
    assert sorted(line.partition("=")[0] for line in said.splitlines()) == ["LC_ALL", "PATH"]


def test_a_command_reads_nothing_of_ours() -> None:
    assert run(("cat",)) == ""


@pytest.mark.parametrize(
    "script",
    [
        "sleep 61.379",
        "sleep 61.379 & echo started; wait",
        "sleep 61.379 & exit 0",
        "trap '' TERM INT; while :; do :; done",
    ],
)
def test_a_command_that_hangs_goes_with_all_it_started(script: str) -> None:
    before = _sleepers()  # one that a test before has killed may still be going
    assert _timed(lambda: _reason(run(("sh", "-c", script), 0.3))) < 5
    for _ in range(500):
        if _sleepers() <= before:
            break
        time.sleep(0.01)
    assert _sleepers() <= before
    assert _reason(run(("sh", "-c", "sleep 61.379"), 0.1)) == "no answer within 0.1 s"


def _sleepers() -> set[str]:
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                line = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if line == b"sleep\00061.379\0":
                found.add(name)
    return found


@pytest.mark.parametrize("script", ["yes", "yes >&2"])
def test_a_command_that_prints_without_end_is_stopped(script: str) -> None:
    answers: list[object] = []
    assert _timed(lambda: answers.append(run(("sh", "-c", script)))) < 5
    assert _reason(answers[0]) == "larger than is believed of such a file"


def test_only_the_systems_own_programs_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    program = folder / "tool"
    program.write_text("#!/bin/sh\necho ran\n")
    monkeypatch.setattr(deadline, "_PATH", (str(folder),))
    program.chmod(0o644)
    assert run(("tool",)) is None
    program.chmod(0o777)
    assert _reason(run(("tool",))) == "not run: others than root may write it"
    program.chmod(0o755)
    folder.chmod(0o777)
    assert _reason(run(("tool",))) == "not run: others than root may write it"
    folder.chmod(0o755)
    if os.geteuid():
        assert _reason(run(("tool",))) == "not run: others than root may write it"
        return
    assert run(("tool",)) == "ran\n"
    os.chown(program, 65534, 65534)
    assert _reason(run(("tool",))) == "not run: others than root may write it"
    (folder / "alias").symlink_to("tool")
    assert _reason(run(("alias",))) == "not run: others than root may write it"


def test_a_root_asks_a_command_once(tmp_path: Path) -> None:
    with Root(Directory(str(tmp_path))) as root:
        first = root.output("date", "+%N")
        assert root.output("date", "+%N") == first
        assert root.output("no-such-command") is None
        for _ in range(2):
            with pytest.raises(Unreadable, match="exit status 1"):
                root.output("false")
