"""Upkeep that every worker does, without a leader: promote, rescue, purge.

Owns the three passes. Each is short transactions of its own, steps over rows that another
worker has locked, and may run in any number of processes at once.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import chain
from typing import Any

from django.db.models import Exists, OuterRef, Q

from django_taskstore import transitions
from django_taskstore.claims import Claim, canceled, claim_expired, rows
from django_taskstore.conf import settings
from django_taskstore.database.clock import DueNow, SecondsSince, after
from django_taskstore.database.expressions import Literal
from django_taskstore.database.servers import skips_locked
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.definitions import known
from django_taskstore.exceptions import Cancel, WorkerLost
from django_taskstore.handlers import ERROR, Log
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun, TaskAttempt, Worker
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.outcomes import Outcome, attempt_record
from django_taskstore.registry import registry
from django_taskstore.signals import task_canceled, task_failed, task_rescued
from django_taskstore.statuses import FINAL, Ending, Status

PROMOTE_LIMIT = 1_000
RESCUE_LIMIT = 100
PURGE_LIMIT = 5_000
#: How long a lost worker's row tells where it was.
LOST_WORKERS_KEPT = timedelta(days=1)


def promote(using: str) -> int:
    """Queue the scheduled tasks whose time has come; return how many.

    Args:
        using: the database's alias.
    """

    def transact() -> int:
        with writing(using):
            due = (
                transitions.due(rows(using))
                .select_for_update(skip_locked=skips_locked(using))
                .order_by("run_after", "id")
                .values_list("pk", flat=True)[:PROMOTE_LIMIT]
            )
            ids = list(due)
            return transitions.promote(rows(using).filter(pk__in=ids)) if ids else 0

    return repeat_on_conflict(using, transact)


def due_in_seconds(using: str) -> float | None:
    """Return how long until the next scheduled task is due, 0 or less when one is; None: none is.

    Args:
        using: the database's alias.
    """
    since = next_due(using).fetch(limit=1)
    return -since[0][0] - DueNow.shift.total_seconds() if since else None


@lru_cache(maxsize=10)
def next_due(using: str) -> Statement:
    """Compile the SELECT of the earliest due time."""
    scheduled = Prepared(QueuedTask, using=using).filter(status=Literal(Status.SCHEDULED))
    return scheduled.order_by("run_after", "id").select(SecondsSince("run_after"))


@dataclass(frozen=True, slots=True)
class Rescue:
    """A task whose worker died, and what became of it."""

    claim: Claim
    status: Status
    exception: WorkerLost


def rescue(using: str) -> list[Rescue]:
    """Take back running tasks whose lease ran out: queue them again, or end them.

    Args:
        using: the database's alias.

    Returns:
        What was rescued, at most 100 tasks a pass.
    """

    def transact() -> list[Rescue]:
        with writing(using):
            expired = claim_expired(limit=RESCUE_LIMIT, using=using)
            asked = canceled(expired)
            rescued = [decide(claim, claim.id in asked) for claim in expired]
            landed = [one for one in rescued if write(one)]
            TaskAttempt.objects.using(using).bulk_create(
                [attempt_record(lost(one)) for one in landed], ignore_conflicts=True
            )
            aliases = known({one.claim.definition_id for one in landed}, using)
            for one in landed:
                if one.claim.definition_id in aliases:
                    one.claim.alias = aliases[one.claim.definition_id].alias
            return landed

    landed = repeat_on_conflict(using, transact)
    announce(landed)
    return landed


def decide(claim: Claim, was_canceled: bool) -> Rescue:  # noqa: FBT001 - a fact, not a switch
    """Say what becomes of a task whose worker died."""
    losses = claim.lost_count + 1
    exception = WorkerLost(
        f"Worker {claim.worker} stopped renewing its lease while it ran attempt {claim.attempts} "
        f"(loss {losses} of {settings.MAX_LOSSES})."
    )
    if was_canceled:
        return Rescue(claim, Status.CANCELED, exception)
    if fails_when_lost(claim) or losses >= settings.MAX_LOSSES:
        return Rescue(claim, Status.FAILED, exception)
    return Rescue(claim, Status.QUEUED, exception)


def fails_when_lost(claim: Claim) -> bool:
    """Whether the task must not start again once its worker has died."""
    if "on_lost" in claim.metadata:
        return bool(claim.metadata["on_lost"] == "fail")
    alias = known([claim.definition_id], claim.using)
    definition = alias.get(claim.definition_id)
    if definition is None or definition.alias not in registry:
        return False
    return registry.get(definition.alias).on_lost == "fail"


def write(one: Rescue) -> bool:
    """Write one rescue; return whether the row was still the one that was seen."""
    log = Log(one.claim.details)
    log.add(ERROR, str(one.exception))
    row = rows(one.claim.using).filter(pk=one.claim.id)
    changed = transitions.rescue(row, one.status, claim_seq=one.claim.claim_seq, details=str(log))
    return changed == 1


def lost(one: Rescue) -> Outcome:
    """Return the outcome that the dead worker could not record."""
    return Outcome(one.claim, Ending.LOST, exception=one.exception)


def announce(landed: Collection[Rescue]) -> None:
    """Send the signals of rescues that were committed."""
    for one in landed:
        facts: dict[str, Any] = {
            "task_id": one.claim.id,
            "alias": one.claim.alias,
            "queue_name": one.claim.queue_name,
            "attempt": one.claim.attempts,
        }
        task_rescued.send_robust(QueuedTask, exception=one.exception, status=one.status, **facts)
        if one.status is Status.FAILED:
            task_failed.send_robust(QueuedTask, exception=one.exception, **facts)
        elif one.status is Status.CANCELED:
            task_canceled.send_robust(QueuedTask, exception=Cancel(), **facts)


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
