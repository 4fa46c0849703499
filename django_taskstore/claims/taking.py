"""Taking tasks from a queue so that nobody else has them.

Owns the statements of the claim. `claim` and `claim_expired` alone make a `Claim`. It may
not run anything or end a task, but for one whose definition takes no work.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast

from django.db import router, transaction

from django_taskstore import signals, transitions
from django_taskstore.claims.fence import COLUMNS, Claim, rows, still_held
from django_taskstore.claims.line import (
    lock_first,
    next_ones,
    place_in_line,
    plain_columns,
    timings,
)
from django_taskstore.conf import settings
from django_taskstore.database.expressions import EACH, OneOf
from django_taskstore.database.servers import gives_back_updated, skips_locked
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.database.transactions import repeat_on_conflict, will_write, writing
from django_taskstore.models import Queue, QueuedTask
from django_taskstore.statuses import Status

#: The identity of this process for loops of its own; a runner has one of its own too.
PROCESS_WORKER = uuid.uuid4()


def claim(
    queue_name: str,
    *,
    limit: int,
    worker: uuid.UUID,
    lease_seconds: float,
    using: str,
    without: Collection[int] = (),
) -> list[Claim]:
    """Claim the next tasks of one queue; call it inside `writing`.

    One queue a statement, in the claim index's own order: a list of queues or another order
    makes MariaDB sort, and so lock, the whole backlog; the next worker then gets nothing.

    Args:
        queue_name: the queue.
        limit: the most to claim.
        worker: who claims.
        lease_seconds: how long the claims hold without `renew`.
        using: the database's alias.
        without: ids of definitions to step over, since this process has no handler for them.
    """
    refused = frozenset(without)
    if claims_at_once(using):
        statement = take_first(queue_name, refused, worker, lease_seconds, using)
        found = sorted(statement.fetch(limit=limit), key=place_in_line)
        return [make(row, worker, using, queue_name) for row in found]
    found = lock_first(queue_name, refused, using, limit=limit)
    if not found:
        return []
    taken = take(worker, lease_seconds, using).change([row[0] for row in found])
    claimed = [make(row, worker, using, queue_name) for row in found]
    return claimed if taken == len(claimed) else still_held(claimed)


def claims_at_once(using: str) -> bool:
    """Tell whether one statement claims, so that it needs no transaction around it."""
    return gives_back_updated(using)


def looks_freely(using: str) -> bool:
    """Tell whether a claim that finds nothing costs no more than a look.

    On SQLite it takes the only write lock, on MySQL it takes three round trips.
    """
    return claims_at_once(using) and skips_locked(using)


@lru_cache(maxsize=1_000)
def take_first(
    queue_name: str, without: frozenset[int], worker: uuid.UUID, lease_seconds: float, using: str
) -> Statement:
    """Compile the UPDATE that finds, locks and claims the next tasks of a queue."""
    found = next_ones(queue_name, without, using)
    # Of the rows as they are afterwards: both numbers have been raised already.
    shown = found.columns(*plain_columns(), *timings())
    chosen = Prepared(QueuedTask, using=using).filter(OneOf("id", EACH))
    lease = timedelta(seconds=lease_seconds)
    taking = cast("Statement", transitions.claim_chosen(chosen, worker=worker, lease=lease))
    # Django compiles FOR UPDATE only where a transaction is open; nothing is sent in this one.
    with transaction.atomic(using=using):
        return taking.of(found.select("id"), shown=shown)


@lru_cache(maxsize=100)
def take(worker: uuid.UUID, lease_seconds: float, using: str) -> Statement:
    """Compile the UPDATE that claims rows for a worker."""
    found = Prepared(QueuedTask, using=using).filter(OneOf("id", EACH))
    lease = timedelta(seconds=lease_seconds)
    return cast("Statement", transitions.claim(found, worker=worker, lease=lease))


def make(row: Sequence[Any], worker: uuid.UUID, using: str, queue_name: str) -> Claim:
    """Return the claim that a row stands for, as it is once claimed."""
    pk, claim_seq, attempts, definition_id, max_attempts, lost_count, priority, details, *rest = row
    parameters, metadata, waited_seconds, run_after, created_at = rest
    return Claim(
        pk,
        claim_seq,
        worker,
        using,
        attempts,
        definition_id,
        max_attempts,
        lost_count,
        priority,
        details,
        read_json(parameters),
        read_json(metadata),
        run_after,
        created_at,
        queue_name,
        waited_seconds,
    )


def read_json(text: Any) -> Any:
    """Return the value of a JSON column, which most drivers give as text."""
    if text == "{}":
        return {}
    return json.loads(text) if isinstance(text, (str, bytes)) else text


def claim_next(queue_name: str = "default", *, lease_seconds: float | None = None) -> Claim | None:
    """Claim the next task of a queue, for a loop of your own.

    None when nothing is due, or the queue is paused.

    End it with `outcomes.succeed`, `outcomes.fail` or `outcomes.release` before its lease
    ends, or `renew` it.

    Args:
        queue_name: the queue.
        lease_seconds: how long the claim holds; the setting LEASE_SECONDS by default.
    """
    using = router.db_for_write(QueuedTask)
    will_write(using)
    if Queue.objects.using(using).filter(name=queue_name, paused_at__isnull=False).exists():
        return None
    seconds = lease_seconds or settings.LEASE_SECONDS
    while claimed := repeat_on_conflict(using, lambda: claim_one(queue_name, seconds, using)):
        if claimed.takes_work:
            return claimed
    return None


def claim_one(queue_name: str, lease_seconds: float, using: str) -> Claim | None:
    """Claim one task for this process, and end it at once if its definition takes no work."""
    with writing(using):
        claimed = claim(
            queue_name,
            limit=1,
            worker=PROCESS_WORKER,
            lease_seconds=lease_seconds,
            using=using,
        )
        if not claimed:
            return None
        definition = claimed[0].queued_task.definition
        claimed[0].alias, claimed[0].takes_work = definition.alias, definition.takes_work
        if not definition.takes_work:
            transitions.finish(claimed[0].rows(), Status.CANCELED)
            transaction.on_commit(lambda: tell_ended(claimed[0]), using=using, robust=True)
        return claimed[0]


def tell_ended(claim: Claim) -> None:
    """Send the signal of a task that was canceled when it was claimed."""
    signals.task_canceled.send_robust(
        QueuedTask,
        task_id=claim.id,
        alias=claim.alias,
        queue_name=claim.queue_name,
        attempt=claim.attempts,
    )


def claim_expired(*, limit: int, using: str) -> list[Claim]:
    """Lock running tasks whose lease ran out, as the claims of the workers that lost them.

    Call it inside `writing`; only the rescue may end them.
    """
    overdue = transitions.expired(rows(using))
    found = (
        overdue.select_for_update(skip_locked=skips_locked(using))
        .order_by("lease_expires_at", "id")
        .values_list(*COLUMNS, "queue_name", "claimed_by")[:limit]
    )
    expired = []
    for pk, claim_seq, attempts, *others, worker in found:
        expired.append(Claim(pk, claim_seq, worker, using, attempts, *others))
    return expired


def claim_orphaned(
    worker: uuid.UUID, *, known: Collection[tuple[int, int]], using: str
) -> list[Claim]:
    """Return the claims of a worker that were committed while nobody told it so.

    The answer to a COMMIT may be cut off: the row is running, and no thread runs it. Only the
    worker itself may ask, between its own claims.

    Args:
        worker: whose rows.
        known: id and claim number of each claim that it knows.
        using: the database's alias.
    """
    mine = transitions.running(rows(using)).filter(claimed_by=worker)
    return [
        Claim(pk, claim_seq, worker, using, *others)
        for pk, claim_seq, *others in mine.values_list(*COLUMNS, "queue_name")
        if (pk, claim_seq) not in known
    ]
