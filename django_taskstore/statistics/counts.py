"""Counting tasks by queue so that it stays cheap beside millions of finished rows.

Owns the statements of a snapshot, few whatever the number of queues. What an index serves
is counted exactly, what waits up to a bound (`waiting`). Failed tasks are found by their
attempt records, paused ones among the newest rows, and beyond a bound the count is a lower
bound and says so. Statuses are literals so that the partial indexes serve.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Value

from django_taskstore.claims import rows
from django_taskstore.database.clock import DatabaseNow, read_now
from django_taskstore.database.expressions import Literal
from django_taskstore.models import Queue, TaskAttempt, TaskDefinition
from django_taskstore.registry import registry
from django_taskstore.statistics import waiting
from django_taskstore.statistics.states import Tally
from django_taskstore.statistics.waiting import Group
from django_taskstore.statuses import Status

#: Attempt records, newest first, among which failed tasks are counted.
FAILED_AMONG = 10_000
#: Tasks, newest first, among which paused ones are counted: no index serves them.
PAUSED_AMONG = 100_000
#: What an arm of the union says where it counts nothing late.
NONE = Value(0)


@dataclass(frozen=True, slots=True)
class Window:
    """The newest rows of a table.

    Attributes:
        bottom: the id below them.
        is_whole: whether they are all there are.
    """

    bottom: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """The database's time, and how far a survey has to look.

    Attributes:
        now: the database's time.
        tasks: the newest tasks.
        records: the newest attempt records.
        has_strangers: whether a definition has no handler here.
    """

    now: datetime
    tasks: Window
    records: Window
    has_strangers: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """How many tasks each queue has.

    Attributes:
        groups: queued, scheduled and running tasks, by status and queue.
        paused: tasks that are paused themselves, by queue.
        failed: tasks that failed, by queue.
    """

    groups: Mapping[tuple[str, str], Group]
    paused: Mapping[str, Tally]
    failed: Mapping[str, Tally]


def queues_and_bounds(using: str) -> tuple[list[Queue], Bounds]:
    """Return all queues, the time and the windows, in one statement.

    The scalars hang on each row of the small table of queues, without which there is no task.
    """
    tables = {"task": rows(using), "record": TaskAttempt.objects.using(using)}
    ends = {
        f"{end}_{name}": Subquery(table.order_by(order).values("pk")[:1])
        for name, table in tables.items()
        for end, order in (("newest", "-pk"), ("eldest", "pk"))
    }
    found = Queue.objects.using(using).order_by("name")
    queues: list[Any] = list(
        found.annotate(
            now=DatabaseNow(),
            has_strangers=Exists(unserved(using)),
            **ends,
        )
    )
    if not queues:
        nothing = Window(0, is_whole=True)
        return [], Bounds(read_now(using), nothing, nothing, has_strangers=False)
    one = queues[0]
    return queues, Bounds(
        one.now,
        window(one.newest_task or 0, one.eldest_task or 0, PAUSED_AMONG),
        window(one.newest_record or 0, one.eldest_record or 0, FAILED_AMONG),
        one.has_strangers,
    )


def window(newest: int, eldest: int, size: int) -> Window:
    """Return the window of the newest rows of a table by its ends."""
    return Window(newest - size, is_whole=eldest > newest - size)


def survey(names: Sequence[str], bounds: Bounds, using: str) -> Survey:
    """Count the tasks of these queues by status, in two statements."""
    found: dict[str, dict[str, Group]] = defaultdict(dict)
    for kind, name, n, late in union(names, bounds, using):
        found[kind][name] = Group(n, late)
    running = {(Status.RUNNING, name): found[Status.RUNNING].get(name, Group()) for name in names}
    return Survey(
        running | waiting.groups(names, bounds.now, using),
        tallies(names, found[Status.PAUSED], exact=bounds.tasks.is_whole),
        tallies(names, found[Status.FAILED], exact=bounds.records.is_whole),
    )


def union(names: Sequence[str], bounds: Bounds, using: str) -> Any:
    """Return (kind, queue, n, late) of what runs, is paused or has failed in each queue.

    Records of attempts whose task has not failed in the end come with None for a queue.

    A failed task has one record that carries its last claim number, and a success has none:
    a million successes cost nothing here. No index serves the status itself.
    """
    mine = rows(using).filter(queue_name__in=names)
    expired = Count("pk", filter=Q(lease_expires_at__lt=bounds.now))
    # A join would let PostgreSQL read the whole table of tasks where many attempts failed.
    own = mine.filter(
        pk=OuterRef("queued_task_id"),
        claim_seq=OuterRef("claim_seq"),
        status=Status.FAILED,
        soft_deleted_at=None,
    )
    records = TaskAttempt.objects.using(using).filter(pk__gt=bounds.records.bottom)
    failed = records.annotate(queue_name=Subquery(own.order_by().values("queue_name")))
    paused = mine.filter(pk__gt=bounds.tasks.bottom, status=Status.PAUSED)
    arms = [
        arm(mine.filter(status=Literal(Status.RUNNING)), Status.RUNNING, late=expired),
        arm(paused, Status.PAUSED),
        arm(failed, Status.FAILED),
    ]
    # The model's own order names a column that the union does not have.
    return arms[0].union(*arms[1:], all=True).order_by()


def arm(found: Any, kind: Status, *, late: Any = NONE) -> Any:
    """Count rows by queue in the columns that all arms of the union have."""
    counted = (
        found.order_by().values("queue_name").annotate(kind=Literal(kind), n=Count("pk"), late=late)
    )
    return counted.values_list("kind", "queue_name", "n", "late")


def tallies(names: Sequence[str], groups: Mapping[str, Group], *, exact: bool) -> dict[str, Tally]:
    """Return the number of rows of each queue; a queue without any has zero."""
    return {name: Tally(groups.get(name, Group()).n, exact) for name in names}


def unserved(using: str) -> QuerySet[TaskDefinition]:
    """Return the definitions that have no handler in this process."""
    known = [handler.alias for handler in registry]
    return TaskDefinition.all_objects.using(using).exclude(alias__in=known)


def strangers(names: Sequence[str], using: str) -> dict[str, Tally]:
    """Count waiting tasks by the alias of their definition where this process has no handler.

    Only the first rows of each status are looked at; whoever calls asks `unserved` first, and
    mostly has no need to.
    """
    known = {handler.alias for handler in registry}
    seen, looked_at = Counter[str](), Counter[str]()
    for status, alias, n in waiting.aliases(names, using):
        looked_at[status] += n
        if alias not in known:
            seen[alias] += n
    exact = all(n < waiting.STRANGERS_AMONG for n in looked_at.values())
    return {alias: Tally(n, exact) for alias, n in sorted(seen.items())}
