"""One pass over the schedules that are due, and the first planning of new ones.

Owns the order and the end of a pass: oldest first, each schedule in a transaction of its own.
When nothing is due a pass is one look into one index.
"""

from __future__ import annotations

from collections.abc import Callable

from django_taskstore.database.clock import SecondsSince
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.scheduler.firing import attempt, mark
from django_taskstore.scheduler.rows import schedules

SCHEDULES_A_LOOK = 500


def never() -> bool:
    """Answer that nobody asked to stop."""
    return False


def run_due(using: str, *, should_stop: Callable[[], bool] = never) -> int:
    """Do what is due of all schedules.

    Args:
        using: the database's alias.
        should_stop: asked between two schedules.

    Returns:
        How many tasks were enqueued.
    """
    enqueued = 0
    while True:
        due = schedules(using).due().order_by("next_run_at", "id")
        ids = list(due.values_list("pk", flat=True)[:SCHEDULES_A_LOOK])
        done = 0
        for schedule_id in ids:
            if should_stop():
                return enqueued
            tasks = attempt(schedule_id, using)
            done += tasks is not None
            enqueued += tasks or 0
        # A look that got nothing done met other runners, who are at it.
        if len(ids) < SCHEDULES_A_LOOK or not done:
            return enqueued


def due_in_seconds(using: str) -> float | None:
    """Return how long until the next schedule is due, by the database's clock; None: none is."""
    planned = schedules(using).active().filter(next_run_at__isnull=False)
    since = planned.order_by("next_run_at", "id").values_list(SecondsSince("next_run_at"))[:1]
    return next((-seconds for (seconds,) in since), None)


def set_initial_runs(using: str) -> int:
    """Work out the next run of active schedules that have none; return how many got one.

    Those are rows that were written past `Schedule.save`. Without an occurrence left they are
    completed.

    Args:
        using: the database's alias.
    """
    ids = list(schedules(using).unplanned().order_by().values_list("pk", flat=True))
    return sum(repeat_on_conflict(using, lambda pk=pk: plan_first(pk, using)) for pk in ids)  # type: ignore[misc]


def plan_first(schedule_id: int, using: str) -> bool:
    """Plan the first run of one schedule; return whether it has one."""
    try:
        with writing(using):
            schedule = schedules(using).unplanned().locked().filter(pk=schedule_id).first()
            if schedule is None:
                return False
            over = schedule.runs_left == 0
            first = None if over else schedule.timetable.next(schedule.database_now)
            schedule.row.plan(first)
            return first is not None
    except InvalidRecurrence as error:
        mark(schedule_id, error, using)
        return False
