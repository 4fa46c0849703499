"""Counting tasks by queue so that it stays cheap beside millions of finished rows.

Owns the statements of a snapshot: one for each status, whatever the number of queues. What
an index serves is counted exactly. Failed tasks are found by their attempt records, paused
ones among the newest rows, and beyond a bound the count is a lower bound and says so.
Statuses are literals so that the partial indexes serve.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Aggregate, Count, F, Max, Min, Q, QuerySet

from django_taskstore.claims import rows
from django_taskstore.database.expressions import Literal
from django_taskstore.models import TaskAttempt, TaskDefinition
from django_taskstore.registry import registry
from django_taskstore.statistics.states import Tally
from django_taskstore.statuses import Status

#: Attempt records, newest first, among which failed tasks are counted.
FAILED_AMONG = 20_000
#: Tasks, newest first, among which paused ones are counted: no index serves them.
PAUSED_AMONG = 100_000
#: Waiting tasks of one status among which those without a handler are looked for.
STRANGERS_AMONG = 10_000


@dataclass(frozen=True, slots=True)
class Group:
    """The tasks of one queue in one status.

    Attributes:
        n: how many.
        late: how many are past their time.
        oldest: the earliest ``run_after``.
    """

    n: int = 0
    late: int = 0
    oldest: datetime | None = None


def queued(names: Sequence[str], using: str) -> dict[str, Group]:
    """Count queued tasks by queue, and find the oldest."""
    return grouped(names, using, Status.QUEUED, oldest=Min("run_after"))


def scheduled(names: Sequence[str], now: datetime, using: str) -> dict[str, Group]:
    """Count scheduled tasks by queue; late are those whose time has come."""
    late = Count("pk", filter=Q(run_after__lte=now))
    return grouped(names, using, Status.SCHEDULED, late=late, oldest=Min("run_after"))


def running(names: Sequence[str], now: datetime, using: str) -> dict[str, Group]:
    """Count running tasks by queue; late are those whose lease has run out."""
    late = Count("pk", filter=Q(lease_expires_at__lt=now))
    return grouped(names, using, Status.RUNNING, late=late)


def grouped(
    names: Sequence[str], using: str, status: Status, **columns: Aggregate
) -> dict[str, Group]:
    """Count tasks with a status by queue, in one statement.

    The names make MySQL, whose claim index holds every status, read a range of it instead
    of all of it.
    """
    found = rows(using).filter(queue_name__in=names, status=Literal(status))
    counted = found.order_by().values("queue_name").annotate(n=Count("pk"), **columns)
    by_name: Any = counted.values_list("queue_name", "n", *columns)
    groups = {
        name: Group(n=n, **dict(zip(columns, more, strict=True))) for name, n, *more in by_name
    }
    return {name: groups.get(name, Group()) for name in names}


def paused(names: Sequence[str], using: str) -> dict[str, Tally]:
    """Count paused tasks by queue among the newest tasks."""
    bottom, exact = window(rows(using), PAUSED_AMONG)
    found = rows(using).filter(pk__gt=bottom, queue_name__in=names, status=Status.PAUSED)
    return tallies(names, found, "queue_name", exact=exact)


def failed(names: Sequence[str], using: str) -> dict[str, Tally]:
    """Count failed tasks by queue among the newest attempt records.

    Each failed task has one record that carries its last claim number, and a success has
    none: a million successes cost nothing here. No index serves the status itself.
    """
    records = TaskAttempt.objects.using(using)
    bottom, exact = window(records, FAILED_AMONG)
    found = records.filter(
        pk__gt=bottom,
        claim_seq=F("queued_task__claim_seq"),
        queued_task__queue_name__in=names,
        queued_task__status=Status.FAILED,
        queued_task__soft_deleted_at=None,
    )
    return tallies(names, found, "queued_task__queue_name", exact=exact)


def window(table: QuerySet[Any], size: int) -> tuple[int, bool]:
    """Return the id below the newest rows of a table, and whether they are all there are.

    Two statements, since SQLite reads one end of an index at once but not both.
    """
    newest = table.aggregate(newest=Max("pk"))["newest"] or 0
    eldest = table.aggregate(eldest=Min("pk"))["eldest"] or newest
    return newest - size, eldest > newest - size


def tallies(names: Sequence[str], found: Any, column: str, *, exact: bool) -> dict[str, Tally]:
    """Count rows by the queue in a column; a queue without any has zero."""
    numbers = dict(found.order_by().values_list(column).annotate(Count("pk")))
    return {name: Tally(numbers.get(name, 0), exact) for name in names}


def strangers(names: Sequence[str], using: str) -> dict[str, Tally]:
    """Count waiting tasks by the alias of their definition where this process has no handler.

    No index leads by definition, so only the first rows of each status are looked at, and
    none at all when each definition has its handler.
    """
    known = [handler.alias for handler in registry]
    definitions = TaskDefinition.all_objects.using(using).exclude(alias__in=known)
    aliases = dict(definitions.values_list("pk", "alias"))
    if not aliases:
        return {}
    seen, exact = Counter[str](), True
    for status in (Status.QUEUED, Status.SCHEDULED):
        waiting = rows(using).filter(queue_name__in=names, status=Literal(status))
        ids = list(waiting.order_by().values_list("definition_id", flat=True)[:STRANGERS_AMONG])
        exact = exact and len(ids) < STRANGERS_AMONG
        seen.update(aliases[pk] for pk in ids if pk in aliases)
    return {alias: Tally(n, exact) for alias, n in sorted(seen.items())}
