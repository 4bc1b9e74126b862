"""Words for a shell: what a machine says stands in the commands that are proposed, and must not become part of them."""

from __future__ import annotations

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")


def quoted(text: object) -> str:
    """A word as a POSIX shell reads it back, whatever is in it."""
    word = _printable(str(text))
    if word and _PLAIN.issuperset(word) and not word.startswith("-"):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def virsh_edit(domain: str, change: str) -> str:
    """The command that edits a domain, with what to change behind it as a comment."""
    return f"virsh edit {quoted(domain)}  # {_printable(change)}"


def remark(text: str) -> str:
    """What no command does, as a comment."""
    return f"# {_printable(text)}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
