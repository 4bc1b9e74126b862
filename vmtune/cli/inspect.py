"""`vmtune inspect`: what is known of the machine, judged by nobody."""

from __future__ import annotations

from typing import Any

import click

from vmtune.cli.machine import root_of
from vmtune.cli.output import page, write
from vmtune.host import Host


@click.command("inspect", help=__doc__)
@click.option("--root", "tree", metavar="PATH", help="A captured tree instead of this machine.")
@click.option("--cpus", is_flag=True, help="The CPU ledger: who claims each CPU.")
@click.option("--cross-check", is_flag=True, help="Compare with what psutil and py-cpuinfo say.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(tree: str | None, cpus: bool, cross_check: bool, format_: str) -> None:
    host = Host(root_of(tree))
    if format_ == "json":
        import json

        write(json.dumps(_data(host, cpus, cross_check), indent=2) + "\n", None)
        return
    from vmtune.report import inspection

    here = page()
    text = inspection.ledger(host, here) if cpus else inspection.overview(host, here)
    if cross_check:
        text += inspection.cross_check(_cross_check(host), here)
    write(text, None)


def _data(host: Host, cpus: bool, cross_check: bool) -> dict[str, Any]:
    from vmtune.inventory import cpu_ledger, inventory

    data = inventory(host)
    if cpus:
        data["cpu_ledger"] = cpu_ledger(host)
    if cross_check:
        data["cross_check"] = [row._asdict() for row in _cross_check(host)]
    return data


def _cross_check(host: Host) -> Any:
    if not host.root.live:
        raise click.UsageError(
            "--cross-check asks other libraries about this machine; a captured tree has none of them"
        )
    from vmtune.cross_check import cross_check

    try:
        return cross_check(host)
    except ModuleNotFoundError as error:
        raise click.ClickException(f"--cross-check needs {error.name}: pip install 'vmtune[cross-check]'") from None
