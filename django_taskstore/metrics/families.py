"""What is told to Prometheus, read in a fixed number of statements.

Owns the names and meanings. What stands now is the snapshot of `taskqueue_status`; what has
happened is read from the counts of `rollups`, never from tasks.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import accumulate

import django_taskstore
from django_taskstore.definitions import known
from django_taskstore.metrics.exposition import Family, Sample
from django_taskstore.models import TaskStat
from django_taskstore.rollups import BOUNDS_SECONDS, Counts, Histogram, read, start_of
from django_taskstore.statistics import QueueState, Snapshot, Tally, snapshot
from django_taskstore.statistics.troubles import next_runs
from django_taskstore.statuses import Ending

#: The statuses whose tasks are counted; no index counts those that ended well.
COUNTED = ("queued", "scheduled", "running", "paused", "failed")
ENDINGS = (Ending.SUCCEEDED, Ending.FAILED, Ending.CANCELED, Ending.RETRIED)
SINCE = "since 00:00 UTC, when it starts anew."


def families(using: str) -> list[Family]:
    """Read everything.

    Args:
        using: the database's alias.
    """
    seen = snapshot(using)
    version = django_taskstore.__version__
    lateness = late_seconds(seen.time, using)
    return [
        gauge("info", "The version of django-taskstore.", 1, version=version),
        *now(seen),
        gauge("schedule_late_seconds", "How late the most overdue schedule is.", lateness),
        *since_midnight(seen.time, using),
    ]


def gauge(name: str, meaning: str, value: float, **labels: str) -> Family:
    """Return a gauge with one number."""
    return Family(name, "gauge", meaning, (Sample(value, labels),))


def now(seen: Snapshot) -> Iterator[Family]:
    """Yield how queues and workers stand."""
    each: dict[str, tuple[str, Callable[[QueueState], float]]] = {
        "backlog": (
            "Tasks that would run now if a worker took them.",
            lambda state: int(state.backlog),
        ),
        "oldest_wait_seconds": (
            "How long the oldest of them has waited; 0 when none waits.",
            lambda state: state.oldest_wait_seconds or 0,
        ),
        "expired_leases": (
            "Running tasks whose worker is silent; the next worker rescues them.",
            lambda state: state.expired,
        ),
        "queue_paused": (
            "1 while the queue is paused.",
            lambda state: state.is_paused,
        ),
        "queue_workers": (
            "Workers that live and serve the queue.",
            lambda state: state.workers,
        ),
    }
    yield tasks(seen.queues)
    for name, (meaning, value) in each.items():
        samples = (Sample(value(state), {"queue": state.name}) for state in seen.queues)
        yield Family(name, "gauge", meaning, tuple(samples))
    workers = seen.workers
    slots = sum(worker.concurrency for worker in workers)
    yield gauge("workers", "Workers that live.", len(workers))
    yield gauge("slots", "Tasks that they can run at a time.", slots)
    yield gauge("slots_taken", "Tasks that they run.", sum(worker.running for worker in workers))


def tasks(states: Iterable[QueueState]) -> Family:
    """Return the numbers of tasks by queue and status."""
    meaning = "Tasks by status; paused and failed ones among the newest, so there may be more."
    samples = (
        Sample(number(getattr(state, status)), {"queue": state.name, "status": status})
        for state in states
        for status in COUNTED
    )
    return Family("tasks", "gauge", meaning, tuple(samples))


def number(count: int | Tally) -> int:
    """Return a count that may be a lower bound as a number."""
    return count.n if isinstance(count, Tally) else count


def late_seconds(moment: datetime, using: str) -> float:
    """Return how late the most overdue active schedule is; 0 when none is."""
    first = next_runs(moment, using, most=1)
    return max([0.0, *((moment - run.next_run_at).total_seconds() for run in first)])


def since_midnight(moment: datetime, using: str) -> Iterator[Family]:
    """Yield what has ended today and how long it took.

    A series of yesterday begins at 0 today: Prometheus sees no growth in a series that was
    not there before. Two days bound the read; a sum over all days would grow for years.
    """
    today = start_of(TaskStat.Span.DAY, moment)
    columns = ("starts_at", "queue_name", "definition_id")
    found = read(using, {TaskStat.Span.DAY: today - timedelta(days=1)}, *columns)
    counts: dict[tuple[str, int], Counts] = defaultdict(Counts)
    for (start, queue_name, definition_id), counted in sorted(found.items()):
        counts[queue_name, definition_id] += counted if start == today else Counts()
    yield attempts(counts, using)
    by_queue: dict[str, Counts] = defaultdict(Counts)
    for (queue_name, _), counted in counts.items():
        by_queue[queue_name] += counted
    waits = {name: counted.wait for name, counted in by_queue.items()}
    runs = {name: counted.run for name, counted in by_queue.items()}
    yield histogram("wait_seconds", f"How long tasks waited once they were due, {SINCE}", waits)
    yield histogram("run_seconds", f"How long attempts ran, {SINCE}", runs)


def attempts(counts: Mapping[tuple[str, int], Counts], using: str) -> Family:
    """Return how many attempts ended in which way."""
    definitions = known((definition_id for _, definition_id in counts), using)
    samples = (
        Sample(
            counted.endings.get(ending, 0),
            {
                "queue": queue_name,
                "task": definitions[definition_id].alias,
                "outcome": str(ending),
            },
        )
        for (queue_name, definition_id), counted in counts.items()
        if definition_id in definitions
        for ending in ENDINGS
    )
    return Family("attempts_total", "counter", f"Attempts that ended, {SINCE}", tuple(samples))


def histogram(name: str, meaning: str, by_queue: Mapping[str, Histogram]) -> Family:
    """Return durations by queue; their sum is not known, so it is not told."""
    samples: list[Sample] = []
    for queue_name, durations in by_queue.items():
        labels = {"queue": queue_name}
        counts = (durations.counts.get(place, 0) for place in range(len(BOUNDS_SECONDS) + 1))
        for bound, within in zip((*BOUNDS_SECONDS, math.inf), accumulate(counts), strict=True):
            le = "+Inf" if bound == math.inf else f"{bound:g}"
            samples.append(Sample(within, {**labels, "le": le}, "_bucket"))
        samples.append(Sample(durations.total, labels, "_count"))
    return Family(name, "histogram", meaning, tuple(samples))
