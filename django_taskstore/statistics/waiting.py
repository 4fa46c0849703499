"""Counting what waits up to a bound, whatever the number of queues and of tasks.

Owns the bound and the statement. What reaches the bound is a lower bound and says so; the
oldest is then the oldest of those counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet

from django_taskstore.claims import rows
from django_taskstore.database.expressions import Literal
from django_taskstore.database.samples import Sample, adapted, fetch, moment
from django_taskstore.models import QueuedTask
from django_taskstore.statistics.states import AtLeast
from django_taskstore.statuses import Status

#: Queued tasks of a queue, and scheduled ones of all, that are counted: 15 ms of PostgreSQL.
MOST_WAITING = 100_000
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


def groups(names: Sequence[str], now: datetime, using: str) -> dict[tuple[str, str], Group]:
    """Count the queued and the scheduled tasks of each queue, in one statement for most sites.

    Args:
        names: the queues.
        now: the database's time, by which a scheduled task is late.
        using: the database's alias.
    """
    found: dict[str, dict[str, Group]] = defaultdict(dict)
    samples = [scheduled(now, using), *(queued(name, using) for name in names)]
    for kind, name, n, late, oldest in fetch(samples, using):
        found[kind][name] = Group(n, int(late), moment(oldest, using))
    later, ready = bounded_together(found[Status.SCHEDULED]), found[Status.QUEUED]
    counted: dict[tuple[str, str], Group] = {}
    for name in names:
        counted[Status.SCHEDULED, name] = later[name]
        counted[Status.QUEUED, name] = bounded(ready[name])
    return counted


def waiting(status: Status, using: str) -> QuerySet[QueuedTask]:
    """Return the tasks that wait in one status, in no order."""
    return rows(using).filter(status=Literal(status)).order_by()


def scheduled(now: datetime, using: str) -> Sample:
    """Count the tasks of all queues whose time comes first: no index leads there by queue."""
    first = waiting(Status.SCHEDULED, using).order_by("run_after")
    late = "COUNT(CASE WHEN run_after <= %s THEN 1 END)"
    return Sample(
        first.values_list("queue_name", "run_after")[:MOST_WAITING],
        f"'{Status.SCHEDULED}' AS kind, queue_name, COUNT(*), {late}, MIN(run_after)",
        params=(adapted(now, using),),
        grouped_by="queue_name",
    )


def queued(name: str, using: str) -> Sample:
    """Count the tasks of one queue that may run."""
    mine = waiting(Status.QUEUED, using).filter(queue_name=name)
    return Sample(
        mine.values_list("run_after")[:MOST_WAITING],
        f"'{Status.QUEUED}' AS kind, %s AS queue_name, COUNT(*), 0, MIN(run_after)",
        params=(name,),
    )


def bounded(group: Group) -> Group:
    """Return a group whose count is marked where counting ended before the rows did."""
    if group.n < MOST_WAITING:
        return group
    return Group(AtLeast(group.n), group.late, group.oldest)


def bounded_together(found: Mapping[str, Group]) -> Mapping[str, Group]:
    """Return the groups of all queues, marked where counting them together ended early."""
    n, late = sum(each.n for each in found.values()), sum(each.late for each in found.values())
    counted: Any = AtLeast if n >= MOST_WAITING else int
    counted_late: Any = AtLeast if late >= MOST_WAITING else int
    none = Group(counted(0), counted_late(0))
    marked = {
        name: Group(counted(each.n), counted_late(each.late), each.oldest)
        for name, each in found.items()
    }
    return defaultdict(lambda: none, marked)


def aliases(names: Sequence[str], using: str) -> Iterator[tuple[str, str, int]]:
    """Yield (status, alias, how many) of the waiting tasks that an index finds first.

    No index leads by definition, so only `STRANGERS_AMONG` of each status are looked at.
    """
    if not names:
        return
    samples = [
        Sample(
            waiting(status, using)
            .filter(queue_name__in=names)
            .annotate(alias=F("definition__alias"))
            .values_list("alias")[:STRANGERS_AMONG],
            f"'{status}' AS kind, alias, COUNT(*)",
            grouped_by="alias",
        )
        for status in (Status.QUEUED, Status.SCHEDULED)
    ]
    yield from fetch(samples, using)
