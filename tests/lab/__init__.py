"""The lab: this checkout's vmtune on real kernels, in machines that QEMU emulates. See docs/lab.md."""

from __future__ import annotations

from pathlib import Path

MACHINES = Path(__file__).parent / "machines"
NAMES = sorted(path.parent.name for path in MACHINES.glob("*/machine.toml"))


class Unavailable(Exception):
    """Why there is no lab here, on one line: something that has to be installed, or fetched."""


class LabError(Exception):
    """What went wrong with a machine, and the end of its log."""
