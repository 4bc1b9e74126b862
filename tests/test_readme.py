"""What the README shows is what vmtune prints."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests import machines
from tests.test_cli import vmtune, write_tree

README = Path(__file__).parent.parent / "README.md"
UNSAFE = ("cache='none' io='native' iothread='1'", "cache='unsafe'")
REMOTE = "sys/devices/pci0000:80/0000:80:02.0/0000:81:02.0/numa_node: 0"


def test_the_sample_of_a_host_is_real(tmp_path: Path) -> None:
    """`UPDATE_GOLDEN=1` writes it anew."""
    write_tree(machines.host("kvm-host", REMOTE, swap=UNSAFE), tmp_path / "TREE")
    printed = vmtune("audit", "--root", "TREE", cwd=tmp_path, COLUMNS="100").stdout
    text = README.read_text()
    (shown,) = re.findall(r"(?s)```\n(NOT READY: .*?)```", text)
    if os.environ.get("UPDATE_GOLDEN"):
        README.write_text(text.replace(shown, printed))
        shown = printed
    assert shown == printed


def test_every_command_of_the_readme_is_there() -> None:
    text = README.read_text()
    for command in re.findall(r"(?m)^vmtune ([a-z]+) .*  ", text):
        assert vmtune(command, "-h").returncode == 0, command
    for option in set(re.findall(r"(?<![-\w])(--[a-z][a-z-]+)", text)):
        helps = [vmtune(command, "-h").stdout for command in ("audit", "inspect", "capture", "checks")]
        assert any(option in each for each in helps), option
