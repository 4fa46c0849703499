"""Upkeep that every worker does, without a leader: promote what is due, rescue what was lost.

Owns the two passes. Each is one short transaction, steps over rows that another worker has
locked, and may run in any number of processes at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django_taskstore import transitions
from django_taskstore.claims import Claim, canceled, claim_expired, rows
from django_taskstore.conf import settings
from django_taskstore.database.clock import DueNow, SecondsSince
from django_taskstore.database.expressions import Literal
from django_taskstore.database.servers import skips_locked
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.definitions import known
from django_taskstore.exceptions import Cancel, WorkerLost
from django_taskstore.handlers import ERROR, Log
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.outcomes import Outcome, attempt_record
from django_taskstore.registry import registry
from django_taskstore.signals import task_canceled, task_failed, task_rescued
from django_taskstore.statuses import Ending, Status

PROMOTE_LIMIT = 1_000
RESCUE_LIMIT = 100


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
