"""Inside a machine: does what lines on a serial port ask for. Each line in and out is one JSON object."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tty
from typing import Any


def main(port: str) -> None:
    handle = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(handle)
    with open(handle, "rb", buffering=0, closefd=False) as lines:
        say(handle, {"ready": True})
        buffer = b""
        while data := lines.read(4096):
            buffer += data
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                say(handle, answer(json.loads(line)))


def say(handle: int, what: dict[str, Any]) -> None:
    data = json.dumps(what).encode() + b"\n"
    while data:
        data = data[os.write(handle, data) :]


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        if "run" in asked:
            return run(asked["run"], asked["seconds"])
        if "read" in asked:
            return {"data": packed(read(asked["read"]))}
        write(asked["write"], base64.b64decode(asked["data"]))
        return {}
    except OSError as error:
        return {"errno": error.errno, "error": f"{error.filename or asked.get('write')}: {error.strerror}"}


def run(argv: list[str], seconds: float) -> dict[str, Any]:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        return {"code": None, "out": packed(late.stdout or b""), "err": packed(late.stderr or b"")}
    return {"code": done.returncode, "out": packed(done.stdout), "err": packed(done.stderr)}


def read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        parts = []
        while part := file.read(1 << 16):
            parts.append(part)
    return b"".join(parts)


def write(path: str, data: bytes) -> None:
    """In one piece and unbuffered: so the kernel's own answer is what counts."""
    if not path.startswith(("/sys", "/proc")):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    main(sys.argv[1])
