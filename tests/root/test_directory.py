"""Reading a directory that anybody may have made, or is changing meanwhile."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmtune.root import FILE_LIMIT, Root, Unreadable, live_root
from vmtune.root.capture import open_capture
from vmtune.root.directory import Directory
from vmtune.root.memory import Link, Memory

NOBODY = 65534


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A tree in which every name outside of it says so."""
    (tmp_path / "secret").write_text("outside\n")
    (tmp_path / "top/sys").mkdir(parents=True)
    return tmp_path / "top"


def root_at(top: Path) -> Root:
    return open_capture(str(top))


def reason(ask: Callable[[], object]) -> str:
    with pytest.raises(Unreadable) as caught:
        ask()
    return caught.value.reason


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def as_nobody(ask: Callable[[], str]) -> str:
    """What a function says in a process of a user without rights."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(send, ask().encode())
        except BaseException as error:  # noqa: BLE001
            os.write(send, f"failed: {error!r}".encode())
        finally:
            os._exit(0)
    os.close(send)
    with open(receive) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make these files, or become another user")


def test_content_as_it_is(top: Path) -> None:
    (top / "sys/text").write_bytes(b"8\n\n")
    (top / "sys/empty").write_bytes(b"")
    (top / "sys/garbage").write_bytes(bytes(range(256)))
    root = root_at(top)
    assert root.read("/sys/text") == "8"
    assert root.read_bytes("/sys/text") == b"8\n\n"
    assert root.read("/sys/empty") == ""
    assert root.read_bytes("/sys/garbage") == bytes(range(256))
    assert root.read("/sys/garbage").endswith("\\xff")  # type: ignore[union-attr]


def test_a_file_is_read_once(top: Path) -> None:
    (top / "sys/a").write_text("1\n")
    root = root_at(top)
    assert root.read("/sys/a") == "1"
    (top / "sys/a").write_text("2\n")
    assert (root.read("/sys/a"), root.reread("/sys/a"), root.seen("/sys/a")) == ("1", "2", "1")
    (top / "sys/b").symlink_to("a")
    assert (root.read("/sys/b"), root.reread("/sys/b")) == ("1", "2")


def test_huge_files_are_not_read(top: Path) -> None:
    with open(top / "sys/huge", "wb") as file:
        file.truncate(1 << 40)
    (top / "sys/limit").write_bytes(b"x" * FILE_LIMIT)
    (top / "sys/more").write_bytes(b"x" * (FILE_LIMIT + 1))
    root = root_at(top)
    assert reason(lambda: root.read("/sys/huge")) == "larger than is believed of such a file"
    assert len(root.read_bytes("/sys/limit") or b"") == FILE_LIMIT
    assert reason(lambda: root.read("/sys/more")) == "larger than is believed of such a file"


def test_a_file_that_never_ends_is_bounded() -> None:
    store = Directory("/proc/self")
    with pytest.raises(OSError, match="too large") as caught:
        store.read("", "maps", 10)
    assert caught.value.errno == errno.EFBIG
    store.close()


def test_special_files_are_never_opened(top: Path) -> None:
    os.mkfifo(top / "sys/fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(top / "sys")  # the path of a socket has to be short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        root = root_at(top)
        assert reason(lambda: root.read("/sys/fifo")) == "invalid argument"
        assert reason(lambda: root.read("/sys/socket")) == "invalid argument"
        assert root.exists("/sys/fifo")
        assert not root.is_folder("/sys/fifo")
        assert root.names("/sys/fifo") is None
        assert stat.S_ISFIFO((root.mode("/sys/fifo") or (0,))[0])
        assert reason(lambda: root.read("/sys")) == "is a folder"


@needs_root
def test_a_device_is_not_opened(top: Path) -> None:
    os.mknod(top / "sys/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert reason(lambda: root_at(top).read("/sys/null")) == "invalid argument"


@needs_root
def test_permission_denied_is_neither_absent_nor_present(top: Path) -> None:
    top.parent.chmod(0o755)
    (top / "sys/closed").mkdir()
    (top / "sys/closed/a").write_text("1\n")
    (top / "sys/closed").chmod(0o700)
    (top / "sys/unlisted").mkdir()
    (top / "sys/unlisted/a").write_text("1\n")
    (top / "sys/unlisted").chmod(0o711)
    (top / "sys/file").write_text("1\n")
    (top / "sys/file").chmod(0o600)
    root = root_at(top)

    def said() -> str:
        asks: tuple[Callable[[], object], ...] = (
            lambda: root.read("/sys/file"),
            lambda: root.exists("/sys/file"),
            lambda: root.read("/sys/closed/a"),
            lambda: root.exists("/sys/closed/a"),
            lambda: root.link("/sys/closed/a"),
            lambda: root.names("/sys/closed"),
            lambda: root.names("/sys/unlisted"),
            lambda: root.read("/sys/unlisted/a"),
            lambda: root.exists("/sys/closed/a"),
        )
        answers = []
        for ask in asks:
            try:
                answers.append(str(ask()))
            except Unreadable as kept:
                answers.append(kept.reason)
        return ", ".join(answers)

    denied = "permission denied"
    wanted = [denied, "True", denied, denied, denied, denied, denied, "1", denied]
    assert as_nobody(said) == ", ".join(wanted)


@pytest.mark.parametrize(
    "target",
    ["../../secret", "/../../secret", "../../../../../../../../etc/passwd", "/etc/passwd", "/secret", "/proc/1"],
)
def test_links_stay_below_the_top(top: Path, target: str) -> None:
    (top / "sys/link").symlink_to(target)
    root = root_at(top)
    assert root.link("/sys/link") == target
    assert reason(lambda: root.read("/sys/link")) == "not in this capture"
    assert reason(lambda: root.real("/sys/link")) == "not in this capture"
    assert reason(lambda: root.names("/sys/link/..")) == "not in this capture"


def test_dots_stay_below_the_top(top: Path) -> None:
    (top / "secret").write_text("inside\n")
    root = root_at(top)
    assert root.read("/sys/../../../secret") == "inside"
    assert root.names("/..") == ["secret", "sys"]
    assert root.names("/sys/../.././") == ["secret", "sys"]
    assert (root.real("/"), root.real("/sys/.."), root.is_folder("/..")) == ("/", "/", True)
    for name in ("..", "../../secret", "", "a/../../../secret", "a\0b", "\udfff"):
        with pytest.raises(Unreadable):
            root.read_in("/sys", name)


def test_a_store_takes_no_path_for_a_name(top: Path) -> None:
    store = Directory(str(top))
    asks: tuple[Callable[[str], object], ...] = (
        lambda name: store.read("", name, 100),
        lambda name: store.readlink("", name),
        lambda name: store.status("", name),
        lambda name: store.is_folder("", name),
    )
    for ask in asks:
        for name in ("../secret", "sys/../../secret", "a\0b", "\ud800"):
            with pytest.raises(OSError, match="no such file"):
                ask(name)
    with pytest.raises(OSError, match="no such file"):
        store.read("", "..", 100)
    store.close()


def test_links_in_circles_end(top: Path) -> None:
    (top / "sys/a").symlink_to("b")
    (top / "sys/b").symlink_to("a")
    (top / "sys/self").symlink_to("self/self")
    deep = "/".join("d" * 90)
    for place in range(60):
        (top / f"sys/chain{place}").symlink_to(f"{deep}/../chain{place + 1}")
    root = root_at(top)
    for path in ("/sys/a", "/sys/a/x", "/sys/self", "/sys/self/x"):
        assert reason(lambda path=path: root.read(path)) == "too many links"  # type: ignore[misc]
    with pytest.raises(Unreadable):
        root.read("/sys/chain0/x")


def test_forty_links_are_followed_and_no_more(top: Path) -> None:
    (top / "sys/0").write_text("reached\n")
    for place in range(50):
        (top / f"sys/{place + 1}").symlink_to(f"{place}")
    root = root_at(top)
    assert root.read("/sys/39") == "reached"
    assert reason(lambda: root.read("/sys/50")) == "too many links"


def test_deep_paths_end(top: Path) -> None:
    handle = os.open(top / "sys", os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=handle)
        below = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    root = root_at(top)
    assert root.names("/sys" + "/d" * 90) == ["d"]
    assert reason(lambda: root.names("/sys" + "/d" * 250)) == "too deep"
    (top / "sys/far").symlink_to("d/" * 90)
    assert reason(lambda: root.names("/sys/far/far/" + "d/" * 90)) in ("too deep", "not in this capture")


def test_what_vanishes_between_listing_and_reading_is_absent(top: Path) -> None:
    for name in ("a", "b"):
        (top / f"sys/{name}").write_text("1\n")
    root = root_at(top)
    assert root.names("/sys") == ["a", "b"]
    (top / "sys/a").unlink()
    assert reason(lambda: root.read("/sys/a")) == "not in this capture"  # /sys was listed, and is never captured whole
    live = Root(Directory(str(top)))
    (top / "sys/b").unlink()
    assert live.read("/sys/b") is None


def test_names_of_any_bytes(top: Path) -> None:
    folder = os.fsencode(top / "sys")
    for name in (b"new\nline", b"\xff\xfe", b" ", "größe".encode(), b"a" * 255):
        with open(folder + b"/" + name, "wb") as file:
            file.write(name)
    root = root_at(top)
    names = root.names("/sys") or []
    assert sorted(os.fsencode(name) for name in names) == sorted(os.listdir(folder))
    assert all(root.read_bytes(f"/sys/{name}") == os.fsencode(name) for name in names)
    with pytest.raises(Unreadable):
        root.read("/sys/" + "a" * 256)


def test_a_folder_of_many_entries(top: Path) -> None:
    for place in range(20_000):
        os.symlink("x", top / f"sys/{place:05}")
    names = root_at(top).names("/sys") or []
    assert (len(names), names[0], names[-1]) == (20_000, "00000", "19999")


def test_handles_are_bounded_and_given_back(top: Path) -> None:
    for place in range(400):
        (top / f"sys/{place}/deeper").mkdir(parents=True)
        (top / f"sys/{place}/deeper/a").write_text(f"{place}\n")
    before = handles()
    with root_at(top) as root:
        root.read("/sys/7/deeper/a")
        for _ in range(2):
            for place in range(400):
                assert root.reread(f"/sys/{place}/deeper/a") == str(place)
            assert handles() <= before + 130
    assert handles() == before
    assert root.read("/sys/7/deeper/a") == "7"
    assert reason(lambda: root.reread("/sys/7/deeper/a")) == "is closed"
    dropped = root_at(top)
    dropped.read("/sys/7/deeper/a")
    del dropped
    assert handles() == before


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_nothing_outside_is_read_while_links_are_swapped_in(top: Path, kind: str) -> None:
    """A folder, or a file, is exchanged for a link that leads out, again and again, while it is read."""
    (top.parent / "out").mkdir()
    (top.parent / "out/a").write_text("outside\n")
    (top / "sys/folder").mkdir()
    (top / "sys/folder/a").write_text("inside\n")
    if kind == "folder":
        swapped, target = top / "sys/folder", str(top.parent / "out")
    else:
        swapped, target = top / "sys/folder/a", str(top.parent / "out/a")
    aside, link = top / "sys/aside", top / "sys/link"
    link.symlink_to(target)
    swapper = os.fork()
    while swapper == 0:
        os.rename(swapped, aside)
        os.rename(link, swapped)
        os.rename(swapped, link)
        os.rename(aside, swapped)
    seen = set()
    try:
        for _ in range(2000):
            with Root(Directory(str(top))) as root:
                try:
                    seen.add(root.read("/sys/folder/a"))
                except Unreadable:
                    seen.add(None)
    finally:
        os.kill(swapper, signal.SIGKILL)
        os.waitpid(swapper, 0)
    assert "inside" in seen
    assert seen <= {"inside", None}


@needs_root
def test_the_live_machine_follows_no_link_of_another_user(tmp_path: Path) -> None:
    for name in ("etc", "sys/class"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/shadow").write_text("secret\n")
    for name in ("etc/theirs", "sys/class/theirs"):
        (tmp_path / name).symlink_to("/etc/shadow")
        os.lchown(tmp_path / name, NOBODY, NOBODY)
    (tmp_path / "etc/ours").symlink_to("shadow")
    (tmp_path / "etc/folder").symlink_to(".")
    os.lchown(tmp_path / "etc/folder", NOBODY, NOBODY)
    live = Root(Directory(str(tmp_path)))
    assert live.read("/etc/ours") == "secret"
    assert live.link("/etc/theirs") == "/etc/shadow"
    for path in ("/etc/theirs", "/etc/folder/shadow"):
        assert reason(lambda path=path: live.read(path)) == "another user's link, which is not followed"  # type: ignore[misc]
    assert live.read("/sys/class/theirs") == "secret"  # the kernel's links


def test_no_link_of_a_process_is_followed() -> None:
    live = live_root()
    assert live.link("/proc/self/exe") == os.readlink("/proc/self/exe")
    assert reason(lambda: live.read("/proc/self/exe")) == "a process's own link, which is not followed"
    assert reason(lambda: live.names("/proc/self/cwd")) == "a process's own link, which is not followed"
    assert live.read("/proc/mounts") is not None  # which is a link to self/mounts
    live.close()


NAME = st.sampled_from(["a", "b", "c", "..", ".", "nö", "x y"])
PATH = st.lists(NAME, min_size=1, max_size=5).map("/".join)
NODES = st.dictionaries(
    PATH,
    st.one_of(
        st.binary(max_size=8),
        st.builds(Link, st.one_of(PATH, PATH.map("/".__add__), PATH.map("/sys/".__add__)).map(lambda path: path[:200])),
        st.none(),
    ),
    max_size=12,
)
ASKS = st.lists(
    st.tuples(
        st.sampled_from(["read_bytes", "names", "link", "real", "exists", "is_folder"]), PATH.map("/sys/".__add__)
    ),
    max_size=12,
)


@given(nodes=NODES, asks=ASKS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_memory_and_directory_answer_alike(
    tmp_path_factory: pytest.TempPathFactory, nodes: dict[str, bytes | Link | None], asks: list[tuple[str, str]]
) -> None:
    """The same tree, in memory and on disk, as a live machine: all answers are the same, and the kernel's own."""
    top = tmp_path_factory.mktemp("tree")
    (top / "sys").mkdir()
    memory = Memory()
    memory.put_folder("/sys")
    for path, node in nodes.items():
        parts = [part for part in path.split("/") if part not in (".", "..")]
        place = top.joinpath("sys", *parts)
        above = [folder for folder in place.parents if folder.is_relative_to(top)]
        if not parts or os.path.lexists(place) or any(folder.is_symlink() or folder.is_file() for folder in above):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        inside = "/" + str(place.relative_to(top))
        if node is None:
            place.mkdir()
            memory.put_folder(inside)
        elif isinstance(node, Link):
            place.symlink_to(node.target)
            memory.put(inside, node)
        else:
            place.write_bytes(node)
            memory.put(inside, node)
    with Root(Directory(str(top))) as on_disk:
        in_memory = Root(memory)
        in_memory._distrust = lambda *_: None  # type: ignore[method-assign]
        for how, path in asks:
            answers = []
            for root in (in_memory, on_disk):
                try:
                    answers.append(getattr(root, how)(path))
                except Unreadable as kept:
                    answers.append(kept.reason)
            assert answers[0] == answers[1], (how, path)


def test_the_kernel_agrees_on_where_links_lead(top: Path) -> None:
    """`..` behind a link leaves the folder that the link leads to, not the one it stands in."""
    (top / "sys/far/away").mkdir(parents=True)
    (top / "sys/far/a").write_text("physical\n")
    (top / "sys/a").write_text("lexical\n")
    (top / "sys/link").symlink_to("far/away")
    assert (top / "sys/link/../a").read_text() == "physical\n"
    assert root_at(top).read("/sys/link/../a") == "physical"
