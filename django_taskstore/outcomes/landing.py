"""The UPDATEs that outcomes come to: one for many where many say the same.

Owns which statement writes which outcome, and what counts as landed. Every one of them
changes a row only while the claim holds it; a late worker's outcome changes nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from django_taskstore import transitions
from django_taskstore.claims import by_claim_seq, held_group, rows
from django_taskstore.database.expressions import EACH, OneOf
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.models import QueuedTask
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.outcomes.outcome import Outcome
from django_taskstore.statuses import FINAL, Ending, Status

RESULT = {
    Ending.SUCCEEDED: Status.SUCCESS,
    Ending.FAILED: Status.FAILED,
    Ending.CANCELED: Status.CANCELED,
    Ending.RETRIED: Status.SCHEDULED,
    Ending.SNOOZED: Status.SCHEDULED,
    Ending.RELEASED: Status.QUEUED,
}


def write(outcomes: Collection[Outcome], using: str) -> list[Outcome]:
    """Write outcomes of one database; return those that landed."""
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
        "output": [outcome.output_text or as_json(outcome.output) for outcome in outcomes],
        "details": [outcome.details for outcome in outcomes],
        "progress": [as_json(outcome.progress) for outcome in outcomes],
    }
    return {name: column for name, column in columns.items() if any(column)}


def as_json(value: Any) -> str | None:
    """Return a value as JSON text, None as None."""
    return None if value is None else json.dumps(value)


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
    return [written for outcome in ordered if (written := write_one(outcome)) is not None]


def write_one(outcome: Outcome) -> Outcome | None:
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
