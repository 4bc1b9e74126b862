"""`python -m bench [SCALE]`: every promise about cost, measured in one run; exit status 1 where one is not kept.

Each figure is a ratio of two medians of CPU time, taken in turns, so that it says the same on a slow machine.
SCALE is that of the giant machine, 1 unless given.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).parent
RUNS = 7
SLOW_RUNS = 3
JUDGED = (0, 1, 3)
"""Exit codes of an audit that came to its end."""
VERDICTS = ("READY", "NOT READY", "INCOMPLETE")
OTHERS = (("lscpu",), ("lstopo-no-graphics",), ("virt-host-validate",))


class Row(NamedTuple):
    """One line of the table."""

    what: str
    measured: str
    beside: str
    """What it is compared with."""
    figure: float | None
    limit: float | None
    unit: str = "x"

    @property
    def kept(self) -> bool:
        """Whether the limit is kept, where there is one."""
        return self.limit is None or (self.figure is not None and self.figure <= self.limit)


class Cost(NamedTuple):
    """What one child process cost, and what it printed."""

    seconds: float
    peak_mib: float
    printed: str


class Failed(Exception):
    """A child that did not do its work."""


def spend(*argv: str, codes: tuple[int, ...] = (0,), cwd: str | Path = "/") -> Cost:
    """Run a command to its end. It sees none of Python's variables, and runs where no source lies."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, cwd=cwd, env=environment
        )
        assert child.stderr
        said = child.stderr.read().decode(errors="replace").strip()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        child.stderr.close()
        if child.returncode not in codes:
            raise Failed(f"{' '.join(argv)}: exit code {child.returncode}\n{said[-2000:]}")
        out.seek(0)
        printed = out.read(1 << 16).decode(errors="replace")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, printed)


def in_turns(runs: int, *commands: Callable[[], float]) -> list[float]:
    """Medians of some measurements that are repeated in turns."""
    rounds = [[command() for command in commands] for _ in range(runs)]
    return [median(each) for each in zip(*rounds, strict=True)]


def start_up() -> list[Row]:
    """What vmtune costs on this machine, beside an interpreter that does nothing."""
    vmtune = str(Path(sys.executable).parent / "vmtune")
    rows = []
    for argv, limit, runs in (
        (["--version"], 5, RUNS),
        (["explain", "thp-unsuited"], 8, RUNS),
        (["audit"], 12, SLOW_RUNS),
    ):
        peaks: list[float] = []

        def ours(argv: list[str] = argv, peaks: list[float] = peaks) -> float:
            cost = spend(vmtune, *argv, codes=JUDGED if argv == ["audit"] else (0,))
            if argv == ["audit"] and not cost.printed.startswith(VERDICTS):
                raise Failed(f"vmtune audit: no verdict in\n{cost.printed[:2000]}")
            peaks.append(cost.peak_mib)
            return cost.seconds

        cost, bare = in_turns(runs, ours, lambda: spend(sys.executable, "-c", "pass").seconds)
        name = f"vmtune {' '.join(argv)}"
        rows.append(Row(name, milliseconds(cost), f"python -c pass: {milliseconds(bare)}", cost / bare, limit))
        if argv == ["audit"]:
            rows.append(Row("vmtune audit, peak memory", f"{max(peaks):.1f} MiB", "", max(peaks), 40, "MiB"))
    return rows


def giant(scale: float) -> list[Row]:
    """What it costs to read a giant machine, beside the bare work, and beside a machine of half its size."""
    with tempfile.TemporaryDirectory(prefix="vmtune-bench-") as folder:
        whole, half = f"{folder}/whole", f"{folder}/half"
        for tree, part in ((whole, scale), (half, scale / 2)):
            entries = spend(sys.executable, "-m", "bench.giant", tree, str(part), cwd=HERE.parent).printed.strip()
            print(f"giant machine, scale {part:g}: {entries} files, folders and links", file=sys.stderr)

        def reading(what: str, tree: str) -> str:
            return spend(sys.executable, str(HERE / "reading.py"), what, tree, f"{tree}.list").printed

        def seconds(what: str, tree: str) -> Callable[[], float]:
            return lambda: float(reading(what, tree))

        # The first reading brings the files into the cache and writes the list of those that were read.
        opened, listed = map(int, reading("opened", whole).split())
        facts, half_facts, bare = in_turns(
            SLOW_RUNS, seconds("facts", whole), seconds("facts", half), seconds("files", whole)
        )
        domains, half_domains, parsed = in_turns(
            SLOW_RUNS, seconds("domains", whole), seconds("domains", half), seconds("parse", whole)
        )
        with open(f"{whole}.list") as file:
            count = sum(1 for _ in file)
        loop = f"open().read() of its {count} files: {milliseconds(bare)}"
        return [
            Row("facts of /sys and /proc", milliseconds(facts), loop, facts / bare, 2),
            Row(
                "facts of twice the machine",
                milliseconds(facts),
                f"half: {milliseconds(half_facts)}",
                facts / half_facts,
                2.2,
            ),
            Row("domains", milliseconds(domains), f"parsing their XML: {milliseconds(parsed)}", domains / parsed, 8),
            Row(
                "twice the domains",
                milliseconds(domains),
                f"half: {milliseconds(half_domains)}",
                domains / half_domains,
                2.2,
            ),
            Row("a file is opened", f"{opened} times at most", "", opened, 1, "times"),
            Row("a folder is listed", f"{listed} times at most", "", listed, None, "times"),
        ]


def others() -> list[Row]:
    """What other tools cost on this machine, where they are installed."""
    rows = []
    for argv in OTHERS:
        if shutil.which(argv[0]):
            cost, bare = in_turns(
                SLOW_RUNS,
                lambda argv=argv: spend(*argv, codes=tuple(range(256))).seconds,  # type: ignore[misc]
                lambda: spend(sys.executable, "-c", "pass").seconds,
            )
            rows.append(Row(argv[0], milliseconds(cost), f"python -c pass: {milliseconds(bare)}", cost / bare, None))
        else:
            rows.append(Row(argv[0], "not installed", "", None, None))
    return rows


def milliseconds(seconds: float) -> str:
    """As it stands in the table."""
    return f"{1000 * seconds:.1f} ms"


def table(rows: list[Row]) -> str:
    """The rows as text."""
    from tabulate import tabulate

    lines = [
        (
            row.what,
            row.measured,
            row.beside,
            "" if row.figure is None else f"{row.figure:.4g} {row.unit}",
            "" if row.limit is None else f"{row.limit:g} {row.unit}",
            "" if row.limit is None else "kept" if row.kept else "MISSED",
        )
        for row in rows
    ]
    heads = ("what", "cost", "beside", "figure", "limit", "verdict")
    return tabulate(lines, headers=heads, tablefmt="simple", disable_numparse=True)


def main() -> None:
    """Measure, print, judge."""
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rows: list[Row] = []
    failed = []
    for measure in (start_up, lambda: giant(scale), others):
        try:
            rows += measure()
        except Failed as error:
            failed.append(str(error))
    print(table(rows))
    for text in failed:
        print(f"not measured: {text}", file=sys.stderr)
    missed = [row.what for row in rows if not row.kept]
    print(f"{len(missed)} limits missed{': ' * bool(missed)}{', '.join(missed)}")
    sys.exit(bool(missed or failed))


main()
