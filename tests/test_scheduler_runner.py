"""ScheduleRunner, its commands, and schedules that handlers declare in code."""

from __future__ import annotations

import json
import signal
from datetime import timedelta

import pytest

from django_taskstore import RecurrenceRule, ScheduleRunner, TaskHandler, register
from django_taskstore.exceptions import InvalidHandler
from django_taskstore.management.commands.taskqueue_run import child_arguments
from django_taskstore.models import QueuedTask, Schedule, TaskDefinition
from django_taskstore.registry import registry
from django_taskstore.scheduler import mirror
from tests.command_line import manage, start
from tests.helpers import WorkerProcess, wait_until
from tests.schedules import add_schedule, ago, fresh_schedule, make_due, tasks_of

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = timedelta(seconds=1)


@pytest.fixture
def handler(add_handler):
    """Return a function that registers a handler with schedules for the length of one test."""

    def add(*schedules, alias="Scheduled", **options):
        kind = type(alias, (TaskHandler,), {"handle": lambda self: None, "schedules": schedules})
        return add_handler(kind, **options)

    yield add
    Schedule.objects.all().delete()


def due_schedule(rule="FREQ=HOURLY", **columns):
    """Make a schedule that is due since a moment ago."""
    schedule = add_schedule(rule, **columns)
    make_due(schedule, ago(2 * SECONDS))
    return schedule


def test_the_runner_starts_runs_and_stops():
    runner = ScheduleRunner(poll_seconds=0.05)
    assert runner.is_running is False
    schedule = due_schedule()
    runner.start()
    try:
        assert runner.is_running is True
        with pytest.raises(RuntimeError, match="runs already"):
            runner.start()
        wait_until(lambda: tasks_of(schedule), what="the schedule's task")
        later = due_schedule()
        wait_until(lambda: tasks_of(later), what="the second schedule's task")
    finally:
        runner.stop()
    assert runner.is_running is False
    due = due_schedule()
    assert runner.run_once() == 1
    assert len(tasks_of(due)) == 1


def test_the_runner_can_be_started_again():
    runner = ScheduleRunner(poll_seconds=0.05)
    for _ in range(2):
        schedule = due_schedule()
        runner.start()
        try:
            wait_until(lambda one=schedule: tasks_of(one), what="the schedule's task")
        finally:
            runner.stop()


def test_the_runner_plans_rows_that_were_written_past_save():
    schedule = add_schedule("FREQ=HOURLY")
    Schedule.objects.update(next_run_at=None)
    runner = ScheduleRunner(poll_seconds=0.05)
    assert runner.set_initial_runs() == 1
    assert fresh_schedule(schedule).next_run_at is not None


def test_a_fault_of_the_database_is_waited_out(monkeypatch):
    from django.db import OperationalError

    from django_taskstore.scheduler import passes

    real, faults = passes.run_due, []

    def fail_twice(using, **options):
        if len(faults) < 2:
            faults.append(1)
            raise OperationalError("server closed the connection unexpectedly")
        return real(using, **options)

    monkeypatch.setattr(passes, "run_due", fail_twice)
    schedule = due_schedule()
    runner = ScheduleRunner(poll_seconds=0.05)
    runner.start()
    try:
        wait_until(lambda: tasks_of(schedule), what="the task after two faults")
    finally:
        runner.stop()
    assert len(faults) == 2


@pytest.mark.parametrize("poll_seconds", [0, -1])
def test_a_runner_that_never_waits_is_refused(poll_seconds):
    with pytest.raises(ValueError, match="above 0"):
        ScheduleRunner(poll_seconds=poll_seconds)


def test_taskqueue_run_looks_after_schedules():
    due_schedule()
    ran = manage("taskqueue_run", "--once", "--interval", "0.05")
    assert ran.code == 0
    assert QueuedTask.objects.get().status == "success"


def test_taskqueue_run_leaves_schedules_alone_when_told_so():
    schedule = due_schedule()
    assert manage("taskqueue_run", "--once", "--no-schedules").code == 0
    assert tasks_of(schedule) == []


def test_a_worker_process_looks_after_schedules_until_it_is_stopped():
    schedule = due_schedule()
    worker = WorkerProcess("--interval", "0.1")
    try:
        wait_until(lambda: tasks_of(schedule), what="the schedule's task")
        code, output = worker.stop()
    finally:
        worker.process.kill()
        worker.process.communicate()
    assert (code, "Traceback" in output) == (0, False)


def test_the_children_of_a_supervisor_hear_of_no_schedules():
    from tests.test_command_run import parsed

    assert "--no-schedules" in child_arguments(parsed("--processes", "2", "--no-schedules"))
    assert "--no-schedules" not in child_arguments(parsed("--processes", "2"))


def test_schedule_run_once():
    schedule = due_schedule()
    ran = manage("schedule_run", "--once")
    assert (ran.code, "1 task(s) enqueued" in ran.out) == (0, True)
    assert len(tasks_of(schedule)) == 1


def test_schedule_run_runs_alone_and_stops_at_a_signal():
    schedule = due_schedule()
    process = start("schedule_run", "--interval", "0.1")
    try:
        wait_until(lambda: tasks_of(schedule), what="the schedule's task")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert "Looking at schedules every 0.1 s: 1 active, looked after here." in out
    assert "Traceback" not in err


def test_schedule_list_json_has_the_next_five_runs():
    schedule = add_schedule("0 9 * * 1-5", time_zone="Europe/Sofia", queue_name="reports")
    add_schedule("FREQ=DAILY", status="draft", name="a draft")
    ran = manage("schedule_list", "--json")
    shown = {one["name"]: one for one in json.loads(ran.out)["schedules"]}
    assert shown["a draft"]["next_runs"] == []
    one = shown[schedule.name]
    assert len(one["next_runs"]) == 5
    assert one["next_runs"][0] == schedule.next_run_at.isoformat()
    assert one["sentence"] == "Every weekday at 09:00, Europe/Sofia"
    assert (one["definition"], one["queue"], one["status"]) == ("Noop", "reports", "active")


def test_schedule_list_shows_a_broken_rule_and_an_empty_list():
    assert "No schedule is here" in manage("schedule_list").out
    schedule = add_schedule("FREQ=DAILY", name="broken")
    Schedule.objects.filter(pk=schedule.pk).update(recurrence_rule="FREQ=NEVER")
    ran = manage("schedule_list")
    assert "broken" in ran.out
    assert "not known" in ran.out
    assert json.loads(manage("schedule_list", "--json").out)["schedules"][0]["next_runs"] == []


def test_a_schedule_declared_in_code_becomes_a_row(handler):
    handler("0 9 * * 1-5")
    mirror("default")
    row = Schedule.objects.get()
    assert (row.name, row.definition.alias, row.status) == ("Scheduled", "Scheduled", "active")
    assert (row.declared_by, row.recurrence_rule) == ("Scheduled", "0 9 * * 1-5")
    assert row.time_zone == "Europe/Sofia"
    assert row.next_run_at is not None
    mirror("default")
    assert Schedule.objects.count() == 1


def test_register_takes_a_schedule():
    @register(schedule={"rule": "30 2 * * *", "name": "Nightly", "time_zone": "UTC"})
    class Nightly(TaskHandler):
        def handle(self):
            return None

    try:
        mirror("default")
        assert Schedule.objects.get().name == "Nightly"
        assert Schedule.objects.get().time_zone == "UTC"
    finally:
        registry.remove("Nightly")


def test_several_schedules_with_all_their_fields(handler):
    handler(
        {"rule": RecurrenceRule("daily", hours=(9,)), "name": "Morning", "parameters": {"a": 1}},
        {
            "rule": "0 18 * * *",
            "name": "Evening",
            "misfire_policy": "skip",
            "overlap_policy": "skip",
            "queue_name": "late",
            "max_execution_count": 3,
            "description": "Before dinner.",
        },
    )
    mirror("default")
    morning, evening = Schedule.objects.get(name="Morning"), Schedule.objects.get(name="Evening")
    assert (morning.parameters, morning.recurrence_rule) == ({"a": 1}, "RRULE:FREQ=DAILY;BYHOUR=9")
    assert (evening.misfire_policy, evening.overlap_policy, evening.queue_name) == (
        "skip",
        "skip",
        "late",
    )
    assert (evening.max_execution_count, evening.description) == (3, "Before dinner.")


def test_a_changed_declaration_changes_the_row_and_keeps_a_pause(handler):
    handler("0 9 * * *")
    mirror("default")
    Schedule.objects.get().pause()
    handler("0 10 * * *")
    mirror("default")
    row = Schedule.objects.get()
    assert (row.recurrence_rule, row.status) == ("0 10 * * *", "inactive")
    assert row.resume()
    assert row.next_run_at.minute == 0


def test_a_declaration_that_is_gone_completes_its_row_and_one_that_returns_revives_it(handler):
    handler("0 9 * * *")
    mirror("default")
    handler()
    mirror("default")
    assert (Schedule.objects.get().status, Schedule.objects.get().next_run_at) == (
        "completed",
        None,
    )
    handler("0 9 * * *")
    mirror("default")
    assert Schedule.objects.get().status == "active"


def test_a_persons_schedule_is_not_taken_over(handler):
    mine = add_schedule("FREQ=DAILY", name="Scheduled")
    handler("0 9 * * *")
    mirror("default")
    row = fresh_schedule(mine)
    assert (row.recurrence_rule, row.declared_by) == ("FREQ=DAILY", "")
    assert "rename" in row.error
    assert Schedule.objects.count() == 1


def test_a_handler_whose_definition_is_left_to_people_waits_for_it(handler):
    handler("0 9 * * *", create_if_missing=False)
    mirror("default")
    assert not Schedule.objects.exists()
    TaskDefinition.objects.create(alias="Scheduled")
    mirror("default")
    assert Schedule.objects.count() == 1


@pytest.mark.parametrize(
    ("schedules", "says"),
    [
        (("61 * * * *",), "not valid"),
        (("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",), "never happens"),
        ((7,), "text"),
        (({"name": "x"},), "expected a rule"),
        (({"rule": "0 9 * * *", "zone": "UTC"},), "expected a rule"),
        (({"rule": "0 9 * * *", "time_zone": "Mars"},), "Mars"),
        (({"rule": "0 9 * * *", "misfire_policy": "maybe"},), "maybe"),
        (("0 9 * * *", "0 10 * * *"), "name of its own"),
    ],
)
def test_a_wrong_declaration_is_refused_when_it_is_registered(handler, schedules, says):
    with pytest.raises(InvalidHandler, match=says):
        handler(*schedules)
    assert "Scheduled" not in registry


def test_migrate_mirrors_declarations(handler):
    handler("0 9 * * *")
    manage("migrate", "--verbosity", "0")
    assert Schedule.objects.filter(declared_by="Scheduled").exists()
