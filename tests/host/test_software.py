"""Versions of QEMU and libvirt."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import plant
from vmtune.host import Host, software
from vmtune.root import Unreadable

QEMU = """
$ qemu-system-x86_64 --version
  QEMU emulator version 7.2.9 (Debian 1:7.2+dfsg-7+deb12u7)
  Copyright (c) 2003-2022 Fabrice Bellard and the QEMU Project developers
"""


def machine(text: str, architecture: str | None = "x86_64") -> Host:
    host = Host(plant("/proc/version: x", text))
    host.known["platform"] = SimpleNamespace(architecture=architecture)
    return host


def test_both_are_asked() -> None:
    found = machine(QEMU + "$ libvirtd --version\n  libvirtd (libvirt) 9.0.0\n").software
    assert found == software.Software("7.2.9", "9.0.0")


def test_neither_is_installed() -> None:
    assert machine("").software == software.Software(None, None)


@pytest.mark.parametrize(
    ("command", "text", "version"),
    [("virtqemud", "virtqemud (libvirt) 10.4.0", "10.4.0"), ("virsh", "8.6.0", "8.6.0")],
)
def test_split_daemons_or_the_client_stand_in_for_libvirtd(command: str, text: str, version: str) -> None:
    assert machine(f"$ {command} --version\n  {text}\n").software.libvirt == version


def test_the_emulator_is_that_of_the_architecture() -> None:
    assert machine(QEMU, "aarch64").software.qemu is None
    assert machine(QEMU.replace("x86_64", "ppc64"), "ppc64le").software.qemu == "7.2.9"


@pytest.mark.parametrize("architecture", [None, "../../x", ""])
def test_an_unknown_architecture_leaves_the_common_names(architecture: str | None) -> None:
    assert machine(QEMU.replace("qemu-system-x86_64", "qemu-kvm"), architecture).software.qemu == "7.2.9"


def test_an_unreadable_architecture_leaves_the_common_names() -> None:
    host = machine(QEMU.replace("qemu-system-x86_64", "kvm"))
    host.known["platform"] = Unreadable("/proc/cpuinfo", "permission denied")
    assert host.software.qemu == "7.2.9"


def test_an_answer_that_is_no_version_is_unreadable_and_costs_no_other() -> None:
    found = machine(
        "$ qemu-system-x86_64 --version\n  Segmentation fault\n$ libvirtd --version\n  libvirtd (libvirt) 9.0.0\n"
    ).software
    with pytest.raises(Unreadable, match="is no version"):
        _ = found.qemu
    assert found.libvirt == "9.0.0"


def test_a_command_that_fails_is_unreadable() -> None:
    host = machine(QEMU)
    host.root.outputs["virsh", "--version"] = Unreadable("virsh --version", "no answer within 10 s")
    with pytest.raises(Unreadable, match="no answer"):
        _ = host.software.libvirt
    assert host.software.qemu == "7.2.9"


@given(st.text(max_size=60))
def test_no_output_breaks_the_parser(text: str) -> None:
    found = software.version(text)
    assert found is None or (found in text and "." in found)
