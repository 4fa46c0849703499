"""Claims: who gets which task, in which order, and that the fence and the guard hold."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from django_taskstore import claims, enqueue, enqueue_many, outcomes, transitions
from django_taskstore.claims import claim_next
from django_taskstore.database.transactions import writing
from django_taskstore.exceptions import ClaimLost
from django_taskstore.models import Queue, QueuedTask
from django_taskstore.outcomes import landing

pytestmark = pytest.mark.django_db(transaction=True)


def claim(limit=1, queue_name="default", **options):
    """Claim as some worker, in a transaction."""
    with writing("default"):
        return claims.claim(
            queue_name,
            limit=limit,
            worker=uuid.uuid4(),
            lease_seconds=60,
            using="default",
            **options,
        )


def test_a_claim_marks_the_row_as_running():
    task = enqueue("Noop")
    (one,) = claim()
    task.refresh_from_db()
    assert (task.status, task.attempts, task.claim_seq) == ("running", 1, 1)
    assert (one.id, one.claim_seq, one.worker) == (task.pk, 1, task.claimed_by)
    assert task.lease_expires_at > task.started_at
    assert claim_next() is None


def test_the_claimed_row_is_known_without_a_query():
    task = enqueue("HelloWorldTask", {"name": "Tom"}, priority=5)
    (one,) = claim()
    row = one.queued_task
    assert (row.pk, row.parameters, row.priority, row.status, row.attempts, row.claim_seq) == (
        task.pk,
        {"name": "Tom"},
        5,
        "running",
        1,
        1,
    )


def test_order_is_priority_then_run_after_then_id():
    now = timezone.now()
    low = enqueue("Noop", priority=-5)
    late = enqueue("Noop", run_after=now - timedelta(microseconds=1))
    early = enqueue("Noop", run_after=now - timedelta(microseconds=2))
    high = enqueue("Noop", priority=100)
    assert [one.id for one in claim(limit=9)] == [high.pk, early.pk, late.pk, low.pk]


def test_only_due_tasks_of_the_queue_are_claimed():
    enqueue("Noop", run_after=timedelta(hours=1))
    enqueue("Noop", queue_name="other")
    paused = enqueue("Noop")
    paused.pause()
    hidden = enqueue("Noop")
    hidden.soft_delete()
    assert claim(limit=9) == []


def test_queue_names_that_differ_by_case_stay_apart():
    upper, lower = enqueue("Noop", queue_name="Emails"), enqueue("Noop", queue_name="emails")
    assert [one.id for one in claim(limit=9, queue_name="emails")] == [lower.pk]
    assert [one.id for one in claim(limit=9, queue_name="Emails")] == [upper.pk]


def test_a_row_locked_by_another_claim_is_stepped_over():
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("SQLite has one writer at a time: a second claim waits for the first")
    enqueue_many("Noop", [{}] * 2_000)
    got = []

    def second():
        got.extend(claim(limit=5))
        connections.close_all()

    with writing("default"):
        first = claims.claim(
            "default", limit=5, worker=uuid.uuid4(), lease_seconds=60, using="default"
        )
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(30)
    assert len(first) == len(got) == 5
    assert not {one.id for one in first} & {one.id for one in got}


def test_threads_never_share_a_task():
    enqueue_many("Noop", [{}] * 200)
    taken, errors = [], []

    def take():
        try:
            while batch := claim(limit=3):
                taken.extend(one.id for one in batch)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(taken) == len(set(taken)) == 200


def zombie_and_heir():
    """Return a claim whose lease ran out and the claim that followed it."""
    task = enqueue("Noop")
    zombie = claim_next()
    QueuedTask.objects.filter(pk=task.pk).update(
        status="queued", claimed_by=None, lease_expires_at=None
    )
    return task, zombie, claim_next()


def test_a_late_outcome_is_rejected():
    task, zombie, heir = zombie_and_heir()
    with pytest.raises(ClaimLost, match="no longer holds"):
        outcomes.succeed(zombie, {"from": "zombie"})
    outcomes.succeed(heir, {"from": "heir"})
    with pytest.raises(ClaimLost):
        outcomes.fail(zombie, "too late")
    task.refresh_from_db()
    assert (task.status, task.output) == ("success", {"from": "heir"})


def test_without_the_fence_the_late_outcome_would_win(monkeypatch):
    """The fence test can fail: this is what the missing filter would do."""
    task, zombie, _heir = zombie_and_heir()
    monkeypatch.setattr(
        transitions, "held", lambda rows, *, claim_seq, worker: rows.filter(status="running")
    )
    landing.finish_each.cache_clear()
    outcomes.succeed(zombie, {"from": "zombie"})
    task.refresh_from_db()
    landing.finish_each.cache_clear()
    assert task.output == {"from": "zombie"}


def stale_claim():
    """Claim a row that was queued when it was read and is not when it is written."""
    task = enqueue("Noop")
    assert claim_next().id == task.pk
    rows = QueuedTask.all_objects.filter(pk=task.pk)
    return task, transitions.claim(rows, worker=uuid.uuid4(), lease=timedelta(seconds=60))


def test_the_status_guard_refuses_a_row_that_is_no_longer_queued():
    task, changed = stale_claim()
    task.refresh_from_db()
    assert (changed, task.claim_seq, task.attempts) == (0, 1, 1)


def test_without_the_status_guard_a_task_would_be_claimed_twice(monkeypatch):
    """The guard test can fail: this is what the missing filter would do."""
    monkeypatch.setattr(transitions, "queued", lambda rows: rows.filter(pk__gt=0))
    task = enqueue("Noop")
    rows = QueuedTask.all_objects.filter(pk=task.pk)
    for _ in range(2):
        transitions.claim(rows, worker=uuid.uuid4(), lease=timedelta(seconds=60))
    task.refresh_from_db()
    assert (task.claim_seq, task.attempts) == (2, 2)


def test_renew_tells_what_is_lost_and_what_is_canceled():
    tasks = [enqueue("Noop") for _ in range(3)]
    held = claim(limit=3)
    tasks[0].cancel()
    QueuedTask.objects.filter(pk=tasks[1].pk).update(claim_seq=9)
    renewal = claims.renew(held, lease_seconds=60)
    assert (renewal.canceled, renewal.lost) == ({tasks[0].pk}, {tasks[1].pk})


def test_definitions_without_a_handler_are_stepped_over():
    stranger, known = enqueue("Noop"), enqueue("HelloWorldTask")
    assert [one.id for one in claim(limit=9, without={stranger.definition_id})] == [known.pk]


def test_claim_next_leaves_a_paused_queue_alone():
    task = enqueue("Noop")
    queue = Queue.objects.get(name="default")
    queue.pause(by="ops")
    assert claim_next() is None
    queue.resume()
    assert claim_next().id == task.pk
