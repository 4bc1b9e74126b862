"""Reading a tar archive into memory, whoever made it.

Nothing is unpacked: names are keys, links are data, devices are noted as such. So no name can lead anywhere, and what
an archive may cost is bounded before it is believed. The headers are read here and not by `tarfile`, which takes ten
times as long and sets no bound on what a header may ask for; tests compare the two.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from io import BufferedReader
from stat import S_IFBLK, S_IFCHR, S_IFIFO, S_ISREG
from typing import Protocol
from zlib import adler32

from vmtune.root.memory import Link, Memory, Special

UNPACKED_LIMIT = 1 << 30
"""Bytes that an archive may unpack to."""
KEPT_LIMIT = 256 << 20
"""Bytes that its files and names may take in memory."""
FILE_LIMIT = 64 << 20
"""Bytes of one file; a larger one is there, but cannot be read."""
MEMBERS_LIMIT = 500_000
NAME_LIMIT = 4096
DEPTH_LIMIT = 100
"""Folders in one path; a deeper one is not kept, as no reader would follow it."""
HEADER_LIMIT = 1 << 20
"""Bytes of one extended header (a long name, pax records)."""
WINDOW_LIMIT = 128 << 20
"""Memory that a decompressor may ask for."""

_BLOCK = 512
_CHUNK = 1 << 20
_PACKED_CHUNK = 1 << 16
_END = bytes(_BLOCK)
_KINDS = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"PK\3\4", "zip"),
    (b"7z\xbc\xaf", "7-Zip"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x9d", "compress"),
)
_MODES = {b"3": S_IFCHR, b"4": S_IFBLK, b"6": S_IFIFO}
_OLD_FILE = b"\0"
_FILES = b"0\x007S"
_EXTENDED = b"LKxgX"
_NO_CONTENT = b"123456"
"""Links, devices and folders: whatever size such a header tells, no content follows it."""

Read = Callable[[int], bytes]


class BadTree(Exception):
    """A captured tree that cannot be used: its path and what is wrong, on one line."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")


class _Damaged(Exception):
    """What is wrong with an archive."""


def read_archive(path: str) -> Memory:
    """All files, folders, links and devices of an archive. Raises BadTree."""
    try:
        if not S_ISREG(os.stat(path).st_mode):  # merely to open a pipe or a device can wait, or do things
            raise _Damaged("is neither a folder nor an archive")
        with open(path, "rb") as packed:
            stream = _Stream(_unpacked(packed))
            store = _kept(stream)
            stream.drain()
            return store
    except _Damaged as error:
        raise BadTree(path, str(error)) from None
    except OSError as error:
        raise BadTree(path, (error.strerror or "cannot be read").lower()) from None
    except MemoryError:
        raise BadTree(path, "asks for more memory than there is") from None


# -- compression -------------------------------------------------------------------------------------------------------


def _unpacked(packed: BufferedReader) -> Read:
    """A reader of the archive's own bytes; the compression is known by its first bytes, not by the file's name."""
    head = packed.read(_BLOCK)
    packed.seek(0)
    if not head:
        raise _Damaged("is empty")
    kind = next((name for magic, name in _KINDS if head.startswith(magic)), None)
    if kind is None:
        if len(head) < _BLOCK or (head != _END and not _is_header(head)):
            raise _Damaged("is no tar archive")
        return packed.read
    if kind == "gzip":
        import gzip
        import zlib

        return _guarded(gzip.GzipFile(fileobj=packed).read, gzip.BadGzipFile, zlib.error)
    if kind == "xz":
        import lzma

        def unxz() -> lzma.LZMADecompressor:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW_LIMIT)

        return _guarded(_in_parts(packed.read, unxz), lzma.LZMAError)
    if kind == "zstd":
        return _zstd(packed)
    raise _Damaged(f"is packed by {kind}, which is not read: expected .tar, .tar.gz, .tar.xz or .tar.zst")


def _zstd(packed: BufferedReader) -> Read:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError:
        pass
    else:
        options = {zstd.DecompressionParameter.window_log_max: WINDOW_LIMIT.bit_length() - 1}
        return _guarded(_in_parts(packed.read, lambda: zstd.ZstdDecompressor(options=options)), zstd.ZstdError)
    try:
        import zstandard
    except ImportError:
        raise _Damaged("is packed by zstd: the package zstandard, which reads that, is not installed") from None
    unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT)
    return _guarded(unpacker.stream_reader(packed, read_across_frames=True).read, zstandard.ZstdError)


class _Decompressor(Protocol):
    """What lzma and compression.zstd have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _in_parts(read: Read, start: Callable[[], _Decompressor]) -> Read:
    """A reader of what is packed, with a bound on each part; one packed stream may follow another."""
    one = start()

    def more(size: int) -> bytes:
        nonlocal one
        data = b""
        while True:
            if one.eof:
                # Zeros may pad a stream of xz.
                data = one.unused_data.lstrip(b"\0") or read(_PACKED_CHUNK).lstrip(b"\0")
                if not data:
                    return b""
                one = start()
            elif one.needs_input:
                data = read(_PACKED_CHUNK)
                if not data:
                    raise EOFError
            if part := one.decompress(data, size):
                return part
            data = b""

    return more


def _guarded(read: Read, *damage: type[Exception]) -> Read:
    """A reader that says in one way what is wrong with what is packed."""

    def more(size: int) -> bytes:
        try:
            return read(size)
        except EOFError:
            raise _Damaged("is truncated") from None
        except damage as error:
            raise _Damaged(f"is damaged: {' '.join(str(error).lower().split()) or 'it cannot be unpacked'}") from None

    return more


class _Stream:
    """The archive's bytes in order, no more of them than is believed of a capture."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._have = b""
        self._at = 0
        self._left = UNPACKED_LIMIT

    def take(self, size: int) -> bytes:
        """The next bytes."""
        start = self._at
        self._at = end = start + size
        if end > len(self._have):
            if not self._fill(start, size):
                raise _Damaged("is truncated")
            start, end = 0, size
        return self._have[start:end]

    def skip(self, size: int) -> None:
        """Go past the next bytes."""
        while size > _CHUNK:
            self.take(_CHUNK)
            size -= _CHUNK
        self.take(size)

    def drain(self) -> None:
        """Read to the end, where a packed file's checksum stands."""
        self._at = len(self._have)
        while self._fill(self._at, 1):
            self._at = len(self._have)

    def _fill(self, start: int, size: int) -> bool:
        """Have `size` bytes from `start` on at the beginning of the buffer; False where there are fewer."""
        parts = [self._have[start:]]
        length = len(parts[0])
        while length < size and (part := self._read(_CHUNK)):
            self._left -= len(part)
            if self._left < 0:
                raise _Damaged(f"unpacks to more than {UNPACKED_LIMIT >> 20} MiB")
            parts.append(part)
            length += len(part)
        self._have = b"".join(parts)
        self._at = size
        return length >= size


# -- tar ---------------------------------------------------------------------------------------------------------------


def _kept(stream: _Stream) -> Memory:
    """What the members are, the last of a name. Raises _Damaged."""
    store = Memory()
    take = stream.take
    members = 0
    renamed: dict[str, bytes] = {}
    while (header := take(_BLOCK)) != _END:
        members += 1
        if members > MEMBERS_LIMIT:
            raise _Damaged(f"has more than {MEMBERS_LIMIT:,} members")
        if store.size > KEPT_LIMIT:
            raise _Damaged(f"holds more than {KEPT_LIMIT >> 20} MiB")
        if not _is_header(header):
            raise _Damaged("is damaged: what should be a header is none")
        kind = header[156:157]
        size = _number(header[124:136])
        if kind in _EXTENDED:
            renamed.update(_extension(kind, take(size), size) if size <= HEADER_LIMIT else _too_large())
            stream.skip(-size % _BLOCK)
            continue
        if renamed:
            name, target, size = _renamed(header, size, renamed)
            sparse = any(key.startswith("GNU.sparse.") for key in renamed)
            renamed = {}
        else:
            name, target, sparse = _name(header), header[157:257].partition(b"\0")[0], False
        if kind == b"S":
            sparse = True
            _skip_sparse_map(stream, header)
        path = _clean(name)
        if kind in _FILES and not (kind == _OLD_FILE and name.endswith(b"/")):
            if path is None:
                stream.skip(size)
            elif sparse or size > FILE_LIMIT:
                stream.skip(size)
                store.put(path, errno.EOPNOTSUPP if sparse else errno.EFBIG)
            else:
                store.put(path, take(size))
            stream.skip(-size % _BLOCK)
            continue
        if kind not in _NO_CONTENT:
            stream.skip(size + -size % _BLOCK)
        if path is not None:
            _put(store, path, kind, header, target)
    return store


def _put(store: Memory, path: str, kind: bytes, header: bytes, target: bytes) -> None:
    """Keep a member that has no content of its own."""
    if kind in (b"5", b"D", _OLD_FILE):
        store.put_folder(path)
    elif kind == b"2":
        store.put(path, Link(_text(target)))
    elif kind == b"1":
        linked = _clean(target)
        content = None if linked is None else store.file(linked)
        if content is not None:
            store.put(path, content)
    elif kind in _MODES:
        mode = _number(header[100:108]) & 0o7777 | _MODES[kind]
        store.put(path, Special(mode, _number(header[108:116]), _number(header[116:124])))


def _is_header(header: bytes) -> bool:
    """Whether the checksum is right."""
    try:
        told = int(header[148:156].strip(b" \0") or b"0", 8)
    except ValueError:
        return False
    # The sum of all bytes, the checksum's own taken as spaces. Adler-32 has the sum of bytes in its lower half.
    if adler32(header) & 0xFFFF == (1 + told - 256 + sum(header[148:156])) % 65521:
        return True
    # Some old programs summed up signed bytes.
    signed = sum(byte - 256 if byte > 127 else byte for byte in header[:148] + header[156:])
    return told == signed + 256


def _number(field: bytes) -> int:
    """A number in octal, or in the binary form that GNU tar has for large ones."""
    if field[0] & 0x80:
        number = int.from_bytes(field, "big", signed=True)
        number = number + (1 << 8 * len(field) - 1) if field[0] == 0x80 else number
    else:
        digits = field.partition(b"\0")[0].strip()
        if digits.strip(b"01234567"):
            raise _Damaged("is damaged: a size or mode in a header is no number")
        number = int(digits or b"0", 8)
    if number < 0:
        raise _Damaged("is damaged: a size or mode in a header is negative")
    return number


def _name(header: bytes) -> bytes:
    """A member's name as its header has it."""
    name = header[:100].partition(b"\0")[0]
    if header[257:263] == b"ustar\0" and header[345]:
        return header[345:500].partition(b"\0")[0] + b"/" + name
    return name


def _extension(kind: bytes, data: bytes, size: int) -> dict[str, bytes]:
    """What an extended header says of the member after it."""
    if kind == b"L":
        return {"path": data.rstrip(b"\0")}
    if kind == b"K":
        return {"linkpath": data.rstrip(b"\0")}
    if kind == b"g":
        return {}  # of all members: comments; a name or size for all of them would be nonsense
    said: dict[str, bytes] = {}
    at = 0
    while at < size and data[at]:
        length, blank, _ = data[at : at + 12].partition(b" ")
        end = at + int(length) if blank and length.isdigit() else 0
        record = data[at + len(length) + 1 : end - 1]
        key, equals, value = record.partition(b"=")
        if not at < end <= size or not equals or data[end - 1 : end] != b"\n":
            raise _Damaged("is damaged: its pax records are no such thing")
        said[key.decode("utf-8", "replace")] = value
        at = end
    return said


def _too_large() -> dict[str, bytes]:
    raise _Damaged(f"has an extended header larger than {HEADER_LIMIT >> 10} KiB")


def _renamed(header: bytes, size: int, said: dict[str, bytes]) -> tuple[bytes, bytes, int]:
    """Name, target and size of a member that extended headers say something of."""
    name = said.get("GNU.sparse.name") or said.get("path") or _name(header)
    target = said.get("linkpath") or header[157:257].partition(b"\0")[0]
    if "size" in said:
        if not said["size"].isdigit() or len(said["size"]) > 18:
            raise _Damaged("is damaged: a size in its pax records is no number")
        size = int(said["size"])
    return name, target, size


def _skip_sparse_map(stream: _Stream, header: bytes) -> None:
    """Go past the further headers that tell where the holes of a sparse file are."""
    more = header[482]
    while more:
        more = stream.take(_BLOCK)[504]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")[:NAME_LIMIT]


def _clean(name: bytes) -> str | None:
    """A member's name as an absolute path; None for one that leaves the tree, or is none."""
    text = "/" + name.decode("utf-8", "surrogateescape")
    if "/." not in text and "//" not in text:
        text = text.rstrip("/")
    else:
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if ".." in parts:
            return None
        text = "/" + "/".join(parts)
    if len(text) > NAME_LIMIT or text.count("/") > DEPTH_LIMIT or "\0" in text or len(text) < 2:
        return None
    return text
