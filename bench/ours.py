"""The queue under test: its project on one database, and its real worker processes.

Owns `Project`. A worker is `taskqueue_run` as a user types it; ``--verbosity 0`` keeps the
line a task out of the headline figures, and the rate with it on is measured beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, Started, started, wait_for
from bench.stores import QUEUE, Store
from bench.tally import Tallies

START_SECONDS = 60.0


@dataclass
class Project:
    """A migrated project on a store.

    Attributes:
        store: where it keeps its tasks.
        folder: for what its processes write.
        settings: the module of its settings.
    """

    store: Store
    folder: Path
    settings: str = "bench.site.settings"

    @property
    def environment(self) -> dict[str, str]:
        """What each process of the project needs to know."""
        return {
            "DJANGO_SETTINGS_MODULE": self.settings,
            "BENCH_DATABASE": json.dumps(self.store.entry),
        }

    def prepare(self) -> None:
        """Make the tables and the templates."""
        self.call("bench.site.prepare")
        self.store.keep_templates()

    def call(self, module: str, *words: str) -> str:
        """Run a module as a process of the project; return what it printed.

        Raises:
            RuntimeError: it failed.
        """
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{module} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    @contextlib.contextmanager
    def working(
        self,
        *arguments: str,
        commands: int = 1,
        processes: int = 1,
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[Crew]:
        """Start workers that wait for each other, let them go together, stop them.

        Args:
            *arguments: of ``taskqueue_run``, after the queue.
            commands: how many times the command is started.
            processes: how many worker processes each of them makes.
            variables: more of the environment.
        """
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        tallies = Tallies(folder / "tallies")
        environment = {
            **self.environment,
            "BENCH_TALLY": str(tallies.folder),
            "BENCH_GATE": str(folder),
            **(variables or {}),
        }
        command = [sys.executable, "-m", "django", "taskqueue_run", QUEUE, *arguments]
        if processes > 1:
            command.append(f"--processes={processes}")
        with contextlib.ExitStack() as stack:
            workers = [
                stack.enter_context(started(command, environment, folder / f"log-{number}"))
                for number in range(commands)
            ]
            wait_for(
                lambda: len(list(folder.glob("ready-*"))) == commands * processes,
                seconds=START_SECONDS,
                what="the workers to start",
                watched=workers,
            )
            (folder / "open").touch()
            yield Crew(workers, tallies)


@dataclass(frozen=True)
class Crew:
    """The workers of one measurement, and what their handlers counted."""

    workers: Sequence[Started]
    tallies: Tallies

    def cpu_seconds(self) -> float:
        """Return the time on the processor of all of them."""
        return sum(worker.cpu_seconds() for worker in self.workers)
