"""How soon an idle worker starts a task: from before the call of enqueue to the handler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from bench.bare import bare_delays
from bench.contest import Entry, Figures
from bench.ours import Project
from bench.rates import QUIET
from bench.run import Run

TITLE = "Latency of an idle worker"
#: The most tasks of a round: each waits for half a second before it.
TRIES = 100


def entries(run: Run) -> Iterator[Entry]:
    """Yield one worker in default settings on each database, beside the plain driver."""
    tries = min(TRIES, max(3, run.tasks // 100))
    for project in run.projects:
        name, bare = project.store.name, None
        if name == "postgresql":
            bare = Entry(name, "bare driver", partial(bare_delays, project.store, tries=tries))
            yield bare
        yield Entry(name, "default settings", partial(latency, project, tries=tries), against=bare)


def latency(project: Project, *, tries: int) -> Figures:
    """Start a worker, let another process enqueue now and then, and look at the delays."""
    project.store.empty()
    with project.working(QUIET):
        figures: Figures = json.loads(project.call("bench.site.latency", str(tries)))
        return figures
