"""Recording how claimed tasks ended: the one place that writes what came of a claim.

Owns the writing of outcomes and the signals that follow their commit. Each outcome is one
UPDATE that changes the row only while the claim holds it; a late worker's outcome changes
nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from django.db import transaction

from django_taskstore import signals, transitions
from django_taskstore.backoff import Backoff
from django_taskstore.claims import Claim, by_claim_seq, held_group, rows
from django_taskstore.conf import settings
from django_taskstore.database.expressions import EACH, OneOf
from django_taskstore.database.statements import Prepared, Statement
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
    landed: list[Outcome] = []
    for (ending, is_plain), group in alike(outcomes).items():
        if ending is Ending.RELEASED and is_plain:
            landed += release_plain(group)
        elif RESULT[ending] not in FINAL:
            landed += write_alone(group)
        elif is_plain:
            landed += finish_plain(group, RESULT[ending])
        else:
            landed += finish_with_texts(group, RESULT[ending], using)
    worth_a_row = [attempt_record(outcome) for outcome in landed if has_record(outcome)]
    if worth_a_row:
        TaskAttempt.objects.using(using).bulk_create(worth_a_row, ignore_conflicts=True)
    return landed


def alike(outcomes: Collection[Outcome]) -> dict[tuple[Ending, bool], list[Outcome]]:
    """Group outcomes by what one statement can say of all of them."""
    groups: dict[tuple[Ending, bool], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.ending, outcome.is_plain].append(outcome)
    return groups


def finish_plain(outcomes: list[Outcome], status: Status) -> list[Outcome]:
    """Write endings that have nothing else to say, with one UPDATE a claim number."""
    claims = [outcome.claim for outcome in outcomes]
    using, changed = claims[0].using, 0
    for (claim_seq, worker), group in by_claim_seq(claims).items():
        statement = finish_alike(status, claim_seq, worker, using)
        changed += statement.change([claim.id for claim in group])
    return outcomes if changed == len(outcomes) else already_landed(outcomes, status)


@lru_cache(maxsize=1_000)
def finish_alike(status: Status, claim_seq: int, worker: UUID, using: str) -> Statement:
    """Compile the UPDATE that ends tasks of one claim number and says nothing else."""
    named = Prepared(QueuedTask, using=using).filter(OneOf("id", EACH))
    held = transitions.held(named, claim_seq=claim_seq, worker=worker)
    return cast("Statement", transitions.finish(held, status))


def finish_with_texts(outcomes: list[Outcome], status: Status, using: str) -> list[Outcome]:
    """Write endings that bring an output, a log or a progress, with one UPDATE for all."""
    changed = 0
    for worker, group in by_worker(outcomes).items():
        columns = texts(group)
        ids = [outcome.claim.id for outcome in group]
        claim_seqs = [outcome.claim.claim_seq for outcome in group]
        statement = finish_each(status, worker, tuple(columns), using)
        changed += statement.change_each({"id": ids, "claim_seq": claim_seqs, **columns})
    return outcomes if changed == len(outcomes) else already_landed(outcomes, status)


@lru_cache(maxsize=100)
def finish_each(status: Status, worker: UUID, columns: tuple[str, ...], using: str) -> Statement:
    """Compile the UPDATE that ends tasks with texts of their own."""
    everything = Prepared(QueuedTask, using=using)
    return transitions.finish_each(everything, status, worker=worker, columns=columns)


def by_worker(outcomes: list[Outcome]) -> dict[UUID, list[Outcome]]:
    """Group outcomes by who holds their claims: one worker, but for tests and own loops."""
    groups: dict[UUID, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.claim.worker].append(outcome)
    return groups


def texts(outcomes: list[Outcome]) -> dict[str, list[str | None]]:
    """Return the columns that hold something new in one of the outcomes, as texts."""
    columns = {
        "output": [as_json(outcome.output) for outcome in outcomes],
        "details": [outcome.details for outcome in outcomes],
        "progress": [as_json(outcome.progress) for outcome in outcomes],
    }
    return {name: column for name, column in columns.items() if any(column)}


def as_json(value: Any) -> str | None:
    """Return a value as JSON text, None as None."""
    return None if value is None else json.dumps(value, ensure_ascii=False)


def release_plain(outcomes: list[Outcome]) -> list[Outcome]:
    """Give back tasks that never started, with one UPDATE a claim number."""
    landed: list[Outcome] = []
    for claims in by_claim_seq(outcome.claim for outcome in outcomes).values():
        ids = {claim.id for claim in claims}
        group = [outcome for outcome in outcomes if outcome.claim.id in ids]
        waiting = held_group(claims).filter(cancel_requested_at=None)
        released = transitions.release(waiting) == len(claims)
        landed += group if released else write_alone(group)
    return landed


def write_alone(outcomes: list[Outcome]) -> list[Outcome]:
    """Write outcomes one by one, in the order of their ids so that two writers do not cross."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.claim.id)
    return [written for outcome in ordered if (written := write(outcome)) is not None]


def write(outcome: Outcome) -> Outcome | None:
    """Write one outcome; return it, or None when the claim no longer held its task.

    A task that was asked to cancel while it ran does not wait for another attempt: what
    would send it back ends it as canceled, and that outcome is returned.
    """
    held, columns = outcome.claim.rows(), outcome.columns()
    changed = send_back(outcome, held.filter(cancel_requested_at=None), columns)
    asked = held.filter(cancel_requested_at__isnull=False)
    if not changed and transitions.finish(asked, Status.CANCELED, **columns):
        return replace(outcome, ending=Ending.CANCELED)
    return outcome if changed or already_landed([outcome], RESULT[outcome.ending]) else None


def already_landed(outcomes: list[Outcome], status: Status) -> list[Outcome]:
    """Return the outcomes that are in their rows, by this writing or an earlier one.

    When the answer to a COMMIT was cut off, an outcome is written again and finds the row no
    longer held, by its own first writing. A rescue clears ``claimed_by`` and a new claim
    raises ``claim_seq``, so neither is taken for it.
    """
    found = set(
        rows(outcomes[0].claim.using)
        .filter(OneOf("id", [outcome.claim.id for outcome in outcomes]), status=status)
        .values_list("pk", "claim_seq", "claimed_by")
    )
    worker_stays = status in FINAL
    return [
        outcome
        for outcome in outcomes
        if (claim := outcome.claim)
        and (claim.id, claim.claim_seq, claim.worker if worker_stays else None) in found
    ]


def send_back(outcome: Outcome, held: QueuedTaskQuerySet, columns: dict[str, Any]) -> int:
    """Write an outcome after which the task waits again; return how many rows changed."""
    if outcome.ending is Ending.RELEASED:
        return transitions.release(held, **columns)
    delay = timedelta(seconds=outcome.wait_seconds)
    counted = outcome.ending is Ending.RETRIED
    return transitions.postpone(held, delay=delay, counted=counted, **columns)


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
