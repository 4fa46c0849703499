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
from django_taskstore.statistics.concerns import (
    queue_warnings,
    skew_warnings,
    stranger_warnings,
)
from django_taskstore.statistics.states import QueueState, Snapshot, WorkerState
from django_taskstore.statuses import Status

#: A worker whose row is older is not counted, unless its heartbeats are farther apart.
ALIVE_SECONDS = 60.0


def snapshot(using: str, names: Collection[str] | None = None) -> Snapshot:
    """Read how the queues stand.

    Args:
        using: the database's alias.
        names: the queues to read; None reads all. Unknown names are left out.
    """
    queues, bounds = counts.queues_and_bounds(using)
    if names is not None:
        queues = [queue for queue in queues if queue.name in names]
    found = [queue.name for queue in queues]
    survey = counts.survey(found, bounds, using)
    workers = tuple(live_workers(using, bounds.now))
    states = tuple(queue_states(queues, workers, survey, bounds.now))
    strangers = counts.strangers(found, using) if bounds.has_strangers else {}
    warnings = (
        *queue_warnings(states),
        *stranger_warnings(strangers),
        *skew_warnings(workers),
    )
    return Snapshot(bounds.now, states, workers, strangers, warnings)


def live_workers_of(using: str) -> tuple[WorkerState, ...]:
    """Return the workers that said within the last minute that they live."""
    return tuple(live_workers(using, read_now(using)))


def live_workers(using: str, now: datetime) -> Iterator[WorkerState]:
    """Yield the workers that said within the last minute that they live."""
    return workers_since(using, now, seconds=alive_seconds())


def alive_seconds() -> float:
    """Return how old a worker's last heartbeat may be before it is not counted."""
    return float(max(ALIVE_SECONDS, 2 * settings.HEARTBEAT_SECONDS))


def workers_since(using: str, now: datetime, *, seconds: float) -> Iterator[WorkerState]:
    """Yield the workers whose last heartbeat is at most so old."""
    heard = Worker.objects.using(using).filter(heartbeat_at__gte=now - timedelta(seconds=seconds))
    for worker in heard.order_by("host", "pid"):
        yield WorkerState(
            name=str(worker),
            host=worker.host,
            pid=worker.pid,
            queues=tuple(worker.queues),
            concurrency=worker.concurrency,
            running=worker.running,
            started_at=worker.started_at,
            heartbeat_age_seconds=age_seconds(worker.heartbeat_at, now),
            version=worker.version,
            revision=worker.revision,
            succeeded=worker.succeeded,
            failed=worker.failed,
            memory_bytes=worker.memory_bytes,
            id=worker.pk,
        )


def queue_states(
    queues: list[Queue], workers: Collection[WorkerState], survey: counts.Survey, now: datetime
) -> Iterator[QueueState]:
    """Yield the state of each queue."""
    for queue in queues:
        name = queue.name
        queued, later, running = (
            survey.groups[kind, name] for kind in (Status.QUEUED, Status.SCHEDULED, Status.RUNNING)
        )
        since = earliest(queued.oldest, later.oldest if later.late else None)
        yield QueueState(
            name=name,
            paused_at=queue.paused_at,
            paused_by=queue.paused_by,
            pause_reason=queue.pause_reason,
            stop_requested_at=queue.stop_requested_at,
            queued=queued.n,
            scheduled=later.n,
            due=later.late,
            paused=survey.paused[name],
            running=running.n,
            expired=running.late,
            failed=survey.failed[name],
            oldest_since=since,
            oldest_wait_seconds=None if since is None else age_seconds(since, now),
            workers=sum(worker.serves(queue) for worker in workers),
            id=queue.pk,
        )


def earliest(*moments: datetime | None) -> datetime | None:
    """Return the earliest of the moments that are known, or None."""
    return min((moment for moment in moments if moment is not None), default=None)


def age_seconds(moment: datetime, now: datetime) -> float:
    """Return how old a moment is, never below zero: enqueuers' clocks may run ahead."""
    return max(0.0, (now - moment).total_seconds())
