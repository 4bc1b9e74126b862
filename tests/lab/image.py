"""Kernel and root of the machines: made of the distribution's packages, kept outside the tree by their content.

Nothing is installed: packages are fetched with `apt-get download` and unpacked. What is made stands in
`$XDG_CACHE_HOME/vmtune-lab/HASH`, where HASH is of all that it is made of; whatever else is there may be deleted.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import lzma
import os
import platform
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.lab import Unavailable
from tests.lab.cpio import Cpio

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
KERNEL_OF = {"x86_64": "linux-image-amd64"}
"""The package that depends on the newest kernel. The one for clouds lacks most drivers of old hardware."""
PYTHON = re.compile(
    r"(lib)?python3(\.\d+)?(-minimal|-stdlib)?$|(libc6|libexpat1|zlib1g|libbz2-1\.0|liblzma5|libffi\d+|libuuid1"
    r"|libcrypt1|libgcc-s1|libssl3)(t64)?$"
)
"""Of all that python3 depends on: the interpreter, and the libraries of those modules that vmtune imports."""
LIBRARIES = ("click", "tabulate", "defusedxml")
"""vmtune's own dependencies that are pure Python: taken from the environment that runs the tests."""
UNUSED = ("usr/share", "usr/lib/*/gconv", "usr/lib/*/perl*", "usr/lib/python3*/test", "usr/lib/python3*/pydoc_data",
          "usr/lib/python3*/ensurepip", "usr/lib/python3*/lib2to3", "usr/lib/python3*/config-*",
          "usr/lib/python3*/idlelib", "usr/lib/*/engines*", "usr/lib/*/ossl-modules")  # fmt: skip
PACKAGES = "usr/lib/python3/dist-packages"
SECONDS = 300


class Image(NamedTuple):
    """What every machine boots."""

    folder: Path
    kernel: Path
    initrd: Path
    """The root: busybox, Python, the modules of the kernel, the agent."""
    release: str


@functools.cache
def image() -> Image:
    """The image, made now if it is not kept yet. Raises Unavailable."""
    name = KERNEL_OF.get(platform.machine())
    if name is None:
        raise Unavailable(f"the lab has no machines for {platform.machine()}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmtune-lab"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        packages = _packages(name)
    except Unavailable:
        kept = sorted(cache.glob("*/release"), key=lambda path: path.stat().st_mtime)
        if not kept:
            raise
        return _image(kept[-1].parent)  # no network: the last one will do
    folder = cache / _hash(packages)
    if not (folder / "release").exists():
        with tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as made:
            _make(Path(made), [package.split()[0] for package in packages])
            shutil.rmtree(folder, ignore_errors=True)
            (Path(made) / "image").rename(folder)
    return _image(folder)


def _image(folder: Path) -> Image:
    return Image(folder, folder / "kernel", folder / "initrd", (folder / "release").read_text())


def _run(*argv: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """What a command prints. Raises Unavailable."""
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False,
                              env={**os.environ, "LC_ALL": "C", **environment})  # fmt: skip
    except FileNotFoundError:
        raise Unavailable(f"{argv[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{argv[0]} took more than {SECONDS} s") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"{' '.join(str(word) for word in argv[:3])} …: {last}")
    return done.stdout


def _packages(kernel: str) -> list[str]:
    """Name, file and checksum of each package."""
    depended = _run("apt-cache", "depends", "--important", kernel)
    found = re.search(r"Depends: (linux-image-\S+)", depended)
    if found is None:
        raise Unavailable(f"apt knows no {kernel}: apt-get update")
    needed = _run("apt-cache", "depends", "--recurse", "--important", "python3")
    names = {"busybox-static", found[1], *(name for name in needed.split() if PYTHON.match(name))}
    there = set(_run("apt-cache", "pkgnames").split())  # what packages provide in name only cannot be fetched
    lines = _run("apt-get", "download", "--print-uris", *sorted(names & there)).splitlines()
    files = [line.split() for line in lines if line.startswith("'")]
    return sorted(f"{file.partition('_')[0]} {file} {checksum}" for _, file, _, checksum in files)


def _hash(packages: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join(packages).encode())
    for path in (HERE / name for name in ("image.py", "cpio.py", "agent.py", "init.sh", "modules.txt")):
        digest.update(path.read_bytes())
    for name in LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()[:16]


def _make(folder: Path, names: Sequence[str]) -> None:
    """Make `image` in a folder."""
    debs, linux, root, done = (folder / name for name in ("debs", "linux", "root", "image"))
    for each in (debs, linux, root / "usr/lib", root / "usr/bin", root / "usr/lib64", root / "usr/sbin", done):
        each.mkdir(parents=True)
    for name in ("lib", "lib64", "bin", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    sandbox = ("-o", "APT::Sandbox::User=root") if os.getuid() == 0 else ()
    _run("apt-get", *sandbox, "download", *names, cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        if deb.name.startswith("linux-image"):
            _run("dpkg", "-x", deb, linux)
        else:
            # Through a pipe, for tar replaces a link to a folder by the folder unless it is told not to.
            _run("sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"', "-", deb, root)
    for pattern in UNUSED:
        for path in root.glob(pattern):
            shutil.rmtree(path)
    _libraries(root / PACKAGES)
    python = next((root / "usr/bin").glob("python3.??"))
    if not (root / "usr/bin/python3").exists():
        (root / "usr/bin/python3").symlink_to(python.name)
    release = next((linux / "boot").glob("vmlinuz-*")).name.removeprefix("vmlinuz-")
    _modules(linux, root, release)
    compile_with(root, root / "usr/lib", "/usr/lib")
    shutil.move(root, done / "root")
    shutil.move(linux / "boot" / f"vmlinuz-{release}", done / "kernel")
    with open(done / "initrd", "wb") as file:
        archive = Cpio(file)
        archive.tree(done / "root")
        for name in ("proc", "sys", "dev", "run", "tmp", "mnt", "var/lib", "etc"):
            archive.put(name, b"", 0o40755)
        archive.put("/init", (HERE / "init.sh").read_bytes(), 0o100755)
        archive.put("/lab/agent.py", (HERE / "agent.py").read_bytes())
        archive.put("/usr/bin/vmtune", b'#!/bin/sh\nexec python3 -m vmtune "$@"\n', 0o100755)
        archive.put("/etc/group", b"root:x:0:\nkvm:x:108:\n")
        archive.put("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
        archive.end()
    (done / "release").write_text(release)


def _libraries(folder: Path) -> None:
    import importlib

    folder.mkdir(parents=True, exist_ok=True)
    for name in LIBRARIES:
        origin = Path(str(importlib.import_module(name).__file__))
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        if origin.name == "__init__.py":
            shutil.copytree(origin.parent, folder / name, ignore=ignored)
        else:
            shutil.copy(origin, folder)
        metadata = Path(str(importlib.metadata.distribution(name).locate_file("")))
        for each in metadata.glob(f"{name}-*.dist-info"):
            shutil.copytree(each, folder / each.name)


def _modules(linux: Path, root: Path, release: str) -> None:
    """Copy the modules of modules.txt and all that they need."""
    source = next(path for path in (linux / "lib/modules", linux / "usr/lib/modules") if path.is_dir()) / release
    base = source.parents[2] if source.parents[2].name != "usr" else linux
    if source.parents[1].parent.name == "usr":
        (linux / "lib").symlink_to("usr/lib")
        base = linux
    _run("depmod", "-b", base, release)
    needs = {}
    for line in (source / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {Path(path).name.partition(".")[0].replace("-", "_"): path for path in needs}
    wanted = [line for line in (HERE / "modules.txt").read_text().split("\n") if line and not line.startswith("#")]
    paths = {by_name[name] for line in wanted for name in line.split() if name in by_name}
    paths |= {need for path in paths for need in needs[path]}
    target = root / "usr/lib/modules" / release
    for path in sorted(paths):
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if copy.suffix == ".xz":  # busybox loads none that are packed
            copy.with_suffix("").write_bytes(lzma.decompress((source / path).read_bytes()))
        else:
            shutil.copy(source / path, copy)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(source / name, target)
    _run("depmod", "-b", root, release)


def compile_with(root: Path, folder: Path, where: str) -> None:
    """Compile all Python below a folder, that is to stand at `where`, by the machines' own Python."""
    loader = next(path for path in (root / "usr/lib64/ld-linux-x86-64.so.2", root / "lib64/ld-linux-x86-64.so.2")
                  if path.exists())  # fmt: skip
    loader = (
        loader.resolve()
        if not loader.is_symlink()
        else root / "usr/lib/x86_64-linux-gnu" / Path(os.readlink(loader)).name
    )
    python = next(path for path in (root / "usr/bin").glob("python3.*") if path.name[8:].isdigit())
    _run(loader, "--library-path", f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib", python, "-m", "compileall", "-qq",
         "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", where, folder,
         PYTHONHOME=str(root / "usr"))  # fmt: skip


def code(made: Image) -> Path:
    """This checkout's vmtune as an archive, with what pyproject.toml says of where its folders stand."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]
    sources = {"vmtune": "vmtune", **settings["package-dir"]}
    digest = hashlib.sha256()
    files: dict[str, bytes] = {}
    for package, folder in sorted(sources.items()):
        for path in sorted((CHECKOUT / folder).rglob("*")):
            if path.suffix in (".py", ".toml", ".json", ".typed") and path.is_file():
                name = f"{package.replace('.', '/')}/{path.relative_to(CHECKOUT / folder)}"
                files[name] = path.read_bytes()
                digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    archive = made.folder / f"code-{digest.hexdigest()[:16]}"
    if archive.exists():
        return archive
    for old in sorted(made.folder.glob("code-*"), key=lambda path: path.stat().st_mtime)[:-4]:
        old.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=made.folder) as temporary:
        tree = Path(temporary) / "tree"
        for name, data in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(data)
        compile_with(made.folder / "root", tree, f"/{PACKAGES}")
        with open(Path(temporary) / "code", "wb") as file:
            packed = Cpio(file)
            packed.tree(tree, f"/{PACKAGES}")
            packed.end()
        (Path(temporary) / "code").rename(archive)
    return archive
