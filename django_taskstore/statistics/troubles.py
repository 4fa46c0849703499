"""What fails now, what has run for long, what comes next: the first questions at three.

Owns three reads, each bounded: attempts by definition and exception among the newest records,
the running tasks that started first, and the schedules that are due first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Max, Q

from django_taskstore.claims import rows
from django_taskstore.database.expressions import Highest, Literal
from django_taskstore.models import Schedule, TaskAttempt
from django_taskstore.statuses import FAILURES, ScheduleStatus, Status

#: Attempt records, newest first, among which failures are grouped.
FAILED_AMONG = 10_000
#: A schedule that is overdue by more than this is late: every worker looks each second.
LATE = timedelta(seconds=60)
AGES = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class Failing:
    """Failed attempts of one definition by one exception.

    Attributes:
        hour, day, week: how many in the last hour, day and week.
        last_at: when the last one failed.
    """

    definition_id: int
    alias: str
    title: str
    exception_class: str
    hour: int
    day: int
    week: int
    last_at: datetime


def failing(now: datetime, using: str, *, most: int = 10, **only: Any) -> list[Failing]:
    """Return what fails now, the most frequent of the last hour first.

    Args:
        now: the database's time.
        using: the database's alias.
        most: how many groups.
        **only: ``definition_id`` or ``queue_name``.
    """
    newest = Highest(TaskAttempt.objects.using(using).order_by().values("id"))
    records = TaskAttempt.objects.using(using).filter(
        pk__gt=newest - FAILED_AMONG,
        outcome__in=FAILURES,
        finished_at__gte=now - AGES["week"],
        **{f"queued_task__{name}": value for name, value in only.items()},
    )
    definition = ("definition_id", "definition__alias", "definition__title")
    names = [f"queued_task__{name}" for name in definition]
    counts = {age: Count("pk", filter=Q(finished_at__gte=now - AGES[age])) for age in AGES}
    grouped = records.order_by().values_list(*names, "exception_class")
    found: Any = grouped.annotate(**counts, last_at=Max("finished_at"))
    return [Failing(*row) for row in found.order_by("-hour", "-day", "-week")[:most]]


@dataclass(frozen=True, slots=True)
class LongRunning:
    """A running task."""

    id: int
    alias: str
    title: str
    queue_name: str
    started_at: datetime
    worker: UUID | None


def longest_running(using: str, *, most: int = 5, **only: Any) -> list[LongRunning]:
    """Return the running tasks that started first.

    Args:
        using: the database's alias.
        most: how many.
        **only: ``queue_name``, or ``claimed_by``, the worker.
    """
    running = rows(using).filter(status=Literal(Status.RUNNING), started_at__isnull=False, **only)
    columns = ("id", "definition__alias", "definition__title", "queue_name", "started_at")
    found: Any = running.annotate(worker=F("claimed_by")).values_list(*columns, "worker")
    return [LongRunning(*row) for row in found.order_by("started_at", "id")[:most]]


@dataclass(frozen=True, slots=True)
class NextRun:
    """An active schedule.

    Attributes:
        is_late: whether its time has passed and nobody ran it.
        error: why it could not run, or "".
    """

    id: int
    name: str
    title: str
    next_run_at: datetime
    is_late: bool
    error: str


def next_runs(now: datetime, using: str, *, most: int = 5) -> list[NextRun]:
    """Return the active schedules that are due first; late ones come before all others.

    Args:
        now: the database's time.
        using: the database's alias.
        most: how many.
    """
    active = Schedule.objects.using(using).filter(
        status=Literal(ScheduleStatus.ACTIVE), next_run_at__isnull=False
    )
    columns = ("id", "name", "definition__title", "next_run_at", "error")
    rows: Any = active.order_by("next_run_at", "id").values_list(*columns)[:most]
    return [
        NextRun(key, name, title or "", at, at < now - LATE, error)
        for key, name, title, at, error in rows
    ]
