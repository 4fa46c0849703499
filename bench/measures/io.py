"""Handlers that read one row by the ORM, with CONN_MAX_AGE left at 0: who connects how often.

The limit beside it is a loop that does nothing but read, in a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from bench.contest import Entry, Figures
from bench.ours import Project
from bench.rates import drain
from bench.run import Run

TITLE = "Handlers that read one row, CONN_MAX_AGE = 0"


def entries(run: Run) -> Iterator[Entry]:
    """Yield the plain loop, and the queue with ten threads and with one."""
    for project in run.projects:
        name = project.store.name
        loop = Entry(name, "a loop of objects.get", partial(read, project, count=run.tasks))
        yield loop
        for threads in (10, 1):
            reading = partial(
                drain, project, f"--concurrency={threads}", alias="Read", count=run.tasks
            )
            yield Entry(name, f"--concurrency {threads}", reading, against=loop)


def read(project: Project, *, count: int) -> Figures:
    """Read so often in a process of its own."""
    figures: Figures = json.loads(project.call("bench.site.reading", str(count)))
    return figures
