"""Recording how claimed tasks ended: the one place that writes what came of a claim.

Owns the writing of outcomes and the signals that follow their commit. Each outcome is one
UPDATE that changes the row only while the claim holds it; a late worker's outcome changes
nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from django_taskstore import signals, transitions
from django_taskstore.backoff import Backoff
from django_taskstore.claims import Claim, by_claim_seq, held_group
from django_taskstore.conf import settings
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.exceptions import ClaimLost, TaskFailed
from django_taskstore.models import QueuedTask, TaskAttempt, TaskDefinition
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.outcomes.outcome import Outcome, failure
from django_taskstore.statuses import FINAL, Ending, Status
from django_taskstore.tracebacks import exception_name, str_of, traceback_of
from django_taskstore.validation import storable_text, validate_output

LONGEST_MESSAGE = 4_096

RESULT = {
    Ending.SUCCEEDED: Status.SUCCESS,
    Ending.FAILED: Status.FAILED,
    Ending.CANCELED: Status.CANCELED,
    Ending.RETRIED: Status.SCHEDULED,
    Ending.SNOOZED: Status.SCHEDULED,
    Ending.RELEASED: Status.QUEUED,
}
SIGNALS = {
    Ending.SUCCEEDED: signals.task_succeeded,
    Ending.RETRIED: signals.task_retried,
    Ending.SNOOZED: signals.task_retried,
    Ending.FAILED: signals.task_failed,
    Ending.CANCELED: signals.task_canceled,
    Ending.RELEASED: signals.task_released,
}


def record(outcomes: Collection[Outcome], using: str) -> list[Outcome]:
    """Write outcomes; call it inside `writing`.

    Args:
        outcomes: of claims of one database.
        using: its alias.

    Returns:
        Those that landed; the others' claims no longer held their tasks.
    """
    landed = record_plain([outcome for outcome in outcomes if outcome.is_plain])
    for outcome in sorted(outcomes, key=lambda outcome: outcome.claim.id):
        written = None if outcome.is_plain else write(outcome)
        if written is not None:
            landed.append(written)
    worth_a_row = [attempt_record(outcome) for outcome in landed if has_record(outcome)]
    if worth_a_row:
        TaskAttempt.objects.using(using).bulk_create(worth_a_row, ignore_conflicts=True)
    return landed


def record_plain(outcomes: list[Outcome]) -> list[Outcome]:
    """Write successes that have nothing else to say, with one UPDATE a claim number."""
    landed: list[Outcome] = []
    for claims in by_claim_seq(outcome.claim for outcome in outcomes).values():
        if transitions.finish(held_group(claims), Status.SUCCESS) == len(claims):
            landed_ids = {claim.id for claim in claims}
        else:
            landed_ids = {claim.id for claim in claims if has_landed(claim, Status.SUCCESS)}
        claim_seq = claims[0].claim_seq
        landed.extend(
            outcome
            for outcome in outcomes
            if outcome.claim.id in landed_ids and outcome.claim.claim_seq == claim_seq
        )
    return landed


def write(outcome: Outcome) -> Outcome | None:
    """Write one outcome; return it, or None when the claim no longer held its task.

    A task that was asked to cancel while it ran does not wait for another attempt: what
    would send it back ends it as canceled, and that outcome is returned.
    """
    held, columns = outcome.claim.rows(), outcome.columns()
    status = RESULT[outcome.ending]
    if status in FINAL:
        changed = transitions.finish(held, status, **columns)
    else:
        changed = send_back(outcome, held.filter(cancel_requested_at=None), columns)
        asked = held.filter(cancel_requested_at__isnull=False)
        if not changed and transitions.finish(asked, Status.CANCELED, **columns):
            return replace(outcome, ending=Ending.CANCELED)
    return outcome if changed or has_landed(outcome.claim, status) else None


def send_back(outcome: Outcome, rows: QueuedTaskQuerySet, columns: dict[str, Any]) -> int:
    """Write an outcome after which the task waits again; return how many rows changed."""
    if outcome.ending is Ending.RELEASED:
        return transitions.release(rows, **columns)
    delay = timedelta(seconds=outcome.wait_seconds)
    counted = outcome.ending is Ending.RETRIED
    return transitions.postpone(rows, delay=delay, counted=counted, **columns)


def has_landed(claim: Claim, status: Status) -> bool:
    """Tell whether this claim's outcome is in the row already.

    When the answer to a COMMIT was cut off, the outcome is written again and finds the row
    no longer held, by its own first writing. A rescue clears ``claimed_by`` and a new claim
    raises ``claim_seq``, so neither is taken for it.
    """
    row = QueuedTask.all_objects.using(claim.using).filter(
        pk=claim.id, claim_seq=claim.claim_seq, status=status
    )
    return (row.filter(claimed_by=claim.worker) if status in FINAL else row).exists()


def has_record(outcome: Outcome) -> bool:
    """Tell whether an attempt deserves a row: it started, and did not simply succeed."""
    if outcome.ending is Ending.SUCCEEDED:
        return False
    return outcome.ending is not Ending.RELEASED or outcome.started_at is not None


def attempt_record(outcome: Outcome) -> TaskAttempt:
    """Return the unsaved row that tells how an attempt ended."""
    exception = outcome.exception
    return TaskAttempt(
        queued_task_id=outcome.claim.id,
        claim_seq=outcome.claim.claim_seq,
        number=outcome.claim.attempts,
        worker=outcome.claim.worker,
        started_at=outcome.started_at,
        outcome=outcome.ending,
        exception_class=exception_name(exception),
        message=storable_text(str_of(exception))[:LONGEST_MESSAGE],
        traceback=storable_text(traceback_of(exception)),
    )


def announce(landed: Iterable[Outcome]) -> None:
    """Send the signals of recorded outcomes; call it after their commit."""
    for outcome in landed:
        claim = outcome.claim
        facts: dict[str, Any] = {
            "task_id": claim.id,
            "alias": claim.alias or alias_of(claim),
            "queue_name": claim.queue_name,
            "attempt": claim.attempts,
            "claim": claim,
            "outcome": outcome,
        }
        if outcome.exception is not None:
            facts["exception"] = outcome.exception
        SIGNALS[outcome.ending].send_robust(QueuedTask, **facts)


def alias_of(claim: Claim) -> str:
    """Read the alias of a claim's definition."""
    rows = TaskDefinition.all_objects.using(claim.using).filter(pk=claim.definition_id)
    return rows.values_list("alias", flat=True).first() or ""


def succeed(claim: Claim, output: Any = None) -> None:
    """End a claimed task as a success.

    Args:
        claim: from `claims.claim_next`.
        output: any JSON value; None leaves the task without output.

    Raises:
        InvalidOutput: JSON cannot hold the output; the task still runs.
        ClaimLost: the claim no longer holds the task; nothing was changed.
    """
    validate_output(output, limit_bytes=settings.MAX_OUTPUT_BYTES)
    end(Outcome(claim, Ending.SUCCEEDED, output=output))


def fail(claim: Claim, error: BaseException | str, *, backoff: Backoff | None = None) -> None:
    """End an attempt as failed; the task is retried while it has attempts left.

    Args:
        claim: from `claims.claim_next`.
        error: the exception, or a text.
        backoff: the delay before a retry; see `backoff.delay_seconds`.

    Raises:
        ClaimLost: the claim no longer holds the task; nothing was changed.
    """
    exception = error if isinstance(error, BaseException) else TaskFailed(error)
    end(failure(claim, exception, backoff=backoff))


def release(claim: Claim) -> None:
    """Put a claimed task back on its queue untouched, its attempt returned.

    Raises:
        ClaimLost: the claim no longer holds the task; nothing was changed.
    """
    end(Outcome(claim, Ending.RELEASED))


def end(outcome: Outcome) -> None:
    """Record one outcome in a transaction of its own, or in the caller's.

    Raises:
        ClaimLost: the claim no longer holds the task; nothing was changed.
    """
    using = outcome.claim.using

    def transact() -> None:
        with writing(using):
            landed = record([outcome], using)
            if not landed:
                raise ClaimLost(
                    f"Claim {outcome.claim.claim_seq} no longer holds task {outcome.claim.id}: it "
                    "ended, was rescued, or was claimed again. Its outcome was not recorded."
                )
            transaction.on_commit(lambda: announce(landed), using=using, robust=True)

    repeat_on_conflict(using, transact)
