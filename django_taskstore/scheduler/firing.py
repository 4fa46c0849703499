"""One schedule's due occurrences become tasks, in one short transaction.

Owns what is atomic: the tasks, the record of their occurrences and the schedule's next run
commit together, under a lock on the schedule's row. Killed before the commit nothing
happened, after it everything has. A fault marks that schedule and no other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError
from django.utils.translation import gettext as _

from django_taskstore import queue, signals
from django_taskstore.conf import settings
from django_taskstore.database.clock import read_now
from django_taskstore.database.errors import is_conflict, is_outage
from django_taskstore.database.insertion import insert_one
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.definitions import known
from django_taskstore.exceptions import HandlerNotFound, InvalidRecurrence
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun
from django_taskstore.scheduler.decision import Decision, decide
from django_taskstore.scheduler.rows import plan, take
from django_taskstore.statuses import UNFINISHED, OverlapPolicy, RunResult, ScheduleStatus
from django_taskstore.tracebacks import exception_name, str_of

#: The last tasks of a schedule among which one that has not ended is looked for.
LAST_TASKS = 20


def attempt(schedule_id: int, using: str) -> int | None:
    """Do what is due of one schedule; a fault of its own is marked on it.

    Args:
        schedule_id: the schedule.
        using: the database's alias.

    Returns:
        How many tasks were enqueued; None when nothing was due, or another runner has it.
    """
    try:
        return once(schedule_id, using)
    except Exception as error:
        if is_outage(error) or is_conflict(error):
            raise
        repeat_on_conflict(using, partial(mark, schedule_id, error, using))
        return 0


def once(schedule_id: int, using: str) -> int | None:
    """Do what is due of one schedule; what has a record already is not done again.

    The record is unique, so a second one undoes the whole transaction; only then is it worth a
    statement to look which there are.
    """
    try:
        return repeat_on_conflict(using, partial(fire, schedule_id, using))
    except IntegrityError:
        return repeat_on_conflict(using, partial(fire, schedule_id, using, looks_first=True))


def fire(schedule_id: int, using: str, *, looks_first: bool = False) -> int | None:
    """Enqueue what is due of one schedule and plan its next run, in one transaction.

    Args:
        schedule_id: the schedule.
        using: the database's alias.
        looks_first: leave out occurrences that have a record, which costs a statement.

    Raises:
        IntegrityError: an occurrence has its record already, and nobody looked.
    """
    with writing(using):
        schedule = take(schedule_id, using)
        if schedule is None or not schedule.is_due(schedule.database_now):
            return None
        decision = decide(
            schedule.timetable,
            schedule.next_run_at,
            schedule.database_now,
            misfire_policy=schedule.misfire_policy,
            grace=timedelta(seconds=settings.MISFIRE_GRACE_SECONDS),
        )
        recorded = records(schedule, decision, using) if looks_first else set()
        runs = carry_out(schedule, decision, using, leave_out=recorded)
        insert(runs, using)
        advance(schedule, decision, enqueued(runs), using)
        return len(enqueued(runs))


def records(schedule: Any, decision: Decision, using: str) -> set[datetime]:
    """Return the occurrences that came to something before, as after an edit that planned anew."""
    moments = [*decision.run, *([decision.missed] if decision.missed else [])]
    rows = ScheduleRun.objects.using(using).filter(schedule=schedule, occurrence_at__in=moments)
    return set(rows.values_list("occurrence_at", flat=True))


def carry_out(
    schedule: Any, decision: Decision, using: str, *, leave_out: set[datetime]
) -> list[ScheduleRun]:
    """Enqueue a task for each occurrence that runs; return the record of each."""
    runs, left = list[ScheduleRun](), schedule.runs_left
    for moment in decision.run:
        if left is not None and len(enqueued(runs)) >= left:
            return runs
        if moment not in leave_out:
            runs.append(occurrence(schedule, moment, using, earlier=enqueued(runs)))
    if decision.missed is not None and decision.missed not in leave_out:
        runs.append(run_of(schedule, decision.missed, RunResult.MISSED))
    return runs


def enqueued(runs: list[ScheduleRun]) -> list[datetime]:
    """Return the occurrences that got a task."""
    return [run.occurrence_at for run in runs if run.result == RunResult.ENQUEUED]


def occurrence(
    schedule: Any, moment: datetime, using: str, *, earlier: list[datetime]
) -> ScheduleRun:
    """Enqueue the task of one occurrence, unless an earlier one has not ended and that counts."""
    alone = schedule.overlap_policy == OverlapPolicy.SKIP
    if alone and (earlier or is_busy(schedule, using)):
        note = _("The task of an earlier occurrence has not ended.")
        return run_of(schedule, moment, RunResult.SKIPPED, note=note)
    task = enqueue(schedule, using, occurrence_at=moment)
    return run_of(schedule, moment, RunResult.ENQUEUED, queued_task_id=task.pk)


def run_of(schedule: Any, moment: datetime, result: str, **columns: Any) -> ScheduleRun:
    """Return the unsaved record of one occurrence."""
    return ScheduleRun(schedule=schedule, occurrence_at=moment, result=result, **columns)


def is_busy(schedule: Any, using: str) -> bool:
    """Tell whether one of the schedule's last tasks has not ended."""
    tasks = QueuedTask.objects.using(using).filter(pk__in=last_tasks(schedule, using))
    return bool(tasks.filter(schedule=schedule, status__in=UNFINISHED).exists())


def last_tasks(schedule: Any, using: str) -> list[int]:
    """Return the ids of the schedule's last tasks, by the record, which an index serves."""
    runs = ScheduleRun.objects.using(using).filter(schedule=schedule, queued_task__isnull=False)
    return list(
        runs.order_by("-occurrence_at").values_list("queued_task_id", flat=True)[:LAST_TASKS]
    )


def enqueue(schedule: Any, using: str, **columns: Any) -> QueuedTask:
    """Put a task of the schedule on its queue.

    Raises:
        HandlerNotFound: the task definition is gone.
        DefinitionCanceled: it takes no work.
        InvalidParameters, InvalidQueueName: the handler's form refuses the parameters.
    """
    definition = known([schedule.definition_id], using).get(schedule.definition_id)
    if definition is None:
        raise HandlerNotFound("The schedule's task definition is gone; choose another one.")
    template = queue.prepare(
        definition.alias, queue.Options(queue_name=schedule.queue_name or None)
    )
    task = template.row(schedule.parameters)
    task.schedule_id = schedule.pk
    for name, value in columns.items():
        setattr(task, name, value)
    insert_one(task, using=using)
    template.announce([task.pk])
    return task


def insert(runs: list[ScheduleRun], using: str) -> None:
    """Insert the records of occurrences: mostly there is one."""
    if len(runs) == 1:
        insert_one(runs[0], using=using)
    else:
        ScheduleRun.objects.using(using).bulk_create(runs)


def advance(schedule: Any, decision: Decision, ran: list[datetime], using: str) -> None:
    """Write what ran and what comes next."""
    count = schedule.execution_count + len(ran)
    over = 0 < schedule.max_execution_count <= count
    plan(
        schedule,
        None if over else decision.next_run_at,
        execution_count=count,
        last_run_at=ran[-1] if ran else schedule.last_run_at,
        using=using,
    )


def mark(schedule_id: int, error: Exception, using: str) -> None:
    """Write an error on a schedule that could not do what was due, and go on to its next run.

    A schedule whose rule is broken stops: nobody knows when it would be due.
    """
    text = f"{exception_name(error).rpartition('.')[2]}: {str_of(error)}"
    with writing(using):
        schedule = take(schedule_id, using)
        if schedule is None or schedule.status != ScheduleStatus.ACTIVE:
            return
        if schedule.next_run_at is not None:
            schedule.record(schedule.next_run_at, RunResult.FAILED, note=text)
        try:
            schedule.row.plan(schedule.timetable.next(schedule.database_now), error=text)
        except InvalidRecurrence:
            schedule.row.plan(None, error=text, status=ScheduleStatus.INACTIVE)
    signals.schedule_failed.send_robust(
        Schedule, schedule_id=schedule_id, name=schedule.name, exception=error
    )


def run_now(schedule: Schedule, *, by: str = "") -> QueuedTask:
    """Put a task of the schedule on its queue now, beside its occurrences.

    Args:
        schedule: in any status; its plan does not change, and its runs are not counted.
        by: who asked.

    Returns:
        The new task, which belongs to no occurrence.

    Raises:
        As `enqueue`.
    """
    using = schedule.row.db
    note = _("Run by hand by %(name)s.") % {"name": by} if by else _("Run by hand.")
    with writing(using):
        task = enqueue(schedule, using)
        now = read_now(using)
        run = run_of(schedule, now, RunResult.ENQUEUED, queued_task_id=task.pk, note=note)
        run.save(using=using, force_insert=True)
        schedule.row.update(last_run_at=now)
    schedule.refresh_from_db()
    return task
