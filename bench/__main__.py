"""``python -m bench``: choose measures and databases, measure, say what came out."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import measures, profile, report
from bench.contest import Table, play
from bench.peers import catalogue
from bench.peers.measures import MEASURES as PEERS
from bench.run import Run
from bench.stores import STORES

MEASURES = {**measures.MEASURES, **PEERS}
ALL = "all"
PROFILE = "profile"


def main(words: Sequence[str] | None = None) -> None:
    """Measure what the words of the command line ask for."""
    options = parsed(words)
    # Whoever ends the run ends its workers and databases too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    asked = options.measures or [ALL]
    run = Run(
        databases=options.db or list(STORES),
        tasks=options.tasks,
        repeat=options.repeat,
        seconds=options.seconds,
        rows=options.rows,
        peers=options.peer or [],
        python=options.python,
    )
    tables: list[Table] = []
    with run.opened():
        for name in [*measures.MEASURES] if ALL in asked else asked:
            if name == PROFILE:
                profile.show(run, options.out)
                continue
            measure = MEASURES[name]
            tables.append(play(measure.TITLE, list(measure.entries(run)), repeat=run.repeat))
            print(report.as_text(tables[-1]), flush=True)
            report.save(tables, options.out)


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "measures",
        nargs="*",
        metavar="MEASURE",
        help=f"{', '.join(MEASURES)}, {PROFILE}; {ALL} (the default): all before the peers",
    )
    parser.add_argument("--db", action="append", choices=list(STORES), help="all by default")
    parser.add_argument("--repeat", type=int, default=5, help="rounds of each contestant (5)")
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of a round (10000)")
    parser.add_argument(
        "--seconds", type=float, default=30, help="how long to watch an idle worker (30)"
    )
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="finished rows of the scale (1000000)"
    )
    parser.add_argument("--out", type=Path, default=Path("bench/results"), help="for the results")
    parser.add_argument("--peer", action="append", help="a peer's name; all by default")
    parser.add_argument(
        "--python", default=sys.executable, help="makes the peers' environments; 3.12 serves all"
    )
    options = parser.parse_args(words)
    unknown = set(options.measures) - {*MEASURES, PROFILE, ALL}
    unknown |= set(options.peer or []) - {peer.name for peer in catalogue.PEERS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; see --help")
    return options


if __name__ == "__main__":
    main()
