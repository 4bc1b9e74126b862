"""Small machines written as text, planted in memory as a Root.

One line a file: `PATH: TEXT`. Lines indented by two spaces continue the text of the file before. `PATH -> TARGET` is a
symbolic link, `PATH/` an empty folder, `PATH ! REASON` a file that cannot be read (or a folder, with all below it),
`PATH -` takes out what an earlier text has there, `PATH = MODE UID GID` a file's octal mode and its owner, `$ COMMAND`
with indented lines below a command's output, `$ COMMAND ! REASON` one that fails. `#` starts a comment line. Whatever
is not written is absent.

What `vmtune.root.recording.as_text` writes of a real machine may need more: `PATH \\ b'…'` a file's very bytes;
`PATH * NAMES` all that a folder lists (of what is not written elsewhere, nothing is known), `PATH * ! REASON` one that
cannot be listed; `PATH ? REASON` a file that is there and cannot be read; `PATH ~ REASON` a link that is not followed;
and paths, names, targets, reasons and commands in JSON where they hold blanks or worse.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from errno import EACCES

from vmtune.root import NOT_CAPTURED, Root, Unreadable
from vmtune.root.memory import Link, Memory, Special


class Complete:
    """A witness for a tree in which what is not written is absent."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.closed: dict[str, str] = {}
        self.outputs: dict[tuple[str, ...], str | Unreadable] = {}

    def absent(self, path: str, ancestor: str) -> bool:  # noqa: ARG002 - all are
        return True

    def unreadable(self, path: str) -> str | None:
        if path in self.closed:
            return self.closed[path]
        while path and path not in self.refused:
            path = path.rpartition("/")[0]
        return self.refused.get(path)

    def output(self, argv: tuple[str, ...]) -> str | None:
        said = self.outputs.get(argv)
        if isinstance(said, Unreadable):
            raise said
        return said


def plant(*texts: str) -> Root:
    """A Root over the machine that the texts describe; a later text adds to and overrides an earlier one."""
    store, witness = Memory(), Complete()
    root = Root(store, name="planted", witness=witness)
    absent = set()
    for path, kind, body in _entries("\n".join(texts)):
        if kind == "->":
            store.put(path, Link(_said(body)))
        elif kind == "/":
            store.put_folder(path)
        elif kind == "!":
            witness.refused[path] = _said(body)
        elif kind == "-":
            store.remove(path)
            absent.add(path)
            root.modes.pop(path, None)
        elif kind == "?":
            witness.closed[path] = _said(body)
            store.put(path, EACCES)
        elif kind == "=":
            mode = body.split()
            root.modes[path] = (
                Unreadable(path, _said(body[2:])) if mode[0] == "!" else (int(mode[0], 8), int(mode[1]), int(mode[2]))
            )
        elif kind == "*":
            root.listed[path] = Unreadable(path, _said(body[2:])) if body.startswith("! ") else sorted(_words(body))
        elif kind == "~":
            root.untrusted[path] = Unreadable(path, _said(body))
        elif kind == "$":
            argv, rest = _command(path)
            reason = _said(rest[3:])
            witness.outputs[argv] = (
                body if not rest else Unreadable(" ".join(argv), reason) if rest[1] == "!" else reason
            )
        elif kind == "\\":
            store.put(path, ast.literal_eval(body))
        else:
            store.put(path, body.encode())
    for path, mode_or_not in root.modes.items():
        if isinstance(mode_or_not, tuple) and not _is_there(store, path):
            store.put(path, Special(*mode_or_not))
    for path in witness.refused:
        store.put_folder(path.rpartition("/")[0])
        if store.file(path) is not None:
            store.put(path, EACCES)
        else:
            store.remove(path)
    listed = {folder: names for folder, names in root.listed.items() if witness.unreadable(folder) is None}
    for folder in listed:
        store.put_folder(folder)
    for folder, names in listed.items():
        for name in names if isinstance(names, list) else ():
            path = f"{folder}/{name}"
            if path not in absent and not _is_there(store, path):
                witness.refused.setdefault(path, NOT_CAPTURED)
    return root


def _is_there(store: Memory, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    try:
        store.status(folder, name)
    except OSError:
        return False
    return True


def _said(text: str) -> str:
    """A text that may be written as JSON."""
    return str(json.loads(text)) if text.startswith('"') else text


def _words(text: str) -> list[str]:
    """Words, or a JSON list of them."""
    return list(json.loads(text)) if text.startswith("[") else text.split()


def _command(text: str) -> tuple[tuple[str, ...], str]:
    """A command's words, and what follows: nothing, ` ! REASON` or ` \\ OUTPUT`."""
    if text.startswith("["):
        words, end = json.JSONDecoder().raw_decode(text)
        return tuple(words), text[end:]
    end = min((place for mark in (" ! ", " \\ ") if (place := text.find(mark)) > 0), default=len(text))
    return tuple(text[:end].split()), text[end:]


_MARKS = (": ", " -> ", " ! ", " = ", " \\ ", " * ", " ~ ", " ? ")


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Path, kind and body of each entry."""
    path, kind, body = "", "", [""]
    for line in [*text.split("\n"), "#"]:
        if line.startswith("  ") and kind:
            body.append(line[2:])
            continue
        if kind:
            shown = "\n".join(body[1:] if not body[0] and len(body) > 1 else body)
            yield path, kind, shown + "\n" if kind == ":" or (kind == "$" and len(body) > 1) else shown
            kind = ""
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("$ "):
            path, kind, body = line[2:], "$", [""]
            continue
        quoted = None
        if line.startswith('"'):
            quoted, end = json.JSONDecoder().raw_decode(line)
            line = "?" + line[end:]
        marks = [(line.find(mark), -len(mark), mark) for mark in _MARKS if mark in line]
        if marks:
            place, _, mark = min(marks)
            path, kind, body = line[:place], mark.strip(), [line[place + len(mark) :]]
        elif line.endswith(("/", " -")):
            path, kind, body = line[:-1].strip(), line[-1], [""]
        elif line.endswith(" *"):
            path, kind, body = line[:-2], "*", [""]
        elif line.endswith(":"):
            path, kind, body = line[:-1], ":", [""]
        else:
            raise AssertionError(f"not a line of a tree: {line!r}")
        path = "/" + path.strip("/") if quoted is None else quoted


__all__ = ["Complete", "Root", "Unreadable", "plant"]
