"""Four workers on one queue: does each get its part, and do they get more done than one?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.contest import Entry, Figures
from bench.ours import Project
from bench.rates import drain
from bench.run import Run
from bench.stores import QUEUE, TABLE

TITLE = "Four worker processes on one queue"
#: Of the tasks of a drain: those are gone before four processes have all begun.
LONGER = 5


def entries(run: Run) -> Iterator[Entry]:
    """Yield one worker and four of them, on each database."""
    count = LONGER * run.tasks
    for project in run.projects:
        name = project.store.name
        one = Entry(name, "one worker", partial(drain, project, count=count))
        yield one
        four = partial(drain_by_four, project, count=count)
        yield Entry(name, "four workers", four, against=one)


def drain_by_four(project: Project, *, count: int) -> Figures:
    """Drain with four commands; add the smallest and the largest share to the figures."""
    figures = drain(project, count=count, commands=4)
    done = project.store.run(
        f"SELECT COUNT(*) FROM {TABLE} WHERE queue_name = '{QUEUE}' GROUP BY claimed_by"
    )
    shares = [row[0] / count * 100 for row in done]
    missing = [0.0] * (4 - len(shares))
    return {
        **figures,
        "smallest share %": min(shares + missing),
        "largest share %": max(shares),
    }
