"""Measuring peers and the queue under test in turn: rate, enqueuing, latency.

Owns `Rival`, a peer with a place for its tasks, and the entries of three measures.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import measures
from bench.contest import Entry, Figures
from bench.ours import Crew
from bench.peers.catalogue import PEERS, Peer, Setting
from bench.peers.environments import python_of
from bench.processes import ROOT, started, wait_for
from bench.rates import begin
from bench.run import Run
from bench.stores import PostgreSQL
from bench.tally import CALLS, Tallies

REDIS = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/9")
#: A slow peer is cut off after so long; its rate is what it did until then.
CUT_SECONDS = 10.0
TRIES = 50


@dataclass
class Rival:
    """A peer that is installed, with a database of its own where it needs one.

    Attributes:
        peer: which.
        python: of its environment.
        store: its database.
        folder: for what its processes write.
    """

    peer: Peer
    python: Path
    store: PostgreSQL
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What its processes need to know."""
        variables = {
            **self.peer.variables,
            "BENCH_DATABASE": json.dumps(self.store.entry),
            "BENCH_URL": self.store.url(),
            "BENCH_REDIS": REDIS,
        }
        if "SQLite" in self.peer.name:
            variables["BENCH_HUEY_FILE"] = str(self.folder / "huey.sqlite3")
        return variables

    def drive(self, verb: str, number: int = 0) -> Figures:
        """Let the peer's module do something; return the figures that it printed.

        Raises:
            RuntimeError: it failed.
        """
        done = subprocess.run(
            [self.python, "-m", "bench.peers.driver", self.peer.module, verb, str(number)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.peer.name} could not {verb}: {done.stderr[-2000:]}")
        return json.loads(done.stdout or "{}")

    def empty(self) -> None:
        """Remove all tasks."""
        if self.peer.tables:
            self.store.run(f"TRUNCATE {', '.join(self.peer.tables)} CASCADE")
        else:
            self.drive("install")

    @contextlib.contextmanager
    def working(self, setting: Setting) -> Iterator[Crew]:
        """Start its workers, and stop them."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        tallies = Tallies(folder / "tallies")
        environment = {
            **self.environment,
            **setting.variables,
            "BENCH_TALLY": str(tallies.folder),
            **({"BENCH_GATE": str(folder)} if self.peer.waits_at_gate else {}),
        }
        command = [str(self.python), "-m", *setting.words]
        with contextlib.ExitStack() as stack:
            workers = [
                stack.enter_context(started(command, environment, folder / f"log-{number}"))
                for number in range(setting.commands)
            ]
            if self.peer.waits_at_gate:
                wait_for(
                    lambda: len(list(folder.glob("ready-*"))) == setting.commands,
                    seconds=60,
                    what=f"the workers of {self.peer.name}",
                    watched=workers,
                )
                (folder / "open").touch()
            yield Crew(workers, tallies)

    def drain(self, setting: Setting, *, count: int) -> Figures:
        """Fill its queue, start its workers, and measure until all is done or time is up."""
        self.empty()
        self.drive("many", count - 1)
        if self.peer.tables:
            self.store.run(f"ANALYZE {', '.join(self.peer.tables)}")
        with self.working(setting) as crew:
            began_ns, cpu = begin(crew)
            with contextlib.suppress(TimeoutError):
                wait_for(
                    lambda: self.is_done(crew, count),
                    seconds=CUT_SECONDS,
                    what="the end",
                    watched=crew.workers,
                    pause_seconds=0.01,
                )
            ended_ns = time.time_ns() if self.peer.unfinished else crew.tallies.last_ns
            calls, seconds = crew.tallies.total(CALLS), (ended_ns - began_ns) / 1e9
            cpu_seconds = crew.cpu_seconds() - cpu
        return {
            "tasks/s": calls / seconds,
            "CPU µs/task": cpu_seconds / calls * 1e6,
            "done %": calls / count * 100,
        }

    def is_done(self, crew: Crew, count: int) -> bool:
        """Tell whether nothing is unfinished: in its store, or by the handlers alone."""
        if crew.tallies.total(CALLS) < count:
            return False
        return not (self.peer.unfinished and self.store.run(self.peer.unfinished))

    def enqueue(self, verb: str, *, count: int) -> Figures:
        """Empty the queue and enqueue."""
        self.empty()
        return self.drive(verb, count)

    def latency(self, setting: Setting, *, tries: int) -> Figures:
        """Start a worker, and let another process enqueue now and then."""
        self.empty()
        with self.working(setting):
            return self.drive("latency", tries)


def rivals(run: Run) -> Iterator[Rival]:
    """Yield the peers that were asked for, installed."""
    for peer in PEERS:
        if run.peers and peer.name not in run.peers:
            continue
        store = run.make_store(PostgreSQL)
        folder = Path(tempfile.mkdtemp(dir=run.folder))
        rival = Rival(peer, python_of(peer, interpreter=run.python), store, folder)
        rival.drive("install")
        yield rival


class Drain:
    """The measure "peers": rates."""

    TITLE = "Peers: draining a queue of tasks that do nothing"

    @staticmethod
    def entries(run: Run) -> Iterator[Entry]:
        """Yield our entries, then each peer in its settings."""
        ours = list(measures.drain.entries(run))
        yield from ours
        mark = next((one for one in ours if one.label == measures.drain.DEFAULT), None)
        for rival in rivals(run):
            count = min(run.tasks, rival.peer.most)
            for setting in rival.peer.settings:
                label = f"{rival.peer.name}: {setting.label}"
                draining = partial(rival.drain, setting, count=count)
                yield Entry(rival.peer.database, label, draining, against=mark)


class Enqueue:
    """The measure "peers-enqueue": one by one, and in bulk."""

    TITLE = "Peers: enqueuing"

    @staticmethod
    def entries(run: Run) -> Iterator[Entry]:
        """Yield our entries, then each peer's."""
        yield from measures.enqueue.entries(run)
        for rival in rivals(run):
            one = partial(rival.enqueue, "one", count=min(run.tasks, 1_000))
            yield Entry(rival.peer.database, f"{rival.peer.name}: one by one", one)
            many = partial(rival.enqueue, "many", count=min(run.tasks, rival.peer.most))
            yield Entry(rival.peer.database, f"{rival.peer.name}: many", many)


class Latency:
    """The measure "peers-latency"."""

    TITLE = "Peers: latency of an idle worker"

    @staticmethod
    def entries(run: Run) -> Iterator[Entry]:
        """Yield our entries, then each peer in its default and its best settings."""
        yield from measures.latency.entries(run)
        for rival in rivals(run):
            for setting in rival.peer.settings[:2]:
                label = f"{rival.peer.name}: {setting.label}"
                yield Entry(
                    rival.peer.database, label, partial(rival.latency, setting, tries=TRIES)
                )


MEASURES = {"peers": Drain, "peers-enqueue": Enqueue, "peers-latency": Latency}
