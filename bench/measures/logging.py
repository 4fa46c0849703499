"""What it costs when handlers have something to say, and when the worker has."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.contest import Entry
from bench.rates import drain
from bench.run import Run

TITLE = "Two log lines and an output a task; a line a task in the worker's log"


def entries(run: Run) -> Iterator[Entry]:
    """Yield tasks that do nothing, tasks with lines, and a worker that logs each task."""
    for project in run.projects:
        name, count = project.store.name, run.tasks
        silent = Entry(name, "no-op", partial(drain, project, count=count))
        yield silent
        lines = partial(drain, project, alias="Lines", count=count)
        yield Entry(name, "two lines and an output", lines, against=silent)
        loud = partial(drain, project, "--verbosity=1", count=count)
        yield Entry(name, "no-op, worker logs each task", loud, against=silent)
