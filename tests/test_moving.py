"""Waiting tasks get another queue or priority; nothing else does."""

from __future__ import annotations

import pytest

from django_taskstore import signals
from django_taskstore.claims import claim_next
from django_taskstore.exceptions import InvalidPriority, InvalidQueueName
from django_taskstore.models import Queue, QueuedTask
from django_taskstore.queue import move
from django_taskstore.statuses import WAITING, Status
from tests.helpers import add_task, fresh

pytestmark = pytest.mark.django_db(transaction=True)


def everything():
    """Return all tasks."""
    return QueuedTask.all_objects.all()


def test_what_waits_is_moved_and_the_rest_is_left():
    tasks = {status: add_task(status=status) for status in Status}
    deleted = add_task(status="queued")
    QueuedTask.objects.filter(pk=deleted.pk).update(soft_deleted_at=deleted.created_at)

    assert move(everything(), queue_name="letters", priority=5) == len(WAITING)

    for status, task in tasks.items():
        where = (fresh(task).queue_name, fresh(task).priority, fresh(task).status)
        expected = ("letters", 5) if status in WAITING else (task.queue_name, task.priority)
        assert where == (*expected, status)
    assert fresh(deleted).queue_name == deleted.queue_name
    assert Queue.objects.filter(name="letters").exists()


@pytest.mark.parametrize(
    ("columns", "queue_name", "priority"),
    [({"queue_name": "letters"}, "letters", 3), ({"priority": 0}, "emails", 0)],
)
def test_what_is_not_given_stays(columns, queue_name, priority):
    task = add_task(queue_name="emails", priority=3)

    assert move(everything(), **columns) == 1
    assert (fresh(task).queue_name, fresh(task).priority) == (queue_name, priority)
    assert move(everything(), **columns) == 0


def test_nothing_given_moves_nothing():
    task = add_task()

    assert move(everything()) == 0
    assert fresh(task).updated_at == task.updated_at


def test_what_a_worker_has_just_claimed_stays_where_it_is():
    task = add_task(queue_name="emails")
    seen = everything().filter(pk=task.pk)
    assert claim_next("emails").id == task.pk

    assert move(seen, queue_name="letters") == 0
    assert fresh(task).queue_name == "emails"


def test_a_moved_task_is_claimed_from_its_new_queue_only():
    task = add_task(queue_name="emails")
    move(everything(), queue_name="letters")

    assert claim_next("emails") is None
    assert claim_next("letters").id == task.pk


def test_idle_workers_are_told():
    heard = []
    add_task()

    def hear(**facts):
        heard.append(facts["using"])

    signals.queues_changed.connect(hear)
    try:
        move(everything(), queue_name="letters")
    finally:
        signals.queues_changed.disconnect(hear)

    assert heard == ["default"]


@pytest.mark.parametrize(
    ("columns", "error"),
    [({"queue_name": "a,b"}, InvalidQueueName), ({"priority": 101}, InvalidPriority)],
)
def test_a_wrong_place_is_refused(columns, error):
    task = add_task(queue_name="emails", priority=3)

    with pytest.raises(error):
        move(everything(), **columns)
    assert (fresh(task).queue_name, fresh(task).priority) == ("emails", 3)
