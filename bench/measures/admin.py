"""What a page of the admin costs beside many tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from bench.contest import Entry, Figures
from bench.ours import Project
from bench.run import Run

TITLE = "Pages of the admin beside many rows"
SETTINGS = "bench.site.admin_settings"
#: Of the finished rows one in so many waits as well.
WAITING = 50
FAILED = 1_000
PAGES = (
    "dashboard",
    "dashboard, 7 days",
    "tasks",
    "tasks, failed",
    "tasks, success",
    "tasks of a queue",
    "a search",
    "one task",
    "queues",
    "definitions",
    "schedules",
    "workers",
)


def entries(run: Run) -> Iterator[Entry]:
    """Yield each page on each database, beside finished and waiting tasks."""
    for name in run.databases:
        project = run.make_project(name, settings=SETTINGS)
        store = project.store
        store.fill("Noop", run.rows, status="'success'", completed_at="created_at")
        store.fill("Noop", FAILED, status="'failed'", completed_at="created_at")
        store.fill("Noop", max(1, run.rows // WAITING))
        tour = Tour(project)
        for page in PAGES:
            yield Entry(name, page, partial(tour.opened, page))


class Tour:
    """A process that opens all pages, one after the other, once a round."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.found: dict[str, Figures] = {}

    def opened(self, page: str) -> Figures:
        """Return a page's figures, of a new tour where this one has been told already."""
        if page not in self.found:
            self.found = json.loads(self.project.call("bench.site.pages", *PAGES))
        return self.found.pop(page)
