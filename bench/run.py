"""One run of the benchmark: its databases, its folder, how much of everything.

Owns `Run`, which the measures get; whatever it makes is gone at its end.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.ours import Project
from bench.stores import STORES, Store

Kind = TypeVar("Kind", bound=Store)


@dataclass
class Run:
    """What the command line asked for.

    Attributes:
        databases: names of stores.
        tasks: how many a drain has.
        repeat: how many rounds.
        seconds: how long an idle worker is watched.
        rows: finished rows beside which the scale is measured.
        peers: names of peers, none for all.
        python: the interpreter that makes their environments.
        folder: for what processes write.
    """

    databases: Sequence[str]
    tasks: int
    repeat: int
    seconds: float
    rows: int
    peers: Sequence[str]
    python: str
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

    def make_project(self, name: str, **options: str) -> Project:
        """Make a database and a project on it, with more of its options."""
        project = Project(self.make_store(STORES[name]), self.folder, **options)
        project.prepare()
        return project

    def make_store(self, kind: type[Kind]) -> Kind:
        """Make a database."""
        store = kind()
        self._stack.enter_context(store.made())
        return store
