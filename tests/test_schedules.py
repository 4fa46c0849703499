"""Schedules as rows: what is planned when, the verbs, and what `save` may not touch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from django_taskstore import RecurrenceRule
from django_taskstore.exceptions import InvalidQueueName, InvalidRecurrence, ScheduleEnded
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun
from django_taskstore.recurrence import next_run_at
from django_taskstore.recurrence.text import write
from django_taskstore.scheduler import run_now
from tests.schedules import SLOW_TO_COUNT, add_schedule, fresh_schedule, rows_of

pytestmark = pytest.mark.django_db


def test_a_new_active_schedule_is_planned():
    schedule = add_schedule("0 9 * * 1-5", time_zone="Europe/Sofia")
    expected = next_run_at("0 9 * * 1-5", timezone.now(), time_zone="Europe/Sofia")
    assert fresh_schedule(schedule).next_run_at == expected
    assert schedule.sentence == "Every weekday at 09:00, Europe/Sofia"


def test_a_draft_is_not_planned_until_it_is_activated():
    schedule = add_schedule("FREQ=DAILY", status="draft")
    assert schedule.next_run_at is None
    assert schedule.activate() is True
    assert (schedule.status, schedule.next_run_at is None) == ("active", False)
    assert schedule.activate() is False


def test_a_schedule_takes_a_rule_object_as_text():
    rule = RecurrenceRule("weekly", days_of_week=["monday"], hours=(9,))
    schedule = add_schedule(write(rule), time_zone="UTC")
    assert (schedule.next_run_at.weekday(), schedule.next_run_at.hour) == (0, 9)


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"recurrence_rule": "FREQ=DAILY;INTERVAL=0"}, InvalidRecurrence),
        ({"recurrence_rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}, InvalidRecurrence),
        ({"recurrence_rule": "61 * * * *"}, InvalidRecurrence),
        ({"recurrence_rule": SLOW_TO_COUNT}, InvalidRecurrence),
        ({"recurrence_rule": ""}, InvalidRecurrence),
        ({"time_zone": "Mars/Olympus"}, InvalidRecurrence),
        ({"queue_name": "two words"}, InvalidQueueName),
        (
            {
                "start_at": datetime(2030, 1, 2, tzinfo=UTC),
                "end_at": datetime(2030, 1, 1, tzinfo=UTC),
            },
            InvalidRecurrence,
        ),
    ],
)
def test_what_can_never_work_is_not_saved(columns, error):
    rule = columns.pop("recurrence_rule", "FREQ=DAILY")
    with pytest.raises(error):
        add_schedule(rule, **columns)
    assert not Schedule.objects.exists()


def test_a_new_rule_plans_anew_and_a_new_description_does_not():
    schedule = add_schedule("FREQ=DAILY")
    overdue = timezone.now() - timedelta(hours=1)
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=overdue)

    schedule = fresh_schedule(schedule)
    schedule.description = "For the board."
    schedule.save()
    assert fresh_schedule(schedule).next_run_at == overdue

    schedule.recurrence_rule = "FREQ=HOURLY"
    schedule.save(update_fields=["recurrence_rule"])
    following = fresh_schedule(schedule).next_run_at
    assert timezone.now() < following <= timezone.now() + timedelta(hours=1)


def test_saving_a_stale_row_undoes_neither_a_pause_nor_a_run():
    schedule = add_schedule("FREQ=DAILY")
    stale = fresh_schedule(schedule)
    ran = timezone.now()
    Schedule.objects.filter(pk=schedule.pk).update(
        status="inactive", execution_count=7, last_run_at=ran, error="broken", next_run_at=None
    )
    stale.description = "new"
    stale.save()
    row = fresh_schedule(schedule)
    assert (row.status, row.execution_count, row.last_run_at, row.error, row.next_run_at) == (
        "inactive",
        7,
        ran,
        "broken",
        None,
    )
    assert row.description == "new"


def test_a_row_that_is_already_broken_can_still_be_described():
    schedule = add_schedule("FREQ=DAILY")
    Schedule.objects.filter(pk=schedule.pk).update(recurrence_rule="FREQ=NEVER")
    schedule = fresh_schedule(schedule)
    schedule.description = "Broken by hand."
    schedule.save()
    assert fresh_schedule(schedule).description == "Broken by hand."


def test_pause_and_resume_do_not_make_up_for_what_was_missed():
    schedule = add_schedule("FREQ=HOURLY")
    Schedule.objects.filter(pk=schedule.pk).update(next_run_at=timezone.now() - timedelta(hours=5))
    assert schedule.pause() is True
    assert (schedule.status, schedule.next_run_at) == ("inactive", None)
    assert schedule.pause() is False
    assert schedule.resume() is True
    assert schedule.next_run_at > timezone.now()
    assert schedule.resume() is False


def test_only_an_inactive_schedule_is_resumed():
    assert add_schedule("FREQ=HOURLY", status="draft").resume() is False


def test_a_schedule_without_a_future_is_not_started():
    past = timezone.now() - timedelta(days=2)
    over = add_schedule("FREQ=HOURLY", end_at=past, status="draft", start_at=past - timedelta(1))
    with pytest.raises(ScheduleEnded, match="no occurrence left"):
        over.activate()
    used = add_schedule("FREQ=HOURLY", status="draft", max_execution_count=3, execution_count=3)
    with pytest.raises(ScheduleEnded, match="3 of 3"):
        used.activate()
    assert (fresh_schedule(over).status, fresh_schedule(used).status) == ("draft", "draft")


def test_skip_next_leaves_out_one_occurrence_and_records_it():
    schedule = add_schedule("FREQ=DAILY;BYHOUR=9", time_zone="UTC")
    first = schedule.next_run_at
    assert schedule.skip_next() is True
    assert schedule.next_run_at == first + timedelta(days=1)
    assert rows_of(schedule) == [(first, "skipped", None)]
    assert "by hand" in ScheduleRun.objects.get().note
    schedule.pause()
    assert schedule.skip_next() is False


def test_skipping_the_only_occurrence_completes():
    start = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    schedule = add_schedule("", start_at=start)
    assert schedule.next_run_at == start
    assert schedule.skip_next() is True
    assert (schedule.status, schedule.next_run_at) == ("completed", None)


def test_run_now_belongs_to_no_occurrence_and_counts_as_none():
    schedule = add_schedule("FREQ=DAILY", parameters={"name": "Tom"}, queue_name="reports")
    planned = schedule.next_run_at
    task = run_now(schedule, by="ann")
    task = QueuedTask.objects.get(pk=task.pk)
    assert (task.schedule_id, task.occurrence_at, task.parameters, task.queue_name) == (
        schedule.pk,
        None,
        {"name": "Tom"},
        "reports",
    )
    row = fresh_schedule(schedule)
    assert (row.next_run_at, row.execution_count) == (planned, 0)
    assert row.last_run_at is not None
    assert ScheduleRun.objects.get().queued_task_id == task.pk
    assert "ann" in ScheduleRun.objects.get().note


def test_run_now_of_a_draft_works_too():
    run_now(add_schedule("FREQ=DAILY", status="draft"))
    assert QueuedTask.objects.count() == 1


def test_the_next_occurrences_stop_where_the_schedule_does():
    start = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    schedule = add_schedule("FREQ=DAILY", start_at=start, end_at=start + timedelta(days=2))
    days = [start + timedelta(days=number) for number in range(3)]
    assert schedule.next_occurrences(5) == days
    schedule.max_execution_count = 2
    assert schedule.next_occurrences(5) == days[:2]
    schedule.pause()
    assert schedule.next_occurrences(5) == []


def test_a_deleted_schedule_takes_its_records_along_and_leaves_its_tasks():
    schedule = add_schedule("FREQ=DAILY")
    run_now(schedule)
    schedule.delete()
    assert not ScheduleRun.objects.exists()
    assert QueuedTask.objects.count() == 1


def test_names_compare_byte_for_byte():
    add_schedule("FREQ=DAILY", name="Report")
    add_schedule("FREQ=DAILY", name="report")
    assert Schedule.objects.filter(name="Report").count() == 1
