"""The store's verbs on queued tasks: find, list, change, and what save() may not touch."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore import claim_next, enqueue
from django_taskstore.exceptions import InvalidPriority, InvalidQueueName, TaskRunning
from django_taskstore.models import Queue, QueuedTask, TaskAttempt, TaskDefinition
from tests.helpers import add_task, fresh, row_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def three():
    """Three tasks that differ in everything one can filter by."""
    now = timezone.now()
    return [
        add_task("Noop", status="queued", queue_name="a", created_at=now - timedelta(days=3)),
        add_task("Typed", status="failed", queue_name="b", created_at=now - timedelta(days=2)),
        add_task("Noop", status="success", queue_name="b", created_at=now - timedelta(days=1)),
    ]


def test_a_task_is_found_by_id(three):
    assert QueuedTask.objects.get(pk=three[1].pk) == three[1]
    with pytest.raises(QueuedTask.DoesNotExist):
        QueuedTask.objects.get(pk=10**12)


def test_the_list_filters_combine(three):
    first, second, third = three
    tasks = QueuedTask.objects.order_by("id")
    assert list(tasks.of("Noop")) == [first, third]
    assert list(tasks.on_queue("b")) == [second, third]
    assert list(tasks.on_queue("a", "b")) == three
    assert list(tasks.with_status("failed", "success")) == [second, third]
    assert list(tasks.filter(pk__in=[first.pk, third.pk])) == [first, third]
    assert list(tasks.of("Noop").on_queue("b").with_status("success")) == [third]
    assert list(tasks.of("noop")) == []


def test_tasks_created_between_two_moments(three):
    first, second, third = three
    tasks = QueuedTask.objects.order_by("id")
    assert list(tasks.created_between(second.created_at)) == [second, third]
    assert list(tasks.created_between(None, second.created_at)) == [first]
    assert list(tasks.created_between(first.created_at, third.created_at)) == [first, second]
    assert list(tasks.created_between()) == three


def test_order_limit_offset_and_count(three):
    assert list(QueuedTask.objects.all()) == three[::-1]
    assert list(QueuedTask.objects.order_by("created_at")[1:2]) == [three[1]]
    assert QueuedTask.objects.with_status("queued").count() == 1
    assert QueuedTask.objects.of("Noop").count() == 2


def test_hidden_tasks_are_listed_only_when_asked_for(three):
    assert QueuedTask.objects.filter(pk=three[0].pk).soft_delete() == 1
    assert QueuedTask.objects.count() == 2
    assert QueuedTask.all_objects.count() == 3
    assert QueuedTask.all_objects.filter(soft_deleted_at__isnull=False).count() == 1


def test_create_checks_names_and_priorities():
    definition = TaskDefinition.objects.by_alias("Noop")
    for wrong in ("", "q" * 101, "two words"):
        with pytest.raises(InvalidQueueName):
            QueuedTask.objects.create(definition=definition, queue_name=wrong)
    with pytest.raises(InvalidPriority):
        QueuedTask.objects.create(definition=definition, priority=1000)


def test_save_updates_what_people_edit():
    task = enqueue("Noop")
    task.parameters, task.priority, task.queue_name = {"n": 2}, 5, "other"
    task.save()
    stored = fresh(task)
    assert (stored.parameters, stored.priority, stored.queue_name) == ({"n": 2}, 5, "other")
    task.priority, task.parameters = 6, {"n": 3}
    task.save(update_fields=["priority"])
    stored = fresh(task)
    assert (stored.parameters, stored.priority) == ({"n": 2}, 6)


@pytest.mark.parametrize("wrong", [{"queue_name": ""}, {"queue_name": "q" * 101}])
def test_save_does_not_let_a_task_out_of_reach_of_every_worker(wrong):
    task = enqueue("Noop")
    for name, value in wrong.items():
        setattr(task, name, value)
    with pytest.raises(InvalidQueueName):
        task.save()


GUARDED = {
    "status": "success",
    "attempts": 9,
    "lost_count": 9,
    "claim_seq": 9,
    "claimed_by": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "lease_expires_at": timezone.now(),
    "cancel_requested_at": timezone.now(),
    "started_at": timezone.now(),
    "completed_at": timezone.now(),
    "soft_deleted_at": timezone.now(),
}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("column", GUARDED)
def test_save_never_writes_a_column_of_the_state_machine(column, named):
    task = enqueue("Noop")
    before = row_of(task)
    setattr(task, column, GUARDED[column])
    task.memo = "unused"
    task.save(update_fields=[column, "priority"] if named else None)
    after = row_of(task)
    assert after[column] == before[column]


def test_saving_a_partly_loaded_task_writes_only_what_was_loaded():
    task = enqueue("Noop", {"n": 1})
    partial = QueuedTask.objects.only("priority").get(pk=task.pk)
    QueuedTask.objects.filter(pk=task.pk).update(parameters={"n": 2})
    partial.priority = 3
    partial.save()
    assert (fresh(task).priority, fresh(task).parameters) == (3, {"n": 2})


def test_each_verb_of_one_task_tells_whether_it_changed_it_and_shows_the_row():
    task = enqueue("Noop")
    assert (task.pause(), task.status) == (True, "paused")
    assert task.pause() is False
    assert (task.resume(), task.status) == (True, "queued")
    assert task.resume() is False
    assert (task.cancel(), task.status) == (True, "canceled")
    assert task.cancel() is False
    assert task.is_final
    assert (task.restart(), task.status) == (True, "queued")
    assert task.restart() is False
    assert (task.soft_delete(), task.status) == (True, "canceled")
    assert task.soft_deleted_at is not None
    assert task.restart() is False
    assert task.restore() is True
    assert task.soft_deleted_at is None
    assert task.restore() is False


def test_a_hidden_task_still_reads_itself():
    task = enqueue("Noop")
    task.soft_delete()
    task.refresh_from_db()
    assert task.status == "canceled"


def test_the_verbs_of_many_tasks_count_and_skip_the_others(three):
    tasks = QueuedTask.objects.all()
    assert tasks.pause() == 1
    assert tasks.resume() == 1
    assert tasks.cancel() == 1
    assert tasks.restart() == 3
    assert tasks.with_status("queued").count() == 3
    assert tasks.soft_delete() == 3
    assert QueuedTask.all_objects.restore() == 3


def test_canceling_many_cancels_what_waits_and_asks_what_runs(three):
    enqueue("Noop")
    claimed = claim_next()
    assert QueuedTask.objects.cancel() == 2
    assert fresh(three[0]).status == "canceled"
    running = fresh(claimed.id)
    assert (running.status, running.cancel_requested_at is not None) == ("running", True)
    assert fresh(three[2]).status == "success"


def test_a_canceled_task_is_announced_after_the_commit(
    seen_signals, django_capture_on_commit_callbacks
):
    task = enqueue("Noop", queue_name="emails")
    with django_capture_on_commit_callbacks(execute=True):
        task.cancel()
    ((name, kwargs),) = [one for one in seen_signals if one[0] != "task_enqueued"]
    assert (name, kwargs["task_id"], kwargs["alias"], kwargs["queue_name"]) == (
        "task_canceled", task.pk, "Noop", "emails",
    )  # fmt: skip


def test_delete_removes_a_finished_task_with_its_attempts():
    task = add_task(status="failed")
    TaskAttempt.objects.create(queued_task=task, claim_seq=1, number=1, outcome="failed")
    task.delete()
    assert QueuedTask.all_objects.count() == TaskAttempt.objects.count() == 0


def test_delete_refuses_a_running_task_and_removes_nothing():
    waiting = enqueue("Noop", priority=-1)
    enqueue("Noop")
    running = fresh(claim_next().id)
    with pytest.raises(TaskRunning, match=f"Task {running.pk} is running and cannot be deleted"):
        running.delete()
    with pytest.raises(TaskRunning):
        QueuedTask.objects.all().delete()
    assert QueuedTask.all_objects.count() == 2
    assert waiting.delete()[0] == 1


def test_soft_delete_leaves_a_running_task():
    enqueue("Noop")
    running = fresh(claim_next().id)
    assert running.soft_delete() is False
    assert (running.status, running.soft_deleted_at) == ("running", None)


def test_an_attempt_is_recorded_once_a_claim():
    from django.db import IntegrityError, transaction

    task = add_task(status="failed")
    TaskAttempt.objects.create(queued_task=task, claim_seq=1, number=1, outcome="failed")
    with pytest.raises(IntegrityError), transaction.atomic():
        TaskAttempt.objects.create(queued_task=task, claim_seq=1, number=1, outcome="lost")


def test_a_queue_is_paused_by_somebody_for_a_reason():
    queue = Queue.objects.create(name="emails")
    assert queue.pause(by="ann", reason="provider is down") is True
    assert (queue.paused_by, queue.pause_reason) == ("ann", "provider is down")
    assert queue.pause(by="bob") is False
    assert queue.paused_by == "ann"
    assert queue.resume() is True
    assert (queue.paused_at, queue.paused_by, queue.pause_reason) == (None, "", "")
    assert queue.resume() is False
    queue.request_stop()
    assert queue.stop_requested_at is not None


def test_rows_describe_themselves():
    task = enqueue("HelloWorldTask")
    assert str(task) == f"Hello World #{task.pk}"
    assert str(Queue(name="emails")) == "emails"
