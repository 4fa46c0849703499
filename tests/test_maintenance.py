"""Upkeep: what is due is queued, what was lost is taken back."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore import claim_next, enqueue, maintenance, succeed
from django_taskstore.exceptions import WorkerLost
from django_taskstore.models import TaskAttempt
from tests.helpers import add_task, expire, fresh, row_of

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


def test_the_rescued_task_can_be_worked_to_its_end():
    task = lost()
    maintenance.rescue("default")
    succeed(claim_next())
    stored = fresh(task)
    assert (stored.status, stored.attempts, stored.claim_seq) == ("success", 1, 2)
