"""Handlers that read one row by the ORM, with CONN_MAX_AGE left at 0: who connects how often."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.contest import Entry
from bench.rates import drain
from bench.run import Run

TITLE = "Handlers that read one row, CONN_MAX_AGE = 0"


def entries(run: Run) -> Iterator[Entry]:
    """Yield the queue with ten threads and with one."""
    for project in run.projects:
        for threads in (10, 1):
            reading = partial(
                drain, project, f"--concurrency={threads}", alias="Read", count=run.tasks
            )
            yield Entry(project.store.name, f"--concurrency {threads}", reading)
