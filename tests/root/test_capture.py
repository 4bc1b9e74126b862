"""Opening captures, what their gaps mean, and saving ones that answer as the machine did."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.root.test_archive import link, member, packed
from tests.tree import plant
from vmtune.root import NOT_CAPTURED, Root, Unreadable, live_root, open_root
from vmtune.root.archive import BadTree
from vmtune.root.capture import MANIFEST, SCHEMA
from vmtune.root.recording import CannotSave, as_text, recorded, save
from vmtune.root.redaction import redacted

# -- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "machine/", "./", "./machine/"])
@pytest.mark.parametrize("part", ["sys", "proc"])
def test_where_the_top_is(tmp_path: Path, inside: str, part: str) -> None:
    (tmp_path / "tree" / inside / part).mkdir(parents=True)
    (tmp_path / "tree" / inside / part / "a").write_text("1\n")
    (tmp_path / "tree" / inside / "notes.txt").write_text("beside\n")
    path = tmp_path / "x.tar"
    path.write_bytes(packed(member(f"{inside}{part}/a", b"1\n"), member(f"{inside}notes.txt", b"beside\n")))
    for tree in (path, tmp_path / "tree"):
        with open_root(str(tree)) as root:
            assert root.read(f"/{part}/a") == "1"
            assert root.names("/") == ["notes.txt", part]
            assert (root.live, root.name) == (False, str(tree))


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ([], "holds neither sys/ nor proc/, at its top or inside its one top folder"),
        (["a"], "holds neither sys/ nor proc/, at its top or inside its one top folder"),
        (["a/b/sys"], "holds neither sys/ nor proc/, at its top or inside its one top folder"),
        (["a/sys", "b/sys"], "holds 2 folders and neither sys/ nor proc/: name the one of a machine"),
    ],
)
def test_what_is_no_tree(tmp_path: Path, folders: list[str], said: str) -> None:
    (tmp_path / "tree").mkdir()
    for folder in folders:
        (tmp_path / "tree" / folder).mkdir(parents=True)
    path = tmp_path / "x.tar"
    path.write_bytes(packed(member("file", b""), *(member(folder) for folder in folders)))
    for tree in (path, tmp_path / "tree"):
        with pytest.raises(BadTree) as caught:
            open_root(str(tree))
        assert str(caught.value) == f"{tree}: {said}"


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadTree, match=r"none: no such file or directory$"):
        open_root(str(tmp_path / "none"))
    with pytest.raises(BadTree, match="null"):
        open_root("a\0b")
    with pytest.raises(BadTree, match="is neither a folder nor an archive"):
        open_root("/dev/null")


def test_the_top_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/sys").symlink_to("/sys")
    with pytest.raises(BadTree, match="holds neither"):
        open_root(str(tmp_path / "tree"))


def test_handles_are_given_back_by_a_bad_tree(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    (tmp_path / MANIFEST).write_text("{}")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(BadTree, match="is none of vmtune"):
            open_root(str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == before


# -- gaps of somebody else's tree -------------------------------------------------------------------------------------

FOREIGN = (
    member("sys/devices/system/cpu/online", b"0-3\n"),
    member("sys/devices/system/cpu/cpu0/topology/core_id", b"0\n"),
    member("sys/devices/system/node"),
    link("sys/class/net/eth0", "../../devices/pci0000:00/0000:00:01.0/net/eth0"),
    member("sys/devices/pci0000:00/0000:00:01.0/vendor", b"0x8086\n"),
    link("sys/class/net/gone", "../../devices/pci0001:00/gone"),
    member("proc/cpuinfo", b"x\n"),
    member("proc/sys/vm/swappiness", b"60\n"),
    member("etc/hostname", b"x\n"),
)


@pytest.fixture(params=["archive", "directory"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    path = tmp_path / "x.tar"
    path.write_bytes(packed(*FOREIGN))
    if request.param == "archive":
        return open_root(str(path))
    with tarfile.open(path) as made:
        made.extractall(tmp_path / "tree", filter="fully_trusted")
    return open_root(str(tmp_path / "tree"))


@pytest.mark.parametrize(
    "path",
    [
        "/sys/devices/system/cpu/smt",
        "/sys/devices/system/cpu/smt/control",
        "/sys/devices/system/cpu/cpu0/topology/die_id",
        "/sys/devices/system/cpu/online/below-a-file",
        "/sys/devices/pci0000:00/0000:00:01.0/driver/module",
        "/sys/class/net/eth1",
        "/proc/sys/vm/overcommit_memory",
    ],
)
def test_a_gap_in_a_captured_folder_is_absence(foreign: Root, path: str) -> None:
    assert foreign.read(path) is None
    assert foreign.names(path) is None
    assert foreign.link(path) is None
    assert not foreign.exists(path)
    assert foreign.mode(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/sys/devices/system/cpu/cpu0/cache",  # cpu0 holds folders only: just a way to topology
        "/sys/devices/system/node/node0",
        "/sys/devices/system/memory",
        "/sys/module/kvm",
        "/sys/class/net/gone",  # leads to where nothing was captured
        "/sys/class/net/gone/speed",
        "/proc/meminfo",
        "/proc/sys/kernel/osrelease",
        "/etc/machine-id",
        "/run/libvirt",
        "/none",
    ],
)
def test_any_other_gap_proves_nothing(foreign: Root, path: str) -> None:
    for ask in (foreign.read, foreign.names, foreign.exists, foreign.mode):
        with pytest.raises(Unreadable) as caught:
            ask(path)
        assert caught.value.reason == NOT_CAPTURED


def test_nothing_live_is_ever_asked(foreign: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmtune.root.deadline.run", None)
    monkeypatch.setattr("vmtune.root.deadline.read_all", None)
    foreign.guarded(["/sys/devices/system/cpu/online"])
    with pytest.raises(Unreadable, match=NOT_CAPTURED):
        foreign.output("uname", "-r")


# -- saving -----------------------------------------------------------------------------------------------------------

Ask = tuple[str, object]


def ask(root: Root, asks: list[Ask]) -> list[object]:
    """Answers; the reason where a thing is Unreadable."""
    answers: list[object] = []
    for how, path in asks:
        try:
            if how == "guarded":
                root.guarded([str(path)])
                how = "read_bytes"
            if how == "output":
                answers.append(root.output(*path))  # type: ignore[misc]
            else:
                answers.append(getattr(root, how)(path))
        except Unreadable as kept:
            answers.append(("unreadable", kept.reason))
    return answers


def answers_alike(root: Root, asks: list[Ask], folder: Path) -> None:
    """Fail unless a capture, a capture of the capture, its unpacked folder and its text all answer as the root did."""
    first = ask(root, asks)
    saved, again = str(folder / "saved.tar.gz"), str(folder / "again.tar")
    save(root, saved)
    text = as_text(root)
    (folder / "text").write_text(text, newline="")
    with open_root(saved) as capture:
        assert _different(asks, first, ask(capture, asks)) == []
        save(capture, again)
        with open_root(again) as copy:
            assert _different(asks, first, ask(copy, asks)) == []
    with tarfile.open(saved) as made:
        made.extractall(folder / "unpacked", filter="fully_trusted")
    with open_root(str(folder / "unpacked")) as unpacked:
        assert _different(asks, first, ask(unpacked, asks)) == []
    with open(folder / "text", newline="") as file:
        planted = plant(file.read())
    assert _different(asks, first, ask(planted, asks)) == []


def _different(asks: list[Ask], first: list[object], second: list[object]) -> list[tuple[Ask, object, object]]:
    return [found for found in zip(asks, first, second, strict=True) if found[1] != found[2]]


HOW = ["read_bytes", "read", "reread", "names", "link", "real", "exists", "is_folder", "mode"]


@pytest.mark.parametrize("seed", range(3))
def test_a_capture_of_this_machine_answers_as_it_did(tmp_path: Path, seed: int) -> None:
    """Some hundred things of the machine that the test runs on, whatever it is."""
    chance = random.Random(seed)
    paths = []
    for top in (
        "/sys/class",
        "/sys/bus",
        "/sys/devices/system",
        "/sys/kernel/mm",
        "/sys/block",
        "/proc/sys/vm",
        "/etc",
    ):
        for folder, folders, files in os.walk(top):
            if folder.count("/") > 6:
                folders.clear()
            paths += [f"{folder}/{name}" for name in chance.sample(sorted(files + folders), min(8, len(files)))]
    chance.shuffle(paths)
    asks: list[Ask] = [("output", ("uname", "-r")), ("output", ("no-such-command",)), ("output", ("false", "a b", "!"))]
    asks += [("read", "/proc/self/exe"), ("names", "/proc/1/cwd"), ("names", "/"), ("is_folder", "/"), ("real", "/")]
    for path in paths[:400]:
        how = chance.choice([each for each in HOW if each != "reread"])
        asked = path + chance.choice(["", "", "", "", "", "/none", "/../none", "/."])
        asks.append(("guarded" if how == "read_bytes" and path.startswith("/sys") else how, asked))
        if chance.random() < 0.3:
            asks.append((chance.choice(["read_bytes", "exists", "names", "link"]), path))
    with live_root() as root:
        answers_alike(root, asks, tmp_path)


LINE = st.text(st.sampled_from("ab0 \t\x0b\r:!#$\\\"'é\u2028\x85\x00"), max_size=8)
CONTENT = st.one_of(st.lists(LINE, max_size=3).map("\n".join).map(str.encode), st.binary(max_size=6))
NAME = st.sampled_from(
    ["a", "b", "c", "0000:00:01.0", "x y", "new\nline", "q\"'", "#", "$", "a:", "[", "é", "\udcff", "-"]
)
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join).map("/sys/".__add__)
TARGET = st.one_of(
    NAME, PATH, st.builds("../{}".format, NAME), st.builds("../../sys/{}/{}".format, NAME, NAME), st.just("a\tb -> c")
)
REASON = st.sampled_from(["permission denied", "no answer: it hangs", "odd ! reason \n", '"quoted"', "is a folder"])
NODE = st.one_of(
    CONTENT.map(lambda data: ("file", data)),
    TARGET.map(lambda target: ("link", target)),
    REASON.map(lambda reason: ("refused", reason)),
    st.just(("folder", None)),
    st.just(("mode", (0o20660, 0, 36))),
)
ASKS = st.lists(st.tuples(st.sampled_from(HOW), st.one_of(PATH, st.builds("{}/{}".format, PATH, NAME))), max_size=25)
ARGV = st.lists(st.sampled_from(["ip", "-j", "a b", "!", "\\", "[", '"', "x\ny"]), min_size=1, max_size=3).map(tuple)
OUTPUT = st.one_of(LINE, LINE.map(lambda line: line + "\n"), REASON.map(lambda said: Unreadable("x", said)))


@given(nodes=st.dictionaries(PATH, NODE, max_size=10), asks=ASKS, outputs=st.dictionaries(ARGV, OUTPUT, max_size=3))
@settings(max_examples=150, deadline=None)
def test_a_capture_of_any_machine_answers_as_it_did(
    tmp_path_factory: pytest.TempPathFactory,
    nodes: dict[str, tuple[str, object]],
    asks: list[Ask],
    outputs: dict[tuple[str, ...], str | Unreadable],
) -> None:
    root = planted(nodes, outputs)
    wanted = [*asks, *(("output", argv) for argv in outputs), ("output", ("no-such-command",))]
    answers_alike(root, wanted, tmp_path_factory.mktemp("any"))


def planted(nodes: dict[str, tuple[str, object]], outputs: dict[tuple[str, ...], str | Unreadable]) -> Root:
    """A machine of these files, links, folders and refusals."""
    lines = []
    for path, (kind, what) in nodes.items():
        word = json.dumps(path)
        if kind == "file":
            lines.append(f"{word} \\ {what!r}")
        elif kind == "link":
            lines.append(f"{word} -> {json.dumps(what)}")
        elif kind == "refused":
            lines.append(f"{word} ! {json.dumps(what)}")
        elif kind == "folder":
            lines.append(f"{word}/")
        else:
            lines.append("{} = {:o} {} {}".format(word, *what))  # type: ignore[misc]
    for argv, said in outputs.items():
        rest = f"! {json.dumps(said.reason)}" if isinstance(said, Unreadable) else f"\\ {json.dumps(said)}"
        lines.append(f"$ {json.dumps(argv)} {rest}")
    return plant("\n".join(lines))


def test_a_gap_stays_a_gap_in_a_capture_of_a_capture(foreign: Root, tmp_path: Path) -> None:
    asks: list[Ask] = [
        (how, path)
        for how in ("read", "names", "exists")
        for path in ("/proc/meminfo", "/sys/devices/system/cpu/smt", "/sys/class/net/gone/a", "/sys/class/net", "/none")
    ]
    answers_alike(foreign, asks, tmp_path)


def test_a_listing_is_whole_though_its_entries_were_not_read(tmp_path: Path) -> None:
    root = plant("sys/a: 1\nsys/b: 2\nsys/c/d: 3\nsys/e -> a\nproc/sys/kernel/hostname: alder")
    assert root.names("/sys") == ["a", "b", "c", "e"]
    assert root.read("/sys/a") == "1"
    save(root, str(tmp_path / "x.tar.gz"))
    with open_root(str(tmp_path / "x.tar.gz")) as capture:
        assert capture.names("/sys") == ["a", "b", "c", "e"]
        assert capture.read("/sys/a") == "1"
        assert capture.read("/sys/other") is None  # not listed: absent
        for path in ("/sys/b", "/sys/c/d", "/sys/e", "/proc/x"):
            with pytest.raises(Unreadable, match=NOT_CAPTURED):
                capture.read(path)
        for folder in ("/", "/sys/c", "/proc"):
            with pytest.raises(Unreadable, match=NOT_CAPTURED):
                capture.names(folder)
        with pytest.raises(Unreadable, match=NOT_CAPTURED):
            capture.mode("/sys/a")


def test_the_manifest_says_who_and_when(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    save(plant("proc/sys/kernel/hostname: alder\nproc/sys/kernel/osrelease: 6.1.0"), str(path))
    with tarfile.open(path) as made:
        (top, name, *_) = made.getnames()
        file = made.extractfile(name)
        assert file is not None
        manifest = json.load(file)
        assert {info.mode for info in made if not info.isdir()} == {0o600}
        assert {(info.uid, info.gid, info.uname) for info in made} == {(0, 0, "")}
    assert name == f"{top}/{MANIFEST}"
    assert manifest["schema"] == SCHEMA
    assert (manifest["hostname"], manifest["kernel"], manifest["architecture"]) == ("alder", "6.1.0", None)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest["time"])
    assert manifest["redacted"] is False


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst"])
def test_each_compression(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    root = plant("sys/a: 1")
    root.read("/sys/a")
    save(root, str(path))
    with open_root(str(path)) as capture:
        assert capture.read("/sys/a") == "1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [path.name]


def test_the_same_is_saved_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.5)
    lines = ["sys/a: 1", "sys/b -> a", "sys/c/"]
    for place, order in enumerate((lines, lines[::-1])):
        root = plant("\n".join(order))
        ask(root, [("read", f"/{name[:5]}") for name in order])
        save(root, str(tmp_path / f"{place}.tar.gz"))
    assert (tmp_path / "0.tar.gz").read_bytes() == (tmp_path / "1.tar.gz").read_bytes()


def cannot(path: Path) -> str:
    root = plant("sys/a: 1")
    root.read("/sys/a")
    with pytest.raises(CannotSave) as caught:
        save(root, str(path))
    return str(caught.value).removeprefix(f"{path}: ")


def test_what_cannot_be_written(tmp_path: Path) -> None:
    assert cannot(tmp_path / "x") == "name it .tar.gz, .tar.xz, .tar.zst or .tar"
    assert cannot(tmp_path / "none/x.tar") == "cannot be written: no such file or directory"
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "link.tar").symlink_to("victim")
    (tmp_path / "victim").write_text("untouched")
    os.mkfifo(tmp_path / "pipe.tar")
    for name in ("folder.tar", "link.tar", "pipe.tar"):
        assert cannot(tmp_path / name) == "cannot be written: there is a link, folder or device of that name"
    assert (tmp_path / "victim").read_text() == "untouched"
    assert sorted(os.listdir(tmp_path)) == ["folder.tar", "link.tar", "pipe.tar", "victim"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".tar.zst"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / f"x{suffix}"
    path.write_text("the one before")
    monkeypatch.setattr(os, "fsync", full)
    assert cannot(path) == "cannot be written: no space left on device"
    assert path.read_text() == "the one before"
    assert os.listdir(tmp_path) == [path.name]


def test_a_file_that_may_not_grow_leaves_nothing(tmp_path: Path) -> None:
    """A real limit of the kernel, met in the middle of writing."""
    import resource

    root = plant("sys/a/")
    root.data["/sys/a/b"] = os.urandom(1 << 20)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        try:
            save(root, str(tmp_path / "x.tar.gz"))
        except CannotSave as error:
            os._exit(0 if "file too large" in str(error) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.listdir(tmp_path) == []


def test_an_older_capture_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_text("old")
    path.chmod(0o644)
    save(plant("sys/a: 1"), str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    open_root(str(path)).close()


# -- redaction --------------------------------------------------------------------------------------------------------

PRIVATE = """
proc/sys/kernel/hostname: alder7.corp.example
proc/cmdline: root=/dev/mapper/alder7--vg-root resume=UUID=8e1f3b2a-0c4d-4e5f-9a6b-7c8d9e0f1a2b ip=192.168.7.9
proc/cpuinfo: Serial		: 10000000deadbeef
sys/class/net/eth0/address: 52:54:00:12:34:56
sys/class/net/eth0/broadcast: ff:ff:ff:ff:ff:ff
sys/class/net/enx525400123456 -> ../../devices/net
sys/class/nvme/nvme0/serial: S3EWNX0K123456
sys/class/nvme/nvme0/model: Example Drive 3000
sys/class/nvme/nvme0/firmware_rev: 1.2.3.4
sys/class/nvme/nvme0/wwid: eui.0025388b71b2c3d4
sys/class/infiniband/ib0/node_guid: 0c42:a103:0012:3456
sys/class/dmi/id/product_serial: To be filled by O.E.M.
sys/class/dmi/id/board_serial: XYZ987654321
sys/class/dmi/id/chassis_serial: 7
sys/block/dm-0/dm/uuid: LVM-AbCdEfGhIjKlMnOpQrStUvWxYz012345AbCdEfGhIjKlMnOpQrStUvWxYz012345
sys/block/sda/device/vpd_pg80 \\ b'\\x00\\x80\\x00\\x08S3EWNX0K123456'
sys/bus/vmbus/devices/x/class_id: {cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a}
sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c: 1
sys/devices/disk-S3EWNX0K123456/a: 0000:81:00.0 127.0.0.1 ::1 2001:db8::77 fe80::5054:ff:fe12:3456 0.0.0.0
etc/libvirt/qemu/db.xml: <graphics passwd='hunter2secret' listen='10.1.2.3'/> password=on data password: "two words"
run/x ! alder7 is not known
$ ip link
  2: eth0: link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff on alder7
$ qemu --version
  QEMU emulator version 8.0.0.1
"""
SECRETS = (
    *("alder7", "corp.example", "8e1f3b2a", "192.168.7", "deadbeef", "12:34:56", "123456", "S3EWNX", "8b71b2c3d4"),
    *("a103:0012", "XYZ987654321", "AbCdEfGhIjKl", "2001:db8", "5054:ff", "hunter2secret", "two words", "10.1.2.3"),
)


def private() -> Root:
    root = plant(PRIVATE)
    for path, _ in root.store.entries():  # type: ignore[attr-defined]
        ask(root, [("read", path), ("link", path), ("names", path), ("exists", f"{path}/alder7-none")])
    ask(root, [("exists", "/run/x"), ("output", ("ip", "link")), ("output", ("qemu", "--version"))])
    return root


def test_nothing_private_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    save(private(), str(path), redact=True)
    data = path.read_bytes().decode("latin-1")
    assert [secret for secret in SECRETS if secret in data] == []
    text = as_text(private(), redact=True)
    assert [secret for secret in SECRETS if secret in text] == []


def test_what_matters_is_left() -> None:
    recording, names = redacted(recorded(private()), {"hostname": "alder7", "kernel": "6.1.0-30-amd64"}, b"salt")
    files = recording.files
    assert files["/sys/class/nvme/nvme0/model"] == b"Example Drive 3000\n"
    assert files["/sys/class/nvme/nvme0/firmware_rev"] == b"1.2.3.4\n"
    assert files["/sys/class/net/eth0/broadcast"] == b"ff:ff:ff:ff:ff:ff\n"
    assert files["/sys/class/net/eth0/address"].startswith(b"52:54:00:")
    assert files["/sys/class/nvme/nvme0/wwid"].startswith(b"eui.")
    assert files["/sys/block/dm-0/dm/uuid"].startswith(b"LVM-")
    assert files["/sys/class/dmi/id/product_serial"] == b"To be filled by O.E.M.\n"
    assert files["/sys/bus/vmbus/devices/x/class_id"] == b"{cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a}\n"
    assert "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c" in files
    assert b"password=on" in files["/etc/libvirt/qemu/db.xml"]
    (path,) = (path for path in files if path.startswith("/sys/devices/disk-"))
    assert files[path].startswith(b"0000:81:00.0 127.0.0.1 ::1 fd00:")
    assert b" fe80::" in files[path]
    assert files[path].endswith(b" 0.0.0.0\n")
    assert recording.outputs["qemu", "--version"] == "QEMU emulator version 8.0.0.1\n"
    assert names["kernel"] == "6.1.0-30-amd64"
    assert files["/proc/cmdline"].startswith(b"root=/dev/mapper/")


def test_equal_values_stay_equal() -> None:
    recording, names = redacted(recorded(private()), {"hostname": "alder7"}, b"salt")
    files = recording.files
    host = str(names["hostname"]).encode()
    assert len(host) == 6
    assert files["/proc/sys/kernel/hostname"].startswith(host + b".")
    assert files["/proc/cmdline"].startswith(b"root=/dev/mapper/" + host + b"--vg-root")
    mac = files["/sys/class/net/eth0/address"].decode().strip()
    assert f"link/ether {mac} brd" in str(recording.outputs["ip", "link"])
    assert f"/sys/class/net/enx{mac.replace(':', '')}" in recording.links
    assert f"enx{mac.replace(':', '')}" in recording.listed["/sys/class/net"]
    serial = files["/sys/class/nvme/nvme0/serial"].decode().strip()
    assert f"/sys/devices/disk-{serial}/a" in files
    assert recording.closed["/run/x"] == f"{host.decode()} is not known"
    other, _ = redacted(recorded(private()), {}, b"pepper")
    assert other.files["/sys/class/net/eth0/address"] != files["/sys/class/net/eth0/address"]


def test_a_host_named_as_a_file_is_replaced_only_as_its_name() -> None:
    root = plant("proc/sys/kernel/hostname: eth0\nsys/class/net/eth0/mtu: 1500\nproc/cmdline: dev=eth0")
    ask(root, [("read", path) for path in ("/proc/sys/kernel/hostname", "/sys/class/net/eth0/mtu", "/proc/cmdline")])
    recording, names = redacted(recorded(root), {"hostname": "eth0"}, b"salt")
    assert recording.files["/proc/cmdline"] == b"dev=eth0\n"
    assert names["hostname"] == recording.files["/proc/sys/kernel/hostname"].decode().strip() != "eth0"
    assert "/sys/class/net/eth0/mtu" in recording.files


@given(
    data=st.binary(max_size=300), name=st.sampled_from(["serial", "address", "uuid", "vpd", "wwid", "x", "class_id"])
)
@settings(max_examples=200, deadline=None)
def test_any_content_can_be_redacted(data: bytes, name: str) -> None:
    root = plant("sys/a/")
    root.data[f"/sys/a/{name}"] = data
    root.data["/proc/sys/kernel/hostname"] = data
    first, _ = redacted(recorded(root), {}, b"salt")
    second, _ = redacted(recorded(root), {}, b"salt")
    assert first == second
    if name != "vpd":
        assert len(first.files[f"/sys/a/{name}"]) <= 3 * len(data) + 8


@pytest.mark.parametrize("letter", [b"a", b"1", b":", b"a:", b"1.", b" ", b"secret,", b"password", b"fe80::", b"-"])
def test_redaction_is_linear(letter: bytes) -> None:
    import time

    root = plant("sys/a/")
    root.data["/sys/a/b"] = letter * ((1 << 20) // len(letter))
    start = time.process_time()
    redacted(recorded(root), {})
    assert time.process_time() - start < 10


# -- real machines ----------------------------------------------------------------------------------------------------


def test_captured_machines_are_saved_and_read_alike(captures: Path, tmp_path: Path) -> None:
    paths = sorted(captures.glob("*.tar.gz"), key=lambda path: path.stat().st_size)
    chance = random.Random(7)
    for path in paths[10::40]:
        with open_root(str(path)) as root:
            every = [name for name, _ in root.store.entries()]  # type: ignore[attr-defined]
            some = chance.sample(every, min(300, len(every)))
            asks: list[Ask] = [(chance.choice(HOW), name + chance.choice(["", "", "/none"])) for name in some]
            folder = tmp_path / path.name
            folder.mkdir()
            answers_alike(root, asks, folder)
