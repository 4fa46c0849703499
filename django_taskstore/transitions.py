"""Every change of a queued task's status: each arrow of the diagram is one conditional UPDATE.

Owns the column ``status``; nothing else in the package writes it. Each function takes a
queryset that names rows, adds the guard of its arrow, and returns how many rows changed:
zero means that a race was lost, and the caller re-reads. Given a `Prepared` queryset it
returns the statement instead, for the hot path. It may not know a model, send a signal, or
open a transaction. The arrows are in docs/lifecycle.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from django_taskstore.database.clock import DatabaseNow, DueNow, after
from django_taskstore.database.expressions import Incoming, Literal
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.statuses import FINAL, PAUSABLE, WAITING, Status

Rows = QuerySet[Any]
SomeRows = TypeVar("SomeRows", bound=QuerySet[Any])

#: What every row loses that stops running.
UNCLAIMED: Mapping[str, Any] = {"claimed_by": None, "lease_expires_at": None}


def queued(rows: SomeRows) -> SomeRows:
    """Narrow to rows that a claim may take: the status guard of the claim."""
    return rows.filter(status=Literal(Status.QUEUED))


def held(rows: SomeRows, *, claim_seq: int | Incoming, worker: UUID) -> SomeRows:
    """Narrow to rows that this very claim still holds: the fence of every outcome.

    Status and worker alone would let a worker that was rescued, and then claimed the task
    again, finish it with the outcome of its first run.
    """
    return rows.filter(status=Literal(Status.RUNNING), claim_seq=claim_seq, claimed_by=worker)


def running(rows: SomeRows) -> SomeRows:
    """Narrow to rows that some worker has claimed."""
    return rows.filter(status=Literal(Status.RUNNING))


def due(rows: SomeRows) -> SomeRows:
    """Narrow to scheduled rows whose time has come, by the database's clock."""
    return rows.filter(status=Literal(Status.SCHEDULED), run_after__lte=DueNow())


def promote(rows: Rows) -> int:
    """Scheduled rows that are due become queued."""
    return due(rows).update(status=Status.QUEUED, updated_at=DatabaseNow())


def claim(rows: Rows, *, worker: UUID, lease: timedelta) -> int:
    """Queued rows become running under a new claim of this worker."""
    return claim_chosen(queued(rows), worker=worker, lease=lease)


def claim_chosen(rows: Rows, *, worker: UUID, lease: timedelta) -> int:
    """Rows that the same statement has found by `queued` and locked become running.

    The guard is in that part of the statement alone: said twice, PostgreSQL is free to find
    the locked rows by their status again, among all that wait.
    """
    return rows.update(
        status=Status.RUNNING,
        attempts=F("attempts") + 1,
        claim_seq=F("claim_seq") + 1,
        claimed_by=worker,
        lease_expires_at=after(lease),
        started_at=DatabaseNow(),
        updated_at=DatabaseNow(),
    )


def renew(rows: Rows, *, lease: timedelta) -> int:
    """Held rows get a new lease."""
    return rows.update(lease_expires_at=after(lease), updated_at=DatabaseNow())


def finish(rows: Rows, status: Status, **columns: Any) -> int:
    """Held rows end as success, failed or canceled."""
    return rows.update(**ended(status), **columns)


def finish_each(
    rows: Prepared, status: Status, *, worker: UUID, columns: Collection[str]
) -> Statement:
    """Rows held by their own claims end alike, each with its own texts; NULL keeps the old one.

    Args:
        rows: all rows of a database.
        status: how they end.
        worker: who holds the claims.
        columns: what each row brings along beside its id and claim_seq.

    Returns:
        The statement, for `Statement.change_each`.
    """
    mine = held(rows, claim_seq=Incoming("claim_seq"), worker=worker).filter(pk=Incoming("id"))
    texts = {name: Coalesce(Incoming(name), F(name)) for name in columns}
    statement: Statement = mine.update(**ended(status), **texts)
    return statement


def ended(status: Status) -> dict[str, Any]:
    """Return the columns of a row that ends."""
    if status not in FINAL:
        raise ValueError(f"{status!r} is not a final status; a task ends as one of {FINAL}.")
    now = DatabaseNow()
    return {"status": status, "completed_at": now, "updated_at": now, "lease_expires_at": None}


def postpone(rows: Rows, *, delay: timedelta, counted: bool, **columns: Any) -> int:
    """Held rows become scheduled: a retry, whose attempt counts, or a snooze, whose does not."""
    if not counted:
        columns["attempts"] = F("attempts") - 1
    return rows.update(
        status=Status.SCHEDULED,
        run_after=after(delay + DueNow.shift),
        updated_at=DatabaseNow(),
        **UNCLAIMED,
        **columns,
    )


def release(rows: Rows, **columns: Any) -> int:
    """Held rows go back to their queue with the attempt returned: a shutdown is nobody's fault."""
    return rows.update(
        status=Status.QUEUED,
        attempts=F("attempts") - 1,
        updated_at=DatabaseNow(),
        **UNCLAIMED,
        **columns,
    )


def expired(rows: SomeRows) -> SomeRows:
    """Narrow to running rows whose lease has run out."""
    return rows.filter(status=Literal(Status.RUNNING), lease_expires_at__lt=DatabaseNow())


def rescue(rows: Rows, status: Status, *, claim_seq: int, **columns: Any) -> int:
    """Expired rows of the claim that was seen go back, fail, or end as canceled.

    A loss is not a failed attempt: it is counted in ``lost_count`` and the attempt returned.
    """
    lost = {"lost_count": F("lost_count") + 1, "attempts": F("attempts") - 1}
    guarded = expired(rows).filter(claim_seq=claim_seq)
    if status in FINAL:
        return finish(guarded, status, claimed_by=None, **lost, **columns)
    return guarded.update(
        status=Status.QUEUED, updated_at=DatabaseNow(), **UNCLAIMED, **lost, **columns
    )


def cancel(rows: Rows) -> int:
    """Waiting rows become canceled."""
    now = DatabaseNow()
    return rows.filter(status__in=WAITING).update(
        status=Status.CANCELED, completed_at=now, updated_at=now
    )


def ask_to_cancel(rows: Rows) -> int:
    """Running rows are asked to cancel; their worker, or the rescue, ends them."""
    asked = rows.filter(status=Literal(Status.RUNNING), cancel_requested_at=None)
    return asked.update(cancel_requested_at=DatabaseNow(), updated_at=DatabaseNow())


def pause(rows: Rows) -> int:
    """Queued and scheduled rows become paused."""
    return rows.filter(status__in=PAUSABLE).update(status=Status.PAUSED, updated_at=DatabaseNow())


def resume(rows: Rows) -> int:
    """Paused rows become queued, or scheduled where their time is still to come."""
    paused = rows.filter(status=Literal(Status.PAUSED))
    now = DatabaseNow()
    later = paused.filter(run_after__gt=now).update(status=Status.SCHEDULED, updated_at=now)
    return later + paused.update(status=Status.QUEUED, updated_at=now)


def restart(rows: Rows) -> int:
    """Final rows become queued again: the same row with fresh counters and the old fence."""
    return rows.filter(status__in=FINAL, soft_deleted_at=None).update(
        status=Status.QUEUED,
        attempts=0,
        lost_count=0,
        cancel_requested_at=None,
        started_at=None,
        completed_at=None,
        output=None,
        progress=None,
        updated_at=DatabaseNow(),
        **UNCLAIMED,
    )


def soft_delete(rows: Rows) -> int:
    """Rows that do not run are hidden; the waiting ones are canceled in the same UPDATE."""
    now = DatabaseNow()
    live = rows.filter(soft_deleted_at=None)
    finished = live.filter(status__in=FINAL).update(soft_deleted_at=now, updated_at=now)
    waiting = live.filter(status__in=WAITING).update(
        status=Status.CANCELED, completed_at=now, soft_deleted_at=now, updated_at=now
    )
    return finished + waiting


def restore(rows: Rows) -> int:
    """Soft-deleted final rows are shown again."""
    hidden = rows.filter(status__in=FINAL, soft_deleted_at__isnull=False)
    return hidden.update(soft_deleted_at=None, updated_at=DatabaseNow())
