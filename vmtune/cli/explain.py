"""`vmtune explain CHECK`: why it matters, how to mend it, what it is judged by."""

from __future__ import annotations

from collections.abc import Iterator

import click

from vmtune.check import HEADINGS, Check, all_checks, checks_called, sections
from vmtune.cli.output import page, write
from vmtune.report.text import Paint, wrapped


@click.command("explain", help=__doc__)
@click.argument("check")
def command(check: str) -> None:
    functions = checks_called(check)
    if not functions:
        from difflib import get_close_matches

        near = get_close_matches(check, all_checks(), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `vmtune checks` lists them"
        raise click.UsageError(f"no check is called {check!r}{hint}")
    here = page()
    write("\n\n".join("\n".join(_lines(each, here.width, Paint(here.colour))) for each in functions) + "\n", None)


def _lines(check: Check, width: int, paint: Paint) -> Iterator[str]:
    yield f"{paint(check.id, bold=True)}  {check.severity}"
    texts = sections(check.judge.__doc__ or "")
    yield from wrapped(texts.pop(""), width)
    yield ""
    raised = ", ".join(f"{workload}: {severity}" for workload, severity in check.raised.items())
    facts = [
        ("Judges", check.kind),
        ("Asked of", ", ".join(check.roles) or "every machine"),
        ("Workloads", (", ".join(check.workloads) or "all") + (f" ({raised})" if raised else "")),
        ("Thresholds", ", ".join(f"{name} = {default!r}" for name, default in check.thresholds.items())),
        *((heading, texts.get(heading, "")) for heading in HEADINGS),
        ("See", " ".join(check.see)),
    ]
    for name, text in facts:
        if text:
            yield from wrapped(text, width, first=f"{name + ':':<14}", rest=" " * 14)
