"""A machine of the lab: QEMU with this checkout's vmtune inside, and an agent that does what it is asked."""

from __future__ import annotations

import base64
import ctypes
import fcntl
import functools
import json
import os
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from tests.lab import MACHINES, LabError, Unavailable
from tests.lab.cpio import Cpio
from tests.lab.image import CHECKOUT, Image, code, image

QEMU = "qemu-system-x86_64"
LOGS = CHECKOUT / "build" / "lab"
BOOT_SECONDS = 120.0
"""For a machine to be ready; it takes a fifth of that where nothing else runs."""
RUN_SECONDS = 60.0
TURN_SECONDS = 900.0
"""For other tests' machines to be done with: one at a time."""
TAIL = 25
PDEATHSIG = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
BIOS = struct.pack("<BBHBBHBBQBBBBBB", 0, 24, 0, 1, 2, 0xE800, 3, 0, 8, 0, 4, 0, 0, 0xFF, 0xFF) + (
    b"Lab\0001\00001/01/2024\0\0"
)
"""SMBIOS 3.x §7.1 of a physical machine: in QEMU's own, a bit says that the machine is virtual."""
KINDS = {"what": str, "memory": str, "cpus": str, "qemu": str, "cmdline": str, "modules": list, "start": str,
         "metal": bool, "disks": dict, "files": dict, "tables": list}  # fmt: skip


class Description(NamedTuple):
    """What a machine.toml says; docs/lab.md tells what each field is for."""

    name: str
    what: str
    qemu: str
    memory: str = "1G"
    cpus: str = "2"
    cmdline: str = ""
    modules: tuple[str, ...] = ()
    start: str = ""
    disks: dict[str, str] = {}  # noqa: RUF012 - never changed
    files: dict[str, str] = {}  # noqa: RUF012 - never changed
    tables: tuple[str, ...] = ()
    metal: bool = False


def described(name: str) -> Description:
    """The description of that name."""
    said: dict[str, Any] = tomllib.loads((MACHINES / name / "machine.toml").read_text())
    wrong = [key for key, value in said.items() if key not in KINDS or not isinstance(value, KINDS[key])]
    assert not wrong, f"{name}/machine.toml: {', '.join(wrong)}: unknown, or of the wrong type"
    sizes = list(said.get("disks", {}).values())
    assert len(set(sizes)) == len(sizes), f"{name}/machine.toml: disks are told apart by their sizes; {sizes}"
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
    return Description(name, **values)


class Output(NamedTuple):
    """What a command in a machine came to."""

    code: int
    out: str
    err: str


class Machine:
    """A machine that runs, within `with`. Whatever takes too long or goes wrong raises LabError with its log."""

    def __init__(self, name: str, *, cmdline: str | None = None, qemu: str = "") -> None:
        self.description = described(name)
        self.cmdline = self.description.cmdline if cmdline is None else cmdline
        self.extra = qemu
        """QEMU options beside those of the description."""
        self.boots: list[float] = []
        """Seconds that each boot took."""
        self.image: Image = image()
        self._process: subprocess.Popen[bytes] | None = None
        self._received = b""

    def __enter__(self) -> Machine:
        self._turn = _turn(self.image.folder.parent / "lock")
        self.folder = Path(tempfile.mkdtemp(prefix=f"vmtune-lab-{self.description.name}-"))
        try:
            for disk, size in self.description.disks.items():
                with open(self.folder / disk, "wb") as file:
                    file.truncate(_bytes(size))
            LOGS.mkdir(parents=True, exist_ok=True)
            self.log = LOGS / f"{self.description.name}.log"
            self.log.write_text("")
            self._boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def run(self, *argv: str, seconds: float = RUN_SECONDS) -> Output:
        """A command's exit code and output. It runs with the rights of root."""
        said = self._ask({"run": argv, "seconds": seconds}, seconds + 10)
        out, err = _unpacked(said["out"]).decode(), _unpacked(said["err"]).decode()
        if said["code"] is None:
            raise self._failed(f"`{shlex.join(argv)}` took more than {seconds:g} s: {out}{err}")
        return Output(said["code"], out, err)

    def shell(self, command: str, *, seconds: float = RUN_SECONDS) -> str:
        """What a shell command prints; it must succeed."""
        done = self.run("sh", "-c", command, seconds=seconds)
        if done.code:
            raise self._failed(f"`{command}` in the machine: exit code {done.code}: {done.out}{done.err}")
        return done.out

    def read(self, path: str) -> str:
        """A file's text, without blanks around it. Raises the kernel's OSError."""
        return self.fetch(path).decode().strip()

    def fetch(self, path: str) -> bytes:
        """A file's bytes. Raises the kernel's OSError."""
        return _unpacked(self._ask({"read": path})["data"])

    def write(self, path: str, text: str) -> None:
        """Write a file in one piece. Raises the kernel's OSError."""
        self._ask({"write": path, "data": base64.b64encode(text.encode()).decode()})

    def disks(self) -> dict[str, str]:
        """Which disk of the description each block device is: the kernel names them in another order each time."""
        sizes = {_bytes(size) >> 9: disk for disk, size in self.description.disks.items()}
        lines = self.shell("cd /sys/block; for each in *; do echo $each $(cat $each/size); done").splitlines()
        return {name: sizes[int(size)] for name, size in (line.split() for line in lines) if int(size) in sizes}

    def audit(self, *options: str) -> dict[str, Any]:
        """The JSON report of `vmtune audit`."""
        done = self.run("vmtune", "audit", "--format", "json", *options)
        if not done.out.startswith("{"):
            raise self._failed(f"vmtune audit: exit code {done.code}: {done.out}{done.err}")
        report: dict[str, Any] = json.loads(done.out)
        return report

    @property
    def on(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def cut_power(self) -> None:
        """End it as a power cut would: what the guest has not written is lost, the disks stay as they are."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def boot_again(self, *, cmdline: str | None = None, qemu: str | None = None) -> None:
        """Cut the power if it is on, and boot from the same disks; with another command line, or other devices."""
        self.cut_power()
        self.cmdline = self.cmdline if cmdline is None else cmdline
        self.extra = self.extra if qemu is None else qemu
        self._boot()

    def _boot(self) -> None:
        started = time.monotonic()
        self._received = b""
        with open(self.log, "ab") as log:
            log.write(f"--- {shlex.join(self._options())}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                self._options(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=_die_with_us,  # noqa: PLW1509 - the tests have no threads
            )
        self._answer(BOOT_SECONDS, "was not ready")
        self.boots.append(time.monotonic() - started)

    def _options(self) -> list[str]:
        about, accel = self.description, os.environ.get("VMTUNE_LAB_ACCEL", "tcg,thread=multi")
        if not (self.folder / "initrd").exists():
            self._pack(self.folder / "initrd")
        options = [
            QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-accel", accel,
            "-name", about.name, "-m", about.memory, "-smp", about.cpus,
            "-kernel", str(self.image.kernel), "-initrd", str(self.folder / "initrd"),
            "-append", f"console=ttyS0 panic=-1 quiet {self.cmdline}",
            "-chardev", f"file,id=console,path={self.log},append=on", "-serial", "chardev:console",
            "-chardev", "stdio,id=agent,signal=off", "-serial", "chardev:agent",
        ]  # fmt: skip
        for disk in about.disks:
            options += ["-drive", f"if=none,id={disk},format=raw,file={self.folder / disk}"]
        for table in about.tables:
            options += ["-acpitable", f"file={_compiled(MACHINES / about.name / table, self.folder)}"]
        if about.metal:
            (self.folder / "bios").write_bytes(BIOS)
            options += ["-smbios", f"file={self.folder / 'bios'}"]
        return options + shlex.split(about.qemu, comments=True) + shlex.split(self.extra, comments=True)

    def _pack(self, path: Path) -> None:
        """The image, the code and the files of the description as one initrd: archives that follow each other."""
        about = self.description
        with open(path, "wb") as file:
            for part in (self.image.initrd, code(self.image)):
                file.write(part.read_bytes())
            archive = Cpio(file)
            archive.folders.update(("etc", "lab"))
            archive.put("/lab/modules", " ".join(about.modules).encode())
            archive.put("/lab/start", f"{about.start}\n".encode())
            for name, text in about.files.items():
                archive.put(name, text.encode())
            archive.end()

    def _ask(self, what: dict[str, Any], seconds: float = RUN_SECONDS) -> dict[str, Any]:
        if self._process is None or self._process.stdin is None:
            raise LabError(f"{self.description.name} is switched off")
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failed("has ended") from None
        said = self._answer(seconds, f"did not answer {next(iter(what.values()))}")
        if "error" in said:
            raise OSError(said["errno"], said["error"])
        return said

    def _answer(self, seconds: float, late: str) -> dict[str, Any]:
        """The next line of the agent."""
        assert self._process is not None
        assert self._process.stdout is not None
        handle, deadline = self._process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                raise self._failed(f"{late} within {seconds:g} s")
            data = os.read(handle, 1 << 16)
            if not data:
                raise self._failed(f"has ended with {self._process.wait(10)}")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said

    def _failed(self, what: str) -> LabError:
        text = self.log.read_text(errors="replace").replace("\r", "")
        lines = [line for line in text.splitlines() if "TCG doesn't support" not in line]
        return LabError("\n".join([f"{self.description.name} {what}; {self.log} ends with:", *lines[-TAIL:]]))

    def _end(self) -> None:
        self.cut_power()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._turn.close()


@functools.cache
def why_not() -> str | None:
    """Why there is no lab here; None where there is one."""
    missing = [name for name in (QEMU, "iasl") if shutil.which(name) is None]
    if missing:
        return f"not installed: {' '.join(missing)}"
    try:
        image()
    except Unavailable as reason:
        return str(reason)
    return None


def _die_with_us() -> None:
    """In QEMU's process before it starts: end when the tests do, however they end."""
    ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)


def _turn(path: Path) -> IO[bytes]:
    """Wait until no other machine runs; closing the file gives the turn away."""
    file = open(path, "wb")  # noqa: SIM115 - open for as long as the machine runs
    deadline = time.monotonic() + TURN_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise LabError(f"{path}: another machine has been running for {TURN_SECONDS:g} s") from None
            time.sleep(0.5)


def _bytes(size: str) -> int:
    return int(size[:-1]) << {"M": 20, "G": 30}[size[-1]]


def _compiled(source: Path, folder: Path) -> Path:
    """An ACPI table from its source."""
    table = folder / source.with_suffix(".aml").name
    if not table.exists():
        done = subprocess.run(["iasl", "-p", table, source], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise LabError(f"iasl {source}: {done.stdout}{done.stderr}")
    return table


def _unpacked(text: str) -> bytes:
    return base64.b64decode(text)


def main(argv: Sequence[str]) -> None:
    """`python -m tests.lab.machine NAME`: lines of a shell in a machine, until the end of the input."""
    if len(argv) != 1:
        sys.exit(
            f"usage: python -m tests.lab.machine {'|'.join(sorted(p.parent.name for p in MACHINES.glob('*/*.toml')))}"
        )
    if reason := why_not():
        sys.exit(f"no lab here: {reason}")
    with Machine(argv[0]) as machine:
        print(
            f"{argv[0]}: {machine.description.what} Ready after {machine.boots[0]:.0f} s; ^D ends it.", file=sys.stderr
        )
        folder = "/"
        while True:
            try:
                line = input(f"{argv[0]}:{folder}# ")
            except EOFError:
                break
            script = f'cd "$1"; {line}\ncode=$?; pwd >/run/lab-folder; exit $code'
            try:
                done = machine.run("sh", "-c", script, "-", folder, seconds=600)
            except LabError as error:
                sys.exit(str(error))
            folder = machine.read("/run/lab-folder") or "/"
            print(done.out + done.err, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
