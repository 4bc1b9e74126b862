"""The root of no machine: for a domain or a .vmx file that is judged alone."""

from __future__ import annotations

from vmtune.root import NO_HOST, Root, Unreadable
from vmtune.root.memory import Memory


class _Nobody:
    """A witness that knows nothing."""

    def absent(self, path: str, ancestor: str) -> bool:  # noqa: ARG002
        return False

    def unreadable(self, path: str) -> str | None:  # noqa: ARG002
        return NO_HOST

    def output(self, argv: tuple[str, ...]) -> str | None:
        raise Unreadable(" ".join(argv), NO_HOST)


def nowhere() -> Root:
    """A root in which every read raises Unreadable with the reason NO_HOST."""
    return Root(Memory(), name=NO_HOST, witness=_Nobody())
