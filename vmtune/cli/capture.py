"""`vmtune capture FILE`: save every fact of this machine, to be audited elsewhere."""

from __future__ import annotations

import click

from vmtune.audit import Audit, Options
from vmtune.check import Role, Workload, all_checks
from vmtune.cli.machine import root_of
from vmtune.cli.output import Progress
from vmtune.host import Host
from vmtune.inventory import inventory


@click.command("capture", help=__doc__)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--root", "tree", metavar="PATH", help="A captured tree instead of this machine.")
@click.option("--redact", is_flag=True, help="Replace names, addresses and serial numbers.")
def command(file: str, tree: str | None, redact: bool) -> None:
    from vmtune.root.recording import CannotSave, save

    host = Host(root_of(tree))
    read_everything(host)
    try:
        save(host.root, file, redact=redact)
    except CannotSave as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{file}: {len(host.root.data)} files", err=True)


def read_everything(host: Host) -> None:
    """Make the root remember whatever any audit or inventory of this machine could ask for."""
    progress = Progress()
    inventory(host)
    checks = all_checks()
    for place, workload in enumerate(Workload):
        progress(place, len(Workload), f"reading for {workload}")
        for _ in Audit(host, options=Options(workload=workload, roles=tuple(Role), sample_seconds=0)).run(checks):
            pass
    progress.clear()
