"""`vmtune checks`: every check, one line each."""

from __future__ import annotations

from typing import Any

import click

from vmtune.check import Check, all_checks
from vmtune.cli.output import write


@click.command("checks", help=__doc__)
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(format_: str) -> None:
    rows = [_row(functions) for functions in all_checks().values()]
    if format_ == "json":
        import json

        write(json.dumps(rows, indent=2) + "\n", None)
        return
    from tabulate import tabulate

    shown = [
        [
            row["id"],
            row["severity"],
            ", ".join(row["roles"]) or "all",
            ", ".join(row["workloads"]) or "all",
            row["title"],
        ]
        for row in rows
    ]
    columns = ["check", "severity", "asked of", "workloads", "what is wrong when it fails"]
    write(tabulate(shown, headers=columns, tablefmt="plain") + "\n", None)


def _row(functions: list[Check]) -> dict[str, Any]:
    """One check, whatever the number of its functions."""
    first = functions[0]
    return {
        "id": first.id,
        "subject": first.subject,
        "severity": str(first.severity),
        "judges": [check.kind for check in functions],
        "roles": sorted({role for check in functions for role in check.roles}),
        "workloads": list(first.workloads),
        "thresholds": {name: default for check in functions for name, default in check.thresholds.items()},
        "title": first.title,
    }
