"""Reading tar archives: whatever made them, and compared with the standard library's own reader."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import types
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from vmtune.root import Unreadable, archive, open_root
from vmtune.root.archive import BadTree, read_archive
from vmtune.root.memory import Link, Memory, Node, Special

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
LONG = "/".join(["a-rather-long-folder-name"] * 12)


def member(name: str, content: bytes | None = None, **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """A member: a file where it has content, else what its type says, a folder by default."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    info.size = len(content or b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content or b""


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def packed(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


MACHINE = (member("m/sys/a", b"1\n"), link("m/sys/b", "a"), member("m/proc"))


def read(tmp_path: Path, data: bytes) -> Memory:
    (tmp_path / "archive").write_bytes(data)
    return read_archive(str(tmp_path / "archive"))


def what(tmp_path: Path, data: bytes) -> str:
    """What is wrong with an archive."""
    path = tmp_path / "archive"
    path.write_bytes(data)
    with pytest.raises(BadTree) as caught:
        read_archive(str(path))
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


# -- compression ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
        lambda data: gzip.compress(data) + b"\0" * 100,
        lzma.compress,
        lambda data: lzma.compress(data[:700]) + lzma.compress(data[700:]) + b"\0" * 8,
        zstandard.compress,
        lambda data: zstandard.compress(data[:700]) + zstandard.compress(data[700:]),
    ],
    ids=["tar", "gz", "gz twice", "gz padded", "xz", "xz twice", "zst", "zst twice"],
)
def test_compression_is_known_by_content(tmp_path: Path, pack) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "named-as-nothing"
    path.write_bytes(pack(packed(*MACHINE)))
    root = open_root(str(path))
    assert (root.read("/sys/a"), root.read("/sys/b"), root.names("/sys")) == ("1", "1", ["a", "b"])
    assert root.name == str(path)


@pytest.mark.parametrize("tool", ["xz", "zstd"])
def test_what_the_tools_pack(tmp_path: Path, tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    plain = packed(*MACHINE, member("m/sys/zeros", bytes(3 << 20)), member("m/sys/random", os.urandom(1 << 20)))
    data = subprocess.run([tool, "-c", "-9"], input=plain, capture_output=True, check=True).stdout
    assert read(tmp_path, data).entries() == read(tmp_path, plain).entries()


def test_zstd_of_the_standard_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From Python 3.14 on; here one that looks like it."""

    class Decompressor:
        def __init__(self, options: dict[int, int]) -> None:
            assert options == {100: 27}
            self._one = zstandard.ZstdDecompressor().decompressobj()
            self.needs_input = True

        @property
        def eof(self) -> bool:
            return self._one.eof

        @property
        def unused_data(self) -> bytes:
            return self._one.unused_data

        def decompress(self, data: bytes, max_length: int = -1) -> bytes:  # noqa: ARG002
            return self._one.decompress(data)

    parameters = types.SimpleNamespace(window_log_max=100)
    zstd = types.SimpleNamespace(
        ZstdDecompressor=Decompressor, DecompressionParameter=parameters, ZstdError=zstandard.ZstdError
    )
    compression = types.ModuleType("compression")
    compression.zstd = zstd  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compression", compression)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    data = packed(*MACHINE)
    twice = zstandard.compress(data[:700]) + zstandard.compress(data[700:])
    assert read(tmp_path, twice).entries() == read(tmp_path, data).entries()
    assert what(tmp_path, zstandard.compress(data)[:-9]) == "is truncated"


def test_without_any_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert "package zstandard" in what(tmp_path, zstandard.compress(packed(*MACHINE)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"x", "is no tar archive"),
        (b"hello " * 1000, "is no tar archive"),
        (bz2.compress(packed(*MACHINE)), "is packed by bzip2"),
        (b"PK\3\4" + bytes(600), "is packed by zip"),
        (gzip.compress(b""), "is truncated"),
        (gzip.compress(b"hello " * 1000), "is damaged: what should be a header is none"),
        (packed(*MACHINE)[:-9000], "is truncated"),
        (packed(*MACHINE)[:700], "is truncated"),
        (gzip.compress(packed(*MACHINE))[:-4], "is truncated"),
        (gzip.compress(packed(*MACHINE))[:-8] + bytes(8), "is damaged: crc check failed"),
        (gzip.compress(packed(*MACHINE)) + b"x", "is damaged: not a gzipped file"),
        (lzma.compress(packed(*MACHINE))[:-4], "is truncated"),
        (lzma.compress(packed(*MACHINE)) + b"xyzw" * 9, "is damaged: input format not supported"),
        (zstandard.compress(packed(*MACHINE))[:20], "is truncated"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 100, "is damaged"),
        (b"\x1f\x8b" + bytes(100), "is damaged"),
        (b"\xfd7zXZ\0" + bytes(100), "is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(tmp_path: Path, data: bytes, said: str) -> None:
    assert what(tmp_path, data).startswith(said)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path / "pipe", "is neither a folder nor an archive"), (tmp_path / "no", "no such file")):
        with pytest.raises(BadTree, match=said):
            open_root(str(path))


# -- members ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_members_of_each_format(tmp_path: Path, form: int) -> None:
    store = read(
        tmp_path,
        packed(
            member("sys/"),
            member("sys/file", b"text\n"),
            member("sys/none", b""),
            member("sys/block", b"x" * 512),
            member("sys/more", b"x" * 513),
            link("sys/link", "../proc/x"),
            member("sys/hard", type=tarfile.LNKTYPE, linkname="sys/file"),
            member("sys/old", b"x", type=tarfile.AREGTYPE),
            member("./sys//./dots", b"1"),
            member("/sys/absolute", b"2"),
            member(f"{LONG[:99]}/{LONG[:90].strip('/')}", b"long"),
            form=form,
        ),
    )
    assert store.read("/sys", "file", 100) == b"text\n"
    assert store.read("/sys", "none", 100) == b""
    assert len(store.read("/sys", "block", 1000)) == 512
    assert len(store.read("/sys", "more", 1000)) == 513
    assert store.readlink("/sys", "link") == "../proc/x"
    assert store.read("/sys", "hard", 100) == b"text\n"
    assert store.read("/sys", "old", 100) == b"x"
    assert store.read("/sys", "dots", 100) == b"1"
    assert store.read("/sys", "absolute", 100) == b"2"
    assert store.file(f"/{LONG[:99]}/{LONG[:90].strip('/')}") == b"long"


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_long_and_odd_names(tmp_path: Path, form: int) -> None:
    odd = os.fsdecode(b"sys/\xff\xfe\n x")
    store = read(
        tmp_path,
        packed(
            member(f"sys/{LONG}/file", b"1"),
            link(f"sys/{LONG}/link", f"{LONG}/{LONG}"),
            member(odd, b"2"),
            member("sys/größe", b"3"),
            form=form,
        ),
    )
    assert store.file(f"/sys/{LONG}/file") == b"1"
    assert store.readlink(f"/sys/{LONG}", "link") == f"{LONG}/{LONG}"
    assert store.file("/" + odd) == b"2"
    assert store.file("/sys/größe") == b"3"


def test_large_numbers(tmp_path: Path) -> None:
    """Owners and sizes beyond what octal digits hold."""
    info, _ = member("sys/dev", type=tarfile.CHRTYPE, mode=0o660, uid=1 << 31, gid=36)
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        store = read(tmp_path, packed((info, b""), member("sys/a", b"1"), form=form))
        status = store.status("/sys", "dev")
        assert (stat.S_ISCHR(status.st_mode), status.st_gid, store.file("/sys/a")) == (True, 36, b"1")
    data = packed((info, b""))
    assert read(tmp_path, data).status("/sys", "dev").st_uid == 1 << 31


def test_devices_are_noted_and_not_read(tmp_path: Path) -> None:
    kinds = {"char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE, "fifo": tarfile.FIFOTYPE}
    made = [member(f"m/sys/{name}", type=kind, mode=0o620, uid=7, gid=9) for name, kind in kinds.items()]
    path = tmp_path / "x.tar"
    path.write_bytes(packed(*made))
    root = open_root(str(path))
    assert root.mode("/sys/char") == (stat.S_IFCHR | 0o620, 7, 9)
    assert root.mode("/sys/block") == (stat.S_IFBLK | 0o620, 7, 9)
    assert root.mode("/sys/fifo") == (stat.S_IFIFO | 0o620, 7, 9)
    with pytest.raises(Unreadable, match="invalid argument"):
        root.read("/sys/char")


def test_files_too_large_are_there_and_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FILE_LIMIT", 1000)
    path = tmp_path / "x.tar"
    path.write_bytes(packed(member("sys/large", bytes(1001)), member("sys/small", bytes(1000))))
    root = open_root(str(path))
    assert root.exists("/sys/large")
    with pytest.raises(Unreadable, match="larger than is believed"):
        root.read("/sys/large")
    assert len(root.read_bytes("/sys/small") or b"") == 1000


def test_the_last_of_a_name_wins(tmp_path: Path) -> None:
    store = read(
        tmp_path,
        packed(
            member("sys/a", b"1"),
            member("sys/a", b"2"),
            member("sys/b", b"1"),
            link("sys/b", "a"),
            member("sys/file", b"in the way"),
            member("sys/file/below", b"3"),
            link("sys/link", "../../etc"),
            member("sys/link/below", b"4"),
            member("sys/folder/x", b"5"),
            member("sys/folder", b"a folder stays one"),
        ),
    )
    assert store.entries() == [
        ("/sys", None),
        ("/sys/a", b"2"),
        ("/sys/b", Link("a")),
        ("/sys/file", None),
        ("/sys/file/below", b"3"),
        ("/sys/folder", None),
        ("/sys/folder/x", b"5"),
        ("/sys/link", None),
        ("/sys/link/below", b"4"),
    ]


def test_sparse_files_are_there_and_not_read(tmp_path: Path) -> None:
    """GNU tar packs a sysfs attribute as sparse if it is let: it takes no blocks."""
    if not shutil.which("tar"):
        pytest.skip("tar is not installed")
    (tmp_path / "m/sys").mkdir(parents=True)
    for name in ("a", "z"):
        (tmp_path / f"m/sys/{name}").write_text("1\n")
    with open(tmp_path / "m/sys/many-holes", "wb") as file:
        for place in range(60):
            file.seek(place << 16)
            file.write(b"x" * 4096)
        file.truncate(8 << 20)
    forms = (["gnu"], ["posix"], ["posix", "--sparse-version=0.0"], ["posix", "--sparse-version=0.1"])
    for form, *version in forms:
        path = tmp_path / "x.tar"
        command = ["tar", "--create", "--sparse", f"--format={form}", *version, "--file", str(path), "m"]
        subprocess.run(command, cwd=tmp_path, check=True)
        root = open_root(str(path))
        assert (root.read("/sys/a"), root.read("/sys/z")) == ("1", "1")
        assert root.names("/sys") == ["a", "many-holes", "z"]
        with pytest.raises(Unreadable, match="not supported"):
            root.read("/sys/many-holes")


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_gnu_tar_packs(tmp_path: Path, form: str) -> None:
    if not shutil.which("tar"):
        pytest.skip("tar is not installed")
    folder = "short" if form == "v7" else "/".join([LONG[:25]] * (3 if form == "ustar" else 5))
    top = tmp_path / "machine"
    (top / "sys" / folder).mkdir(parents=True)
    (top / "sys" / folder / "a").write_text("1\n")
    (top / "sys/link").symlink_to(folder.split("/", maxsplit=1)[0])
    os.link(top / "sys" / folder / "a", top / "sys/zz-hard")
    path = tmp_path / "x.tar"
    subprocess.run(
        ["tar", "--create", f"--format={form}", "--sort=name", "--file", str(path), "machine"], cwd=tmp_path, check=True
    )
    root = open_root(str(path))
    assert root.read(f"/sys/{folder}/a") == "1"
    assert root.read("/sys/zz-hard") == "1"
    assert root.real("/sys/link") == "/sys/" + folder.split("/", maxsplit=1)[0]


# -- compared ---------------------------------------------------------------------------------------------------------

PARTS = st.text(st.sampled_from("ab.é \n\udcff-"), min_size=1, max_size=6)
NAMES = st.one_of(
    st.lists(PARTS, min_size=1, max_size=4).map("/".join), st.just(LONG), st.just(f"{LONG}/x"), st.just("a/b")
)
MEMBERS = st.lists(
    st.one_of(
        st.builds(member, NAMES, st.binary(max_size=600)),
        st.builds(member, NAMES),
        st.builds(link, NAMES, NAMES),
        st.builds(lambda name, mode: member(name, type=tarfile.CHRTYPE, mode=mode), NAMES, st.integers(0, 0o7777)),
    ),
    max_size=12,
)


def expected(data: bytes) -> list[tuple[str, Node | None]]:
    """What the standard library finds in an archive, kept by our rules."""
    store = Memory()
    with tarfile.open(fileobj=io.BytesIO(data), errorlevel=2) as made:
        for info in made:
            parts = [part for part in info.name.split("/") if part not in ("", ".")]
            if not parts or ".." in parts:
                continue
            path = "/" + "/".join(parts)
            if info.isdir():
                store.put_folder(path)
            elif info.issym():
                store.put(path, Link(info.linkname))
            elif info.ischr():
                store.put(path, Special(stat.S_IFCHR | info.mode, info.uid, info.gid))
            else:
                file = made.extractfile(info)
                assert file is not None
                store.put(path, file.read())
    return store.entries()


@given(members=MEMBERS, form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
@settings(max_examples=300, deadline=None)
def test_tarfile_finds_the_same(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[tarfile.TarInfo, bytes]], form: int
) -> None:
    data = packed(*members, form=form)
    path = tmp_path_factory.getbasetemp() / "compared"
    path.write_bytes(data)
    assert read_archive(str(path)).entries() == expected(data)


def test_captured_machines_are_read_as_tarfile_reads_them(captures: Path) -> None:
    paths = sorted(captures.glob("*.tar.gz"), key=lambda path: path.stat().st_size)
    assert paths
    for path in [*paths[:20], paths[len(paths) // 2]]:
        with gzip.open(path) as file:
            assert read_archive(str(path)).entries() == expected(file.read()), path.name
