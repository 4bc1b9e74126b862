"""The command line: one module a command, each imported when it is asked for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from vmtune import __version__

if TYPE_CHECKING:
    import click

BAD_INPUT = 2
BUG = 70
DENIED = 77
INTERRUPTED = 130


def main(argv: list[str] | None = None) -> None:
    """Run vmtune and exit. `--version` answers before anything else is imported."""
    argv = sys.argv[1:] if argv is None else argv
    if argv == ["--version"]:
        print(f"vmtune {__version__}")
        sys.exit(0)
    from vmtune.cli.program import program

    sys.exit(_outcome(program, argv))


def _outcome(program: click.Group, argv: list[str]) -> int:
    """The exit code of a command, whatever happens in it: one clear line for what the user can mend, a trace for a
    bug."""
    import click

    try:
        code = program.main(argv, prog_name="vmtune", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        error.show()
        return BAD_INPUT
    except click.ClickException as error:
        print(f"vmtune: {error.format_message()}", file=sys.stderr)
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        print("vmtune: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough. What remains in the buffer must not be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except PermissionError as error:
        print(f"vmtune: {error.filename}: permission denied: root can", file=sys.stderr)
        return DENIED
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program
        return _bug(error)
    return code if isinstance(code, int) else 0


def _bug(error: Exception) -> int:
    import traceback

    trace = traceback.format_exception(error, limit=-3)
    print("vmtune: this is a bug in vmtune. Please report it with this trace and the command line:", file=sys.stderr)
    print("".join(trace), end="", file=sys.stderr)
    return BUG
