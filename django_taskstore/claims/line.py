"""The line of a queue: what waits in it, in the order in which it is claimed.

Owns the order and the statements that look along it. It locks at most and changes nothing:
`taking` claims.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from django.db.models import F, Q, TextField
from django.db.models.functions import Cast

from django_taskstore import transitions
from django_taskstore.claims.fence import COLUMNS, TIMES
from django_taskstore.database.clock import SecondsSince
from django_taskstore.database.expressions import Given
from django_taskstore.database.servers import skips_locked
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.models import QueuedTask

#: The claim's own order, which is the claim index's order.
ORDER = ("-priority", "run_after", "id")
INDEX = "taskstore_claim"
#: What a claim raises by one.
RAISED = ("claim_seq", "attempts")
PRIORITY = COLUMNS.index("priority")
RUN_AFTER = COLUMNS.index("run_after") + 1


def has_waiting(queue_name: str, *, using: str, without: Collection[int] = ()) -> bool:
    """Tell whether a queue has something to claim, without a lock or a transaction.

    Args:
        queue_name: the queue.
        using: the database's alias.
        without: ids of definitions to step over.
    """
    return bool(head(queue_name, frozenset(without), using).fetch(limit=1))


def lock_first(
    queue_name: str, without: frozenset[int], using: str, *, limit: int
) -> list[tuple[Any, ...]]:
    """Find and lock the next tasks of a queue; they are given as they are once claimed.

    The read that locks begins where one that does not has found the first task. InnoDB keeps
    the entries of what was claimed before it while any session's snapshot may want them, and a
    read that locks stops at each: 64,000 of them took 150 ms, the other read 10.

    Args:
        queue_name: the queue.
        without: ids of definitions to step over.
        using: the database's alias.
        limit: the most to lock.
    """
    first = head(queue_name, without, using).fetch(limit=1)
    if not first:
        return []
    priority, run_after, pk = first[0]
    since = locking_since(queue_name, without, using)
    found = since.fetch(limit=limit, priority=priority, run_after=run_after, id=pk)
    if len(found) < limit:
        below = locking_below(queue_name, without, using)
        found += below.fetch(limit=limit - len(found), priority=priority)
    return found


@lru_cache(maxsize=1_000)
def head(queue_name: str, without: frozenset[int], using: str) -> Statement:
    """Compile the SELECT of the first places of a queue: their parts of `ORDER`."""
    return queued(queue_name, without, using).order_by(*ORDER).select("priority", "run_after", "id")


@lru_cache(maxsize=1_000)
def locking_since(queue_name: str, without: frozenset[int], using: str) -> Statement:
    """Compile the SELECT that locks the tasks of one priority from a given place on.

    The id is part of the place: all tasks of one `enqueue_many` are due at the same time. The
    two ranges are read one after the other by the index, which the comparison of two rows,
    (run_after, id) > (…, …), is not (MySQL manual, 10.2.1.22).
    """
    priority, run_after, pk = (Given(name) for name in ("priority", "run_after", "id"))
    here = Q(run_after=run_after, id__gte=pk) | Q(run_after__gt=run_after)
    return raised(next_ones(queue_name, without, using).filter(here, priority=priority))


@lru_cache(maxsize=1_000)
def locking_below(queue_name: str, without: frozenset[int], using: str) -> Statement:
    """Compile the SELECT that locks tasks below a given priority."""
    priority: Any = Given("priority")
    return raised(next_ones(queue_name, without, using).filter(priority__lt=priority))


def raised(found: Prepared) -> Statement:
    """Compile the SELECT of what a claim takes, with its numbers as the claim leaves them.

    Within one priority MariaDB would also go by the index of due times, and so lock tasks of
    other queues.
    """
    columns = [F(name) + 1 if name in RAISED else F(name) for name in plain_columns()]
    return found.select(*columns, *timings()).along(INDEX)


def next_ones(queue_name: str, without: frozenset[int], using: str) -> Prepared:
    """Return the next tasks of a queue, to be locked."""
    found = queued(queue_name, without, using)
    return found.select_for_update(skip_locked=skips_locked(using)).order_by(*ORDER)


def seeking(queues: Collection[str], without: frozenset[int], using: str) -> Statement:
    """Compile the SELECT of what several queues have to claim, in no order, for MySQL.

    Args:
        queues: their names; at least one.
        without: ids of definitions to step over.
        using: the database's alias.
    """
    mine = Prepared(QueuedTask, using=using).filter(queue_name__in=queues)
    return runnable(mine, without).order_by().select("id").along(INDEX)


def queued(queue_name: str, without: frozenset[int], using: str) -> Prepared:
    """Return the waiting tasks of a queue that this process can run."""
    return runnable(Prepared(QueuedTask, using=using).filter(queue_name=queue_name), without)


def runnable(found: Prepared, without: frozenset[int]) -> Prepared:
    """Narrow to waiting tasks that this process can run."""
    rows = transitions.queued(found)
    return rows.exclude(definition_id__in=without) if without else rows


def plain_columns() -> list[str]:
    """Return the columns that a claim takes as the driver gives them."""
    return [name for name in COLUMNS if name not in TIMES]


def timings() -> list[Any]:
    """Return how long a task has waited, and its times as text."""
    return [SecondsSince("run_after"), *(Cast(name, TextField()) for name in TIMES)]


def place_in_line(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return what sorts claimed rows in the order of the queue: RETURNING has none.

    Times as a database prints them sort as text; a number of seconds would be rounded.
    """
    return -row[PRIORITY], row[RUN_AFTER], row[0]
