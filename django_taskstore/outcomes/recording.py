"""Recording how claimed tasks ended: the outcome, the attempt's row, the signal.

Owns `record` and the signals that follow its commit, and the three public endings for loops
of one's own. The rows are written by `landing`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db import transaction

from django_taskstore import signals
from django_taskstore.backoff import Backoff
from django_taskstore.claims import Claim
from django_taskstore.conf import settings
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.exceptions import ClaimLost, TaskFailed
from django_taskstore.models import QueuedTask, TaskAttempt, TaskDefinition
from django_taskstore.outcomes.landing import write
from django_taskstore.outcomes.outcome import Outcome, failure
from django_taskstore.statuses import Ending
from django_taskstore.tracebacks import exception_name, str_of, traceback_of
from django_taskstore.validation import output_text, storable_text

LONGEST_MESSAGE = 4_096

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
    landed = write(outcomes, using)
    worth_a_row = [attempt_record(outcome) for outcome in landed if has_record(outcome)]
    if worth_a_row:
        TaskAttempt.objects.using(using).bulk_create(worth_a_row, ignore_conflicts=True)
    return landed


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
        signal, claim = SIGNALS[outcome.ending], outcome.claim
        if not signal.receivers:
            continue
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
        signal.send_robust(QueuedTask, **facts)


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
    text = None if output is None else output_text(output, limit_bytes=settings.MAX_OUTPUT_BYTES)
    end(Outcome(claim, Ending.SUCCEEDED, output=output, output_text=text))


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
