"""The group of commands, each loaded when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from vmtune import __version__

COMMANDS = {
    "audit": "Judge this machine, a captured tree, a domain or a .vmx file.",
    "inspect": "What is known of the machine, judged by nobody.",
    "checks": "Every check, one line each.",
    "explain": "All about one check.",
    "capture": "Save every fact of this machine, to be audited elsewhere.",
}
"""Each the name of a module here with a command `command`, and what `--help` says of it."""


class Commands(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"vmtune.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Is this virtual machine, or the host it runs on, ready for production?",
)
@click.version_option(__version__, message="vmtune %(version)s")
def program() -> None:
    pass
