"""Switches shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of captured real machines, which are other people's data and not part of this project."""
    folder = os.environ.get("VMTUNE_CAPTURES")
    if not folder:
        pytest.skip("VMTUNE_CAPTURES does not name the folder of captured machines")
    return Path(folder)
