"""How fast a queue is worked off: from the first handler until nothing is unfinished.

Owns `drain`, which everything about rates is made of, and the entries of the measure.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence

from bench.contest import Entry, Figures
from bench.ours import Crew, Project
from bench.processes import wait_for
from bench.raw import raw_drain
from bench.stores import Store
from bench.tally import CALLS, SESSIONS

QUIET = "--verbosity=0"
DRAIN_SECONDS = 300.0
#: The fastest of a few settings tried by hand.
BEST = {
    "sqlite": ["--concurrency=1"],
    "postgresql": ["--concurrency=4"],
    "mariadb": ["--concurrency=4"],
}


def drain(
    project: Project,
    *arguments: str,
    count: int,
    alias: str = "Noop",
    processes: int = 1,
    commands: int = 1,
    variables: Mapping[str, str] | None = None,
    refill: bool = True,
) -> Figures:
    """Fill the queue, start workers, and measure until the store shows nothing unfinished.

    Args:
        project: whose queue.
        *arguments: of ``taskqueue_run``.
        count: how many tasks.
        alias: of their handler.
        processes: worker processes of each command.
        commands: how many commands.
        variables: of the workers' environment.
        refill: empty the table first.

    Raises:
        RuntimeError: not each task was done, or a handler ran more often than once a task.
    """
    store = project.store
    if refill:
        store.empty()
    before = store.count("success")
    store.fill(alias, count)
    crew_of = project.working(
        QUIET, *arguments, commands=commands, processes=processes, variables=variables
    )
    with crew_of as crew:
        began_ns, cpu = begin(crew)
        wait_for(
            lambda: not store.is_unfinished(),
            seconds=DRAIN_SECONDS,
            what=f"the end of {count} tasks on {store.name}",
            watched=crew.workers,
            pause_seconds=0.01,
        )
        seconds = (time.time_ns() - began_ns) / 1e9
        cpu_seconds = crew.cpu_seconds() - cpu
        calls, sessions = crew.tallies.total(CALLS), crew.tallies.total(SESSIONS)
    done = store.count("success") - before
    if calls != count or done != count:
        raise RuntimeError(f"Of {count} tasks {done} succeeded, in {calls} calls of handlers.")
    return {
        "tasks/s": count / seconds,
        "CPU µs/task": cpu_seconds / count * 1e6,
        "sessions": sessions,
    }


def begin(crew: Crew) -> tuple[int, float]:
    """Wait for the first handler; return its time and the processor's time until then."""
    first_ns = wait_for(
        lambda: crew.tallies.first_ns,
        seconds=60,
        what="the first handler",
        watched=crew.workers,
        pause_seconds=0.002,
    )
    return first_ns, crew.cpu_seconds()


def raw_entries(store: Store, count: int) -> Iterator[Entry]:
    """Yield the raw loop at 100 and at 1,000 a batch."""
    for batch in (100, 1_000):
        run = functools.partial(raw_drain, store, alias="Noop", count=count, batch=batch)
        yield Entry(store.name, f"raw loop, {batch:,} a batch", run, reference=batch == 100)


def entries(projects: Sequence[Project], count: int) -> Iterator[Entry]:
    """Yield the raw loop and the queue in default and best settings, on each database."""
    for project in projects:
        name = project.store.name
        yield from raw_entries(project.store, count)
        settings = {"default settings": [], f"best settings ({' '.join(BEST[name])})": BEST[name]}
        for label, arguments in settings.items():
            run = functools.partial(drain, project, *arguments, count=count)
            yield Entry(name, label, run)
        two = functools.partial(drain, project, count=count, processes=2)
        yield Entry(name, "--processes 2", two)
