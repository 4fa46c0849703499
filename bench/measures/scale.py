"""Does a task cost more where a million have finished, or two hundred thousand wait?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.contest import Entry
from bench.rates import drain, drain_first
from bench.run import Run

TITLE = "Beside many rows"


def entries(run: Run) -> Iterator[Entry]:
    """Yield an empty table, one with finished rows, and a long queue, on each database."""
    for project in run.projects:
        name, count = project.store.name, run.tasks
        empty = Entry(name, "empty table", partial(drain, project, count=count))
        yield empty
        crowded = run.make_project(name)
        crowded.store.fill("Noop", run.rows, status="'success'", completed_at="created_at")
        beside = partial(drain, crowded, count=count, keep=True)
        yield Entry(name, f"{run.rows:,} finished rows", beside, against=empty)
        backlog = max(run.rows // 5, count)
        first = partial(drain_first, project, count=count, backlog=backlog)
        yield Entry(name, f"the first {count:,} of {backlog:,} waiting", first, against=empty)
