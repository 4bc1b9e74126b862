"""The kernel command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import Unreadable, plant
from vmtune.host import Host
from vmtune.host.cmdline import Token, page_counts, parse, size_bytes

MIB, GIB = 1 << 20, 1 << 30


def test_read() -> None:
    cmdline = Host(plant("/proc/cmdline: BOOT_IMAGE=/vmlinuz ro quiet iommu=pt")).cmdline
    assert cmdline.path == "/proc/cmdline"
    assert cmdline.text == "BOOT_IMAGE=/vmlinuz ro quiet iommu=pt"
    assert cmdline.get("iommu") == "pt"
    assert cmdline.get("quiet") == ""
    assert cmdline.get("nosmt") is None
    assert cmdline.has("ro")
    assert not cmdline.has("rw")


@pytest.mark.parametrize("tree", ["", "/proc/cmdline ! permission denied"])
def test_not_known(tree: str) -> None:
    with pytest.raises(Unreadable):
        _ = Host(plant(tree)).cmdline


def test_the_last_wins() -> None:
    cmdline = parse("console=tty0 mitigations=off console=ttyS0 mitigations=auto,nosmt")
    assert cmdline.get("mitigations") == "auto,nosmt"
    assert cmdline.all("console") == ("tty0", "ttyS0")
    assert cmdline.all("nosmt") == ()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \t\n", []),
        ("a  b\tc", [("a", None), ("b", None), ("c", None)]),
        ("a=", [("a", "")]),
        ("a=b=c", [("a", "b=c")]),
        ('a="b c" d', [("a", "b c"), ("d", None)]),
        ('"a=b c" d', [("a", "b c"), ("d", None)]),
        ('a="b', [("a", "b")]),
        ('a=b" "c', [("a", 'b" "c')]),
        ('dyndbg="file drivers/x.c +p; func y +p" ro', [("dyndbg", "file drivers/x.c +p; func y +p"), ("ro", None)]),
        ('""', [("", None)]),
        ("=x", [("", "x")]),
    ],
)
def test_quotes(text: str, tokens: list[tuple[str, str | None]]) -> None:
    assert list(parse(text).tokens) == [Token(*token) for token in tokens]


def test_hyphens_and_underscores_are_one_in_names_only() -> None:
    cmdline = parse("intel-iommu=on processor.max_cstate=1 rd.luks-name=a-b")
    assert cmdline.get("intel_iommu") == "on"
    assert cmdline.get("processor.max-cstate") == "1"
    assert cmdline.get("rd.luks_name") == "a-b"


def test_what_follows_two_hyphens_is_for_init() -> None:
    cmdline = parse("quiet -- iommu=off --verbose")
    assert not cmdline.has("iommu")
    assert cmdline.init == ("iommu=off", "--verbose")
    assert parse("a=-- b").has("b")


def test_module_parameters() -> None:
    cmdline = parse("kvm-intel.nested=1 kvm_intel.ept kvm.halt_poll_ns=0 kvm_intel.nested=0")
    assert cmdline.module("kvm_intel") == {"nested": "0", "ept": ""}
    assert cmdline.module("kvm") == {"halt_poll_ns": "0"}
    assert cmdline.module("kvm_amd") == {}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2M", 2 * MIB),
        ("1G", GIB),
        ("1g", GIB),
        ("2048k", 2 * MIB),
        ("0x200000", 2 * MIB),
        ("010", 8),
        ("4096", 4096),
        ("1Gx", GIB),
        ("0", 0),
        ("", None),
        ("M", None),
        ("-2M", None),
        ("0x", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("16", (16, None)),
        ("0:16,1:8", (24, {0: 16, 1: 8})),
        ("1:4", (4, {1: 4})),
        ("", (None, None)),
        ("many", (None, None)),
        ("0:16,8", (None, None)),
        ("0:", (None, None)),
        ("-1", (None, None)),
        ("٣", (None, None)),
    ],
)
def test_page_counts(text: str, counts: tuple[int | None, dict[int, int] | None]) -> None:
    assert page_counts(text) == counts


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        ("ro", []),
        ("hugepages=512", [(None, 512, None, False)]),
        ("default_hugepagesz=1G hugepages=4", [(GIB, 4, None, False)]),
        ("hugepages=4 default_hugepagesz=1G", [(GIB, 4, None, False)]),
        (
            "hugepagesz=1G hugepages=16 hugepagesz=2M hugepages=1024",
            [(GIB, 16, None, False), (2 * MIB, 1024, None, False)],
        ),
        ("hugepagesz=1G hugepages=0:16,1:16", [(GIB, 32, {0: 16, 1: 16}, False)]),
        # A size without a number, and numbers that no size goes before.
        ("hugepagesz=1G", []),
        ("hugepages=4 hugepages=5", [(None, 4, None, False), (None, 5, None, True)]),
        # The size is nonsense: its number is lost, and the next one belongs to the size before.
        ("hugepagesz=big hugepages=4", [(None, 4, None, True)]),
        ("hugepagesz=2M hugepagesz=2M hugepages=4", [(2 * MIB, 4, None, True)]),
        ("default_hugepagesz=1G hugepagesz=1G hugepages=4", [(GIB, 4, None, False)]),
        # The default size was given a number without being named; it cannot be given another by name.
        (
            "hugepages=256 default_hugepagesz=2M hugepagesz=2M hugepages=512",
            [(2 * MIB, 256, None, False), (2 * MIB, 512, None, True)],
        ),
        ("default_hugepagesz=1G default_hugepagesz=2M hugepages=4", [(2 * MIB, 4, None, True)]),
        ("hugepagesz=2M hugepages=some", [(2 * MIB, None, None, True)]),
    ],
)
def test_hugepage_requests(
    text: str, requests: list[tuple[int | None, int | None, dict[int, int] | None, bool]]
) -> None:
    found = parse(text).hugepages
    assert [(each.size_bytes, each.total, each.nodes, each.ignored is not None) for each in found] == requests


def test_default_size() -> None:
    assert parse("default_hugepagesz=1G").default_hugepage_bytes == GIB
    assert parse("default_hugepagesz=large").default_hugepage_bytes is None
    assert parse("").default_hugepage_bytes is None


@given(st.text(max_size=200))
def test_any_text_is_split(text: str) -> None:
    cmdline = parse(text)
    assert all('"' not in token.name or "=" not in token.name for token in cmdline.tokens)
    assert cmdline.hugepages == parse(text).hugepages
    assert size_bytes(text) is None or (size_bytes(text) or 0) >= 0
    total, nodes = page_counts(text)
    assert nodes is None or sum(nodes.values()) == total


@given(st.lists(st.from_regex(r"[a-z_.]{1,8}(=[a-z0-9,:]{0,8})?", fullmatch=True)))
def test_plain_words_come_back(words: list[str]) -> None:
    tokens = parse(" ".join(words)).tokens
    assert [token.name if token.value is None else f"{token.name}={token.value}" for token in tokens] == words
