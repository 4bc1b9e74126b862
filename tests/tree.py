"""Small machines written as text, planted in memory as a Root.

One line a file: `PATH: TEXT`. Lines indented by two spaces continue the text of the file before. `PATH -> TARGET` is a
symbolic link, `PATH/` an empty folder, `PATH ! REASON` a file that cannot be read, `PATH -` takes out what an earlier text
has there, `PATH = MODE UID GID` a file's octal mode and its owner, `$ COMMAND` with indented lines below a command's output. `#` starts a comment line. Whatever is not written is absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EACCES

from vmtune.root import Root, Unreadable
from vmtune.root.memory import Link, Memory


class Complete:
    """A witness for a tree in which what is not written is absent."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.outputs: dict[tuple[str, ...], str] = {}

    def absent(self, path: str, ancestor: str) -> bool:
        return True

    def unreadable(self, path: str) -> str | None:
        return next((reason for key, reason in self.refused.items() if path == key or path.startswith(key + "/")), None)

    def output(self, argv: tuple[str, ...]) -> str | None:
        return self.outputs.get(argv)


def plant(*texts: str) -> Root:
    """A Root over the machine that the texts describe; a later text adds to and overrides an earlier one."""
    store, witness = Memory(), Complete()
    modes: dict[str, tuple[int, int, int] | None] = {}
    for path, kind, body in _entries("\n".join(texts)):
        if kind == "->":
            store.put(path, Link(body))
        elif kind == "/":
            store.put_folder(path)
        elif kind == "!":
            witness.refused[path] = body
        elif kind == "-":
            store.remove(path)
        elif kind == "=":
            mode, owner, group = body.split()
            modes[path] = int(mode, 8), int(owner), int(group)
        elif kind == "$":
            witness.outputs[tuple(path.split())] = body
        else:
            store.put(path, body.encode())
    for path in witness.refused:
        if store.file(path) is not None:
            store.put(path, EACCES)
        else:
            store.remove(path)
    root = Root(store, name="planted", witness=witness)
    root.modes = modes
    return root


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Path, kind and body of each entry."""
    path, kind, body = "", "", [""]
    for line in [*text.splitlines(), "#"]:
        if line.startswith("  ") and path:
            body.append(line[2:])
            continue
        if path:
            shown = "\n".join(body[1:] if not body[0] and len(body) > 1 else body)
            yield path, kind, shown + "\n" if kind in (":", "$") else shown
            path = ""
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("$ "):
            path, kind, body = line[2:], "$", [""]
        elif line.endswith(("/", " -")):
            path, kind, body = "/" + line[:-1].strip("/ "), line[-1], [""]
        else:
            marks = [(line.find(mark), mark) for mark in (": ", " -> ", " ! ", " = ") if mark in line]
            if marks:
                place, mark = min(marks)
                path, kind, body = "/" + line[:place].strip("/"), mark.strip(), [line[place + len(mark) :]]
            elif line.endswith(":"):
                path, kind, body = "/" + line[:-1].strip("/"), ":", [""]
            else:
                raise AssertionError(f"not a line of a tree: {line!r}")


__all__ = ["Complete", "Root", "Unreadable", "plant"]
