"""One run of the benchmark: its databases, its folder, how much of everything.

Owns `Run`, which the measures get; whatever it makes is gone at its end.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.ours import Project
from bench.stores import STORES


@dataclass
class Run:
    """What the command line asked for.

    Attributes:
        databases: names of stores.
        tasks: how many a drain has.
        repeat: how many rounds.
        seconds: how long an idle worker is watched.
        rows: finished rows beside which the scale is measured.
        folder: for what processes write.
    """

    databases: Sequence[str]
    tasks: int
    repeat: int
    seconds: float
    rows: int
    folder: Path = field(init=False)
    _stack: contextlib.ExitStack = field(init=False, default_factory=contextlib.ExitStack)
    _projects: dict[str, Project] = field(init=False, default_factory=dict)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Run]:
        """Make a folder, and clean up at the end."""
        with self._stack as stack:
            made = tempfile.TemporaryDirectory(prefix="taskstore-bench-")
            self.folder = Path(stack.enter_context(made))
            yield self

    @property
    def projects(self) -> list[Project]:
        """One project on each database, made when first asked for."""
        for name in self.databases:
            if name not in self._projects:
                self._projects[name] = self.make_project(name)
        return list(self._projects.values())

    def make_project(self, name: str) -> Project:
        """Make a database and a project on it."""
        store = self._stack.enter_context(STORES[name]().made())
        project = Project(store, self.folder)
        project.prepare()
        return project
