"""How many due schedules one runner works off in a second, each in a transaction of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from bench.contest import Entry, Figures
from bench.ours import Project
from bench.run import Run

TITLE = "Due schedules, worked off by one runner"


def entries(run: Run) -> Iterator[Entry]:
    """Yield one runner on each database."""
    for project in run.projects:
        yield Entry(project.store.name, "one runner", partial(worked_off, project, run.tasks))


def worked_off(project: Project, count: int) -> Figures:
    """Make schedules that are due, and let a process of its own turn each into a task.

    Raises:
        RuntimeError: not every schedule has made its task.
    """
    project.store.empty()
    figures: Figures = json.loads(project.call("bench.site.schedules", str(count)))
    if project.store.count("queued") != count:
        raise RuntimeError(f"Not each of {count} schedules made one task.")
    return figures
