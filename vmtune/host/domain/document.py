"""A libvirt document: untrusted XML, read within bounds, and the words and numbers in it.

Document types are refused, and with them entities and external references (defusedxml); so are documents larger, deeper
or of more parts than libvirt ever writes. What is wrong is named by file and line, or by file and place.
"""

from __future__ import annotations

from functools import lru_cache
from sys import intern
from typing import TYPE_CHECKING, Any, TypeVar

from vmtune.cpuset import CpuSet
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from vmtune.root import Root

T = TypeVar("T")

SIZE_LIMIT = 4 << 20
"""Bytes of a document that are believed at most."""
PART_LIMIT = 200_000
"""Elements and attributes of a document that are believed at most; a VM of 512 vCPUs and 255 disks has some 20,000."""
DEPTH_LIMIT = 64
"""Elements inside each other that are believed at most: a backing chain may be long."""
WORD_LIMIT = 4096
"""Characters of a name, path or word that are believed at most (PATH_MAX)."""
NUMBER_LIMIT = 1 << 63
_COMMON = 16
"""Characters of a word that many documents may have, at most: such words are kept once. Longer numbers are none."""


def read_document(root: Root, path: str) -> Element | None:
    """The top element of a document, None where there is no such file. Raises Unreadable."""
    data = root.read_bytes(path, SIZE_LIMIT)
    return None if data is None else parse_document(data, path)


def parse_document(data: bytes | str, source: str) -> Element:
    """The top element of a document. Raises Unreadable naming the line."""
    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import ParseError, fromstring  # type: ignore[import-untyped]

    if len(data) > SIZE_LIMIT:
        raise Unreadable(source, f"larger than the {SIZE_LIMIT >> 20} MiB that are believed of a domain")
    try:
        text = _without_capabilities(data if isinstance(data, str) else data.decode())
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Unreadable(source, f"line {line}: not UTF-8, as libvirt writes it") from None
    if text.count("<") + text.count("=") > PART_LIMIT:
        raise Unreadable(source, f"more than {PART_LIMIT} elements and attributes")
    try:
        top: Element = fromstring(text, forbid_dtd=True)
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(": line ")[0]
        raise Unreadable(source, f"line {line}, column {column + 1}: {reason}") from None
    except DefusedXmlException:
        line = text.count("\n", 0, max(text.find("<!DOCTYPE"), 0)) + 1
        raise Unreadable(source, f"line {line}: has a document type, which is refused with its entities") from None
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise Unreadable(source, f"line {line}: a character that no text may hold") from None
    level = [top]
    for _ in range(DEPTH_LIMIT):
        level = [child for element in level for child in element]
        if not level:
            return top
    raise Unreadable(source, f"more than {DEPTH_LIMIT} elements inside each other")


def _without_capabilities(text: str) -> str:
    """Without the list of what QEMU can do, most of a running domain's status, which nobody asks for; lines stay."""
    start = text.find("<qemuCaps>")
    end = text.find("</qemuCaps>", start)
    if start < 0 or end < 0:
        return text
    return text[:start] + "\n" * text.count("\n", start, end) + text[end + len("</qemuCaps>") :]


@lru_cache(maxsize=4096)
def cpu_set(text: str) -> CpuSet:
    """A list of CPUs or nodes as libvirt takes it: `0-3,^2`. Raises ValueError; an empty list is none."""
    if not text.strip() or text.strip() == "(null)":
        raise ValueError("empty")
    return CpuSet.parse(text)


def shared(one: T) -> T:
    """The like of a value, kept once for the thousands of domains that have it."""
    like: T = _like(one)
    return like


@lru_cache(maxsize=8192, typed=True)  # typed: tuples of two classes are equal when their fields are
def _like(one: Any) -> Any:
    return one


def unreadable(*held: object) -> Unreadable | None:
    """The first of some values that is an Unreadable kept in the value's place."""
    for each in held:
        if isinstance(each, Unreadable):
            return each
    return None


def scaled_bytes(text: str, unit: str | None, default: int = 1024) -> int:
    """A size in bytes: a number of units, libvirt's `b`, `bytes`, `KB` (1000), `k`, `KiB` (1024) … `E`, `EiB`.

    As virScaleInteger in libvirt's src/util/virutil.c. Raises ValueError.
    """
    count = whole(text)
    unit = (unit or "").lower()
    if not unit:
        size = count * default
    elif unit in ("b", "byte", "bytes"):
        size = count
    else:
        power = "kmgtpe".find(unit[0]) + 1
        base = {"": 1024, "ib": 1024, "b": 1000}.get(unit[1:])
        if not power or base is None:
            raise ValueError(f"unit {unit[:20]!r}")
        size = count * base**power
    if size >= NUMBER_LIMIT:
        raise ValueError("too large")
    return size


@lru_cache(maxsize=8192)
def pci_address(domain: str, bus: str, slot: str, function: str) -> str:
    """A PCI address as the kernel writes it, of decimal or 0x numbers. Raises ValueError."""
    numbers = [int(text, 0) for text in (domain, bus, slot, function)]
    if not all(0 <= number < limit for number, limit in zip(numbers, (1 << 32, 256, 32, 8), strict=True)):
        raise ValueError("out of range")
    return f"{numbers[0]:04x}:{numbers[1]:02x}:{numbers[2]:02x}.{numbers[3]}"


def whole(text: str) -> int:
    """A number without sign. Raises ValueError."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError(text[:80])
    return int(text)


class Place:
    """A part of a document whose attributes are read; it names where one is wrong: `devices/disk[3]/driver@queues`.

    Like a Folder's, its methods never raise but keep an Unreadable in the value's place; None: the attribute or its
    element is absent.
    """

    __slots__ = ("index", "path", "source")

    def __init__(self, source: str, path: str, index: int = 0) -> None:
        self.source = source
        self.path = path
        self.index = index
        """Place among its like, from 1; 0 where there is one only."""

    def wrong(self, element: Element, attribute: str, text: str, wanted: str) -> T:  # type: ignore[type-var]
        """What is kept of an attribute (of the element's text where none is named) that is not of its form."""
        shown = text if len(text) <= 60 else text[:60] + "…"
        return keep(Unreadable(self.source, f"{self._where(element, attribute)}: {shown!r} is not {wanted}"))

    def missing(self, element: Element, attribute: str) -> T:  # type: ignore[type-var]
        """What is kept where an attribute is missing without which the rest says nothing."""
        return keep(Unreadable(self.source, f"{self._where(element, attribute)}: missing"))

    def _where(self, element: Element, attribute: str) -> str:
        part = "" if element.tag == self.path.rpartition("/")[2] else f"/{element.tag}"
        index = f"[{self.index}]" if self.index else ""
        return f"{self.path}{index}{part}{'@' if attribute else ''}{attribute}"[:200]

    def word(self, element: Element | None, attribute: str = "") -> str | None:
        """A word, name or path; an element's own text where no attribute is named."""
        if element is None:
            return None
        text = element.get(attribute) if attribute else (element.text or "").strip()
        if text is None or len(text) <= _COMMON:
            return text and intern(text)
        return (
            text
            if len(text) <= WORD_LIMIT
            else self.wrong(element, attribute, text, f"of {WORD_LIMIT} characters at most")
        )

    def number(self, element: Element | None, attribute: str = "", least: int = 0) -> int | None:
        """A decimal number, not below `least`."""
        if element is None:
            return None
        text = element.get(attribute) if attribute else element.text or ""
        if text is None:
            return None
        try:
            number = -whole(text[1:]) if text[:1] == "-" else whole(text)
        except ValueError:
            return self.wrong(element, attribute, text, "a number")
        if not least <= number < NUMBER_LIMIT:
            return self.wrong(element, attribute, text, f"a number from {least}")
        return number

    def flag(self, element: Element | None, attribute: str) -> bool | None:
        """`yes`, `on` or `no`, `off`."""
        if element is None:
            return None
        text = element.get(attribute)
        if text is None:
            return None
        if text in ("yes", "on"):
            return True
        return False if text in ("no", "off") else self.wrong(element, attribute, text, "yes, on, no or off")

    def cpus(self, element: Element | None, attribute: str = "") -> CpuSet | None:
        """A list of CPUs, vCPUs, nodes or cells."""
        text = _raw(element, attribute)
        if text is None or element is None:
            return None
        try:
            if len(text) <= WORD_LIMIT:
                return cpu_set(text)
        except ValueError:
            pass
        return self.wrong(element, attribute, text, "a list of numbers")

    def size(self, element: Element | None, attribute: str = "", default: int = 1024) -> int | None:
        """A size in bytes, by the element's `unit`, else in KiB; in whole KiB upwards, as libvirt keeps it."""
        text = _raw(element, attribute)
        if text is None or element is None:
            return None
        try:
            return -(-scaled_bytes(text, element.get("unit"), default) // 1024) * 1024
        except ValueError:
            return self.wrong(element, attribute, f"{text} {element.get('unit', '')}".strip(), "a size")

    def pci(self, element: Element | None) -> str | None:
        """An `<address>` of a PCI function, as the kernel writes it: `0000:3b:02.0`; None: there is no such one."""
        if element is None or element.get("bus") is None or element.get("type", "pci") != "pci":
            return None
        parts = [element.get(name, "0") for name in ("domain", "bus", "slot", "function")]
        try:
            if max(map(len, parts)) <= _COMMON:
                return pci_address(*parts)
        except ValueError:
            pass
        return self.wrong(element, "", ":".join(parts), "a PCI address")

    def states(self, elements: Iterable[Element] | None, name: str = "", attribute: str = "state") -> dict[str, bool]:
        """Switches by the name of their element, or by its attribute `name`: on unless `attribute` says off."""
        found: dict[str, bool] = {}
        for each in elements if elements is not None else ():
            state = self.flag(each, attribute)
            if (wrong := unreadable(state)) is not None:
                return keep(wrong)
            found[each.get(name, "") if name else each.tag] = state is not False
        return found


def _raw(element: Element | None, attribute: str) -> str | None:
    """An attribute, or an element's own text where none is named; None: there is none."""
    if element is None:
        return None
    return element.get(attribute) if attribute else (element.text or "").strip()
