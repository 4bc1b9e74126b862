"""Saving what a Root was asked, as a capture that gives the same answers.

A capture is a tar archive of one folder: the files that were read, the links that were followed, and a manifest,
`vmtune-capture.json`, with what files cannot tell: what was looked for and is absent, what could not be read and why,
whole listings, modes, and what commands printed.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from stat import S_ISREG
from typing import IO, Any, NamedTuple

from vmtune import __version__
from vmtune.root import NOT_CAPTURED, Root, Unreadable
from vmtune.root.capture import MANIFEST, SCHEMA
from vmtune.root.unreadable import IS_FOLDER
from vmtune.value import peek

FOLDER = "vmtune-capture"
"""The one folder at the top of a capture."""
SUFFIXES = (".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar")

Mode = tuple[int, int, int]


class CannotSave(Exception):
    """A capture that cannot be written: its path and what is wrong, on one line."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")


class Recording(NamedTuple):
    """All answers that a Root gave. Each path stands for itself: no link is left in it."""

    files: dict[str, bytes]
    links: dict[str, str]
    folders: list[str]
    absent: list[str]
    unreadable: dict[str, str]
    """Files whose content could not be read, and why."""
    closed: dict[str, str]
    """What nobody could go through or say the kind of, and why."""
    untrusted: dict[str, str]
    """Links that were not followed, and why."""
    present: dict[str, bool | None]
    """What is there, and nothing of it is kept: whether it is a folder, where that is known."""
    listed: dict[str, list[str]]
    unlisted: dict[str, str]
    """Folders whose names could not be read, and why."""
    no_folder: list[str]
    """What was to be listed and is absent, or no folder."""
    modes: dict[str, Mode | str]
    outputs: dict[tuple[str, ...], str | Unreadable | None]


def recorded(root: Root) -> Recording:
    """What a root was asked and said, in the order of the paths."""
    files = {path: data for path, data in sorted(root.data.items()) if isinstance(data, bytes)}
    links = {path: target for path, target in sorted(root.links.items()) if isinstance(target, str)}
    for path in links:
        files.pop(path, None)  # read through the link: the file itself is here too
    closed = {path: kept.reason for path, kept in root.links.items() if isinstance(kept, Unreadable)}
    absent = {path for path, data in root.data.items() if data is None and path not in links}
    for path in root.absent:
        refused = _lacking(root, path)
        if refused is None:
            absent.add(path)
        else:
            closed[path] = refused
    folders = {path for path, is_folder in root.kinds.items() if is_folder}
    folders.update(path for path, names in root.listed.items() if isinstance(names, list))
    folders.update(path for path, reason in _reasons(root.data).items() if reason == IS_FOLDER)
    folders.difference_update(links, [""])
    held = _held(files, links, folders)
    present = {
        path: root.kinds.get(path)
        for path, target in sorted(root.links.items())
        if target is None and path not in root.absent and path not in files and path not in held
    }
    return Recording(
        files=files,
        links=links,
        folders=sorted(folders),
        absent=sorted(absent),
        unreadable=_reasons(root.data),
        closed=dict(sorted(closed.items())),
        untrusted=_reasons(root.untrusted),
        present=present,
        listed={path: names for path, names in sorted(root.listed.items()) if isinstance(names, list)},
        unlisted=_reasons(root.listed),
        no_folder=sorted(path for path, names in root.listed.items() if names is None),
        modes={
            path: mode.reason if isinstance(mode, Unreadable) else mode
            for path, mode in sorted(root.modes.items())
            if mode is not None
        },
        outputs=dict(sorted(root.outputs.items())),
    )


def _lacking(root: Root, path: str) -> str | None:
    """Why it cannot be known whether a path is absent; None where it is."""
    try:
        root._lacks(path)
    except Unreadable as kept:
        return kept.reason
    return None


def _reasons(answers: Any) -> dict[str, str]:
    return {path: kept.reason for path, kept in sorted(answers.items()) if isinstance(kept, Unreadable)}


def _held(*paths: Iterable[str]) -> set[str]:
    """All folders that these files, links and, as the last, folders are in or are."""
    return {above for each in paths for path in each for above in _above(path)}.union(paths[-1])


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


# -- an archive --------------------------------------------------------------------------------------------------------


def save(root: Root, path: str, *, redact: bool = False) -> None:
    """Write what a root was asked to an archive, whole or not at all, for its owner's eyes only. Raises CannotSave.

    The compression follows from the path's suffix. An older file of that path is replaced; a link or a device is not.
    """
    suffix = next((suffix for suffix in SUFFIXES if path.endswith(suffix)), None)
    if suffix is None:
        raise CannotSave(path, "name it .tar.gz, .tar.xz, .tar.zst or .tar")
    names = {name: _asked(root, f"/proc/sys/kernel/{file}") for name, file in _NAMES.items()}
    recording = recorded(root)
    if redact:
        from vmtune.root.redaction import redacted

        recording, names = redacted(recording, names)
    now = int(time.time())
    manifest = {
        "schema": SCHEMA,
        "vmtune": __version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        **names,
        "redacted": redact,
        **_told(recording),
    }
    try:
        _write_whole(path, lambda file: _write(file, suffix, recording, manifest, now))
    except OSError as error:
        raise CannotSave(path, f"cannot be written: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise CannotSave(path, f"cannot be written: {error}") from None


_NAMES = {"hostname": "hostname", "kernel": "osrelease", "architecture": "arch"}


def _asked(root: Root, path: str) -> str | None:
    return peek(lambda: root.read(path))


def _told(recording: Recording) -> dict[str, Any]:
    """The part of the manifest that tells what files cannot."""
    return {
        "absent": recording.absent,
        "unreadable": recording.unreadable,
        "closed": recording.closed,
        "untrusted": recording.untrusted,
        "present": recording.present,
        "listed": recording.listed,
        "unlisted": recording.unlisted,
        "no_folder": recording.no_folder,
        "modes": recording.modes,
        "outputs": [
            {"argv": argv, **({"unreadable": said.reason} if isinstance(said, Unreadable) else {"text": said})}
            for argv, said in recording.outputs.items()
        ],
    }


def _write(file: IO[bytes], suffix: str, recording: Recording, manifest: dict[str, Any], now: int) -> None:
    import json
    import tarfile

    told = json.dumps(manifest, indent=1).encode() + b"\n"
    content: dict[str, bytes | str | None] = dict.fromkeys(recording.folders)
    content.update(recording.links)
    content.update(recording.files)
    with _packer(file, suffix) as packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as archive:

        def add(name: str, node: bytes | str | None) -> None:
            member = tarfile.TarInfo(FOLDER + name)
            member.mtime = now
            member.mode = 0o600
            if isinstance(node, bytes):
                member.size = len(node)
                archive.addfile(member, io.BytesIO(node))
                return
            if node is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o700
            else:
                member.type, member.linkname = tarfile.SYMTYPE, node
            archive.addfile(member)

        add("", None)
        add(f"/{MANIFEST}", told)
        for part in ("/sys", "/proc"):
            content.setdefault(part, None)  # else nobody would take an empty capture for one
        for name, node in sorted(content.items()):
            add(name, node)


def _packer(file: IO[bytes], suffix: str) -> Any:
    """A file that packs what is written to it."""
    if suffix in (".tar.gz", ".tgz"):
        import gzip

        return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
    if suffix == ".tar.xz":
        import lzma

        return lzma.LZMAFile(file, "wb")
    if suffix == ".tar.zst":
        return _zstd(file)
    return io.BufferedWriter(file) if isinstance(file, io.RawIOBase) else _Kept(file)


class _Kept:
    """A file that stays open when its packer is done."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write

    def __enter__(self) -> _Kept:
        return self

    def __exit__(self, *_: object) -> None:
        """The file's owner closes it."""


def _zstd(file: IO[bytes]) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14

        return zstd.ZstdFile(file, "wb")
    except ImportError:
        pass
    try:
        import zstandard
    except ImportError:
        raise ValueError("the package zstandard, which packs .zst, is not installed") from None
    return zstandard.ZstdCompressor().stream_writer(file, closefd=False)


def _write_whole(path: str, write: Callable[[IO[bytes]], None]) -> None:
    """Write a file beside the path, then give it that name."""
    import tempfile

    with suppress(FileNotFoundError):
        if not S_ISREG(os.lstat(path).st_mode):
            raise ValueError("there is a link, folder or device of that name")
    folder, name = os.path.split(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    try:
        with open(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# -- a text ------------------------------------------------------------------------------------------------------------


def as_text(root: Root, *, redact: bool = False) -> str:
    """What a root was asked, as one readable text: the form in which machines are written for tests."""
    recording = recorded(root)
    if redact:
        from vmtune.root.redaction import redacted

        recording, _ = redacted(recording, {})
    held = _held(recording.files, recording.links, recording.folders)
    told: dict[str, list[str]] = {}

    def tell(path: str, *lines: str) -> None:
        told.setdefault(path, []).extend(f"{_word(path)}{line}" for line in lines)

    for path, data in recording.files.items():
        tell(path, _shown(data))
    for path, target in recording.links.items():
        tell(path, f" -> {_word(target, ' ')}")
    for path in recording.folders:
        if path not in recording.listed:
            tell(path, "/")
    for path, names in recording.listed.items():
        tell(path, f" * {_words(names)}".rstrip())
    for path, reason in recording.unlisted.items():
        tell(path, f" * ! {_word(reason, ' ')}")
    for path, reason in recording.untrusted.items():
        tell(path, f" ~ {_word(reason, ' ')}")
    for path, mode in recording.modes.items():
        tell(path, f" = ! {_word(mode, ' ')}" if isinstance(mode, str) else " = {:o} {} {}".format(*mode))
    for path, reason in {**recording.unreadable, **recording.closed}.items():
        if path in recording.closed:
            tell(path, f" ! {_word(reason, ' ')}")
        elif path not in recording.links and path not in held:
            tell(path, f" ? {_word(reason, ' ')}")
    for path, is_folder in recording.present.items():
        if path not in recording.unreadable and path not in recording.modes:
            tell(path, "/") if is_folder else tell(path, f" ? {NOT_CAPTURED}")
    for path in recording.absent:
        folder, _, name = path.rpartition("/")
        if name in recording.listed.get(folder, ()):
            tell(path, " -")
    lines = [line for _, entry in sorted(told.items()) for line in entry]
    for argv, said in recording.outputs.items():
        command = f"$ {_words(argv)}"
        if isinstance(said, Unreadable):
            lines.append(f"{command} ! {_word(said.reason, ' ')}")
        elif said is not None and _shown(said.encode("utf-8", "surrogatepass")).startswith(" "):
            lines.append(f"{command} \\ {_json(said)}")
        elif said is not None:
            lines.append(command)
            lines.extend(f"  {line}" for line in said.removesuffix("\n").split("\n"))
    return "\n".join([*lines, ""])


def _shown(data: bytes) -> str:
    """A file's content as what follows its path."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    lines = text.removesuffix("\n").split("\n")
    if not text.endswith("\n") or not all(line.replace("\t", "").isprintable() for line in lines):
        return f" \\ {data!r}"
    if len(lines) == 1 and lines[0] == lines[0].strip():
        return f": {lines[0]}".rstrip()
    return ":\n" + "\n".join(f"  {line}" for line in lines)


def _word(text: str, allowed: str = "") -> str:
    """A word as it is, or in JSON where it would be misread."""
    bare = text
    for blank in allowed:
        bare = bare.replace(blank, "")
    plain = bare.isascii() and bare.isprintable() and " " not in bare and text == text.strip() and text[:1] not in _ODD
    return text if plain and not text.endswith((":", "/")) else _json(text)


def _words(words: Sequence[str]) -> str:
    """Words parted by blanks, or a JSON list of them."""
    plain = all(_word(word) == word and word not in ("!", "\\") for word in words)
    return " ".join(words) if plain and words and words[0][:1] != "[" else _json(words)


_ODD = ('"', "#", "$", "")


def _json(value: object) -> str:
    import json

    return json.dumps(value)
