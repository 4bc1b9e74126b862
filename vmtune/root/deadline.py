"""What may take for ever: attributes behind a device lock, and commands. Each has a deadline.

A read of `sriov_numvfs` waits for the PF's device lock, and a process that waits there cannot be killed (drivers/pci/iov.c,
drivers/base/core.c). So such reads happen in a helper process; one that does not answer is abandoned, never joined.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time

from vmtune.root.unreadable import Unreadable

READ_SECONDS = 2.0
COMMAND_SECONDS = 10.0
OUTPUT_LIMIT = 4 << 20
_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
_ENVIRONMENT = {"LC_ALL": "C", "PATH": ":".join(_PATH)}


def read_all(paths: list[str], seconds: float = READ_SECONDS) -> dict[str, bytes | Unreadable | None]:
    """Read attributes of the live machine in a helper; one that does not answer in time is Unreadable, the rest go on."""
    answers: dict[str, bytes | Unreadable | None] = {}
    rest = list(paths)
    while rest:
        done = _read_until_stuck(rest, seconds)
        answers.update(done)
        rest = rest[len(done) :]
    return answers


def _read_until_stuck(paths: list[str], seconds: float) -> dict[str, bytes | Unreadable | None]:
    """Answers of one helper process, in order, the last one a time-out where it got stuck."""
    receive, send = os.pipe2(os.O_CLOEXEC)
    helper = os.fork()
    if helper == 0:
        _serve(send, paths)
    os.close(send)
    answers: dict[str, bytes | Unreadable | None] = {}
    try:
        for path in paths:
            answer = _receive(receive, seconds)
            if answer is None:
                answers[path] = Unreadable(path, f"no answer within {seconds:g} s (a device lock is held)")
                break
            answers[path] = _decoded(path, answer)
    finally:
        os.close(receive)
        os.kill(helper, signal.SIGKILL)
        if len(answers) == len(paths) and not isinstance(answers[paths[-1]], Unreadable):
            os.waitpid(helper, 0)
        else:
            os.waitpid(helper, os.WNOHANG)
    return answers


def _serve(send: int, paths: list[str]) -> None:
    """The helper: one answer a path, a length and an errno before it; then gone without any clean-up of the parent's."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for path in paths:
            code, data = 0, b""
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    data = os.read(handle, 1 << 16)
                finally:
                    os.close(handle)
            except OSError as error:
                code = error.errno or errno.EIO
            message = code.to_bytes(4, "little") + len(data).to_bytes(4, "little") + data
            while message:
                message = message[os.write(send, message) :]
        status = 0
    finally:
        os._exit(status)


def _receive(receive: int, seconds: float) -> tuple[int, bytes] | None:
    until = time.monotonic() + seconds
    head = _exactly(receive, 8, until)
    if head is None:
        return None
    body = _exactly(receive, int.from_bytes(head[4:], "little"), until)
    return None if body is None else (int.from_bytes(head[:4], "little"), body)


def _exactly(receive: int, size: int, until: float) -> bytes | None:
    data = b""
    while len(data) < size:
        left = until - time.monotonic()
        if left <= 0 or not select.select([receive], [], [], left)[0]:
            return None
        part = os.read(receive, size - len(data))
        if not part:
            return None
        data += part
    return data


def _decoded(path: str, answer: tuple[int, bytes]) -> bytes | Unreadable | None:
    code, data = answer
    if code in (errno.ENOENT, errno.ENODEV):
        return None
    return Unreadable(path, os.strerror(code).lower()) if code else data


def run(argv: tuple[str, ...], seconds: float = COMMAND_SECONDS) -> str | Unreadable | None:
    """What a command of the system prints; None where it is not installed, Unreadable where it fails or hangs."""
    import subprocess

    name = argv[0]
    program = next((found for folder in _PATH if os.access(found := f"{folder}/{name}", os.X_OK)), None)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_ENVIRONMENT,
            cwd="/",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Unreadable(name, f"no answer within {seconds:g} s")
    except OSError as error:
        return Unreadable(name, (error.strerror or "cannot be run").lower())
    if done.returncode:
        said = done.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
        return Unreadable(" ".join(argv), said[-1][:200] if said else f"exit status {done.returncode}")
    if len(done.stdout) > OUTPUT_LIMIT:
        return Unreadable(" ".join(argv), "prints more than is believed of it")
    return done.stdout.decode("utf-8", "backslashreplace")
