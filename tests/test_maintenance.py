"""Upkeep: what is due is queued, what was lost is taken back, what is old is purged."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore import claim_next, enqueue, maintenance, succeed
from django_taskstore.exceptions import WorkerLost
from django_taskstore.models import QueuedTask, ScheduleRun, TaskAttempt
from django_taskstore.scheduler import run_due
from django_taskstore.statuses import RunResult
from tests.helpers import add_task, expire, fresh, row_of
from tests.schedules import add_schedule, ago, make_due

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def lost(alias="Noop", **options):
    """Make a task whose worker has died."""
    task = enqueue(alias, **options)
    assert claim_next(options.get("queue_name", "default")).id == task.pk
    expire(task)
    return task


def test_only_what_is_due_is_promoted():
    now = timezone.now()
    due = [add_task(status="scheduled", run_after=now - HOUR) for _ in range(3)]
    later = add_task(status="scheduled", run_after=now + HOUR)
    assert maintenance.promote("default") == 3
    assert {fresh(task).status for task in due} == {"queued"}
    assert fresh(later).status == "scheduled"
    assert maintenance.promote("default") == 0


def test_promoted_tasks_keep_their_time_for_the_order():
    moment = timezone.now() - HOUR
    task = add_task(status="scheduled", run_after=moment)
    maintenance.promote("default")
    assert fresh(task).run_after == moment


def test_a_lost_task_goes_back_to_its_queue_with_its_attempt():
    task = lost(priority=4)
    (rescue,) = maintenance.rescue("default")
    stored = fresh(task)
    assert (stored.status, stored.attempts, stored.lost_count) == ("queued", 0, 1)
    assert (stored.claim_seq, stored.claimed_by, stored.lease_expires_at) == (1, None, None)
    assert stored.priority == 4
    assert (rescue.claim.id, rescue.status) == (task.pk, "queued")
    assert "stopped renewing its lease while it ran attempt 1 (loss 1 of 3)" in stored.details
    attempt = TaskAttempt.objects.get()
    assert (attempt.outcome, attempt.number, attempt.claim_seq) == ("lost", 1, 1)
    assert attempt.exception_class.endswith("WorkerLost")
    assert maintenance.rescue("default") == []


def test_a_task_with_a_live_lease_is_left_alone():
    task = enqueue("Noop")
    claim_next()
    before = row_of(task)
    assert maintenance.rescue("default") == []
    assert row_of(task) == before


def test_a_task_that_keeps_losing_its_worker_fails(settings):
    settings.TASKSTORE = {"MAX_LOSSES": 3}
    task = lost()
    for losses in (1, 2):
        maintenance.rescue("default")
        assert (fresh(task).status, fresh(task).lost_count) == ("queued", losses)
        assert claim_next().attempts == 1, "a loss is no failed attempt"
        expire(task)
    (rescue,) = maintenance.rescue("default")
    assert rescue.status == "failed"
    stored = fresh(task)
    assert (stored.status, stored.lost_count, stored.claim_seq) == ("failed", 3, 3)
    assert TaskAttempt.objects.filter(outcome="lost").count() == 3


def test_a_task_that_must_not_start_twice_fails_at_its_first_loss():
    task = lost("FailWhenLost")
    maintenance.rescue("default")
    assert (fresh(task).status, fresh(task).lost_count) == ("failed", 1)


def test_on_lost_is_kept_where_the_rescuer_has_no_such_handler():
    task = add_task(
        "elsewhere.Task", status="running", claim_seq=1, attempts=1, claimed_by=uuid.uuid4(),
        lease_expires_at=timezone.now() - HOUR, metadata={"on_lost": "fail"},
    )  # fmt: skip
    maintenance.rescue("default")
    assert fresh(task).status == "failed"


def test_a_lost_task_that_was_asked_to_cancel_is_canceled():
    task = lost()
    assert task.cancel()
    (rescue,) = maintenance.rescue("default")
    assert rescue.status == "canceled"
    assert fresh(task).status == "canceled"
    assert claim_next() is None


@pytest.mark.django_db(transaction=True)
def test_a_rescue_is_announced(seen_signals, settings):
    settings.TASKSTORE = {"MAX_LOSSES": 2}
    task = lost(queue_name="emails")
    seen_signals.clear()
    maintenance.rescue("default")
    ((name, kwargs),) = seen_signals
    assert (name, kwargs["task_id"], kwargs["alias"]) == ("task_rescued", task.pk, "Noop")
    assert (kwargs["queue_name"], kwargs["attempt"]) == ("emails", 1)
    assert isinstance(kwargs["exception"], WorkerLost)
    claim_next("emails")
    expire(task)
    seen_signals.clear()
    maintenance.rescue("default")
    assert [name for name, _ in seen_signals] == ["task_rescued", "task_failed"]


def test_a_rescue_takes_a_hundred_a_pass(django_assert_max_num_queries):
    for _ in range(3):
        lost()
    with django_assert_max_num_queries(12):
        assert len(maintenance.rescue("default")) == 3


def ended(status, age, **columns):
    return add_task(status=status, completed_at=timezone.now() - age, **columns)


def test_purge_removes_old_finished_tasks_of_one_status():
    old = ended("success", 8 * HOUR)
    kept = [ended("success", HOUR), ended("failed", 8 * HOUR), enqueue("Noop")]
    hidden = ended("success", 8 * HOUR, soft_deleted_at=timezone.now())
    TaskAttempt.objects.create(queued_task=old, claim_seq=1, number=1, outcome="retried")
    removed = sum(maintenance.purge("default", status="success", older_than=2 * HOUR))
    assert removed == 2
    assert set(QueuedTask.all_objects.values_list("pk", flat=True)) == {task.pk for task in kept}
    assert not TaskAttempt.objects.exists()
    assert hidden.pk not in {task.pk for task in kept}


def test_purge_goes_in_batches():
    for _ in range(5):
        ended("failed", 8 * HOUR)
    counts = list(maintenance.purge("default", status="failed", older_than=HOUR, batch=2))
    assert counts == [2, 2, 1]


@pytest.mark.parametrize("status", ["queued", "scheduled", "running", "paused", "nonsense"])
def test_what_has_not_ended_is_never_purged(status):
    with pytest.raises(ValueError, match="Only success, failed, canceled tasks can be purged"):
        list(maintenance.purge("default", status=status, older_than=HOUR))


def test_a_task_restarted_between_look_and_removal_stays():
    task = ended("failed", 8 * HOUR)
    task.restart()
    assert maintenance.remove([task.pk], "default") == 0
    assert fresh(task).status == "queued"


def test_retention_keeps_what_the_setting_says(settings):
    ended("success", 3 * HOUR)
    ended("failed", 3 * HOUR)
    assert maintenance.purge_by_retention("default", budget_seconds=5) == 0
    settings.TASKSTORE = {"RETENTION": {"success": 3600}}
    assert maintenance.purge_by_retention("default", budget_seconds=5) == 1
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
        maintenance.tidy_up("default", budget_seconds=5)
        assert len(runs()) == 5
    settings.TASKSTORE = {"RETENTION": {"success": 7 * DAY, "canceled": 1}}
    maintenance.tidy_up("default", budget_seconds=5)
    assert runs() == [failed, young]


@pytest.mark.parametrize("status", ["queued", "scheduled", "running", "paused"])
def test_the_record_of_a_task_that_has_not_ended_stays_and_still_counts_as_overlap(status):
    schedule = add_schedule("FREQ=HOURLY", overlap_policy="skip")
    task = add_task(status=status, schedule=schedule)
    record = recorded(schedule, timedelta(days=30), task.pk)
    assert sum(maintenance.purge_runs("default", older_than=timedelta(days=7))) == 0
    assert runs() == [record]
    make_due(schedule, ago(timedelta(seconds=1)))
    assert run_due("default") == 0
    assert runs()[-1].result == RunResult.SKIPPED


def test_the_record_of_an_occurrence_that_is_still_due_stays():
    schedule = add_schedule("FREQ=DAILY")
    make_due(schedule, ago(timedelta(days=3)))
    due, _ = recorded(schedule, timedelta(days=2)), recorded(schedule, timedelta(days=4))
    assert sum(maintenance.purge_runs("default", older_than=timedelta(days=1))) == 1
    assert runs() == [due]


def test_records_that_stay_do_not_keep_later_ones_from_going():
    schedule, task = add_schedule("FREQ=HOURLY"), add_task(status="failed")
    stay = [recorded(schedule, timedelta(days=9, hours=-n), task.pk) for n in range(4)]
    for n in range(3):
        recorded(schedule, timedelta(days=8, hours=-n))
    young = [recorded(schedule, timedelta(hours=9 - n)) for n in range(4)]
    counts = list(maintenance.purge_runs("default", older_than=timedelta(days=1), batch=2))
    assert counts == [0, 0, 2, 1]
    assert runs() == stay + young


def test_the_rescued_task_can_be_worked_to_its_end():
    task = lost()
    maintenance.rescue("default")
    succeed(claim_next())
    stored = fresh(task)
    assert (stored.status, stored.attempts, stored.claim_seq) == ("success", 1, 2)
