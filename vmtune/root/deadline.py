"""What may take for ever: attributes behind a device lock, and commands. Each has a deadline.

A read of `sriov_numvfs` waits for the PF's device lock, and a process that waits there cannot be killed
(drivers/pci/iov.c, drivers/base/core.c). So such reads happen in a helper process; one that does not answer is
abandoned, never joined.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from contextlib import suppress
from stat import S_ISREG

from vmtune.root.unreadable import Unreadable, reason_of

READ_SECONDS = 2.0
"""Time for one attribute."""
ALL_SECONDS = 10.0
"""Time that attributes may be waited for in vain, all together."""
COMMAND_SECONDS = 10.0
OUTPUT_LIMIT = 4 << 20
"""Bytes that a command may print."""
_ATTRIBUTE_LIMIT = 1 << 16
_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
_ENVIRONMENT = {"LC_ALL": "C", "PATH": ":".join(_PATH)}
_OTHERS_MAY_WRITE = 0o022
_KILLED_SECONDS = 0.5
_abandoned: set[int] = set()
"""Processes that were killed and had not ended yet when they were last looked at."""

Answer = bytes | Unreadable | None


def read_all(paths: list[str], seconds: float = READ_SECONDS) -> dict[str, Answer]:
    """Read attributes of the live machine in a helper; one that gives no answer is Unreadable, the rest go on."""
    answers: dict[str, Answer] = {}
    rest = list(dict.fromkeys(paths))
    patience = max(ALL_SECONDS, seconds)
    while rest and patience > 0:
        done = _read_until_stuck(rest, seconds)
        answers.update(done)
        rest = rest[len(done) :]
        patience -= seconds
    for path in rest:
        answers[path] = Unreadable(path, "not read: others of its kind gave no answer")
    return answers


def _read_until_stuck(paths: list[str], seconds: float) -> dict[str, Answer]:
    """Answers of one helper process, in order, the last one a time-out where it got stuck."""
    _reap()
    receive, send = os.pipe2(os.O_CLOEXEC)
    try:
        helper = os.fork()
    except OSError as error:
        os.close(receive)
        os.close(send)
        return {path: Unreadable(path, f"no helper process: {reason_of(error)}") for path in paths}
    if helper == 0:
        _serve(send, paths)
    os.close(send)
    answers: dict[str, Answer] = {}
    try:
        for path in paths:
            answer = _receive(receive, seconds)
            if answer is None:
                answers[path] = Unreadable(path, f"no answer within {seconds:g} s (a device lock is held)")
                break
            code, data = answer
            if code == errno.ENOENT:
                answers[path] = None
            else:
                answers[path] = Unreadable(path, reason_of(OSError(code, os.strerror(code)))) if code else data
    finally:
        os.close(receive)
        _abandon(helper)
    return answers


def _serve(send: int, paths: list[str]) -> None:
    """The helper: one answer a path, an errno and a length before it; then gone without the parent's clean-up."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _hold_nothing_but(send)
        for path in paths:
            code, data = 0, b""
            try:
                data = _attribute(path)
            except OSError as error:
                code = error.errno or errno.EIO
            message = code.to_bytes(4, "little") + len(data).to_bytes(4, "little") + data
            while message:
                message = message[os.write(send, message) :]
        status = 0
    finally:
        os._exit(status)


def _hold_nothing_but(send: int) -> None:
    """Close what was inherited: else who reads our output through a pipe would wait for a helper that is stuck."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != send:
            with suppress(OSError):  # the one that listed them is closed already
                os.close(int(name))


def _attribute(path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY)
    try:
        return os.read(handle, _ATTRIBUTE_LIMIT)
    finally:
        os.close(handle)


def _receive(receive: int, seconds: float) -> tuple[int, bytes] | None:
    until = time.monotonic() + seconds
    head = _exactly(receive, 8, until)
    if head is None:
        return None
    body = _exactly(receive, int.from_bytes(head[4:], "little"), until)
    return None if body is None else (int.from_bytes(head[:4], "little"), body)


def _exactly(receive: int, size: int, until: float) -> bytes | None:
    data = b""
    poll = select.poll()
    poll.register(receive, select.POLLIN)
    while len(data) < size:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        part = os.read(receive, size - len(data))
        if not part:
            return None
        data += part
    return data


def _abandon(process: int) -> None:
    """Kill a process of ours; wait for its end no longer than one takes that can be killed at all."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    _abandoned.add(process)
    until = time.monotonic() + _KILLED_SECONDS
    pause = 0.0005
    while process in _reap() and time.monotonic() < until:
        time.sleep(pause)
        pause *= 2


def _reap() -> set[int]:
    """Take note of those abandoned that have ended meanwhile; the rest."""
    for process in list(_abandoned):
        try:
            ended, _ = os.waitpid(process, os.WNOHANG)
        except ChildProcessError:
            ended = process
        if ended:
            _abandoned.discard(process)
    return _abandoned


# -- commands ----------------------------------------------------------------------------------------------------------


def run(argv: tuple[str, ...], seconds: float = COMMAND_SECONDS) -> str | Unreadable | None:
    """What a command of the system prints; None where it is not installed, Unreadable where it fails or hangs."""
    shown = " ".join(argv)
    program = _program(argv[0])
    if program is None or isinstance(program, Unreadable):
        return program
    try:
        status, printed, said = _run(program, argv, seconds)
    except TimeoutError:
        return Unreadable(shown, f"no answer within {seconds:g} s")
    except OSError as error:
        return Unreadable(shown, reason_of(error))
    if status:
        lines = said.decode("utf-8", "backslashreplace").strip().splitlines()
        return Unreadable(shown, lines[-1][:200] if lines else f"exit status {status}")
    return printed.decode("utf-8", "backslashreplace")


def _program(name: str) -> str | Unreadable | None:
    """Where the system's own program of that name is; Unreadable where others than root may have put it there."""
    if "/" in name:
        return None
    for folder in _PATH:
        path = os.path.realpath(f"{folder}/{name}")
        try:
            status = os.stat(path)
        except OSError:
            continue
        if not S_ISREG(status.st_mode) or not status.st_mode & 0o111:
            continue
        above = os.stat(os.path.dirname(path))
        if any(each.st_uid or each.st_mode & _OTHERS_MAY_WRITE for each in (status, above)):
            return Unreadable(path, "not run: others than root may write it")
        return path
    return None


def _run(program: str, argv: tuple[str, ...], seconds: float) -> tuple[int, bytes, bytes]:
    """Exit status and output of a program. Raises TimeoutError, or OSError where it prints too much."""
    import subprocess

    until = time.monotonic() + seconds
    child = subprocess.Popen(
        [program, *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        printed, said = _both(child.stdout.fileno(), child.stderr.fileno(), until)
        try:
            return child.wait(max(until - time.monotonic(), 0.001)), printed, said
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
    finally:
        # Whatever it started too: the group stays its own until its leader is reaped.
        if child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_KILLED_SECONDS)
        child.stdout.close()
        child.stderr.close()


def _both(output: int, errors: int, until: float) -> tuple[bytes, bytes]:
    """All that is written into two pipes. Raises TimeoutError, or OSError where it is too much."""
    parts: dict[int, list[bytes]] = {output: [], errors: []}
    poll = select.poll()
    open_ends = [output, errors]
    for end in open_ends:
        poll.register(end, select.POLLIN)
    total = 0
    while open_ends:
        left = until - time.monotonic()
        ready = poll.poll(left * 1000) if left > 0 else []
        if not ready:
            raise TimeoutError
        for end, _ in ready:
            part = os.read(end, 1 << 16)
            total += len(part)
            if total > OUTPUT_LIMIT:
                raise OSError(errno.EFBIG, "prints more than is believed of it")
            if part:
                parts[end].append(part)
            else:
                poll.unregister(end)
                open_ends.remove(end)
    return b"".join(parts[output]), b"".join(parts[errors])
