"""Where a command's output goes: the terminal, a pipe, or a file that is written whole or not at all."""

from __future__ import annotations

import os
import sys
from stat import S_ISREG
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vmtune.report import Page


def page(*, verbose: bool = False, to_file: bool = False) -> Page:
    """What standard output is: its width, and whether it shows colours (`NO_COLOR` is honoured)."""
    from vmtune.report import Page

    terminal = sys.stdout.isatty() and not to_file
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Page(width=_width(terminal), colour=colour, verbose=verbose)


def _width(terminal: bool) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and 0 < int(columns) < 10_000:
        return max(40, int(columns))
    if terminal:
        try:
            return max(40, os.get_terminal_size(sys.stdout.fileno()).columns)
        except OSError:
            pass
    return 100


def write(text: str, path: str | None) -> None:
    """Print text, or write it to a file with mode 0600, whole or not at all."""
    if path is None:
        _print(text)
        return
    try:
        if not S_ISREG(os.lstat(path).st_mode):
            raise click.FileError(path, hint="is there and is no regular file: it is not replaced")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise click.FileError(path, hint=(error.strerror or "cannot be written").lower()) from None
    folder = os.path.dirname(os.path.abspath(path))
    draft = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}.part")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise
    except PermissionError:
        raise
    except OSError as error:
        raise click.FileError(path, hint=(error.strerror or "cannot be written").lower()) from None


def _print(text: str) -> None:
    """Write to standard output. A reader who has gone has seen enough; whatever else goes wrong there is said."""
    try:
        # Bytes that the terminal's encoding lacks are shown escaped rather than ending the report.
        sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        give_up_stdout()
    except OSError as error:
        give_up_stdout()
        raise click.ClickException(f"standard output: {(error.strerror or 'cannot be written').lower()}") from None


def give_up_stdout() -> None:
    """What remains to be written goes nowhere, so that nothing fails again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Progress:
    """One line on standard error that says what is going on, for a terminal only."""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()

    def __call__(self, done: int, total: int, what: str) -> None:
        if self.shown:
            print(f"\r\x1b[K{done + 1}/{total} {what}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
