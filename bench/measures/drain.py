"""How many tasks a second: the queue in several settings, and the raw loop as their limit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.contest import Entry
from bench.rates import drain
from bench.raw import raw_drain
from bench.run import Run

TITLE = "Draining a queue of tasks that do nothing"
LIMIT = "raw loop, 100 a batch"
#: The fastest of a few settings tried by hand.
BEST = {
    "sqlite": ["--concurrency=1"],
    "postgresql": ["--concurrency=4"],
    "mariadb": ["--concurrency=4"],
}


def entries(run: Run) -> Iterator[Entry]:
    """Yield the raw loop and the queue on each database."""
    for project in run.projects:
        store, count = project.store, run.tasks
        compare = partial(Entry, store.name, against=LIMIT)
        for batch in (100, 1_000):
            raw = partial(raw_drain, store, alias="Noop", count=count, batch=batch)
            yield Entry(store.name, f"raw loop, {batch:,} a batch", raw)
        yield compare("default settings", partial(drain, project, count=count))
        best = BEST[store.name]
        yield compare(" ".join(best), partial(drain, project, *best, count=count))
        yield compare("--processes 2", partial(drain, project, count=count, processes=2))
