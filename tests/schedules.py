"""Making schedules for tests, and letting their time come."""

from __future__ import annotations

import itertools

from django_taskstore.database.clock import read_now
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun, TaskDefinition

numbers = itertools.count(1)
#: It would be counted for seconds.
SLOW_TO_COUNT = "DTSTART:20240229T030405Z FREQ=SECONDLY;BYMINUTE=38;BYSECOND=31;COUNT=2000"


def add_schedule(rule, alias="Noop", **columns):
    """Make an active schedule."""
    definition, _ = TaskDefinition.all_objects.get_or_create(alias=alias)
    columns = {"name": f"schedule {next(numbers)}", "status": "active", **columns}
    return Schedule.objects.create(definition=definition, recurrence_rule=rule, **columns)


def fresh_schedule(schedule):
    """Read a schedule again."""
    return Schedule.objects.get(pk=schedule.pk)


def ago(delta):
    """Return the database's time some time ago, in whole seconds."""
    return (read_now("default") - delta).replace(microsecond=0)


def make_due(schedule, since):
    """Let a schedule be due since a moment, as if no runner had been there."""
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=since)


def rows_of(schedule):
    """Return (occurrence, result, task) of each record, oldest first."""
    rows = ScheduleRun.objects.filter(schedule=schedule).order_by("occurrence_at")
    return list(rows.values_list("occurrence_at", "result", "queued_task"))


def tasks_of(schedule):
    """Return the occurrences of a schedule's tasks, oldest first."""
    rows = QueuedTask.all_objects.filter(schedule=schedule).order_by("occurrence_at")
    return list(rows.values_list("occurrence_at", flat=True))


def plans():
    """Return what each schedule's row says, for the message of an assertion that fails."""
    columns = ("pk", "status", "next_run_at", "execution_count", "error")
    return "\n".join(map(str, Schedule.objects.order_by("pk").values_list(*columns)))
