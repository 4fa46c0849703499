"""Runners of schedules that meet: threads with connections of their own."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from django_taskstore.database.clock import read_now
from django_taskstore.database.transactions import writing
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun
from django_taskstore.scheduler import firing, mirror, run_due
from tests.helpers import in_threads
from tests.schedules import add_schedule, ago, fresh_schedule, make_due, plans, tasks_of

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)


def due_schedules(number, since):
    """Make schedules that are due since a moment."""
    schedules = [add_schedule("FREQ=HOURLY", start_at=since) for _ in range(number)]
    for schedule in schedules:
        make_due(schedule, since)
    return schedules


def test_eight_runners_share_the_schedules_and_never_an_occurrence():
    since = ago(5 * SECOND)
    schedules = due_schedules(40, since)
    shares = in_threads(*[lambda: run_due("default")] * 8)
    assert sum(shares) == 40, f"{shares} at {read_now('default')}\n{plans()}"
    assert all(tasks_of(schedule) == [since] for schedule in schedules)
    assert set(Schedule.objects.values_list("execution_count", flat=True)) == {1}


def test_a_pause_while_it_runs_is_not_undone():
    since = ago(5 * SECOND)
    for schedule in due_schedules(10, since):
        in_threads(lambda: run_due("default"), lambda one=schedule: one.pause())
        row = fresh_schedule(schedule)
        assert (row.status, row.next_run_at) == ("inactive", None)
        assert len(tasks_of(schedule)) == row.execution_count <= 1


def test_a_pause_waits_for_a_run_and_then_holds():
    since = ago(5 * SECOND)
    (schedule,) = due_schedules(1, since)
    locked, done = threading.Event(), []

    def run():
        with writing("default"):
            assert firing.fire(schedule.pk, "default") == 1
            locked.set()

    def pause():
        locked.wait(30)
        done.append(fresh_schedule(schedule).pause())

    in_threads(run, pause)
    row = fresh_schedule(schedule)
    assert done == [True]
    assert (row.status, row.execution_count, row.last_run_at) == ("inactive", 1, since)


def test_an_edit_during_a_run_neither_loses_nor_doubles():
    since = ago(5 * SECOND)
    for schedule in due_schedules(10, since):
        stale = fresh_schedule(schedule)
        stale.recurrence_rule = "FREQ=DAILY"
        in_threads(lambda: run_due("default"), lambda one=stale: one.save())
        run_due("default")
        row = fresh_schedule(schedule)
        assert row.recurrence_rule == "FREQ=DAILY"
        assert len(tasks_of(schedule)) == row.execution_count <= 1


def test_one_skip_and_one_run_take_different_occurrences():
    since = ago(5 * SECOND)
    for schedule in due_schedules(10, since):
        in_threads(lambda: run_due("default"), lambda one=schedule: one.skip_next())
        moments = ScheduleRun.objects.filter(schedule=schedule).values_list("occurrence_at")
        assert len(moments) == len(set(moments))
        assert since in {moment for (moment,) in moments}


def test_several_processes_mirror_a_declaration_into_one_row(add_handler):
    from tests.testapp.tasks import Noop

    class Declared(Noop):
        schedules = ["0 9 * * *"]

    add_handler(Declared)
    in_threads(*[lambda: mirror("default")] * 4)
    assert Schedule.objects.filter(name="Declared").count() == 1


def test_what_fails_before_the_commit_leaves_nothing(monkeypatch):
    since = ago(5 * SECOND)
    (schedule,) = due_schedules(1, since)

    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(firing, "advance", die)
    with pytest.raises(KeyboardInterrupt):
        run_due("default")
    monkeypatch.undo()
    assert not QueuedTask.objects.exists()
    assert not ScheduleRun.objects.exists()
    assert run_due("default") == 1
    assert tasks_of(schedule) == [since]
