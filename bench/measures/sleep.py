"""Tasks of 10 ms that wait for something else: is the next one there when a thread is free?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.contest import Entry
from bench.rates import drain
from bench.run import Run

TITLE = "Tasks of 10 ms sleep, ten at a time: 1,000 a second would be ideal"


def entries(run: Run) -> Iterator[Entry]:
    """Yield ten threads on each database."""
    for project in run.projects:
        sleeping = partial(
            drain, project, "--concurrency=10", alias="Sleep", count=min(run.tasks, 2_000)
        )
        yield Entry(project.store.name, "--concurrency 10", sleeping)
