"""The right to end a task, and which rows still carry it.

Owns `Claim`, the only thing that lets code record an outcome. It makes none: `taking` does.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django_taskstore import transitions
from django_taskstore.database.clock import moment
from django_taskstore.database.expressions import OneOf
from django_taskstore.database.servers import skips_locked
from django_taskstore.models import QueuedTask
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.statuses import Status

#: What running a task needs; the other columns are read when somebody asks for them.
COLUMNS = (
    "id",
    "claim_seq",
    "attempts",
    "definition_id",
    "max_attempts",
    "lost_count",
    "priority",
    "details",
    "parameters",
    "metadata",
    "run_after",
    "created_at",
)
#: Those that are times: making datetimes of them costs more than the rest of a row.
TIMES = ("run_after", "created_at")


@dataclass(slots=True, eq=False)
class Claim:
    """The right to end one task: valid while the row carries this claim_seq and worker.

    Attributes:
        id: the queued task's id.
        claim_seq: the fence, raised at each claim and never lowered.
        worker: whoever claimed.
        using: the database's alias.
        run_after, created_at: as the database prints them; `queued_task` has datetimes.
        waited_seconds: from the time it was to run until it was claimed.
    """

    id: int
    claim_seq: int
    worker: uuid.UUID
    using: str
    attempts: int
    definition_id: int
    max_attempts: int
    lost_count: int
    priority: int
    details: str
    parameters: dict[str, Any]
    metadata: dict[str, Any]
    run_after: Any
    created_at: Any
    queue_name: str
    waited_seconds: float = 0.0
    alias: str = ""
    takes_work: bool = True
    _task: QueuedTask | None = field(default=None, repr=False)

    @property
    def queued_task(self) -> QueuedTask:
        """The row as it was claimed; its other columns are read on access."""
        if self._task is None:
            # from_db takes its values in the order of the model's columns.
            known = {column: getattr(self, column) for column in (*COLUMNS, "queue_name")}
            known |= {"status": Status.RUNNING, "claimed_by": self.worker}
            known |= {name: moment(known[name]) for name in TIMES}
            columns = [f.attname for f in QueuedTask._meta.concrete_fields if f.attname in known]
            values = [known[column] for column in columns]
            self._task = QueuedTask.from_db(self.using, columns, values)
        return self._task

    def rows(self) -> QueuedTaskQuerySet:
        """Return the queryset that holds the row only while this claim is valid."""
        mine = rows(self.using).filter(pk=self.id)
        return transitions.held(mine, claim_seq=self.claim_seq, worker=self.worker)


def rows(using: str) -> QueuedTaskQuerySet:
    """Return all queued tasks of a database, the hidden ones included."""
    return QueuedTaskQuerySet(QueuedTask, using=using)


def by_claim_seq(claims: Iterable[Claim]) -> dict[tuple[int, uuid.UUID], list[Claim]]:
    """Group claims so that one queryset can hold each group: most tasks run the first time."""
    groups: dict[tuple[int, uuid.UUID], list[Claim]] = defaultdict(list)
    for claim in claims:
        groups[claim.claim_seq, claim.worker].append(claim)
    return groups


def held_group(claims: Sequence[Claim]) -> QueuedTaskQuerySet:
    """Return the rows of claims that share claim_seq and worker, while these hold them."""
    named = rows(claims[0].using).filter(OneOf("id", [claim.id for claim in claims]))
    return transitions.held(named, claim_seq=claims[0].claim_seq, worker=claims[0].worker)


def still_held(claims: Collection[Claim]) -> list[Claim]:
    """Return those claims whose rows still carry them; one query a distinct claim number."""
    held: set[tuple[int, int]] = set()
    for group in by_claim_seq(claims).values():
        held.update(held_group(group).values_list("pk", "claim_seq"))
    return [claim for claim in claims if (claim.id, claim.claim_seq) in held]


def lock(claims: Collection[Claim]) -> list[Claim]:
    """Lock the rows of claims but those that somebody else has locked; call it in `writing`.

    Args:
        claims: at least one; all of one database.

    Returns:
        The claims whose rows another session holds. A row that is gone is not among them,
        nor is any where the database cannot step over locked rows.
    """
    using = next(iter(claims)).using
    named = rows(using).filter(OneOf("id", [claim.id for claim in claims]))
    mine = named.select_for_update(skip_locked=skips_locked(using)).order_by("id")
    free = set(mine.values_list("pk", flat=True))
    if len(free) == len(claims):
        return []
    locked = set(named.values_list("pk", flat=True)) - free
    return [claim for claim in claims if claim.id in locked]
