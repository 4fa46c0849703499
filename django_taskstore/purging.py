"""What is old goes: finished tasks, records of schedules' runs, rows of lost workers.

Owns every deletion of rows. Each is short transactions of its own, steps over rows that
somebody has locked, and never touches a task that has not ended.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from datetime import timedelta
from itertools import chain

from django.db.models import Exists, OuterRef, Q

from django_taskstore.claims import rows
from django_taskstore.conf import settings
from django_taskstore.database.clock import after
from django_taskstore.database.servers import skips_locked
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun, Worker
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.statuses import FINAL

PURGE_LIMIT = 5_000
#: How long a lost worker's row tells where it was.
LOST_WORKERS_KEPT = timedelta(days=1)


def purgeable(
    using: str, *, status: str, older_than: timedelta, queue_names: Collection[str] = ()
) -> QueuedTaskQuerySet:
    """Return finished tasks that ended longer ago than this, by the database's clock.

    Args:
        using: the database's alias.
        status: success, failed or canceled.
        older_than: the age since the task ended.
        queue_names: only tasks of these queues; none: of all.

    Raises:
        ValueError: the status is not final; unfinished tasks are never purged.
    """
    if status not in FINAL:
        raise ValueError(f"Only {', '.join(FINAL)} tasks can be purged, not {status!r} ones.")
    old = rows(using).filter(status=status, completed_at__lt=after(-older_than))
    return old.on_queue(*queue_names) if queue_names else old


def purge(
    using: str,
    *,
    status: str,
    older_than: timedelta,
    queue_names: Collection[str] = (),
    batch: int = PURGE_LIMIT,
) -> Iterator[int]:
    """Remove finished tasks for good, one transaction a batch in the order of their ids.

    Args:
        using, status, older_than, queue_names: as for `purgeable`.
        batch: rows a transaction.

    Yields:
        The number of tasks removed by each batch.
    """
    last = 0
    while True:
        old = purgeable(using, status=status, older_than=older_than, queue_names=queue_names)
        ids = list(old.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:batch])
        if not ids:
            return
        last = ids[-1]
        yield repeat_on_conflict(using, lambda ids=ids: remove(ids, using))  # type: ignore[misc]


def remove(ids: list[int], using: str) -> int:
    """Remove finished tasks and their attempts, but for rows that others hold; return how many."""
    with writing(using):
        finished = rows(using).filter(pk__in=ids, status__in=FINAL)
        free = finished.select_for_update(skip_locked=skips_locked(using))
        _, by_model = rows(using).filter(pk__in=list(free.values_list("pk", flat=True))).delete()
    return by_model.get(QueuedTask._meta.label, 0)


def tidy_up(using: str, *, budget_seconds: float) -> None:
    """Remove what nobody needs any more: rows of lost workers, and what is past its retention.

    Args:
        using: the database's alias.
        budget_seconds: when to leave the rest to the next pass.
    """
    silent = Worker.objects.using(using).filter(heartbeat_at__lt=after(-LOST_WORKERS_KEPT))
    silent.delete()
    purge_by_retention(using, budget_seconds=budget_seconds)


def purge_by_retention(using: str, *, budget_seconds: float) -> int:
    """Remove tasks that the setting RETENTION no longer keeps, and then records of their runs.

    Args:
        using: the database's alias.
        budget_seconds: when to leave the rest to the next pass.

    Returns:
        How many rows were removed.
    """
    until, removed = time.monotonic() + budget_seconds, 0
    kept = {name: timedelta(seconds=keep) for name, keep in (settings.RETENTION or {}).items()}
    batches = [purge(using, status=name, older_than=age, batch=500) for name, age in kept.items()]
    if kept:
        batches.append(purge_runs(using, older_than=max(kept.values())))
    for count in chain.from_iterable(batches):
        removed += count
        if time.monotonic() > until:
            break
    return removed


def purge_runs(using: str, *, older_than: timedelta, batch: int = PURGE_LIMIT) -> Iterator[int]:
    """Remove the records of schedules' runs whose task is gone, one transaction a batch.

    No index has their times. They are looked at in the order of their ids, which is that of
    the occurrences, up to the first batch in which none is old enough.

    Args:
        using: the database's alias.
        older_than: the age since the occurrence.
        batch: rows a look.

    Yields:
        The number of records removed by each batch.
    """
    runs, last = ScheduleRun.objects.using(using), 0
    while True:
        ids = list(runs.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:batch])
        old = runs.filter(pk__gt=last, pk__lte=ids[-1] if ids else 0)
        old = old.filter(occurrence_at__lt=after(-older_than))
        if not old.exists():
            return
        last = ids[-1]
        over = list(old.exclude(still_needed()).values_list("pk", flat=True))
        yield repeat_on_conflict(using, lambda ids=over: runs.filter(pk__in=ids).delete()[0])  # type: ignore[misc]


def still_needed() -> Q:
    """Return the condition of records that stay: something rests on them.

    A task that is there may be looked up, and one that has not ended counts as overlap. An
    occurrence that is still to be worked off would be enqueued a second time.
    """
    task = QueuedTask.all_objects.filter(pk=OuterRef("queued_task_id"))
    plan = Schedule.objects.filter(pk=OuterRef("schedule_id"))
    return Q(Exists(task)) | Q(Exists(plan.filter(next_run_at__lte=OuterRef("occurrence_at"))))
