"""What a worker costs that has nothing to do: time on the processor, and statements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from bench.contest import Entry, Figures
from bench.ours import Project
from bench.rates import QUIET
from bench.run import Run
from bench.tally import SESSIONS, STATEMENTS

TITLE = "An idle worker"
#: The start is over after this: definitions mirrored, threads and connections there.
SETTLING_SECONDS = 5.0


def entries(run: Run) -> Iterator[Entry]:
    """Yield one worker on each database."""
    for project in run.projects:
        watching = partial(watch, project, seconds=run.seconds)
        yield Entry(project.store.name, "default settings", watching)


def watch(project: Project, *, seconds: float) -> Figures:
    """Start a worker on an empty queue and count for a while."""
    project.store.empty()
    with project.working(QUIET, variables={"BENCH_STATEMENTS": "1"}) as crew:
        time.sleep(SETTLING_SECONDS)
        cpu, statements = crew.cpu_seconds(), crew.tallies.total(STATEMENTS)
        time.sleep(seconds)
        return {
            "CPU s in 30 s": (crew.cpu_seconds() - cpu) / seconds * 30,
            "statements/s": (crew.tallies.total(STATEMENTS) - statements) / seconds,
            "sessions": crew.tallies.total(SESSIONS),
        }
