"""``python -m bench``: choose measures and databases, measure, say what came out."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import drain, report
from bench.contest import Table, play
from bench.ours import Project
from bench.stores import STORES

MEASURES = {"drain": drain.entries}


def main(words: Sequence[str] | None = None) -> None:
    """Measure what the words of the command line ask for."""
    options = parsed(words)
    tables: list[Table] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskstore-bench-")))
        projects = [
            Project(stack.enter_context(STORES[name]().made()), folder) for name in options.db
        ]
        for project in projects:
            project.prepare()
        for name in options.measures or MEASURES:
            entries = list(MEASURES[name](projects, options.tasks))
            tables.append(play(name, entries, repeat=options.repeat))
            print(report.as_text(tables[-1]), flush=True)
            report.save(tables, options.out)


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("measures", nargs="*", choices=[*MEASURES, []], help="all by default")
    parser.add_argument("--db", action="append", choices=list(STORES), help="all by default")
    parser.add_argument("--repeat", type=int, default=5, help="rounds of each contestant (5)")
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of a round (10000)")
    parser.add_argument("--out", type=Path, default=Path("bench/results"), help="for the results")
    options = parser.parse_args(words)
    options.db = options.db or list(STORES)
    return options


if __name__ == "__main__":
    main()
