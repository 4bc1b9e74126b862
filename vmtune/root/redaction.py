"""Captures that may be shown to others: what tells a machine and its owner apart is replaced.

Replaced, everywhere (contents, names, links, what commands printed), equal values by equal ones within one capture:
  - serial numbers, asset tags, WWNs, GUIDs, machine and boot ids: what stands in files of these names, and the same
    word elsewhere, where it is long enough to be told from a number;
  - the host's name;
  - MAC addresses and InfiniBand GUIDs, but for the vendor's first three bytes; UUIDs;
  - IPv4 and IPv6 addresses, but for loopback, any, multicast and link-local's prefix;
  - passwords and secrets that are given by these names (`passwd='…'`, `password=…`, `data=…` of a QEMU secret).
The rest stays: device and driver names, models, firmware versions, the names of domains, networks, users and files, and
whatever a boot line or a configuration holds besides. The salt is forgotten with the program's end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import TypeVar

from vmtune.root.recording import Recording
from vmtune.root.unreadable import Unreadable

T = TypeVar("T")

_SECRET_FILES = frozenset(
    {
        *("serial", "serial_number", "product_serial", "board_serial", "chassis_serial", "manfid_serial"),
        *("product_uuid", "chassis_asset_tag", "board_asset_tag", "machine-id", "boot_id", "hostid"),
        *("wwid", "wwn", "eui", "nguid", "unique_id", "port_name", "node_name", "fabric_name"),
        *("phys_port_id", "phys_switch_id", "node_guid", "sys_image_guid", "port_guid"),
    }
)
_BINARY_FILES = frozenset({"vpd", "vpd_pg80", "vpd_pg83", "vpd_pg0", "vpd_pg89", "raw", "DMI"})
"""Files that hold serial numbers in forms that are not looked into: they are emptied, but for what names the BIOS."""
_BIOS = "/sys/firmware/dmi/entries/0-0/raw"
_NAME_FILES = ("/proc/sys/kernel/hostname", "/etc/hostname")
_CLASS_FILES = frozenset({"class_id", "modalias"})
"""Files whose UUIDs name a kind of thing, not one of them."""
_PLACEHOLDERS = re.compile(
    rb"(?i)0+|f+|x+|none|n/?a|unknown|empty|default string|not \w+|to be filled.*|system \w+( \w+)?"
    rb"|(base board |chassis )?(serial|asset)( number|[- ]tag)?|0?123456789|\.+|-+"
)
_COMMON_NAMES = frozenset(b"localhost linux kvm host node server debian ubuntu fedora qemu intel amd none nvme".split())
_SHORTEST_WORD, _SHORTEST_NUMBER, _SHORTEST_NAME = 6, 8, 3

_UUID = rb"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
_KNOWN_UUIDS = frozenset({b"8be4df61-93ca-11d2-aa0d-00e098032b8c", b"d719b2cb-3d3a-4596-a3bc-dad00e67656f"})
"""EFI's own names of its variables."""
_ARRAY = rb"(?<![0-9A-Za-z:])[0-9a-f]{8}(?::[0-9a-f]{8}){3}(?![0-9A-Za-z:])"
_MAC = rb"(?<![0-9A-Za-z:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5,19}(?![0-9A-Za-z:])"
_MAC_NAME = rb"(?<=enx)[0-9a-f]{12}(?![0-9a-z])"
_IPV4 = rb"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\w)"
_IPV6 = rb"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}|:)(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:.])"
_SECRET = (
    rb"(?i:(?:passwd|password|passphrase|psk|secret|token)\s?[=:]\s?|secret,[^\s\0]{0,200}?\bdata=)"
    rb"(?:\"(?P<double>[^\"\n]+)\"|'(?P<single>[^'\n]+)'|(?P<bare>[^\s,;&<>'\"\0]+))"
)
_MAPPER = re.compile(rb"((?:part\d+-)?(?:LVM|mpath|DMRAID|CRYPT(?:-[A-Z]+\d*)?)-)(\w{16,})")
_PATTERN = re.compile(
    rb"(?P<uuid>%b)|(?P<array>%b)|(?P<mac>%b)|(?P<mac_name>%b)|(?P<secret>%b)|(?P<ipv6>%b)|(?P<ipv4>%b)"
    % (_UUID, _ARRAY, _MAC, _MAC_NAME, _SECRET, _IPV6, _IPV4)
)
_SWITCHES = frozenset({b"on", b"off", b"yes", b"no", b"true", b"false", b"0", b"1"})
_HEX = re.compile(rb"[0-9a-f:.-]*[0-9a-f]|[0-9A-F:.-]*[0-9A-F]")


def redacted(
    recording: Recording, names: dict[str, str | None], salt: bytes | None = None
) -> tuple[Recording, dict[str, str | None]]:
    """A recording, and what its manifest tells of the machine, with all that is named above replaced."""
    redact = _Redactor(recording, salt or os.urandom(16))
    text, path = redact.text, redact.path
    return (
        Recording(
            files={path(name): redact.content(name, data) for name, data in recording.files.items()},
            links={path(name): path(target) for name, target in recording.links.items()},
            folders=_each(path, recording.folders),
            absent=_each(path, recording.absent),
            unreadable=_both(path, text, recording.unreadable),
            closed=_both(path, text, recording.closed),
            untrusted=_both(path, text, recording.untrusted),
            present={path(name): kind for name, kind in recording.present.items()},
            listed={path(folder): _each(path, inside) for folder, inside in recording.listed.items()},
            unlisted=_both(path, text, recording.unlisted),
            no_folder=_each(path, recording.no_folder),
            modes={path(name): mode for name, mode in recording.modes.items()},
            outputs={
                tuple(text(word) for word in argv): redact.output(argv, said)
                for argv, said in recording.outputs.items()
            },
        ),
        {key: None if value is None else redact.name(key, value) for key, value in names.items()},
    )


def _each(path: Callable[[str], str], paths: Iterable[str]) -> list[str]:
    return sorted(path(name) for name in paths)


def _both(path: Callable[[str], str], text: Callable[[str], str], said: dict[str, str]) -> dict[str, str]:
    return {path(name): text(reason) for name, reason in said.items()}


class _Redactor:
    """What is to be replaced in one capture, and by what."""

    def __init__(self, recording: Recording, salt: bytes) -> None:
        self._salt = salt
        self._kept = set(_KNOWN_UUIDS)
        self._whole: set[str] = set()
        """Files whose whole content is replaced."""
        self._paths: dict[str, str] = {}
        words: set[bytes] = set()
        parts = {part for path in recording.files for part in path.encode("utf-8", "surrogateescape").split(b"/")}
        for path, data in recording.files.items():
            value = data.strip()
            name = path.rpartition("/")[2]
            if path == "/proc/cpuinfo":
                words.update(found for found in re.findall(rb"(?m)^Serial\s*:\s*(\w+)", data) if found.strip(b"0"))
            elif name in _CLASS_FILES:
                self._kept.update(found.lower() for found in re.findall(_UUID, data))
            elif path in _NAME_FILES:
                self._whole.add(path)
                for each in value.partition(b".")[::2]:
                    if len(each) >= _SHORTEST_NAME and each.lower() not in _COMMON_NAMES and each not in parts:
                        words.add(each)
            elif name in _SECRET_FILES and value and not _PLACEHOLDERS.fullmatch(value):
                self._whole.add(path)
                value = _own_part(value)
                if len(value) >= (_SHORTEST_NUMBER if value.isdigit() else _SHORTEST_WORD) and value not in parts:
                    words.add(value)
        self._words = sorted(words, key=len, reverse=True)
        """What is replaced wherever it stands alone, the longest first."""

    def content(self, path: str, data: bytes) -> bytes:
        """A file's content."""
        name = path.rpartition("/")[2]
        if name in _BINARY_FILES and path != _BIOS:
            return b""
        if path in self._whole:
            value = data.strip()
            start = data.index(value)
            own = _own_part(value)
            kept = start + len(value) - len(own)
            other = b".".join(self._alike(part) for part in own.partition(b".")[::2])
            return data[:kept] + other[: len(own)] + data[kept + len(own) :]
        if name == "uuid":
            data = _MAPPER.sub(lambda found: found[1] + self._alike(found[2]), data)
        return self._replaced(data, versions=any(word in name for word in ("version", "release", "rev", "firmware")))

    def text(self, text: str) -> str:
        """What a command printed, or a reason."""
        return _as_text(self._replaced(_as_bytes(text)))

    def name(self, key: str, value: str) -> str:
        """What the manifest tells of the machine."""
        if key == "hostname":
            return _as_text(self.content(_NAME_FILES[0], _as_bytes(value)))
        return self.text(value)

    def path(self, path: str) -> str:
        """A file's or folder's name, or a path."""
        known = self._paths.get(path)
        if known is None:
            known = self._paths[path] = self.text(path)
        return known

    def output(self, argv: tuple[str, ...], said: str | Unreadable | None) -> str | Unreadable | None:
        """What a command printed."""
        if said is None:
            return None
        if isinstance(said, Unreadable):
            return Unreadable(self.text(said.path), self.text(said.reason))
        return _as_text(self._replaced(_as_bytes(said), versions="--version" in argv))

    def _replaced(self, data: bytes, versions: bool = False) -> bytes:
        """A text with all that is known by its form or as a word replaced. Four numbers may be a version."""

        def by_form(found: re.Match[bytes]) -> bytes:
            kind, value = found.lastgroup, found[0]
            if found["secret"]:
                return self._secret(found)
            if kind == "ipv4":
                return value if versions else self._ipv4(value)
            if kind == "ipv6":
                return self._ipv6(value)
            if kind == "mac":
                told = value.strip(b"0:") and value.strip(b"fF:")
                return value[:9] + self._alike(value[9:], value) if told else value
            if kind == "mac_name":
                pairs = b":".join(value[place : place + 2] for place in range(0, 12, 2))
                return value[:6] + self._alike(pairs[9:], pairs).replace(b":", b"")
            return value if value.lower() in self._kept or not value.strip(b"0:-") else self._alike(value)

        data = _PATTERN.sub(by_form, data)
        words = [re.escape(word) for word in self._words if word in data]
        if not words:
            return data
        pattern = rb"(?<![0-9A-Za-z])(?:%b)(?![0-9A-Za-z])" % b"|".join(words)
        return re.sub(pattern, lambda found: self._alike(found[0]), data)

    def _secret(self, found: re.Match[bytes]) -> bytes:
        value = found["double"] or found["single"] or found["bare"]
        return found[0] if value.lower() in _SWITCHES else found[0].replace(value, b"redacted", 1)

    def _ipv4(self, value: bytes) -> bytes:
        parts = [int(part) for part in value.split(b".")]
        if max(parts) > 255 or parts[0] in (0, 127) or parts[0] >= 224:
            return value
        return b"10.%d.%d.%d" % tuple(self._digest(value)[:3])

    def _ipv6(self, value: bytes) -> bytes:
        import ipaddress

        try:
            address = ipaddress.IPv6Address(value.decode())
        except ValueError:
            return value
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            return value
        digest = self._digest(address.packed).hex().encode()
        own = b":".join(digest[place : place + 4] for place in (0, 4, 8, 12))
        return b"fe80::" + own if address.is_link_local else b"fd00:%b::%b" % (digest[16:20], own[:9])

    def _alike(self, value: bytes, whole: bytes | None = None) -> bytes:
        """Another value of the same form, always the same one for the same value."""
        digits = bytearray()
        count = 0
        while len(digits) < len(value):
            digits += self._digest((whole or value).lower() + bytes([count]))
            count += 1
        digit, lower, upper = b"0123456789", b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        if _HEX.fullmatch(value) and not value.isdigit():
            digit, lower, upper = b"0123456789", b"abcdef", b"ABCDEF"
        other = bytearray(value)
        for place, letter in enumerate(value):
            among = next((letters for letters in (digit, lower, upper) if letter in letters), None)
            if among is not None:
                other[place] = among[digits[place] % len(among)]
        return bytes(other)

    def _digest(self, value: bytes) -> bytes:
        return blake2b(value, key=self._salt, digest_size=32).digest()


def _own_part(value: bytes) -> bytes:
    """A value without what tells of which form it is: `naa.`, `eui.`, `nvme.`, `t10.`."""
    form, dot, own = value.partition(b".")
    return own if dot and form in (b"naa", b"eui", b"nvme", b"t10", b"uuid") and own else value


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
