"""What is old goes, and nothing else: finished tasks, records of runs, rows of lost workers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore import enqueue, purging
from django_taskstore.models import QueuedTask, ScheduleRun, TaskAttempt
from django_taskstore.scheduler import run_due
from django_taskstore.statuses import RunResult
from tests.helpers import add_task, fresh
from tests.schedules import add_schedule, ago, make_due

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def ended(status, age, **columns):
    return add_task(status=status, completed_at=timezone.now() - age, **columns)


def test_purge_removes_old_finished_tasks_of_one_status():
    old = ended("success", 8 * HOUR)
    kept = [ended("success", HOUR), ended("failed", 8 * HOUR), enqueue("Noop")]
    hidden = ended("success", 8 * HOUR, soft_deleted_at=timezone.now())
    TaskAttempt.objects.create(queued_task=old, claim_seq=1, number=1, outcome="retried")
    removed = sum(purging.purge("default", status="success", older_than=2 * HOUR))
    assert removed == 2
    assert set(QueuedTask.all_objects.values_list("pk", flat=True)) == {task.pk for task in kept}
    assert not TaskAttempt.objects.exists()
    assert hidden.pk not in {task.pk for task in kept}


def test_purge_goes_in_batches():
    for _ in range(5):
        ended("failed", 8 * HOUR)
    counts = list(purging.purge("default", status="failed", older_than=HOUR, batch=2))
    assert counts == [2, 2, 1]


@pytest.mark.parametrize("status", ["queued", "scheduled", "running", "paused", "nonsense"])
def test_what_has_not_ended_is_never_purged(status):
    with pytest.raises(ValueError, match="Only success, failed, canceled tasks can be purged"):
        list(purging.purge("default", status=status, older_than=HOUR))


def test_a_task_restarted_between_look_and_removal_stays():
    task = ended("failed", 8 * HOUR)
    task.restart()
    assert purging.remove([task.pk], "default") == 0
    assert fresh(task).status == "queued"


def test_retention_keeps_what_the_setting_says(settings):
    ended("success", 3 * HOUR)
    ended("failed", 3 * HOUR)
    assert purging.purge_by_retention("default", budget_seconds=5) == 0
    settings.TASKSTORE = {"RETENTION": {"success": 3600}}
    assert purging.purge_by_retention("default", budget_seconds=5) == 1
    assert [task.status for task in QueuedTask.all_objects.all()] == ["failed"]


DAY = 86_400


def recorded(schedule, age, task=None, result=RunResult.ENQUEUED):
    """Record a run of an occurrence of this age."""
    return ScheduleRun.objects.create(
        schedule=schedule, occurrence_at=ago(age), result=result, queued_task_id=task
    )


def runs():
    """Return the records of schedules' runs that are left."""
    return list(ScheduleRun.objects.order_by("pk"))


def test_records_of_runs_go_by_the_longest_retention_once_their_task_is_gone(settings):
    schedule, gone = add_schedule("FREQ=DAILY"), 10**9
    kept_task = add_task(status="failed", completed_at=ago(timedelta(days=9)))
    old_task = add_task(status="success", completed_at=ago(timedelta(days=9)))
    recorded(schedule, timedelta(days=8), gone)
    recorded(schedule, timedelta(days=8, minutes=1), result=RunResult.MISSED)
    recorded(schedule, timedelta(days=9), old_task.pk)
    failed = recorded(schedule, timedelta(days=9, minutes=1), kept_task.pk)
    young = recorded(schedule, timedelta(days=6), gone)
    for kept in (None, {}, {"success": 10 * DAY}):
        settings.TASKSTORE = {"RETENTION": kept}
        purging.tidy_up("default", budget_seconds=5)
        assert len(runs()) == 5
    settings.TASKSTORE = {"RETENTION": {"success": 7 * DAY, "canceled": 1}}
    purging.tidy_up("default", budget_seconds=5)
    assert runs() == [failed, young]


@pytest.mark.parametrize("status", ["queued", "scheduled", "running", "paused"])
def test_the_record_of_a_task_that_has_not_ended_stays_and_still_counts_as_overlap(status):
    schedule = add_schedule("FREQ=HOURLY", overlap_policy="skip")
    task = add_task(status=status, schedule=schedule)
    record = recorded(schedule, timedelta(days=30), task.pk)
    assert sum(purging.purge_runs("default", older_than=timedelta(days=7))) == 0
    assert runs() == [record]
    make_due(schedule, ago(timedelta(seconds=1)))
    assert run_due("default") == 0
    assert runs()[-1].result == RunResult.SKIPPED


def test_the_record_of_an_occurrence_that_is_still_due_stays():
    schedule = add_schedule("FREQ=DAILY")
    make_due(schedule, ago(timedelta(days=3)))
    due, _ = recorded(schedule, timedelta(days=2)), recorded(schedule, timedelta(days=4))
    assert sum(purging.purge_runs("default", older_than=timedelta(days=1))) == 1
    assert runs() == [due]


def test_records_that_stay_do_not_keep_later_ones_from_going():
    schedule, task = add_schedule("FREQ=HOURLY"), add_task(status="failed")
    stay = [recorded(schedule, timedelta(days=9, hours=-n), task.pk) for n in range(4)]
    for n in range(3):
        recorded(schedule, timedelta(days=8, hours=-n))
    young = [recorded(schedule, timedelta(hours=9 - n)) for n in range(4)]
    counts = list(purging.purge_runs("default", older_than=timedelta(days=1), batch=2))
    assert counts == [0, 0, 2, 1]
    assert runs() == stay + young
