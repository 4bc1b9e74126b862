"""Text for a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vmtune.report.text import Paint, plain, wrapped


@given(st.text(alphabet="ab /-", max_size=300), st.integers(20, 60))
def test_wrapping_loses_no_word_and_breaks_only_at_blanks(text: str, width: int) -> None:
    lines = list(wrapped(text, width, first="> ", rest="  "))
    joined = " ".join([lines[0][2:], *(line[2:] for line in lines[1:])])
    assert joined == text
    assert all(len(line) <= width or " " not in line[2:] for line in lines)


@given(st.text())
def test_nothing_that_moves_a_cursor_is_left(text: str) -> None:
    shown = plain(text)
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert not {"\u202e", "\u2066", "\u200b"} & set(shown)


def test_colour_only_on_request() -> None:
    assert Paint(False)("x", "red", bold=True) == "x"
    assert Paint(True)("x", "red", bold=True) == "\x1b[1;31mx\x1b[0m"
