"""How many tasks a second: the queue in several settings, and the raw loop as their limit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.contest import Entry
from bench.rates import drain
from bench.raw import raw_drain
from bench.run import Run

TITLE = "Draining a queue of tasks that do nothing"
DEFAULT = "default settings"
#: The fastest of a few settings tried by hand.
BEST = {
    "sqlite": ["--concurrency=1"],
    "postgresql": ["--concurrency=2"],
    "mariadb": ["--concurrency=4"],
}


def entries(run: Run) -> Iterator[Entry]:
    """Yield the raw loop and the queue on each database."""
    for project in run.projects:
        store, count = project.store, run.tasks
        for batch in (1_000, 100):
            raw = partial(raw_drain, store, alias="Noop", count=count, batch=batch)
            limit = Entry(store.name, f"raw loop, {batch:,} a batch", raw)
            yield limit
        best = BEST[store.name]
        for label, arguments in ((DEFAULT, []), (" ".join(best), best)):
            ours = partial(drain, project, *arguments, count=count)
            yield Entry(store.name, label, ours, against=limit)
        two = partial(drain, project, count=count, processes=2)
        yield Entry(store.name, "--processes 2", two, against=limit)
