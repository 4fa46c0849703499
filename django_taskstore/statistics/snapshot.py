"""How the queues stand right now: what `counts` finds, put together.

Owns `snapshot`. The workers it names are those that said so a moment ago; nothing here
judges whether a worker lives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from django_taskstore.conf import settings
from django_taskstore.database.clock import read_now
from django_taskstore.models import Queue, Worker
from django_taskstore.statistics import counts
from django_taskstore.statistics.concerns import queue_warnings, stranger_warnings
from django_taskstore.statistics.states import QueueState, Snapshot, WorkerState

#: A worker whose row is older is not counted, unless its heartbeats are farther apart.
ALIVE_SECONDS = 60.0


def snapshot(using: str, names: Collection[str] | None = None) -> Snapshot:
    """Read how the queues stand.

    Args:
        using: the database's alias.
        names: the queues to read; None reads all. Unknown names are left out.
    """
    now = read_now(using)
    queues = list(Queue.objects.using(using).order_by("name"))
    if names is not None:
        queues = [queue for queue in queues if queue.name in names]
    workers = tuple(live_workers(using, now))
    states = tuple(queue_states(queues, workers, now, using))
    strangers = counts.strangers([queue.name for queue in queues], using)
    warnings = (*queue_warnings(states), *stranger_warnings(strangers))
    return Snapshot(now, states, workers, strangers, warnings)


def live_workers_of(using: str) -> tuple[WorkerState, ...]:
    """Return the workers that said within the last minute that they live."""
    return tuple(live_workers(using, read_now(using)))


def live_workers(using: str, now: datetime) -> Iterator[WorkerState]:
    """Yield the workers that said within the last minute that they live."""
    alive_seconds = max(ALIVE_SECONDS, 2 * settings.HEARTBEAT_SECONDS)
    alive = Worker.objects.using(using).filter(
        heartbeat_at__gte=now - timedelta(seconds=alive_seconds)
    )
    for worker in alive.order_by("host", "pid"):
        yield WorkerState(
            name=str(worker),
            host=worker.host,
            pid=worker.pid,
            queues=tuple(worker.queues),
            concurrency=worker.concurrency,
            running=worker.running,
            started_at=worker.started_at,
            heartbeat_age_seconds=age_seconds(worker.heartbeat_at, now),
        )


def queue_states(
    queues: list[Queue], workers: Collection[WorkerState], now: datetime, using: str
) -> Iterator[QueueState]:
    """Yield the state of each queue: one statement a status, for all queues together."""
    names = [queue.name for queue in queues]
    queued, scheduled = counts.queued(names, using), counts.scheduled(names, now, using)
    running = counts.running(names, now, using)
    paused, failed = counts.paused(names, using), counts.failed(names, using)
    for queue in queues:
        name, later = queue.name, scheduled[queue.name]
        since = earliest(queued[name].oldest, later.oldest if later.late else None)
        yield QueueState(
            name=name,
            paused_at=queue.paused_at,
            paused_by=queue.paused_by,
            pause_reason=queue.pause_reason,
            stop_requested_at=queue.stop_requested_at,
            queued=queued[name].n,
            scheduled=later.n,
            due=later.late,
            paused=paused[name],
            running=running[name].n,
            expired=running[name].late,
            failed=failed[name],
            oldest_since=since,
            oldest_wait_seconds=None if since is None else age_seconds(since, now),
            workers=sum(worker.serves(queue) for worker in workers),
        )


def earliest(*moments: datetime | None) -> datetime | None:
    """Return the earliest of the moments that are known, or None."""
    return min((moment for moment in moments if moment is not None), default=None)


def age_seconds(moment: datetime, now: datetime) -> float:
    """Return how old a moment is, never below zero: enqueuers' clocks may run ahead."""
    return max(0.0, (now - moment).total_seconds())
