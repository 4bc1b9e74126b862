"""Words for a shell."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks.case import cases
from vmtune.check import Finding, Status
from vmtune.shell import quoted, remark, virsh_edit


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_a_shell_reads_back_one_word(text: str) -> None:
    shown = "".join(character if character.isprintable() else "?" for character in text)
    done = subprocess.run(["/bin/sh", "-c", f"printf %s {quoted(text)}"], capture_output=True, check=True)
    assert done.stdout.decode() == shown


@pytest.mark.parametrize("name", ["x; touch /tmp/pwned", "$(reboot)", "a'b", "-rf", "", "a\nreboot"])
def test_a_name_cannot_become_a_command(name: str) -> None:
    for line in (virsh_edit(name, name), remark(name), f"echo {quoted(name)}"):
        assert "\n" not in line
        assert subprocess.run(["/bin/sh", "-n", "-c", line], check=False).returncode == 0


def test_every_proposed_command_is_one_a_shell_understands() -> None:
    for case in cases():
        if case.outcome is not Status.FAIL:
            continue
        for row in case.results(only=True):
            if isinstance(row.found, Finding):
                for line in (*row.found.now, *row.found.for_good):
                    assert subprocess.run(["/bin/sh", "-n", "-c", line], check=False).returncode == 0, line
                    assert line == line.strip()
