"""Counting what waits where it is more than a page has time for: up to a bound, queue by queue.

Owns the bound, the look whether it is reached, and what is counted then instead of all. Beyond
the bound a count is a lower bound and says so; the oldest is the oldest of those counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import DateTimeField, Exists, Q, QuerySet, Subquery, Value

from django_taskstore.claims import rows
from django_taskstore.database.expressions import Literal, RowCount
from django_taskstore.models import Queue, QueuedTask
from django_taskstore.statistics.states import AtLeast
from django_taskstore.statuses import Status

#: Waiting tasks of one status that are counted exactly: some 20 ms on PostgreSQL, 0.1 s elsewhere.
MOST_WAITING = 100_000
#: Of more queues all that waits is counted: SQLite takes no more than 500 SELECTs in one statement
#: (SQLite, Limits: SQLITE_MAX_COMPOUND_SELECT).
MOST_QUEUES = 200
WAITING = (Status.QUEUED, Status.SCHEDULED)


class Earliest(Subquery):
    """The earliest ``run_after`` of a queryset with a slice."""

    template = "(SELECT MIN(run_after) FROM (%(subquery)s) counted)"
    output_field = DateTimeField()


def is_reached(using: str) -> Q:
    """Return the condition that more tasks wait than are counted at once.

    The names let MySQL, whose claim index holds every status, walk only what waits.
    """
    names = Queue.objects.using(using).values("name")
    queued, scheduled = (
        Exists(waiting(status, using).filter(queue_name__in=names)[MOST_WAITING:])
        for status in WAITING
    )
    return Q(queued) | Q(scheduled)


def waiting(status: Status, using: str) -> QuerySet[QueuedTask]:
    """Return the tasks that wait in one status, in no order."""
    return rows(using).filter(status=Literal(status)).order_by()


def arms(names: Sequence[str], now: Any, using: str) -> list[Any]:
    """Return a SELECT of (kind, queue, n, late, oldest) for each status and queue."""
    return [arm(name, status, now, using) for name in names for status in WAITING]


def arm(name: str, status: Status, now: Any, using: str) -> Any:
    """Count one queue's tasks of one status up to the bound."""
    mine = waiting(status, using).filter(queue_name=name)
    counted = mine.values("run_after")[:MOST_WAITING]
    late: Any = Value(0)
    if status == Status.SCHEDULED:
        late = RowCount(mine.filter(run_after__lte=now).values("run_after")[:MOST_WAITING])
    one = Queue.objects.using(using).filter(name=name).order_by()
    facts = {"n": RowCount(counted), "late": late, "oldest": Earliest(counted)}
    return one.annotate(kind=Literal(status), **facts).values_list("kind", "name", *facts)


def bounded(n: int) -> int:
    """Return a count, marked where counting ended before the rows did."""
    return AtLeast(n) if n == MOST_WAITING else n
