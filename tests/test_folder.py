from __future__ import annotations

import string
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import plant
from vmtune.cpuset import CpuSet
from vmtune.root import Folder, Unreadable
from vmtune.root.folder import Choice, keep, known, nonsense
from vmtune.root.memory import Memory
from vmtune.root.nowhere import nowhere
from vmtune.value import peek, value

MACHINE = """
/sys/x/text: one line
/sys/x/lines:
  first
  second
/sys/x/empty:
/sys/x/number: 42
/sys/x/hex: 0x1f
/sys/x/minus: -1
/sys/x/yes: Y
/sys/x/one: 1
/sys/x/no: N
/sys/x/cpus: 0-3,8
/sys/x/mask: 1,0000000f
/sys/x/choice: always [madvise] never
/sys/x/word: none
/sys/x/words: always madvise
/sys/x/brackets: [a] [b]
/sys/x/garbage: \x01\ufffd not a thing
/sys/x/driver -> ../../bus/pci/drivers/nvme
/sys/x/inner/deep: 7
/sys/x/refused ! permission denied
"""
READERS: list[Callable[[Folder, str], object]] = [
    Folder.text, Folder.number, Folder.node, Folder.flag, Folder.cpus, Folder.mask, Folder.choice, Folder.link_name,
    Folder.names, Folder.has,
]  # fmt: skip
TYPED = [Folder.number, Folder.node, Folder.flag, Folder.cpus, Folder.mask, Folder.choice]


def folder(tree: str = MACHINE, path: str = "/sys/x") -> Folder:
    return plant(tree).folder(path)


def test_what_is_there() -> None:
    here = folder()
    assert (here.text("text"), here.text("lines"), here.text("empty")) == ("one line", "first\nsecond", "")
    assert (here.number("number"), here.number("hex"), here.number("minus")) == (42, 31, -1)
    assert (here.node("number"), here.node("minus")) == (42, None)
    assert (here.flag("yes"), here.flag("one"), here.flag("no")) == (True, True, False)
    assert here.cpus("cpus") == CpuSet([0, 1, 2, 3, 8])
    assert here.cpus("empty") == CpuSet()
    assert here.mask("mask") == CpuSet([0, 1, 2, 3, 32])
    assert here.choice("choice") == Choice("madvise", ("always", "madvise", "never"))
    assert here.choice("word") == Choice("none", ("none",))
    assert here.link_name("driver") == "nvme"
    assert here.names("inner") == ["deep"]
    assert (here.has("text"), here.has("inner")) == (True, True)
    assert here.folder("inner").number("deep") == here.number("inner/deep") == 7


@pytest.mark.parametrize("reader", READERS)
def test_what_is_absent(reader: Callable[[Folder, str], object]) -> None:
    for here in (folder(), folder(path="/sys/gone"), folder(path="/sys/x/text")):
        assert reader(here, "gone") in (None, False)
        assert reader(here, "gone/deeper") in (None, False)


@pytest.mark.parametrize("reader", READERS)
def test_what_cannot_be_read_is_kept(reader: Callable[[Folder, str], object]) -> None:
    held = reader(folder(), "refused")
    assert isinstance(held, Unreadable)
    assert (held.path, held.reason) == ("/sys/x/refused", "permission denied")
    assert isinstance(reader(nowhere().folder("/sys/x"), "text"), Unreadable)


@pytest.mark.parametrize("reader", TYPED)
@pytest.mark.parametrize("name", ["garbage", "text", "lines"])
def test_nonsense_is_kept_with_what_it_is_not(reader: Callable[[Folder, str], object], name: str) -> None:
    held = reader(folder(), name)
    assert isinstance(held, Unreadable)
    assert held.path == f"/sys/x/{name}"
    assert " is not " in held.reason


@pytest.mark.parametrize("reader", [Folder.number, Folder.node, Folder.flag, Folder.mask, Folder.choice])
def test_an_empty_answer_is_no_answer(reader: Callable[[Folder, str], object]) -> None:
    held = reader(folder(), "empty")
    assert isinstance(held, Unreadable)
    assert held.reason.startswith("empty, expected ")


@pytest.mark.parametrize("name", ["words", "brackets"])
def test_no_word_or_two_chosen(name: str) -> None:
    assert isinstance(folder().choice(name), Unreadable)


@pytest.mark.parametrize("reader", READERS)
def test_links_in_a_circle_and_folders_are_kept_or_absent(reader: Callable[[Folder, str], object]) -> None:
    here = folder("/sys/x/a -> b\n/sys/x/b -> a\n/sys/x/c -> c/d\n/sys/x/inner/f: 1")
    for name in ("a", "c", "a/b", "inner"):
        held = reader(here, name)
        assert held is None or isinstance(held, Unreadable | list | bool | str)


def test_a_capture_cannot_lead_out_of_itself() -> None:
    here = folder("/sys/x/up -> ../../../../../../../etc/passwd\n/etc/passwd: captured")
    assert here.text("up") == "captured"
    assert here.text("../../../../etc/passwd") == "captured"


def written(data: bytes) -> Folder:
    root = plant("/sys/x/other: 1")
    assert isinstance(root.store, Memory)
    root.store.put("/sys/x/a", data)
    return root.folder("/sys/x")


WORDS = st.text(string.ascii_letters + string.digits + "_-+", min_size=1, max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=8), st.data())
def test_the_bracketed_word_is_chosen(words: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(words) - 1))
    shown = [f"[{word}]" if place == at else word for place, word in enumerate(words)]
    gap = data.draw(st.sampled_from([" ", "  ", "\t"]))
    assert written((gap.join(shown) + "\n").encode()).choice("a") == Choice(words[at], tuple(words))


@given(st.lists(WORDS, min_size=2, max_size=8), st.sets(st.integers(0, 7), min_size=0))
def test_none_or_several_bracketed_words_are_nonsense(words: list[str], chosen: set[int]) -> None:
    shown = [f"[{word}]" if place in chosen else word for place, word in enumerate(words)]
    held = written(" ".join(shown).encode()).choice("a")
    assert isinstance(held, Choice) == (sum("[" in word for word in shown) == 1)


@given(st.integers(-(1 << 70), 1 << 70))
def test_numbers_are_read_back(number: int) -> None:
    assert written(f"{number}\n".encode()).number("a") == number
    assert number < 0 or written(f"{number:#x}\n".encode()).number("a") == number


@given(st.one_of(st.binary(max_size=60), st.text("[] 0123456789-,:/xYN\n", max_size=30).map(str.encode)))
def test_whatever_a_file_holds_nothing_is_raised(data: bytes) -> None:
    here = written(data)
    expected = (
        (Folder.text, str),
        (Folder.number, int),
        (Folder.node, int),
        (Folder.flag, bool),
        (Folder.cpus, CpuSet),
        (Folder.mask, CpuSet),
        (Folder.choice, Choice),
    )
    for reader, kind in expected:
        held = reader(here, "a")
        assert isinstance(held, kind) or (held is None and reader is Folder.node) or isinstance(held, Unreadable)
        if isinstance(held, Choice):
            assert held.active in held.options


def test_nonsense_is_shown_in_part() -> None:
    held: Unreadable = nonsense("/x", "a number", "9" * 1000)
    assert len(str(held)) < 120
    assert str(held).startswith("/x: '9999")


# -- values ------------------------------------------------------------------------------------------------------------


@value
class Thing(NamedTuple):
    """A thing."""

    name: str
    """What it is called."""
    size: int | None
    """How large it is."""

    @property
    def twice(self) -> int | None:
        """Twice its size."""
        return None if self.size is None else 2 * self.size


BAD = Thing("a", keep(Unreadable("/x/size", "permission denied")))


def test_a_field_that_is_known() -> None:
    thing = Thing(name="a", size=3)
    assert (thing.name, thing.size, thing.twice, thing[1]) == ("a", 3, 6, 3)
    assert Thing("a", None).twice is None
    assert thing == Thing("a", 3)
    assert thing._replace(size=4).size == 4


def test_a_field_that_is_not_raises_when_it_is_used_each_time() -> None:
    assert BAD.name == "a"
    for _ in range(2):
        with pytest.raises(Unreadable, match="permission denied") as raised:
            _ = BAD.size
        assert id(raised.value) != id(tuple(BAD)[1])
        with pytest.raises(Unreadable):
            _ = BAD.twice


def test_a_kept_one_moves_on_unraised() -> None:
    other = BAD._replace(name="b")
    assert other.name == "b"
    assert tuple(other)[1] is tuple(BAD)[1]
    with pytest.raises(AttributeError):
        BAD.name = "c"  # type: ignore[misc]


def test_peek_and_known() -> None:
    assert peek(lambda: BAD.size) is None
    assert peek(lambda: BAD.name) == "a"
    assert known(5) == 5
    assert known(None) is None
    kept: int = keep(Unreadable("/x", "gone"))
    with pytest.raises(Unreadable, match="/x: gone"):
        known(kept)
    with pytest.raises(ZeroDivisionError):
        peek(lambda: 1 // 0)


def test_fields_keep_their_order_and_documentation_has_a_place() -> None:
    assert Thing._fields == ("name", "size")
    assert isinstance(Thing.size, property)


@pytest.mark.parametrize("text", ["1_0", "\u0661", "4 2", "0x", "1.5"])
def test_what_only_python_takes_for_a_number_is_none(text: str) -> None:
    assert isinstance(written(text.encode()).number("a"), Unreadable)


def test_empty_brackets_choose_nothing() -> None:
    assert isinstance(written(b"[] a").choice("a"), Unreadable)
