"""Captures that were made to harm: none leads out, none costs much, each is read for what it is or refused."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import resource
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.root.test_archive import MACHINE, link, member, packed, read, what
from vmtune.root import Root, Unreadable, archive, open_root
from vmtune.root.archive import BadTree, read_archive
from vmtune.root.capture import MANIFEST, SCHEMA

# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../evil", "sys/../../evil", "/../evil", "sys/..", "..", ".", "/", "", "sys/" + "x/" * 200, "x" * 5000]
)
def test_names_that_lead_out_or_nowhere_are_not_kept(tmp_path: Path, name: str) -> None:
    store = read(tmp_path, packed(member(name, b"evil"), link(name, "/etc"), member("sys/a", b"1")))
    assert store.entries() == [("/sys", None), ("/sys/a", b"1")]


def test_nothing_is_ever_written(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    data = packed(
        link("sys/out", str(tmp_path)),
        member("sys/out/victim", b"overwritten"),
        member(str(tmp_path / "victim"), b"overwritten"),
        member("sys/hard", type=tarfile.LNKTYPE, linkname=str(tmp_path / "victim")),
        member("sys/harder", type=tarfile.LNKTYPE, linkname="../../../../etc/passwd"),
    )
    store = read(tmp_path, data)
    assert (tmp_path / "victim").read_text() == "untouched"
    assert sorted(os.listdir(tmp_path)) == ["archive", "victim"]
    assert store.file("/sys/out/victim") == b"overwritten"
    assert not any(path.startswith("/sys/hard") for path, _ in store.entries() if path != "/sys/hard")
    assert store.file("/sys/harder") is None


def test_links_stay_inside(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(
        packed(
            link("m/sys/passwd", "/etc/passwd"),
            link("m/sys/up", "../../../../../../etc/passwd"),
            link("m/sys/circle", "circle"),
            link("m/sys/nul", "a\0b"),
            link("m/sys/long", "x/" * 3000),
            link("m/sys/empty", ""),
        )
    )
    with open_root(str(path)) as root:
        for name in ("passwd", "up", "circle", "nul", "long", "empty"):
            with pytest.raises(Unreadable):
                root.read(f"/sys/{name}")


def test_hard_links_name_only_what_was_before(tmp_path: Path) -> None:
    hard = {"type": tarfile.LNKTYPE}
    store = read(
        tmp_path,
        packed(
            member("sys/early", linkname="sys/a", **hard),
            member("sys/a", b"1"),
            member("sys/late", linkname="/./sys/a", **hard),
            member("sys/folder", linkname="sys", **hard),
            member("sys/itself", linkname="sys/itself", **hard),
        ),
    )
    assert store.entries() == [("/sys", None), ("/sys/a", b"1"), ("/sys/late", b"1")]


# -- costs ------------------------------------------------------------------------------------------------------------


def cheap(ask: Callable[[], object], seconds: float = 10, mebibytes: int = 700) -> None:
    """Fail where a call takes long, or much memory."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    ask()
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < seconds
    assert after.ru_maxrss - before.ru_maxrss < mebibytes << 10


class Zeros(io.RawIOBase):
    """A file of zeros of any size, for bombs."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self.left)
        buffer[:size] = bytes(size)
        self.left -= size
        return size


@pytest.mark.parametrize("kind", ["gz", "xz", "zst"])
def test_a_bomb_is_put_down(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED_LIMIT", 128 << 20)
    path = tmp_path / "bomb"
    size = 1 << 28
    opened: dict[str, Callable[[], Any]] = {
        "gz": lambda: gzip.GzipFile(path, "wb", compresslevel=1),
        "xz": lambda: lzma.LZMAFile(path, "wb", preset=0),  # noqa: SIM115
        "zst": lambda: zstandard.open(path, "wb"),
    }
    with opened[kind]() as file:
        info, _ = member("sys/zeros", b"")
        info.size = size
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        zeros = Zeros(size)
        while chunk := zeros.read(1 << 20):
            file.write(chunk)
    assert path.stat().st_size < 2 << 20

    def refused() -> None:
        with pytest.raises(BadTree, match="unpacks to more than 128 MiB"):
            read_archive(str(path))

    cheap(refused, mebibytes=64)


def test_a_bomb_behind_the_end_is_put_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED_LIMIT", 8 << 20)
    assert "unpacks to more than" in what(tmp_path, gzip.compress(packed(*MACHINE) + bytes(16 << 20)))


def test_memory_that_a_decompressor_asks_for_is_bounded(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    data = lzma.compress(b"x", filters=filters)
    assert what(tmp_path, data) == "is damaged: memory usage limit exceeded"
    huge = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=29)).compressobj()
    assert "is damaged" in what(tmp_path, huge.compress(os.urandom(1 << 20)) + huge.flush())


def test_members_and_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBERS_LIMIT", 100)
    many = [member(f"sys/{place}", b"") for place in range(101)]
    assert what(tmp_path, packed(*many)) == "has more than 100 members"
    assert len(read(tmp_path, packed(*many[:100])).names("/sys")) == 100
    monkeypatch.setattr(archive, "KEPT_LIMIT", 1 << 20)
    deep = [member(f"sys/{place}/" + "/".join("d" * 90)) for place in range(99)]
    assert what(tmp_path, packed(*deep)) == "holds more than 1 MiB"
    large = [member(f"sys/{place}", bytes(1 << 18)) for place in range(9)]
    assert what(tmp_path, packed(*large)) == "holds more than 1 MiB"


def test_a_member_that_claims_to_be_huge(tmp_path: Path) -> None:
    info, _ = member("sys/a", b"")
    for size in (1 << 33, 1 << 62, (1 << 33) - 1):
        info.size = size
        assert what(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + bytes(5000)) == "is truncated"


def header(**fields: Any) -> bytes:
    info, _ = member("sys/a", b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def patched(block: bytes, start: int, field: bytes) -> bytes:
    """A header with another field, and its checksum put right."""
    made = bytearray(block)
    made[start : start + len(field)] = field
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


END = bytes(1024)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (patched(header(), 124, b"\xff" * 12) + END, "is damaged: a size or mode in a header is negative"),
        (patched(header(), 124, b"\x80" + b"\xff" * 11) + END, "is truncated"),
        (patched(header(), 124, b"99999999999\0") + END, "is damaged: a size or mode in a header is no number"),
        (patched(header(), 124, b"-7777777777\0") + END, "is damaged: a size or mode in a header is no number"),
        (patched(header(type=tarfile.CHRTYPE), 100, b"x\0") + END, "is damaged: a size or mode"),
        (header(type=b"x", size=1 << 30) + END, "has an extended header larger than 1024 KiB"),
        (header(type=b"L", size=1 << 30) + END, "has an extended header larger than 1024 KiB"),
        (header(type=b"x", size=5) + b"9 a=b" + bytes(507) + END, "is damaged: its pax records"),
        (header(type=b"x", size=7) + b"0 a=b\n\n" + bytes(505) + END, "is damaged: its pax records"),
        (header(type=b"x", size=7) + b"-7 a=b\n" + bytes(505) + END, "is damaged: its pax records"),
        (header(type=b"x", size=7) + b"7 abcd\n" + bytes(505) + END, "is damaged: its pax records"),
        (header(type=b"x", size=12) + b"12 size=-10\n" + bytes(500) + END, "is damaged: a size in its pax"),
        (header(type=b"x", size=12) + b"12 size=1e9\n" + bytes(500) + header() + END, "is damaged: a size in its pax"),
        (b"x" * 512, "is no tar archive"),
        (patched(patched(header(type=b"S"), 482, b"\1"), 386, b"") + b"\1" * 512 * 9, "is truncated"),
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, data: bytes, said: str) -> None:
    if "size=-10" in repr(data):
        data = data[:1024] + header() + END
    assert what(tmp_path, data).startswith(said)


def test_odd_headers_are_read(tmp_path: Path) -> None:
    """Comments of all members, unknown kinds, volume labels, checksums of signed bytes, spaces for numbers."""
    signed = bytearray(header(name="sys/größe".encode().decode("latin-1")))
    signed[148:156] = b" " * 8
    total = sum(byte - 256 if byte > 127 else byte for byte in signed)
    signed[148:156] = b"%06o\0 " % total
    data = (
        header(type=b"g", size=11)
        + b"11 size=99\n"
        + bytes(501)
        + header(type=b"V", name="label")
        + header(type=b"Z", name="sys/unknown", size=3)
        + b"abc"
        + bytes(509)
        + patched(header(name="sys/blank"), 124, b" " * 12)
        + bytes(signed)
        + header(name="sys/last", size=1)
        + b"1"
        + bytes(511)
        + END
    )
    names = read(tmp_path, data).names("/sys")
    assert names[0] == "blank"
    assert names[-1] == "last"
    assert len(names) == 3


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_archive_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever bytes are changed or lost: a tree or BadTree, nothing else."""
    whole = packed(*MACHINE, member("m/sys/" + "x" * 120, b"long"), form=data.draw(st.sampled_from([1, 2])))
    packers: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, lzma.compress, zstandard.compress]
    pack = data.draw(st.sampled_from(packers))
    inner = bytearray(whole)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=3)):
        inner[place] = byte
    outer = bytearray(pack(bytes(inner)))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(outer) - 1), st.integers(0, 255)), max_size=3)):
        outer[place] = byte
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(outer[: data.draw(st.integers(0, len(outer)))] if data.draw(st.booleans()) else outer)
    assert "\n" not in used(str(path))


@given(data=st.binary(max_size=4000))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    for opening in (b"", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"):
        path.write_bytes(opening + data)
        with pytest.raises(BadTree):
            open_root(str(path))


def used(path: str) -> str:
    """What is wrong with a capture, "" where nothing is; then it can be asked anything."""
    try:
        with open_root(path) as root:
            use(root)
    except BadTree as error:
        return str(error).removeprefix(path) or "nothing is said"
    return ""


def use(root: Root) -> None:
    """Ask a root all it can be asked; only Unreadable is allowed."""
    asks: tuple[Callable[[str], object], ...] = (
        *(root.read, root.names, root.link, root.real, root.exists, root.is_folder, root.mode, root.reread),
        root.output,
    )
    for path in ("/sys", "/sys/a", "/sys/b", "/proc", "/sys/none/x", "/", "relative", "/etc/passwd", "/sys/a/../b", ""):
        for ask in asks:
            with suppress(Unreadable):
                ask(path)
    folder = root.folder("/sys")
    assert folder.text("a") is None or folder.text("a")


# -- manifests --------------------------------------------------------------------------------------------------------

WELL: dict[str, Any] = {
    "schema": SCHEMA,
    "absent": ["/sys/none"],
    "unreadable": {"/sys/c": "permission denied"},
    "closed": {},
    "untrusted": {},
    "present": {"/sys/d": None},
    "listed": {"/sys": ["a", "b", "c", "d"]},
    "unlisted": {},
    "no_folder": [],
    "modes": {"/sys/d": [8612, 0, 36]},
    "outputs": [{"argv": ["uname"], "text": "Linux\n"}],
}


def with_manifest(path: Path, manifest: Any) -> str:
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    path.write_bytes(packed(*MACHINE, member(f"m/{MANIFEST}", text)))
    return str(path)


def test_a_manifest_is_believed(tmp_path: Path) -> None:
    with open_root(with_manifest(tmp_path / "x", WELL)) as root:
        use(root)
        assert root.output("uname") == "Linux\n"
        assert root.mode("/sys/d") == (8612, 0, 36)
        assert root.read("/sys/none") is None
        assert root.read("/sys/unlisted") is None
        assert root.names("/sys") == ["a", "b", "c", "d"]


def test_an_own_capture_in_a_folder(tmp_path: Path) -> None:
    with tarfile.open(with_manifest(tmp_path / "x", WELL)) as made:
        made.extractall(tmp_path / "out", filter="fully_trusted")
    with open_root(str(tmp_path / "out")) as root:
        use(root)
        assert (root.read("/sys/b"), root.output("uname"), root.mode("/sys/d")) == ("1", "Linux\n", (8612, 0, 36))


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe\0", "is no JSON"),
        (b"[" * 200_000, "is no JSON"),
        (b'{"a": ' * 50_000, "is no JSON"),
        (b"1" * 10_000, "is no JSON"),
        (b"[]", "is none of vmtune"),
        (b"{}", "is none of vmtune"),
        ({"schema": 1}, "is none of vmtune"),
        ({"schema": "else/1"}, "is none of vmtune"),
        ({"schema": "vmtune.capture/2"}, "was made by another vmtune: 'vmtune.capture/2', this one reads"),
        ({"schema": "vmtune.capture/10"}, "was made by another vmtune"),
        ({"schema": SCHEMA}, "lacks 'absent'"),
        (WELL | {"absent": "text"}, "is not of its form"),
        (WELL | {"absent": [1]}, "is not of its form"),
        (WELL | {"listed": {"/sys": ["../x"]}}, "is not of its form"),
        (WELL | {"listed": {"/sys": [".."]}}, "is not of its form"),
        (WELL | {"listed": {"/sys": None}}, "is not of its form"),
        (WELL | {"listed": []}, "is not of its form"),
        (WELL | {"modes": {"/a": [1, 2]}}, "is not of its form"),
        (WELL | {"modes": {"/a": [1e400, 2, 3]}}, "is not of its form"),
        (WELL | {"outputs": [{"argv": None, "text": ""}]}, "is not of its form"),
        (WELL | {"outputs": [{"text": ""}]}, "lacks 'argv'"),
        (WELL | {"outputs": [{"argv": ["a"], "text": 5}]}, "is not of its form"),
        (WELL | {"outputs": [7]}, "is not of its form"),
    ],
    ids=str,
)
def test_a_manifest_that_is_none(tmp_path: Path, manifest: Any, said: str) -> None:
    with pytest.raises(BadTree, match=said.replace("[", r"\[")):
        open_root(with_manifest(tmp_path / "x", manifest))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("/sys/a")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=3), st.just("/sys/a")), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from(list(WELL)), JSON, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_manifest_is_believed_or_refused(tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]) -> None:
    path = with_manifest(tmp_path_factory.getbasetemp() / "manifest", WELL | changes)
    said = used(path)
    assert not said or MANIFEST in said or "another vmtune" in said


def test_a_newer_minor_form_is_read(tmp_path: Path) -> None:
    with open_root(with_manifest(tmp_path / "x", WELL | {"schema": f"{SCHEMA}.7", "more": 1})) as root:
        assert root.read("/sys/none") is None


# -- time -------------------------------------------------------------------------------------------------------------


def test_links_that_multiply_cost_nothing(tmp_path: Path) -> None:
    """Each link leads through the one before twice: 2^60 steps if each were walked anew."""
    links = [link(f"sys/{place}", f"{place - 1}/../{place - 1}/..") for place in range(1, 60)]
    path = tmp_path / "x.tar"
    path.write_bytes(packed(member("sys/0"), *links))
    with open_root(str(path)) as root:
        start = time.monotonic()
        for place in range(60):
            try:
                root.names(f"/sys/{place}")
            except Unreadable as kept:
                assert kept.reason in ("too many links", "not in this capture")  # noqa: PT017
        assert time.monotonic() - start < 2
