"""How a claimed task ends: the one place that records what came of a claim.

Owns `Outcome`, the writing of outcomes, and the signals that follow their commit. Each
outcome is one UPDATE that changes the row only while the claim holds it; a late worker's
outcome changes nothing and is returned as lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from django_taskstore import signals, transitions
from django_taskstore.backoff import Backoff, delay_seconds
from django_taskstore.claims import Claim, by_claim_seq, held_group
from django_taskstore.conf import settings
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.exceptions import ClaimLost, Retry, Snooze, TaskFailed
from django_taskstore.models import QueuedTask, TaskAttempt, TaskDefinition
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one claim, not yet recorded.

    Attributes:
        claim: the claim it ends.
        ending: how.
        output: the handler's JSON output.
        details: the whole log of the task, or None when there is nothing new.
        progress: the last progress, or None.
        wait_seconds: the delay of a retry or snooze.
        exception: what the handler raised, or what stands for it.
        started_at: when the handler was called, an aware datetime; None if it never was.
        run_seconds: how long the handler ran.
        landed: whether it is already recorded, as an atomic handler's is.
    """

    claim: Claim
    ending: Ending
    output: Any = None
    details: str | None = None
    progress: dict[str, Any] | None = None
    wait_seconds: float = 0.0
    exception: BaseException | None = None
    started_at: datetime | None = None
    run_seconds: float = 0.0
    landed: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to say but "success", so that one UPDATE can say it for many."""
        return (
            self.ending is Ending.SUCCEEDED
            and self.output is None
            and self.details is None
            and self.progress is None
        )

    @property
    def is_error(self) -> bool:
        """Whether the attempt failed, rather than asked for more time."""
        if self.exception is None or isinstance(self.exception, Snooze):
            return False
        wanted = isinstance(self.exception, Retry) and self.ending is Ending.RETRIED
        return self.ending in (Ending.FAILED, Ending.RETRIED) and not wanted

    def columns(self) -> dict[str, Any]:
        """Return the columns that hold something new."""
        texts = {"output": self.output, "details": self.details, "progress": self.progress}
        return {name: value for name, value in texts.items() if value is not None}


def failure(
    claim: Claim,
    exception: BaseException,
    *,
    backoff: Backoff | None = None,
    wait_seconds: float | None = None,
    **texts: Any,
) -> Outcome:
    """Return the outcome of a failed attempt: a retry while attempts are left, else a failure.

    Args:
        claim: the claim.
        exception: why it failed.
        backoff: the handler's, when ``wait_seconds`` does not say.
        wait_seconds: the delay of a retry.
        **texts: other fields of `Outcome`.
    """
    if claim.attempts >= claim.max_attempts:
        return Outcome(claim, Ending.FAILED, exception=exception, **texts)
    if wait_seconds is None:
        wait_seconds = delay_seconds(backoff, claim.attempts)
    return Outcome(claim, Ending.RETRIED, exception=exception, wait_seconds=wait_seconds, **texts)


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
        if not outcome.is_plain and write(outcome):
            landed.append(outcome)
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


def write(outcome: Outcome) -> bool:
    """Write one outcome; return whether the claim still held its task."""
    held, columns = outcome.claim.rows(), outcome.columns()
    status = RESULT[outcome.ending]
    if status in FINAL:
        changed = transitions.finish(held, status, **columns)
    elif status is Status.QUEUED:
        changed = transitions.release(held, **columns)
    else:
        delay = timedelta(seconds=outcome.wait_seconds)
        counted = outcome.ending is Ending.RETRIED
        changed = transitions.postpone(held, delay=delay, counted=counted, **columns)
    return changed == 1 or has_landed(outcome.claim, status)


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
            if not record([outcome], using):
                raise ClaimLost(
                    f"Claim {outcome.claim.claim_seq} no longer holds task {outcome.claim.id}: it "
                    "ended, was rescued, or was claimed again. Its outcome was not recorded."
                )
            transaction.on_commit(lambda: announce([outcome]), using=using, robust=True)

    repeat_on_conflict(using, transact)
