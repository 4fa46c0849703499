"""Taking tasks from a queue so that nobody else has them, and keeping them.

Owns `Claim`, the only thing that lets code record an outcome: `claim` and `claim_expired`
alone make one. It may not run anything or end a task.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import router, transaction

from django_taskstore import signals, transitions
from django_taskstore.conf import settings
from django_taskstore.database.servers import skips_locked
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.models import Queue, QueuedTask
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.statuses import Status

#: What running a task needs; the other columns are read when somebody asks for them.
COLUMNS = (
    "id",
    "claim_seq",
    "attempts",
    "definition_id",
    "queue_name",
    "parameters",
    "priority",
    "run_after",
    "max_attempts",
    "lost_count",
    "details",
    "metadata",
    "requeued_from_id",
    "created_at",
)
#: The claim's own order, which is the claim index's order.
ORDER = ("-priority", "run_after", "id")
#: The identity of this process for loops of its own; a runner has one of its own too.
PROCESS_WORKER = uuid.uuid4()


@dataclass(slots=True, eq=False)
class Claim:
    """The right to end one task: valid while the row carries this claim_seq and worker.

    Attributes:
        id: the queued task's id.
        claim_seq: the fence, raised at each claim and never lowered.
        worker: whoever claimed.
        using: the database's alias.
    """

    id: int
    claim_seq: int
    worker: uuid.UUID
    using: str
    attempts: int
    definition_id: int
    queue_name: str
    parameters: dict[str, Any]
    priority: int
    run_after: Any
    max_attempts: int
    lost_count: int
    details: str
    metadata: dict[str, Any]
    requeued_from_id: int | None
    created_at: Any
    alias: str = ""
    takes_work: bool = True
    _task: QueuedTask | None = field(default=None, repr=False)

    @property
    def queued_task(self) -> QueuedTask:
        """The row as it was claimed; its other columns are read on access."""
        if self._task is None:
            # from_db takes its values in the order of the model's columns.
            known = {column: getattr(self, column) for column in COLUMNS}
            known |= {"status": Status.RUNNING, "claimed_by": self.worker}
            columns = [f.attname for f in QueuedTask._meta.concrete_fields if f.attname in known]
            values = [known[column] for column in columns]
            self._task = QueuedTask.from_db(self.using, columns, values)
        return self._task

    def rows(self) -> QueuedTaskQuerySet:
        """Return the queryset that holds the row only while this claim is valid."""
        mine = rows(self.using).filter(pk=self.id)
        return transitions.held(mine, claim_seq=self.claim_seq, worker=self.worker)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a heartbeat learned: claims that no longer hold, and tasks asked to cancel."""

    lost: frozenset[int]
    canceled: frozenset[int]


def rows(using: str) -> QueuedTaskQuerySet:
    """Return all queued tasks of a database, the hidden ones included."""
    return QueuedTaskQuerySet(QueuedTask, using=using)


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
    waiting = transitions.queued(rows(using).filter(queue_name=queue_name))
    if without:
        waiting = waiting.exclude(definition_id__in=without)
    found = list(
        waiting.select_for_update(skip_locked=skips_locked(using))
        .order_by(*ORDER)
        .values_list(*COLUMNS)[:limit]
    )
    if not found:
        return []
    taken = transitions.claim(
        rows(using).filter(pk__in=[row[0] for row in found]),
        worker=worker,
        lease=timedelta(seconds=lease_seconds),
    )
    claimed = [make(row, worker, using) for row in found]
    return claimed if taken == len(claimed) else still_held(claimed)


def make(row: Sequence[Any], worker: uuid.UUID, using: str) -> Claim:
    """Return the claim that has just been made on a row read before it."""
    pk, claim_seq, attempts, *others = row
    return Claim(pk, claim_seq + 1, worker, using, attempts + 1, *others)


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
        .values_list(*COLUMNS, "claimed_by")[:limit]
    )
    expired = []
    for *row, worker in found:
        pk, claim_seq, attempts, *others = row
        expired.append(Claim(pk, claim_seq, worker, using, attempts, *others))
    return expired


def renew(claims: Collection[Claim], *, lease_seconds: float) -> Renewal:
    """Extend the leases of claims whose tasks still run.

    Named one by one: renewing "all rows of this worker" would keep alive a task whose claim
    was committed while its answer was lost, which nobody runs.

    Args:
        claims: the claims; all of one database.
        lease_seconds: the new lease, counted from now by the database's clock.

    Returns:
        The ids whose claims no longer hold, and those asked to cancel.
    """
    if not claims:
        return Renewal(frozenset(), frozenset())
    lease = timedelta(seconds=lease_seconds)
    groups = by_claim_seq(claims).values()
    renewed = sum(transitions.renew(held_group(group), lease=lease) for group in groups)
    held = claims if renewed == len(claims) else still_held(claims)
    lost = {claim.id for claim in claims} - {claim.id for claim in held}
    return Renewal(frozenset(lost), canceled(held))


def report(claim: Claim, *, details: str | None, progress: dict[str, Any] | None) -> None:
    """Save what a running task has logged and how far it is, while its claim holds.

    Args:
        claim: the claim.
        details: the whole log, or None when it has not changed.
        progress: the progress, or None.
    """
    news = {"details": details, "progress": progress}
    columns = {name: value for name, value in news.items() if value is not None}
    if columns:
        claim.rows().update(**columns)


def canceled(claims: Collection[Claim]) -> frozenset[int]:
    """Return the ids of running tasks that somebody asked to cancel."""
    if not claims:
        return frozenset()
    using = next(iter(claims)).using
    asked = rows(using).filter(pk__in=[claim.id for claim in claims])
    return frozenset(asked.filter(cancel_requested_at__isnull=False).values_list("pk", flat=True))


def by_claim_seq(claims: Iterable[Claim]) -> dict[tuple[int, uuid.UUID], list[Claim]]:
    """Group claims so that one queryset can hold each group: most tasks run the first time."""
    groups: dict[tuple[int, uuid.UUID], list[Claim]] = defaultdict(list)
    for claim in claims:
        groups[claim.claim_seq, claim.worker].append(claim)
    return groups


def held_group(claims: Sequence[Claim]) -> QueuedTaskQuerySet:
    """Return the rows of claims that share claim_seq and worker, while these hold them."""
    named = rows(claims[0].using).filter(pk__in=[claim.id for claim in claims])
    return transitions.held(named, claim_seq=claims[0].claim_seq, worker=claims[0].worker)


def still_held(claims: Collection[Claim]) -> list[Claim]:
    """Return those claims whose rows still carry them; one query a distinct claim number."""
    held: set[tuple[int, int]] = set()
    for group in by_claim_seq(claims).values():
        held.update(held_group(group).values_list("pk", "claim_seq"))
    return [claim for claim in claims if (claim.id, claim.claim_seq) in held]
