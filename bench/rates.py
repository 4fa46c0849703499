"""How fast a queue is worked off: from the first handler until nothing is unfinished.

Owns `drain`, which every figure in tasks a second comes from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from bench.contest import Figures
from bench.ours import Crew, Project
from bench.processes import wait_for
from bench.tally import CALLS, SESSIONS

QUIET = "--verbosity=0"
DRAIN_SECONDS = 600.0


def drain(
    project: Project,
    *arguments: str,
    count: int,
    alias: str = "Noop",
    processes: int = 1,
    commands: int = 1,
    keep: bool = False,
) -> Figures:
    """Fill the queue, start workers, and measure until the store shows nothing unfinished.

    Args:
        project: whose queue.
        *arguments: of ``taskqueue_run``.
        count: how many tasks.
        alias: of their handler.
        processes: worker processes of each command.
        commands: how many commands.
        keep: leave in the table what is there.

    Raises:
        RuntimeError: not each task was done, or a handler ran more often than once a task.
    """
    store = project.store
    if not keep:
        store.empty()
    before = store.count("success")
    store.fill(alias, count)
    with project.working(QUIET, *arguments, commands=commands, processes=processes) as crew:
        # The store is asked at the end only: on MariaDB each look costs what a claim's look does.
        ran_all = partial(has_called, crew, count)
        figures = timed(crew, lambda: ran_all() and not store.is_unfinished(), count)
        calls = crew.tallies.total(CALLS)
    done = store.count("success") - before
    if calls != count or done != count:
        raise RuntimeError(f"Of {count} tasks {done} succeeded, in {calls} calls of handlers.")
    return figures


def drain_first(project: Project, *arguments: str, count: int, backlog: int) -> Figures:
    """Measure the rate of the first tasks of a longer queue: until so many handlers ran."""
    project.store.empty()
    project.store.fill("Noop", backlog)
    with project.working(QUIET, *arguments) as crew:
        return timed(crew, partial(has_called, crew, count), count)


def has_called(crew: Crew, count: int) -> bool:
    """Tell whether handlers ran at least so often."""
    return crew.tallies.total(CALLS) >= count


def timed(crew: Crew, is_over: Callable[[], object], count: int) -> Figures:
    """Return what the time between the first handler and the end came to.

    Args:
        crew: the workers.
        is_over: tells, asked again and again, whether the last task has ended.
        count: how many tasks end in that time.
    """
    began_ns, cpu = begin(crew)
    wait_for(
        is_over,
        seconds=DRAIN_SECONDS,
        what=f"the end of {count} tasks",
        watched=crew.workers,
        pause_seconds=0.01,
    )
    seconds = (time.time_ns() - began_ns) / 1e9
    cpu_seconds = crew.cpu_seconds() - cpu
    return {
        "tasks/s": count / seconds,
        "CPU µs/task": cpu_seconds / count * 1e6,
        "sessions": crew.tallies.total(SESSIONS),
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
