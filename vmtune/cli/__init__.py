"""The command line: one module a command, each imported when it is asked for."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from vmtune import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

BAD_INPUT = 2
BUG = 70
DENIED = 77
INTERRUPTED = 130


def main(argv: list[str] | None = None) -> None:
    """Run vmtune and exit. `--version` answers before anything else is imported."""
    argv = sys.argv[1:] if argv is None else argv
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as we run
    if argv == ["--version"]:
        sys.exit(_said(lambda: print(f"vmtune {__version__}", flush=True), 0))
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # as SIGINT: clean up, and report what there is
            signal.signal(number, signal.default_int_handler)
    from vmtune.cli.program import program

    sys.exit(_outcome(program, argv))


def _outcome(program: click.Group, argv: list[str]) -> int:
    """The exit code of a command, whatever happens: one clear line for what the user can mend, a trace for a bug."""
    import click

    from vmtune.cli.output import give_up_stdout

    try:
        code = program.main(argv, prog_name="vmtune", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        return _said(error.show, BAD_INPUT)
    except click.ClickException as error:
        return _say(error.format_message(), BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED)
    except PermissionError as error:
        return _say(f"{error.filename}: permission denied: root can", DENIED)
    except OSError as error:
        give_up_stdout()
        return _say(f"{error.filename or 'standard output'}: {(error.strerror or 'cannot be used').lower()}", BAD_INPUT)
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program
        return _bug(error)
    return code if isinstance(code, int) else 0


def _say(text: str, code: int) -> int:
    """One line on standard error, in which nothing moves the cursor; and the exit code."""
    from vmtune.report.text import plain

    return _said(lambda: print(f"vmtune: {plain(text)}", file=sys.stderr, flush=True), code)


def _said(say: Callable[[], None], code: int) -> int:
    """The exit code, also where nobody can be told."""
    try:
        say()
    except OSError:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    return code


def _bug(error: Exception) -> int:
    import traceback

    trace = "".join(traceback.format_exception(error, limit=-3))
    head = "vmtune: this is a bug in vmtune. Please report it with this trace and the command line:\n"
    return _said(lambda: print(head + trace, end="", file=sys.stderr, flush=True), BUG)
