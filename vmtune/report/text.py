"""Text for a terminal: wrapped, coloured, and free of control characters."""

from __future__ import annotations

from collections.abc import Iterator

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROLS |= {
    code: f"\\u{code:04x}" for code in (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}


class Paint:
    """Colours text, or leaves it as it is."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, colour: str | None = None, *, bold: bool = False) -> str:
        codes = ["1"] * bold + ([str(_COLOURS[colour])] if colour else [])
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.colour and codes else text


def plain(text: str) -> str:
    """Text whose control and direction characters are shown, not obeyed: what a captured tree says must not move a
    cursor."""
    return text.translate(_CONTROLS)


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> Iterator[str]:
    """Lines of at most `width` columns, broken at blanks only, so that a path or a command can be copied."""
    line, room = first, False
    for word in text.split(" "):
        if room and len(line) + 1 + len(word) > width:
            yield line
            line, room = rest, False
        line += f" {word}" if room else word
        room = True
    yield line
