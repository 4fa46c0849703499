"""Counting tasks by queue so that it stays cheap beside millions of finished rows.

Owns the statements of a snapshot, few whatever the number of queues. What an index serves
is counted exactly, unless it is a crowd (`crowds`). Failed tasks are found by their attempt
records, paused ones among the newest rows, and beyond a bound the count is a lower bound and
says so. Statuses are literals so that the partial indexes serve.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    Case,
    Count,
    DateTimeField,
    Exists,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast

from django_taskstore.claims import rows
from django_taskstore.database.clock import DatabaseNow, read_now
from django_taskstore.database.expressions import Literal
from django_taskstore.models import Queue, TaskAttempt, TaskDefinition
from django_taskstore.registry import registry
from django_taskstore.statistics import crowds
from django_taskstore.statistics.states import Tally
from django_taskstore.statuses import Status

#: Attempt records, newest first, among which failed tasks are counted.
FAILED_AMONG = 10_000
#: Tasks, newest first, among which paused ones are counted: no index serves them.
PAUSED_AMONG = 100_000
#: Waiting tasks of one status among which those without a handler are looked for.
STRANGERS_AMONG = 10_000
#: What an arm of the union says where it counts nothing late, and knows no oldest.
NONE = Value(0)
NEVER = Cast(Value(None), DateTimeField())


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
        is_crowded: whether more waits than is counted at once.
    """

    now: datetime
    tasks: Window
    records: Window
    has_strangers: bool
    is_crowded: bool


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
            is_crowded=Case(When(crowds.is_reached(using), then=1), default=0),
            **ends,
        )
    )
    if not queues:
        nothing = Window(0, is_whole=True)
        return [], Bounds(read_now(using), nothing, nothing, has_strangers=False, is_crowded=False)
    one = queues[0]
    return queues, Bounds(
        one.now,
        window(one.newest_task or 0, one.eldest_task or 0, PAUSED_AMONG),
        window(one.newest_record or 0, one.eldest_record or 0, FAILED_AMONG),
        one.has_strangers,
        bool(one.is_crowded),
    )


def window(newest: int, eldest: int, size: int) -> Window:
    """Return the window of the newest rows of a table by its ends."""
    return Window(newest - size, is_whole=eldest > newest - size)


def survey(names: Sequence[str], bounds: Bounds, using: str) -> Survey:
    """Count the tasks of these queues by status, in one statement.

    The names make MySQL, whose claim index holds every status, read a range of it instead
    of all of it.
    """
    found: dict[str, dict[str, Group]] = defaultdict(dict)
    counted = crowds.bounded if bounds.is_crowded else int
    for kind, name, n, late, oldest in union(names, bounds, using):
        found[kind][name] = Group(counted(n), counted(late), oldest)
    indexed = (Status.QUEUED, Status.SCHEDULED, Status.RUNNING)
    return Survey(
        {(kind, name): found[kind].get(name, Group()) for kind in indexed for name in names},
        tallies(names, found[Status.PAUSED], exact=bounds.tasks.is_whole),
        tallies(names, found[Status.FAILED], exact=bounds.records.is_whole),
    )


def union(names: Sequence[str], bounds: Bounds, using: str) -> Any:
    """Return (kind, queue, n, late, oldest) for each status of each queue.

    Records of attempts whose task has not failed in the end come with None for a queue.

    A failed task has one record that carries its last claim number, and a success has none:
    a million successes cost nothing here. No index serves the status itself.
    """
    mine = rows(using).filter(queue_name__in=names)
    due = Count("pk", filter=Q(run_after__lte=bounds.now))
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
    if bounds.is_crowded and len(names) <= crowds.MOST_QUEUES:
        arms += crowds.arms(names, bounds.now, using)
    else:
        later = mine.filter(status=Literal(Status.SCHEDULED))
        arms.append(arm(later, Status.SCHEDULED, Min("run_after"), due))
        queued = mine.filter(status=Literal(Status.QUEUED))
        arms.append(arm(queued, Status.QUEUED, Min("run_after")))
    # The model's own order names a column that the union does not have.
    return arms[0].union(*arms[1:], all=True).order_by()


def arm(found: Any, kind: Status, oldest: Any = NEVER, late: Any = NONE) -> Any:
    """Count rows by queue in the columns that all arms of the union have."""
    counted = (
        found.order_by()
        .values("queue_name")
        .annotate(kind=Literal(kind), n=Count("pk"), late=late, oldest=oldest)
    )
    return counted.values_list("kind", "queue_name", "n", "late", "oldest")


def tallies(names: Sequence[str], groups: Mapping[str, Group], *, exact: bool) -> dict[str, Tally]:
    """Return the number of rows of each queue; a queue without any has zero."""
    return {name: Tally(groups.get(name, Group()).n, exact) for name in names}


def unserved(using: str) -> QuerySet[TaskDefinition]:
    """Return the definitions that have no handler in this process."""
    known = [handler.alias for handler in registry]
    return TaskDefinition.all_objects.using(using).exclude(alias__in=known)


def strangers(names: Sequence[str], using: str) -> dict[str, Tally]:
    """Count waiting tasks by the alias of their definition where this process has no handler.

    No index leads by definition, so only the first rows of each status are looked at; whoever
    calls asks `unserved` first, and mostly has no need to.
    """
    known = {handler.alias for handler in registry}
    seen, exact = Counter[str](), True
    for status in (Status.QUEUED, Status.SCHEDULED):
        waiting = rows(using).filter(queue_name__in=names, status=Literal(status)).order_by()
        aliases = list(waiting.values_list("definition__alias", flat=True)[:STRANGERS_AMONG])
        exact = exact and len(aliases) < STRANGERS_AMONG
        seen.update(alias for alias in aliases if alias not in known)
    return {alias: Tally(n, exact) for alias, n in sorted(seen.items())}
