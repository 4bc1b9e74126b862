"""Documents that are meant to harm: entities, document types, sizes, depths, bytes that are no text."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtune.host.domain import BadDomain, from_file
from vmtune.host.domain.document import DEPTH_LIMIT, PART_LIMIT, SIZE_LIMIT
from vmtune.root.unreadable import Unreadable

LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE domain [
 <!ENTITY a "aaaaaaaaaa">
 <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
 <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
 <!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">
]>
<domain><name>&d;</name><memory>1</memory></domain>"""
FILE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><domain><name>&x;</name><memory>1</memory></domain>'
PARAMETER = '<!DOCTYPE d [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x.dtd"> %x;]><domain><name>n</name></domain>'
EXTERNAL = '\n\n<!DOCTYPE domain SYSTEM "domain.dtd"><domain><name>n</name><memory>1</memory></domain>'
PUBLIC = '<!DOCTYPE domain PUBLIC "-//X//Y" "http://127.0.0.1:1/"><domain><name>n</name><memory>1</memory></domain>'
EMPTY = "<!DOCTYPE domain><domain><name>n</name><memory>1</memory></domain>"


@pytest.mark.parametrize("text", [LAUGHS, FILE, PARAMETER, EXTERNAL, PUBLIC, EMPTY])
def test_a_document_type_is_refused(text: str) -> None:
    with pytest.raises(BadDomain, match=r"^bomb.xml: line \d: has a document type"):
        from_file(text, "bomb.xml")


def test_the_line_of_a_document_type_is_named() -> None:
    with pytest.raises(BadDomain, match="line 3:"):
        from_file(EXTERNAL, "bomb.xml")


def test_an_entity_of_nobody_is_an_error_of_its_line() -> None:
    with pytest.raises(BadDomain, match=r"line 2, column 9: undefined entity"):
        from_file("<domain>\n  <name>&nbsp;</name></domain>", "d.xml")


def test_depth_is_bounded() -> None:
    deep = "<a>" * (DEPTH_LIMIT + 5) + "</a>" * (DEPTH_LIMIT + 5)
    with pytest.raises(BadDomain, match="elements inside each other"):
        from_file(f"<domain><name>d</name><memory>1</memory>{deep}</domain>", "d.xml")


def test_a_very_deep_document_ends_in_an_error_not_in_a_crash() -> None:
    depth = PART_LIMIT // 2 - 10
    with pytest.raises(BadDomain, match="elements inside each other"):
        from_file("<a>" * depth + "</a>" * depth, "d.xml")


@pytest.mark.parametrize(
    "text",
    [
        "<domain>" + "<a/>" * (PART_LIMIT + 1) + "</domain>",
        "<domain " + " ".join(f"a{place}=''" for place in range(PART_LIMIT)) + "/>",
    ],
)
def test_the_number_of_parts_is_bounded(text: str) -> None:
    before = time.process_time()
    with pytest.raises(BadDomain, match="elements and attributes"):
        from_file(text, "d.xml")
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    "text", ["<domain>" + " " * SIZE_LIMIT + "</domain>", b"<domain>" + b" " * SIZE_LIMIT + b"</domain>"]
)
def test_the_size_is_bounded(text: bytes | str) -> None:
    with pytest.raises(BadDomain, match="larger than the 4 MiB"):
        from_file(text, "d.xml")


def test_a_huge_attribute_is_not_carried_on() -> None:
    huge = "x" * 1_000_000
    odd = from_file(
        f"<domain type='{huge}'><name>d</name><memory>{huge}</memory><vcpu cpuset='{huge}'>{huge}</vcpu></domain>",
        "d.xml",
    )
    assert len(repr(odd)) < 10_000
    with pytest.raises(Unreadable, match=r"domain@type: 'x+…' is not of 4096 characters at most"):
        _ = odd.type


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<domain>\n<name>\xff\xfe</name></domain>", "line 2: not UTF-8"),
        ("<domain/>".encode("utf-16"), "line 1: not UTF-8"),
        (b"\x00\x01\x02", "line 1, column 1: not well-formed"),
        (b"", "no element found"),
        ("<domain><name>\ud800</name></domain>", "line 1: a character that no text may hold"),
        ("<domain><name>d</name>", "line 1, column 23: no element found"),
        ("<domain><name>d</name></domain><domain/>", "junk after document element"),
        ("<domain><name a='1' a='2'>d</name></domain>", "duplicate attribute"),
        ("<domain><x:name>d</x:name></domain>", "unbound prefix"),
        ("name: d", "line 1, column 1: syntax error"),
        ("<domainsnapshot><domain><name>d</name></domain></domainsnapshot>", "a <domainsnapshot>, expected a <domain>"),
        ("<domstatus pid='1'/>", "a <domstatus>, expected a <domain>"),
        ("<network><name>n</name></network>", "a <network>, expected a <domain>"),
        ("<x:domain xmlns:x='urn:x'><name>d</name></x:domain>", "expected a <domain>"),
        ("<domain/>", "a <domain> without a <name>"),
    ],
)
def test_what_is_no_domain_is_named_with_its_place(data: bytes | str, reason: str) -> None:
    with pytest.raises(BadDomain) as caught:
        from_file(data, "d.xml")
    assert caught.value.path == "d.xml"
    assert reason in caught.value.reason


def test_a_declared_encoding_is_no_way_around_utf8() -> None:
    declared = "<?xml version='1.0' encoding='UTF-7'?><domain><name>+ADw-</name><memory>1</memory></domain>"
    assert from_file(declared, "d.xml").name == "+ADw-"


def test_many_failures_leave_nothing_behind() -> None:
    for _ in range(50):
        with pytest.raises(BadDomain):
            from_file(LAUGHS, "d.xml")
    assert from_file("<domain><name>d</name><memory>1</memory></domain>", "d.xml").memory_bytes == 1024


WORDS = [
    "<domain>",
    "</domain>",
    "<name>d</name>",
    "<memory>1</memory>",
    "<vcpu>",
    "</vcpu>",
    "<devices>",
    "</devices>",
    "<disk ",
]
WORDS += [
    "type='file'",
    ">",
    "/>",
    "</disk>",
    "<cputune>",
    "</cputune>",
    "<vcpupin vcpu='0' cpuset='0-3,^9'/>",
    "&amp;",
    "<![CDATA[",
]
WORDS += [
    "]]>",
    "<!--",
    "-->",
    "<?x",
    "?>",
    "1",
    "\x00",
    "é",
    "<cpu>",
    "<numa>",
    "<cell/>",
    "</numa>",
    "</cpu>",
    "<qemuCaps>",
]


@given(st.lists(st.sampled_from(WORDS), max_size=30).map("".join))
def test_any_text_is_a_domain_or_an_error(text: str) -> None:
    with suppress(BadDomain):
        assert from_file(text, "d.xml").name == "d"


@given(st.binary(max_size=80))
def test_any_bytes_are_a_domain_or_an_error(data: bytes) -> None:
    with pytest.raises(BadDomain):
        from_file(data, "d.xml")


def test_long_numbers_and_lists_are_refused_before_they_are_kept() -> None:
    zeros = "0" * 5000
    odd = from_file(
        f"<domain><name>d</name><memory>1</memory><vcpu cpuset='{zeros}'>1</vcpu><devices><hostdev type='pci'><source>"
        f"<address bus='0x{zeros}'/></source></hostdev></devices></domain>",
        "d.xml",
    )
    with pytest.raises(Unreadable, match="is not a list of numbers"):
        _ = odd.cpuset
    with pytest.raises(Unreadable, match="is not a PCI address"):
        _ = odd.host_addresses
