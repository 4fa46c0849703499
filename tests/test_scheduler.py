"""What is due becomes tasks, once: policies, limits, faults, and the records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from django_taskstore import enqueue, purging, requeue
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun, TaskDefinition
from django_taskstore.recurrence import Timetable
from django_taskstore.scheduler import run_due, set_initial_runs
from django_taskstore.scheduler.decision import MOST_AT_ONCE, decide
from tests.helpers import captured_sql
from tests.schedules import (
    SLOW_TO_COUNT,
    add_schedule,
    ago,
    fresh_schedule,
    make_due,
    rows_of,
    tasks_of,
)

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def due_schedule(rule="FREQ=SECONDLY;INTERVAL=3600", *, since, **columns):
    """Make a schedule that starts, and is due since, a moment; no runner was there."""
    schedule = add_schedule(rule, start_at=since, **columns)
    make_due(schedule, since)
    return schedule


def test_what_is_due_becomes_a_task_with_its_occurrence():
    since = ago(5 * timedelta(seconds=1))
    schedule = due_schedule(since=since, parameters={"name": "Ann"}, queue_name="reports")
    assert run_due("default") == 1
    task = QueuedTask.objects.get()
    assert (task.schedule, task.occurrence_at, task.status) == (schedule, since, "queued")
    assert (task.parameters, task.queue_name) == ({"name": "Ann"}, "reports")
    row = fresh_schedule(schedule)
    assert (row.next_run_at, row.last_run_at, row.execution_count, row.error) == (
        since + HOUR,
        since,
        1,
        "",
    )
    assert rows_of(schedule) == [(since, "enqueued", task.pk)]
    assert run_due("default") == 0


def test_only_active_schedules_run():
    since = ago(timedelta(seconds=5))
    for status in ("draft", "inactive", "completed"):
        schedule = due_schedule(since=since)
        Schedule.objects.filter(pk=schedule.pk).update(status=status)
    assert run_due("default") == 0
    assert not QueuedTask.objects.exists()


def test_the_handlers_own_queue_serves_a_schedule_that_names_none(add_handler):
    from tests.testapp.tasks import Noop

    class OnReports(Noop):
        queue_name = "reports"

    add_handler(OnReports)
    due_schedule(since=ago(timedelta(seconds=5)), alias="OnReports")
    run_due("default")
    assert QueuedTask.objects.get().queue_name == "reports"


def test_many_occurrences_within_the_grace_each_run():
    since = ago(timedelta(seconds=10))
    schedule = due_schedule("FREQ=SECONDLY;INTERVAL=5", since=since)
    assert run_due("default") == 3
    assert tasks_of(schedule) == [since + timedelta(seconds=5 * number) for number in range(3)]


@pytest.mark.parametrize(("policy", "expected"), [("coalesce", 1), ("skip", 0), ("all", 6)])
def test_an_hours_outage(policy, expected):
    # Ten minutes apart, the last two minutes ago: each was missed.
    since = ago(52 * MINUTE)
    schedule = due_schedule("FREQ=MINUTELY;INTERVAL=10", since=since, misfire_policy=policy)
    assert run_due("default") == expected
    last = since + 50 * MINUTE
    assert len(tasks_of(schedule)) == expected
    if expected:
        assert tasks_of(schedule)[-1] == last
    row = fresh_schedule(schedule)
    assert (row.next_run_at, row.execution_count) == (last + 10 * MINUTE, expected)
    assert rows_of(schedule)[-1][:2] == (last, "enqueued" if expected else "missed")
    assert run_due("default") == 0


@pytest.mark.parametrize("policy", ["coalesce", "skip"])
def test_after_an_outage_the_occurrence_that_is_in_time_runs_alone(policy):
    since = ago(60 * MINUTE + timedelta(seconds=10))
    schedule = due_schedule("FREQ=MINUTELY", since=since, misfire_policy=policy)
    assert run_due("default") == 1
    assert tasks_of(schedule) == [since + 60 * MINUTE]


def test_all_runs_the_oldest_hundred_and_records_that_there_were_more():
    since = ago(300 * MINUTE + timedelta(seconds=10))
    schedule = due_schedule("FREQ=MINUTELY", since=since, misfire_policy="all")
    assert run_due("default") == MOST_AT_ONCE
    assert tasks_of(schedule) == [since + number * MINUTE for number in range(MOST_AT_ONCE)]
    assert rows_of(schedule)[-1][:2] == (since + 300 * MINUTE, "missed")
    assert fresh_schedule(schedule).next_run_at == since + 301 * MINUTE


def test_the_grace_is_a_setting():
    since = ago(10 * MINUTE)
    schedule = due_schedule(since=since, misfire_policy="skip")
    with override_settings(TASKSTORE={"MISFIRE_GRACE_SECONDS": 3_600}):
        assert run_due("default") == 1
    assert tasks_of(schedule) == [since]


def test_a_longer_grace_than_a_hundred_occurrences_loses_none():
    since = ago(timedelta(seconds=250))
    schedule = due_schedule("FREQ=SECONDLY", since=since)
    with override_settings(TASKSTORE={"MISFIRE_GRACE_SECONDS": 3_600}):
        while run_due("default"):
            if len(tasks_of(schedule)) >= 250:
                break
    times = tasks_of(schedule)
    assert times == [since + timedelta(seconds=number) for number in range(len(times))]


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize("years", [1, 20])
def test_a_decision_about_years_of_seconds_is_made_at_once(years):
    first = NOW - timedelta(days=365 * years)
    timetable = Timetable("FREQ=SECONDLY", "UTC", first)
    for policy, number in (("coalesce", 1), ("skip", 60), ("all", 100)):
        decision = decide(
            timetable,
            first,
            NOW,
            misfire_policy=policy,
            grace=MINUTE,
        )
        assert len(decision.run) == number
        assert decision.next_run_at == NOW + timedelta(seconds=1)


def test_a_schedule_that_happens_once_completes():
    since = ago(timedelta(seconds=5))
    schedule = due_schedule("", since=since)
    assert run_due("default") == 1
    row = fresh_schedule(schedule)
    assert (row.status, row.next_run_at, row.execution_count) == ("completed", None, 1)
    assert run_due("default") == 0


def test_most_runs_completes():
    since = ago(timedelta(seconds=40))
    schedule = due_schedule("FREQ=SECONDLY;INTERVAL=10", since=since, max_execution_count=3)
    assert run_due("default") == 3
    row = fresh_schedule(schedule)
    assert (row.status, row.execution_count, row.next_run_at) == ("completed", 3, None)


def test_the_end_completes_and_is_itself_an_occurrence():
    since = ago(timedelta(seconds=40))
    schedule = due_schedule(
        "FREQ=SECONDLY;INTERVAL=10", since=since, end_at=since + timedelta(seconds=20)
    )
    assert run_due("default") == 3
    assert fresh_schedule(schedule).status == "completed"


def test_an_overlap_is_skipped_recorded_and_not_counted():
    since = ago(timedelta(seconds=25))
    schedule = due_schedule(
        "FREQ=SECONDLY;INTERVAL=10", since=since, overlap_policy="skip", max_execution_count=2
    )
    assert run_due("default") == 1
    assert [result for _, result, _ in rows_of(schedule)] == ["enqueued", "skipped", "skipped"]
    row = fresh_schedule(schedule)
    assert (row.status, row.execution_count) == ("active", 1)


@pytest.mark.parametrize("status", ["queued", "scheduled", "running", "paused"])
def test_a_task_that_has_not_ended_counts_as_overlap_and_a_finished_one_does_not(status):
    since = ago(timedelta(seconds=5))
    schedule = due_schedule(since=since - HOUR, overlap_policy="skip")
    run_due("default")
    QueuedTask.objects.update(status=status)
    make_due(schedule, since)
    assert run_due("default") == 0
    QueuedTask.objects.update(status="failed")
    make_due(schedule, since - timedelta(seconds=1))
    assert run_due("default") == 1


def test_overlap_is_allowed_by_default():
    since = ago(timedelta(seconds=25))
    due_schedule("FREQ=SECONDLY;INTERVAL=10", since=since)
    assert run_due("default") == 3


def test_an_occurrence_is_not_enqueued_again_after_its_task_was_purged():
    since = ago(timedelta(seconds=5))
    schedule = due_schedule(since=since)
    run_due("default")
    QueuedTask.objects.update(status="success", completed_at=since - HOUR)
    assert sum(purging.purge("default", status="success", older_than=MINUTE)) == 1
    make_due(schedule, since)
    assert run_due("default") == 0
    assert not QueuedTask.objects.exists()
    assert ScheduleRun.objects.count() == 1
    assert fresh_schedule(schedule).next_run_at == since + HOUR


def test_a_requeue_copies_no_occurrence():
    due_schedule(since=ago(timedelta(seconds=5)))
    run_due("default")
    again = requeue(QueuedTask.objects.get())
    assert (again.schedule_id, again.occurrence_at) == (None, None)


def test_eleven_schedules_all_run():
    since = ago(timedelta(seconds=5))
    due = [due_schedule(since=since) for _ in range(11)]
    assert run_due("default") == 11
    assert all(len(tasks_of(schedule)) == 1 for schedule in due)


def broken(schedule, **columns):
    """Break a row past every check, as a person with SQL might."""
    assert Schedule.objects.filter(pk=schedule.pk).update(**columns) == 1
    return schedule


@pytest.mark.parametrize(
    ("breaks", "says", "status"),
    [
        ({"recurrence_rule": "FREQ=DAILY;INTERVAL=0"}, "INTERVAL is 0", "inactive"),
        ({"recurrence_rule": "61 * * * *"}, "not valid", "inactive"),
        ({"recurrence_rule": SLOW_TO_COUNT}, "takes too long", "inactive"),
        ({"time_zone": "Mars/Olympus"}, "Mars/Olympus", "inactive"),
        ({"definition_id": 10**9}, "definition is gone", "active"),
        ({"queue_name": "two words"}, "two words", "active"),
        ({"parameters": [1]}, "Parameters are a list", "active"),
    ],
)
def test_a_broken_schedule_is_marked_and_disturbs_no_other(breaks, says, status, seen_signals):
    since = ago(timedelta(seconds=5))
    first, bad, last = (due_schedule(since=since) for _ in range(3))
    broken(bad, **breaks)
    assert run_due("default") == 2
    assert (len(tasks_of(first)), len(tasks_of(bad)), len(tasks_of(last))) == (1, 0, 1)
    row = fresh_schedule(bad)
    assert says in row.error
    assert row.status == status
    assert row.next_run_at == (since + HOUR if status == "active" else None)
    assert [result for _, result, _ in rows_of(bad)] == ["failed"]
    assert run_due("default") == 0


@pytest.mark.parametrize("verb", ["cancel", "soft_delete"])
def test_a_canceled_definition_fails_its_occurrences_until_it_is_back(verb):
    definition = TaskDefinition.objects.by_alias("Noop")
    getattr(definition, verb)()
    since = ago(timedelta(seconds=5))
    schedule = due_schedule(since=since)
    assert run_due("default") == 0
    assert "canceled or deleted" in fresh_schedule(schedule).error
    definition.activate()
    definition.restore()
    make_due(schedule, since - timedelta(seconds=1))
    assert run_due("default") == 1
    assert fresh_schedule(schedule).error == ""


def test_a_failed_schedule_is_told_of_and_logged(caplog):
    from django_taskstore.signals import schedule_failed

    told = []

    def receive(**kwargs):
        told.append(kwargs)

    schedule_failed.connect(receive)
    schedule = broken(due_schedule(since=ago(MINUTE)), definition_id=10**9)
    run_due("default")
    assert (told[0]["schedule_id"], told[0]["name"]) == (schedule.pk, schedule.name)
    assert "definition is gone" in str(told[0]["exception"])
    assert f"schedule_failed {schedule.name}" in caplog.text


def test_parameters_that_the_handlers_form_refuses_fail_the_occurrence():
    schedule = due_schedule(
        since=ago(timedelta(seconds=5)), alias="Invite", parameters={"email": "nobody"}
    )
    assert run_due("default") == 0
    assert "InvalidParameters" in fresh_schedule(schedule).error


def test_an_enqueue_is_announced_once_a_task(seen_signals):
    due_schedule(since=ago(timedelta(seconds=5)))
    run_due("default")
    names = [name for name, _ in seen_signals]
    assert names == ["task_enqueued"]


def test_initial_runs_are_set_for_rows_written_past_save():
    schedule = add_schedule("FREQ=HOURLY")
    over = add_schedule("FREQ=HOURLY", max_execution_count=1)
    bad = add_schedule("FREQ=HOURLY")
    Schedule.objects.update(next_run_at=None)
    Schedule.objects.filter(pk=over.pk).update(execution_count=1)
    broken(bad, recurrence_rule="FREQ=NEVER")
    assert set_initial_runs("default") == 1
    assert fresh_schedule(schedule).next_run_at is not None
    assert fresh_schedule(over).status == "completed"
    assert fresh_schedule(bad).status == "inactive"
    assert "NEVER" in fresh_schedule(bad).error.upper()
    assert set_initial_runs("default") == 0


def test_a_pass_without_anything_due_is_one_statement():
    for _ in range(3):
        add_schedule("FREQ=DAILY;BYHOUR=9")
    with captured_sql() as statements:
        assert run_due("default") == 0
    assert len(statements) == 1


def test_a_schedules_task_may_be_enqueued_by_hand_as_well():
    schedule = due_schedule(since=ago(timedelta(seconds=5)))
    enqueue("Noop")
    run_due("default")
    assert QueuedTask.objects.count() == 2
    assert len(tasks_of(schedule)) == 1
