from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtune.cpuset import EMPTY, LIMIT, CpuSet, union

MEMBERS = st.sets(st.one_of(st.integers(0, 200), st.integers(0, LIMIT - 1)))


@given(MEMBERS)
def test_a_list_is_read_back(members: set[int]) -> None:
    made = CpuSet(members)
    assert CpuSet.parse(str(made)) == made
    assert list(made) == sorted(members)
    assert len(made) == len(members)
    assert bool(made) == bool(members)
    assert made.first == min(members, default=None)


@given(MEMBERS)
def test_a_mask_is_read_back(members: set[int]) -> None:
    made = CpuSet(members)
    digits = f"{made.bits:x}"
    words = [digits[max(0, end - 8) : end] for end in range(len(digits), 0, -8)][::-1]
    assert CpuSet.parse_mask(",".join(words)) == made
    assert CpuSet.parse_mask(f"0x{digits}\n") == made


@given(MEMBERS, MEMBERS)
def test_it_behaves_as_a_set(left: set[int], right: set[int]) -> None:
    one, other = CpuSet(left), CpuSet(right)
    assert set(one & other) == left & right
    assert set(one | other) == left | right
    assert set(one - other) == left - right
    assert (one <= other) == (left <= right)
    assert (one == other) == (left == right)
    assert one != left
    assert hash(one) == hash(CpuSet(sorted(left)))
    assert union([one, other, EMPTY]) == one | other
    assert all(member in one for member in left)
    assert -1 not in one


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 40), st.integers(1, 40))
def test_strides_as_the_kernel_and_taskset_write_them(first: int, span: int, used: int, more: int) -> None:
    group = used + more - 1
    kernel = {first + at for at in range(span + 1) if at % group < used}
    assert set(CpuSet.parse(f"{first}-{first + span}:{used}/{group}")) == kernel
    assert set(CpuSet.parse(f"{first}-{first + span}:{group}")) == set(range(first, first + span + 1, group))


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("", []),
        (" \n", []),
        ("(null)", []),
        ("0", [0]),
        ("0-3,8", [0, 1, 2, 3, 8]),
        (" 1 , 3-4 \n", [1, 3, 4]),
        ("3,1-2,2", [1, 2, 3]),
        ("0-7:1/4,9", [0, 4, 9]),
        ("0-31:2/4", [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29]),
        ("10-14:2", [10, 12, 14]),
        ("0-7,^3", [0, 1, 2, 4, 5, 6, 7]),
        ("0-7,^2-5", [0, 1, 6, 7]),
        ("0-3,^1,1", [0, 1, 2, 3]),
        ("^1,0-3", [0, 1, 2, 3]),
        ("^3", []),
        (str(LIMIT - 1), [LIMIT - 1]),
    ],
)
def test_lists(text: str, members: list[int]) -> None:
    assert list(CpuSet.parse(text)) == members


NO_LISTS = """a - -1 1- 3-1 1--2 0,,1 , 0, ^ ^^1 1.5 0x1 1_0 +1 all (null),1 \u0661 \u00b2
    0-3: 0-3:0 0-3:2/1 0-3:0/2 0-3:/2 0-3:1/2/3 0-3:1:2"""


@pytest.mark.parametrize("text", [*NO_LISTS.split(), "1 2", "\0", str(LIMIT), f"0-{LIMIT}", "9" * 5000])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a |out of range|backwards"):
        CpuSet.parse(text)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("0", []),
        ("f", [0, 1, 2, 3]),
        ("00000000,0000000f", [0, 1, 2, 3]),
        ("1,00000000", [32]),
        ("80000000,00000000,00000001", [0, 95]),
        ("FF", list(range(8))),
    ],
)
def test_masks(text: str, members: list[int]) -> None:
    assert list(CpuSet.parse_mask(text)) == members


NO_MASKS = ", 1, g 0x 0x0x1 1,0x1 123456789,0 \u0661 \uff11 1_0 -1"
LONG_MASKS = ["f" * (LIMIT // 4 + 1), ",".join(["0"] * (LIMIT // 32 + 1))]


@pytest.mark.parametrize("text", ["", "1 1", *NO_MASKS.split(), *LONG_MASKS])
def test_what_is_no_mask_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="mask"):
        CpuSet.parse_mask(text)


def read(parse: object, text: str) -> CpuSet:
    """What a text says, the empty set where it is refused as it should be."""
    try:
        return parse(text)  # type: ignore[operator, no-any-return]
    except ValueError:
        return EMPTY


NEARLY = st.text("0123456789-,:/^ x(null)af\n", max_size=30)


@given(st.one_of(st.text(max_size=40), NEARLY))
def test_garbage_is_a_value_error_or_a_set_within_bounds(text: str) -> None:
    for parse in (CpuSet.parse, CpuSet.parse_mask):
        assert 0 <= read(parse, text).bits < 1 << LIMIT


@pytest.mark.parametrize("member", [-1, LIMIT, 1 << 200])
def test_members_out_of_range_are_refused(member: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        CpuSet([member])


def test_it_does_not_change() -> None:
    made = CpuSet([1, 2])
    with pytest.raises(AttributeError, match="does not change"):
        made.bits = 7
    assert repr(made) == "CpuSet('1-2')"
    assert CpuSet.of_bits(6) == made
    assert str(EMPTY) == ""
