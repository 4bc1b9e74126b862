"""The wheel, the editable installation and the zipapp: each holds everything, and audits from anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import distribution, version
from pathlib import Path
from zipfile import ZipFile

import pytest

from vmtune import __version__
from vmtune.check import all_checks

TOP = Path(__file__).parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
NEEDS = ("click", "tabulate", "defusedxml", "setuptools")
"""What stands beside vmtune in a new environment; zstandard is for one kind of archive only."""
BARE = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
"""The interpreter without any environment."""


def run(*argv: object, cwd: Path, codes: Sequence[int] = (0,)) -> str:
    """What a command prints; it sees no Python variable of ours."""
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "MAKE"))
    }
    done = subprocess.run(list(map(str, argv)), cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in codes, f"{argv}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def pip(*argv: object, cwd: Path) -> None:
    """pip without a network."""
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *argv, cwd=cwd)


def environment(home: Path) -> Path:
    """A new environment that has what vmtune needs, and neither vmtune nor pip; its interpreter."""
    run(BARE, "-m", "venv", "--without-pip", home, cwd=home.parent)
    site = next(home.glob("lib/python*/site-packages"))
    for name in NEEDS:
        there = Path(str(distribution(name).locate_file("")))
        for part in {file.parts[0] for file in distribution(name).files or ()} - {"..", "__pycache__"}:
            if (there / part).is_dir():
                shutil.copytree(there / part, site / part)
            else:
                shutil.copy(there / part, site / part)
    return home / "bin" / "python"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, for a build leaves its traces where it builds."""
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("setuptools 77 or later is not installed")
    here = tmp_path_factory.mktemp("source")
    for folder in ("vmtune", "checks", "profiles"):
        shutil.copytree(TOP / folder, here / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for file in TOP.iterdir():
        if file.is_file():
            shutil.copy(file, here)
    return here


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, source, cwd=source)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(source: Path, wheel: Path) -> list[str]:
    """vmtune as its users have it, in `.venv` beside the sources."""
    python = environment(source / ".venv")
    pip("--python", python, "install", "--no-deps", "--no-index", wheel, cwd=source)
    return [str(python.with_name("vmtune"))]


@pytest.fixture(scope="module")
def editable(source: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """vmtune as its developers have it."""
    python = environment(tmp_path_factory.mktemp("editable") / "venv")
    options = ("--no-deps", "--no-index", "--no-build-isolation")
    pip("--python", python, "install", *options, "--editable", source, cwd=source)
    return [str(python.with_name("vmtune"))]


@pytest.fixture(scope="module")
def zipapp(source: Path, installed: list[str]) -> list[str]:
    """vmtune as one file, with an interpreter that has nothing but itself."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    assert installed
    (source / ".venv" / "vmtune").touch()
    assert run("make", "zipapp", cwd=source) == ""
    return [str(BARE), "-I", "-S", str(source / "dist" / "vmtune.pyz")]


WAYS = ("installed", "editable", "zipapp")


@pytest.mark.parametrize("way", WAYS)
def test_audits_from_anywhere(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    vmtune: list[str] = request.getfixturevalue(way)
    report = json.loads(run(*vmtune, "audit", "--format", "json", "--sample", "0", cwd=tmp_path, codes=(0, 1, 3)))
    assert report["schema"] == "vmtune.report/1.0"
    assert report["run"]["complete"]
    assert {row["check"] for row in report["results"]} == set(all_checks())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", WAYS)
def test_has_every_check(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    vmtune: list[str] = request.getfixturevalue(way)
    rows = json.loads(run(*vmtune, "checks", "--format", "json", cwd=tmp_path))
    assert [row["id"] for row in rows] == list(all_checks())


@pytest.mark.parametrize("way", WAYS)
def test_knows_its_version(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    vmtune: list[str] = request.getfixturevalue(way)
    assert run(*vmtune, "--version", cwd=tmp_path) == f"vmtune {__version__}\n"


def test_a_new_check_is_found_without_another_installation(source: Path, editable: list[str], tmp_path: Path) -> None:
    new = source / "checks" / "brand_new.py"
    new.write_text("raise SystemExit('the new module was imported')\n")
    try:
        run(*editable, "checks", cwd=tmp_path, codes=(1,))
    finally:
        new.unlink()


def test_packages_are_the_folders() -> None:
    folders = {path.parent.relative_to(TOP).as_posix() for path in TOP.glob("vmtune/**/__init__.py")}
    folders |= {f"vmtune/{path.parent.relative_to(TOP).as_posix()}" for path in TOP.glob("checks/**/__init__.py")}
    folders |= {f"vmtune/{path.parent.relative_to(TOP).as_posix()}" for path in TOP.glob("profiles/**/__init__.py")}
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == listed
    assert {name.replace(".", "/") for name in listed} == folders


def test_every_file_is_in_the_wheel(wheel: Path) -> None:
    expected = set()
    for folder, place in (("vmtune", "vmtune"), ("checks", "vmtune/checks"), ("profiles", "vmtune/profiles")):
        for path in (TOP / folder).rglob("*"):
            name = path.relative_to(TOP / folder).as_posix()
            if path.is_file() and "__pycache__" not in name and not name.startswith(".") and "/." not in name:
                expected.add(f"{place}/{name}")
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
    assert names == expected
    assert licences


def test_what_is_imported_is_declared() -> None:
    """The zipapp carries what is pure Python of the dependencies: all of them but one, which it can do without."""
    declared = {name.partition(">")[0] for name in PROJECT["project"]["dependencies"]}
    assert declared == {"click", "tabulate", "defusedxml", "zstandard"}
    rule = (TOP / "Makefile").read_text()
    assert all(f"{name}-*.dist-info" in rule for name in declared - {"zstandard"})
