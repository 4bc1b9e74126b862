"""The site file: what it declares, and what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tree import plant
from vmtune.check import Role, Workload
from vmtune.root import live_root
from vmtune.site import BadSite, Site, load, parse

GOOD = """
assume = ["ha", "multi-tenant"]
workload = "latency"
roles = ["host"]
[domains."db*"]
workload = "db"
[domains."*"]
workload = "general"
[checks.swappiness-high]
db_max = 5
"""


def test_declares() -> None:
    site = parse(GOOD, "site.toml")
    assert site.wants("ha")
    assert not site.wants("migration")
    assert (site.workload, site.roles) == (Workload.LATENCY, (Role.HOST,))
    assert [site.workload_of(name) for name in ("db01", "web")] == [Workload.DB, Workload.GENERAL]
    assert site.thresholds == {"swappiness-high": {"db_max": 5}}


def test_an_absent_file_declares_nothing() -> None:
    assert load(plant()) == Site()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("assume = [", "at end of document"),
        ('assume = ["speed"]', "assume: 'speed' is none of ha,"),
        ('assume = "ha"', "assume: expected a list"),
        ('workload = "fast"', "workload: 'fast' is none of db,"),
        ('roles = ["king"]', "roles: 'king'"),
        ('[domains."x"]\nworkload = 3', "domains.'x'.workload: 3"),
        ("[domains.x]\nworkloud = 'db'", "domains.'x'.workloud: no such key"),
        ("domains = 3", "domains: expected a table"),
        ("colour = 1", "colour: no such key"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadSite) as caught:
        parse(text, "site.toml")
    assert str(caught.value).startswith("site.toml: ")
    assert said in str(caught.value)


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(BadSite, match=r"assume: .*; workload: "):
        parse('assume = ["x"]\nworkload = "y"', "site.toml")


@pytest.mark.parametrize(("mode", "owner"), [(0o666, 0), (0o620, 0), (0o644, 12345)])
def test_only_root_declares_for_a_live_machine(tmp_path: Path, mode: int, owner: int) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    file = tmp_path / "vmtune.toml"
    file.write_text('workload = "db"')
    file.chmod(0o644)
    assert load(live_root(), str(file)).workload is Workload.DB
    file.chmod(mode)
    os.chown(file, owner, 0)
    with pytest.raises(BadSite, match="root alone"):
        load(live_root(), str(file))
