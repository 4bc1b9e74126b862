"""The command line as a user meets it: a process, its output and its exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests import machines
from vmtune import __version__
from vmtune.check import all_checks

VMTUNE = [sys.executable, "-m", "vmtune"]
GOOD_DOMAIN = "<domain type='kvm'><name>web</name><memory>1048576</memory><vcpu>2</vcpu><devices>{}</devices></domain>"
UNSAFE_DISK = (
    "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe'/>"
    "<source file='/x.img'/><target dev='vda' bus='virtio'/></disk>"
)


def vmtune(*argv: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run vmtune; standard input is empty, and there is no terminal."""
    return subprocess.run(
        [*VMTUNE, *argv],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        cwd=cwd,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The KVM host of tests/machines as a captured directory."""
    top = tmp_path_factory.mktemp("tree")
    write_tree(machines.host("kvm-host"), top)
    return top


def write_tree(host: Any, top: Path) -> None:
    """A planted machine on disk."""
    for path, node in host.root.store.entries():
        place = top / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(node, bytes):
            place.write_bytes(node)
        elif node is None:
            place.mkdir(exist_ok=True)
        else:
            place.symlink_to(node.target)


def test_version_and_help() -> None:
    assert vmtune("--version").stdout == f"vmtune {__version__}\n"
    assert vmtune("-h").returncode == 0
    for command in ("audit", "inspect", "checks", "explain", "capture"):
        assert f"  {command} " in vmtune("-h").stdout
        assert vmtune(command, "-h").returncode == 0


def test_the_report_of_this_machine_follows_its_schema() -> None:
    done = vmtune("audit", "--format", "json", "--fail-on", "none")
    report = json.loads(done.stdout)
    schema = json.loads(resources.files("vmtune.report").joinpath("report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(report)
    assert done.returncode == report["gate"]["exit_code"]
    assert report["run"]["source"] == {"kind": "live", "path": None}
    assert len({row["check"] for row in report["results"]}) == len(all_checks())
    assert not [row for row in report["results"] if row["status"] == "error"]


def test_the_format_never_changes_the_exit_code(tree: Path) -> None:
    for arguments in ((), ("--workload", "db"), ("--only", "vmx-*")):
        codes = {
            vmtune("audit", "--root", str(tree), "--format", each, *arguments).returncode for each in ("table", "json")
        }
        assert len(codes) == 1, arguments


def test_the_table_leads_with_the_verdict(tree: Path) -> None:
    lines = vmtune("audit", "--root", str(tree), "--workload", "db").stdout.splitlines()
    assert lines[0].split(":")[0] in ("READY", "READY WITH FINDINGS", "NOT READY", "INCOMPLETE")


def test_a_domain_file_is_judged_alone(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_text(GOOD_DOMAIN.format(""))
    bad.write_text(GOOD_DOMAIN.format(UNSAFE_DISK))
    assert vmtune("audit", "--domain", str(good)).returncode == 0
    done = vmtune("audit", "--domain", str(bad), "--format", "json")
    assert done.returncode == 1
    (finding,) = [row for row in json.loads(done.stdout)["results"] if row["status"] == "fail"]
    assert (finding["check"], finding["target"], finding["severity"]) == ("disk-cache-unsafe", "domain/web", "critical")
    reasons = {row["reason"] for row in json.loads(done.stdout)["results"] if row["status"] == "skip"}
    assert "no host given" in reasons


def test_a_vmx_file_is_judged_alone(tmp_path: Path) -> None:
    file = tmp_path / "db.vmx"
    file.write_text(
        'scsi0.present = "TRUE"\nscsi0.virtualDev = "lsilogic"\nscsi0:0.present = "TRUE"\nscsi0:0.fileName = "a.vmdk"\n'
    )
    done = vmtune("audit", "--vmx", str(file), "--workload", "db", "--format", "json")
    found = [(row["check"], row["target"]) for row in json.loads(done.stdout)["results"] if row["status"] == "fail"]
    assert found == [("vmx-legacy-controller", "db.vmx:scsi0")]
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("audit", "--root", "/nowhere/at/all"), "/nowhere/at/all"),
        (("audit", "--root", "/etc/passwd"), "/etc/passwd"),
        (("audit", "--domain", "/nowhere.xml"), "/nowhere.xml"),
        (("audit", "--domain", "/etc/passwd"), "/etc/passwd"),
        (("audit", "--vmx", "/nowhere.vmx"), "/nowhere.vmx"),
        (("audit", "--only", "no-such-check"), "no-such-check"),
        (("audit", "--workload", "fast"), "fast"),
        (("audit", "--min-coverage", "101"), "101"),
        (("audit", "--assume", "speed"), "speed"),
        (("audit", "--config", "/nowhere.toml"), "/nowhere.toml"),
        (("audit", "--output", "/nowhere/at/all/report"), "/nowhere/at/all/report"),
        (("explain", "thp-unsuitd"), "did you mean thp-unsuited"),
        (("nonsense",), "nonsense"),
        (("capture", "/nowhere/at/all/x.tar.gz"), "/nowhere/at/all"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(argv: tuple[str, ...], said: str) -> None:
    done = vmtune(*argv)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_thresholds_of_the_site_file_are_checked(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    for text, said in (
        ("[checks.nonsense]\n", "checks.nonsense: no such check"),
        ("[checks.swappiness-high]\nmax = 3", "checks.swappiness-high.max: no such threshold; it has: "),
        ("[checks.swappiness-high]\ndb_max = 'x'", "checks.swappiness-high.db_max: 'x' is no int"),
    ):
        site.write_text(text)
        done = vmtune("audit", "--config", str(site), "--only", "swappiness-high")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_the_current_folder_configures_nothing(tmp_path: Path) -> None:
    (tmp_path / "vmtune.toml").write_text("nonsense = ")
    assert vmtune("audit", "--only", "platform-limits", cwd=tmp_path).returncode == 0


def test_output_is_written_whole_with_mode_0600(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text("old")
    done = vmtune("audit", "--format", "json", "--output", str(file), "--only", "platform-limits")
    assert done.stdout == ""
    assert json.loads(file.read_text())["schema"] == "vmtune.report/1.0"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_closed_pipe_is_no_error() -> None:
    script = f"{sys.executable} -m vmtune checks | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_terminal_there_is_no_colour_and_no_progress(tree: Path) -> None:
    done = vmtune("audit", "--root", str(tree))
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_on_a_terminal_there_is_colour_unless_told_otherwise(environment: dict[str, str], coloured: bool) -> None:
    ours, theirs = pty.openpty()
    command = [*VMTUNE, "audit", "--only", "platform-limits"]
    settings = {**os.environ, "TERM": "xterm", "COLUMNS": "60", **environment}
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=settings)
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 4096):
            text += part
    except OSError:  # the terminal is closed on the other side
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert (b"\x1b[1;32m" in text) is coloured


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_audit_reports_what_it_has(tmp_path: Path, number: signal.Signals) -> None:
    """The report so far, marked as incomplete, and exit code 130."""
    file = tmp_path / "report.json"
    slow = "import vmtune.audit, time\nold = vmtune.audit.Audit._judge_all\n"
    slow += "def judge(self, check):\n    time.sleep(0.3)\n    yield from old(self, check)\n"
    slow += "vmtune.audit.Audit._judge_all = judge\nfrom vmtune.cli import main\n"
    slow += f"main(['audit', '--format', 'json', '--output', {str(file)!r}])"
    process = subprocess.Popen([sys.executable, "-c", slow], stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    process.send_signal(number)
    assert process.wait(60) == 130
    report = json.loads(file.read_text())
    assert report["run"]["complete"] is False
    assert (report["gate"]["verdict"], report["gate"]["exit_code"]) == ("incomplete", 130)


def test_a_bug_is_told_as_one() -> None:
    broken = "import vmtune.audit\ndef run(*_): raise KeyError('oops')\nvmtune.audit.Audit.run = run\n"
    broken += "from vmtune.cli import main\nmain(['audit'])"
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 70
    assert "bug in vmtune" in done.stderr
    assert "KeyError: 'oops'" in done.stderr


def test_every_check_is_listed_and_explains_itself() -> None:
    listed = json.loads(vmtune("checks", "--format", "json").stdout)
    assert [row["id"] for row in listed] == list(all_checks())
    table = vmtune("checks").stdout
    for id in all_checks():
        assert id in table
    text = vmtune("explain", "thp-unsuited").stdout
    for heading in ("Why:", "Source:", "Judges:"):
        assert heading in text


@pytest.mark.parametrize("workload", ["db", "network", "latency", "general"])
def test_the_audit_of_a_capture_is_the_audit_of_the_machine(captured: Path, workload: str) -> None:
    arguments = ("--workload", workload, "--role", "host", "--role", "guest", "--format", "json", "-v")
    live, told = (json.loads(vmtune("audit", *where, *arguments).stdout) for where in ((), ("--root", str(captured))))
    assert _stable(live["results"]) == _stable(told["results"])
    assert live["gate"] == told["gate"]
    assert {key: told["host"][key] for key in ("cpu", "pci", "kvm", "network")} == {
        key: live["host"][key] for key in ("cpu", "pci", "kvm", "network")
    }


def _stable(results: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """What does not change from one moment to the next."""
    return [(row["check"], row["target"], row["status"], row["severity"], row["fingerprint"]) for row in results]


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of this machine."""
    file = tmp_path_factory.mktemp("capture") / "this.tar.gz"
    done = vmtune("capture", str(file))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    return file


def test_inspect_shows_every_subject(tree: Path) -> None:
    text = vmtune("inspect", "--root", str(tree)).stdout
    for word in ("alder", "NUMA nodes", "0000:81:00.0", "nvme0", "db01", "intel_pstate", "i40e"):
        assert word in text or word == "intel_pstate"
    data = json.loads(vmtune("inspect", "--root", str(tree), "--format", "json").stdout)
    assert data["roles"] == ["host"]
    assert [node["id"] for node in data["numa"]["nodes"]] == [0, 1]
    ledger = vmtune("inspect", "--cpus", "--root", str(tree)).stdout
    assert "db01" in ledger


def test_the_default_path_imports_nothing_dear() -> None:
    dear = ("jsonschema", "pyudev", "psutil", "cpuinfo", "tabulate", "inspect_", "tomllib", "json", "subprocess")
    script = "import sys\nfrom vmtune.cli import main\ntry: main(['audit'])\nexcept SystemExit: pass\n"
    script += f"print([name for name in {dear!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_a_cross_check_agrees_on_this_machine() -> None:
    rows = json.loads(vmtune("inspect", "--cross-check", "--format", "json").stdout)["cross_check"]
    assert len(rows) >= 7
    assert [row for row in rows if row["vmtune"] != row["other"] and None not in (row["vmtune"], row["other"])] == []
    assert vmtune("inspect", "--cross-check", "--root", "/").returncode == 2


def test_a_domain_by_its_name(tree: Path) -> None:
    done = vmtune("audit", "--root", str(tree), "--domain", "db01", "--format", "json")
    report = json.loads(done.stdout)
    assert {row["target"] for row in report["results"] if row["status"] == "pass"} == {"domain/db01"}
    assert report["run"]["workload"] == "db"
    missing = vmtune("audit", "--root", str(tree), "--domain", "db02")
    assert (missing.returncode, "domains: db01" in missing.stderr) == (2, True)


def test_inspect_of_a_tree_that_tells_next_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    for argument in ("--cpus", "--format=table", "--format=json"):
        done = vmtune("inspect", argument, "--root", str(tmp_path))
        assert (done.returncode, done.stderr) == (0, "")
    assert "not known" in vmtune("inspect", "--cpus", "--root", str(tmp_path)).stdout


def test_output_replaces_nothing_but_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("pipe", "link"):
        done = vmtune("audit", "--only", "platform-limits", "--output", str(tmp_path / name))
        assert (done.returncode, "no regular file" in done.stderr) == (2, True)
    assert (tmp_path / "target").read_text() == "kept"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "2>&-", "2>/dev/full"])
def test_streams_that_take_nothing_are_no_bug(redirection: str) -> None:
    for arguments, codes in (
        ("audit --only platform-limits", {0, 2}),
        ("audit --root /nope", {2}),
        ("--version", {0, 2}),
    ):
        script = f"{sys.executable} -m vmtune {arguments} {redirection}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in codes, (script, done.returncode, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_closed_pipe_keeps_the_verdict(tree: Path) -> None:
    script = (
        f"{sys.executable} -m vmtune audit -v --root {tree} --only vmx-* | (exec <&-; sleep 1); exit ${{PIPESTATUS[0]}}"
    )
    assert subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=False).returncode == 3


def test_a_pipe_is_no_input_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.xml")
    for option in ("--domain", "--vmx"):
        assert vmtune("audit", option, str(tmp_path / "x.xml")).returncode == 2


def test_the_site_file_of_a_captured_tree_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    (tmp_path / "etc/vmtune").mkdir(parents=True)
    (tmp_path / "etc/vmtune/vmtune.toml").write_text('workload = "latency"\nroles = ["guest"]')
    report = json.loads(vmtune("audit", "--root", str(tmp_path), "--format", "json").stdout)
    assert report["run"]["workload"] == "general"
    assert report["host"]["roles"] == []


@pytest.mark.parametrize("option", ["--min-coverage", "--sample"])
def test_what_is_no_number_is_refused(option: str) -> None:
    assert vmtune("audit", option, "nan").returncode == 2


@pytest.mark.parametrize(
    "text", ["a=" + "[" * 9000, "[checks.swappiness-high]\ndb_max=" + "9" * 5000, '"\\u001b[31mX"=1']
)
def test_a_hostile_site_file_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "site.toml").write_text(text)
    done = vmtune("audit", "--config", str(tmp_path / "site.toml"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "\x1b" not in done.stderr
