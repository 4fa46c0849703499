"""Resident memory of one idle worker of the example project."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial

from bench.contest import Entry, Figures
from bench.ours import Project
from bench.processes import ROOT, started
from bench.run import Run

TITLE = "Memory of an idle worker, Django and the example project loaded"
#: Everything is imported, connected and mirrored after this.
SETTLING_SECONDS = 6.0


def entries(run: Run) -> Iterator[Entry]:
    """Yield one worker on each database."""
    for project in run.projects:
        yield Entry(project.store.name, "default settings", partial(idle_memory, project))


def idle_memory(project: Project) -> Figures:
    """Start the example project's worker on our tables; return its memory once it is at rest."""
    environment = {
        "DATABASE_URL": project.store.url(),
        "DEBUG": "0",
        "DJANGO_SETTINGS_MODULE": "example.settings",
    }
    command = [sys.executable, str(ROOT / "example_project" / "manage.py"), "taskqueue_run"]
    with started(command, environment, project.folder / "example-log") as worker:
        time.sleep(SETTLING_SECONDS)
        worker.check()
        return {"RSS MB": worker.rss_megabytes()}
