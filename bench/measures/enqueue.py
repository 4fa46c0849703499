"""How fast tasks are put on a queue: one a commit, and many at once, beside plain inserts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from bench.contest import Entry, Figures
from bench.inserts import insert_many, insert_one_by_one
from bench.ours import Project
from bench.run import Run

TITLE = "Enqueuing"
ONE_BY_ONE = 2_000


def entries(run: Run) -> Iterator[Entry]:
    """Yield ways to enqueue on each database."""
    for project in run.projects:
        store, few = project.store, min(ONE_BY_ONE, run.tasks)
        inserts = partial(insert_one_by_one, store, count=few)
        yield Entry(store.name, "raw INSERT, one a commit", inserts)
        create = Entry(
            store.name, "objects.create, one a commit", partial(measure, project, "create", few)
        )
        yield create
        one = partial(measure, project, "one", few)
        yield Entry(store.name, "enqueue, one a commit", one, against=create)
        raw = Entry(
            store.name,
            "raw COPY or INSERT of many rows",
            partial(insert_many, store, count=run.tasks),
        )
        yield raw
        created = partial(measure, project, "bulk_create", run.tasks)
        yield Entry(store.name, "bulk_create", created, against=raw)
        many = partial(measure, project, "many", run.tasks)
        yield Entry(store.name, "enqueue_many", many, against=raw)


def measure(project: Project, way: str, count: int) -> Figures:
    """Empty the table and enqueue in one way, in a process of its own.

    Raises:
        RuntimeError: the tasks are not there.
    """
    project.store.empty()
    figures: Figures = json.loads(project.call("bench.site.enqueue", way, str(count)))
    if project.store.count("queued") < count:
        raise RuntimeError(f"{way} did not enqueue {count} tasks.")
    return figures
