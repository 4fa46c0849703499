"""A schedule's row as the scheduler takes it and writes it back, by statements compiled once.

Owns the two statements that every occurrence costs beside its INSERTs. What they say is the
queryset's; building them anew cost the ORM as much time as the database.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from django_taskstore.database.clock import DueNow
from django_taskstore.database.expressions import EACH, Given, OneOf
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.models import Schedule
from django_taskstore.models.schedule_querysets import ScheduleQuerySet
from django_taskstore.statuses import ScheduleStatus

#: What a run does not look at.
UNREAD = ("description", "created_at", "updated_at")
READ = tuple(
    field.attname for field in Schedule._meta.concrete_fields if field.attname not in UNREAD
)


class CompiledSchedules(Prepared, ScheduleQuerySet):  # type: ignore[override]
    """Schedules whose verbs give their statement instead of running it."""


def schedules(using: str) -> ScheduleQuerySet:
    """Return all schedules in a database."""
    return ScheduleQuerySet(Schedule, using=using)


def named(using: str) -> CompiledSchedules:
    """Return the schedule that is named when the statement runs.

    By its key alone: another condition lets a planner walk the index of all that are due.
    """
    return CompiledSchedules(Schedule, using=using).filter(OneOf("id", EACH))


def take(schedule_id: int, using: str) -> Any:
    """Lock a schedule's row and read it; call it inside `writing`.

    Args:
        schedule_id: the schedule.
        using: the database's alias.

    Returns:
        The schedule, with the database's time as ``database_now``; None when it is gone or
        another transaction has it.
    """
    found = locking(using, DueNow.shift).read_one(schedule_id)
    if found is None:
        return None
    now = found.pop("database_now")
    schedule: Any = Schedule.from_db(using, list(found), list(found.values()))
    schedule.database_now = now
    return schedule


def plan(
    schedule: Schedule,
    next_run_at: datetime | None,
    *,
    execution_count: int,
    last_run_at: datetime | None,
    using: str,
) -> None:
    """Write what ran of a schedule that `take` locked, and what comes next."""
    planning(using).change(
        [schedule.pk],
        status=ScheduleStatus.COMPLETED if next_run_at is None else ScheduleStatus.ACTIVE,
        next_run_at=next_run_at,
        execution_count=execution_count,
        last_run_at=last_run_at,
    )


@lru_cache(maxsize=10)
def locking(using: str, shift: timedelta) -> Statement:  # noqa: ARG001 - it is part of the text
    """Compile the SELECT that locks and reads; call it where a transaction is open."""
    return cast("CompiledSchedules", named(using).locked()).typed(*READ, "database_now")


@lru_cache(maxsize=10)
def planning(using: str) -> Statement:
    """Compile the UPDATE that writes what ran and what comes next."""
    given: Any = {name: Given(name) for name in ("status", "execution_count", "last_run_at")}
    next_run_at = cast("Any", Given("next_run_at"))
    return cast("Statement", named(using).plan(next_run_at, error="", **given))
