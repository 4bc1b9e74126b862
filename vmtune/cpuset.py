"""Sets of CPU or node numbers, as the kernel writes them.

Source: `bitmap_parselist` and `bitmap_parse` in the kernel's lib/bitmap-str.c; `^` is libvirt's (formatdomain).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

LIMIT = 65_536
"""Largest number plus one that is believed: eight times the kernel's largest NR_CPUS."""
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")


class CpuSet:
    """An immutable set of small numbers: CPUs, nodes, vCPUs.

    Reads and prints the kernel's list format (`0-3,8`); kept as one integer with a bit for each member.
    """

    __slots__ = ("bits",)
    bits: int

    def __init__(self, members: Iterable[int] = ()) -> None:
        bits = 0
        for member in members:
            bits |= 1 << _bounded(member, str(member))
        object.__setattr__(self, "bits", bits)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a CpuSet does not change")

    @classmethod
    def of_bits(cls, bits: int) -> CpuSet:
        """The set whose members are the set bits of an integer."""
        made = object.__new__(cls)
        object.__setattr__(made, "bits", bits)
        return made

    @classmethod
    def parse(cls, text: str) -> CpuSet:
        """Read a list: `0-3,8`, `0-31:2/4` (kernel stride), `10-14:2` (taskset stride), `0-7,^3` (libvirt).

        `^` takes out of what stands before it. Nothing, blank and `(null)` (an unset mask) are the empty set.
        Raises ValueError naming the part that is wrong.
        """
        text = text.strip()
        if text in ("", "(null)"):
            return EMPTY
        bits = 0
        for each in text.split(","):
            part = each.strip()
            if part.startswith("^"):
                bits &= ~_range_bits(part[1:])
            else:
                bits |= _range_bits(part)
        return cls.of_bits(bits)

    @classmethod
    def parse_mask(cls, text: str) -> CpuSet:
        """Read a mask: hexadecimal words, the most significant first (`ff,ffffffff`). Raises ValueError."""
        words = text.strip().removeprefix("0x").split(",")
        if len(words) > LIMIT // 32:
            raise ValueError(f"mask of {len(words)} words")
        bits = 0
        for word in words:
            if not 1 <= len(word) <= (8 if len(words) > 1 else LIMIT // 4) or not _HEXADECIMAL.issuperset(word):
                raise ValueError(f"not a mask: {text[:80]!r}")
            bits = bits << 32 | int(word, 16)
        return cls.of_bits(bits)

    def __iter__(self) -> Iterator[int]:
        bits = self.bits
        while bits:
            lowest = bits & -bits
            yield lowest.bit_length() - 1
            bits ^= lowest

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __bool__(self) -> bool:
        return self.bits != 0

    def __contains__(self, member: int) -> bool:
        return member >= 0 and self.bits >> member & 1 == 1

    def __and__(self, other: CpuSet) -> CpuSet:
        return CpuSet.of_bits(self.bits & other.bits)

    def __or__(self, other: CpuSet) -> CpuSet:
        return CpuSet.of_bits(self.bits | other.bits)

    def __sub__(self, other: CpuSet) -> CpuSet:
        return CpuSet.of_bits(self.bits & ~other.bits)

    def __le__(self, other: CpuSet) -> bool:
        """Whether each member is in the other set too."""
        return self.bits & ~other.bits == 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CpuSet) and self.bits == other.bits

    def __hash__(self) -> int:
        return hash(self.bits)

    @property
    def first(self) -> int | None:
        """The smallest member, None for the empty set."""
        return (self.bits & -self.bits).bit_length() - 1 if self.bits else None

    def __str__(self) -> str:
        parts: list[str] = []
        bits, base = self.bits, 0
        while bits:
            gap = (bits & -bits).bit_length() - 1
            bits >>= gap
            run = (~bits & (bits + 1)).bit_length() - 1
            start = base + gap
            parts.append(str(start) if run == 1 else f"{start}-{start + run - 1}")
            bits >>= run
            base = start + run
        return ",".join(parts)

    def __repr__(self) -> str:
        return f"CpuSet({str(self)!r})"


EMPTY = CpuSet()


def union(sets: Iterable[CpuSet]) -> CpuSet:
    """All members of all sets."""
    bits = 0
    for each in sets:
        bits |= each.bits
    return CpuSet.of_bits(bits)


def _bounded(number: int, text: str) -> int:
    if not 0 <= number < LIMIT:
        raise ValueError(f"number out of range 0-{LIMIT - 1}: {text[:80]!r}")
    return number


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(f"not a list of numbers: {text[:80]!r}")
    return _bounded(int(text), text)


def _range_bits(part: str) -> int:
    """Bits of `5`, `0-3`, `0-31:2/4` or `10-14:2`."""
    span, colon, stride = part.partition(":")
    low, dash, high = span.partition("-")
    first = _number(low)
    if not dash and not colon:
        return 1 << first
    last = _number(high) if dash else first
    if last < first:
        raise ValueError(f"range runs backwards: {part[:80]!r}")
    block = (1 << (last - first + 1)) - 1
    if colon:
        used, slash, group = stride.partition("/")
        take, step = (_number(used), _number(group)) if slash else (1, _number(used))
        if not 1 <= take <= step:
            raise ValueError(f"not a stride: {part[:80]!r}")
        pattern = 0
        for start in range(0, last - first + 1, step):
            pattern |= ((1 << take) - 1) << start
        block &= pattern
    return block << first
