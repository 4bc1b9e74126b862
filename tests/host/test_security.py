"""CPU vulnerabilities."""

from __future__ import annotations

import pytest

from tests.tree import plant
from vmtune.host import Host
from vmtune.root import Unreadable

HOME = "/sys/devices/system/cpu/vulnerabilities"


def test_every_name_is_read_also_one_that_is_new() -> None:
    security = Host(plant(f"{HOME}/l1tf: Not affected", f"{HOME}/from_the_future: Vulnerable: no microcode")).security
    assert security.vulnerabilities == {"l1tf": "Not affected", "from_the_future": "Vulnerable: no microcode"}
    assert security.vulnerability("l1tf") == "Not affected"
    assert security.vulnerability("mds") is None


def test_a_kernel_without_the_folder() -> None:
    security = Host(plant("/proc/version: x")).security
    assert security.vulnerabilities is None
    assert security.vulnerability("l1tf") is None


def test_a_folder_that_cannot_be_listed_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="permission denied"):
        _ = Host(plant(f"{HOME} ! permission denied")).security


def test_one_unreadable_file_loses_only_itself() -> None:
    root = plant(f"{HOME}/l1tf: Not affected")
    root.store.put(f"{HOME}/mds", 5)  # type: ignore[attr-defined]
    security = Host(root).security
    assert security.vulnerabilities == {"l1tf": "Not affected"}
    with pytest.raises(Unreadable, match="input/output error"):
        security.vulnerability("mds")


def test_bytes_that_are_no_text_are_escaped() -> None:
    root = plant("/proc/version: x")
    root.store.put(f"{HOME}/mds", b"\xff\x00")  # type: ignore[attr-defined]
    assert Host(root).security.vulnerability("mds") == "\\xff"
