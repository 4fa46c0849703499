"""Races for real: threads with connections of their own, on the database of the run."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from django.db import connection, transaction

from django_taskstore import (
    TaskQueueRunner,
    claim_next,
    claims,
    enqueue,
    enqueue_many,
    maintenance,
    purging,
    succeed,
)
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.exceptions import ClaimLost, DefinitionCanceled
from django_taskstore.models import Queue, QueuedTask, TaskAttempt, TaskDefinition
from django_taskstore.outcomes import Outcome, announce, record
from django_taskstore.statuses import Ending
from tests.helpers import expire, fresh, in_threads, running, wait_until, work_until_empty
from tests.testapp.tasks import Noop

pytestmark = pytest.mark.django_db(transaction=True)


def claim_and_finish(worker, batch):
    """Claim a batch and record its successes, each in a transaction of its own."""

    def take():
        with writing("default"):
            return claims.claim(
                "default", limit=batch, worker=worker, lease_seconds=60, using="default"
            )

    def finish(taken):
        with writing("default"):
            return record([Outcome(claim, Ending.SUCCEEDED) for claim in taken], "default")

    mine = []
    while taken := repeat_on_conflict("default", take):
        mine += [claim.id for claim in taken]
        landed = repeat_on_conflict("default", lambda taken=taken: finish(taken))
        assert len(landed) == len(taken)
        announce(landed)
    return mine


@pytest.mark.parametrize("batch", [1, 7])
def test_four_claimers_share_the_work_and_never_a_task(batch):
    enqueue_many("Noop", [{}] * 200)
    shares = in_threads(*[lambda: claim_and_finish(uuid.uuid4(), batch) for _ in range(4)])
    everything = [task_id for share in shares for task_id in share]
    assert len(everything) == len(set(everything)) == 200
    rows = QueuedTask.objects.values_list("status", "claim_seq", "attempts")
    assert set(rows) == {("success", 1, 1)}


def test_producers_and_claimers_at_once_lose_nothing():
    done = threading.Event()

    def produce():
        for _ in range(40):
            enqueue("Noop", priority=1)
        return []

    def consume():
        mine = []
        while not done.is_set() or QueuedTask.objects.with_status("queued").exists():
            mine += claim_and_finish(uuid.uuid4(), 3)
        return mine

    def produce_all():
        produce()
        done.set()
        return []

    shares = in_threads(produce_all, consume, consume)
    everything = [task_id for share in shares for task_id in share]
    assert len(everything) == len(set(everything)) == 40


def test_an_open_claim_does_not_make_a_producer_wait():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time: a producer waits for the claim's commit")
    enqueue_many("Noop", [{}] * 50)
    with writing("default"):
        assert len(claims.claim(
            "default", limit=5, worker=uuid.uuid4(), lease_seconds=60, using="default"
        )) == 5  # fmt: skip
        began = time.monotonic()
        in_threads(lambda: enqueue("Noop", priority=100))
        assert time.monotonic() - began < 3
    assert QueuedTask.objects.count() == 51


def test_the_first_enqueue_of_a_name_from_many_threads_makes_one_row(add_handler):
    class Newcomer(Noop):
        pass

    add_handler(Newcomer)

    def first():
        return enqueue("Newcomer", queue_name="brand-new").definition_id

    definitions = in_threads(*[first] * 8)
    assert len(set(definitions)) == 1
    assert TaskDefinition.all_objects.filter(alias="Newcomer").count() == 1
    assert Queue.objects.filter(name="brand-new").count() == 1
    assert QueuedTask.objects.on_queue("brand-new").count() == 8


def test_the_first_enqueue_inside_transactions_from_many_threads_makes_one_row(add_handler):
    class Newcomer(Noop):
        pass

    add_handler(Newcomer)

    def first():
        def transact():
            with writing("default"):
                return enqueue("Newcomer", queue_name="brand-new").definition_id

        return repeat_on_conflict("default", transact)

    assert len(set(in_threads(*[first] * 8))) == 1
    assert QueuedTask.objects.on_queue("brand-new").count() == 8


def test_two_rescuers_rescue_once():
    tasks = [enqueue("Noop") for _ in range(20)]
    for _ in tasks:
        expire(fresh(claim_next().id))
    found = in_threads(*[lambda: maintenance.rescue("default")] * 4)
    assert sum(len(one) for one in found) == 20
    rows = set(QueuedTask.objects.values_list("status", "lost_count", "attempts"))
    assert rows == {("queued", 1, 0)}
    assert TaskAttempt.objects.count() == 20


def test_two_promoters_promote_once():
    from datetime import timedelta

    from django.utils import timezone

    from tests.helpers import add_task

    past = timezone.now() - timedelta(hours=1)
    for _ in range(50):
        add_task(status="scheduled", run_after=past)
    assert sum(in_threads(*[lambda: maintenance.promote("default")] * 4)) == 50


@pytest.mark.parametrize("round_number", range(5))
def test_of_cancel_and_success_one_wins_and_the_row_agrees(round_number):
    task = enqueue("Noop")
    claim = claim_next()

    def cancel():
        return QueuedTask.objects.filter(pk=task.pk).cancel()

    def finish():
        succeed(claim)

    in_threads(cancel, finish)
    stored = fresh(task)
    assert stored.status == "success", "a running task is only asked; its worker ends it"


@pytest.mark.parametrize("round_number", range(5))
def test_of_cancel_and_claim_one_wins_and_the_row_agrees(round_number):
    task = enqueue("Noop")
    changed, claim = in_threads(QueuedTask.objects.filter(pk=task.pk).cancel, claim_next)
    stored = fresh(task)
    if claim is None:
        assert (changed, stored.status, stored.claim_seq) == (1, "canceled", 0)
    else:
        assert (stored.status, stored.claim_seq) == ("running", 1)
        assert (stored.cancel_requested_at is not None) == (changed == 1)


@pytest.mark.parametrize("round_number", range(5))
def test_of_rescue_and_late_success_one_wins(round_number):
    task = enqueue("Noop")
    claim = claim_next()
    expire(task)

    def finish():
        try:
            succeed(claim)
        except ClaimLost:
            return "lost"
        return "landed"

    rescued, finished = in_threads(lambda: maintenance.rescue("default"), finish)
    stored = fresh(task)
    if finished == "landed":
        assert (rescued, stored.status, stored.lost_count) == ([], "success", 0)
    else:
        assert (len(rescued), stored.status, stored.lost_count) == (1, "queued", 1)


def test_two_deleters_and_a_claimer_do_not_lose_a_running_task():
    enqueue_many("Noop", [{}] * 30)

    def delete():
        for task in QueuedTask.objects.order_by("id"):
            try:
                task.delete()
            except Exception as error:
                assert type(error).__name__ == "TaskRunning", error

    def claim():
        return [one.id for _ in range(10) if (one := claim_next())]

    *_, taken = in_threads(delete, delete, claim)
    rows = QueuedTask.all_objects.values_list("pk", "status")
    assert sorted(rows) == sorted((pk, "running") for pk in taken)


def test_a_definition_canceled_in_the_middle_stops_new_work_only(add_handler):
    enqueue("Noop")

    def produce():
        made = 0
        try:
            for _ in range(30):
                enqueue("Noop")
                made += 1
        except DefinitionCanceled:
            pass
        return made

    made, _ = in_threads(produce, lambda: TaskDefinition.objects.get(alias="Noop").cancel())
    assert QueuedTask.objects.count() == made + 1
    work_until_empty()
    assert set(QueuedTask.objects.values_list("status", flat=True)) == {"canceled"}


def test_everything_at_once_reaches_nobody_as_a_deadlock(caplog):
    """Two runners, a producer, an operator and a purge on one table."""
    from datetime import timedelta

    stop = threading.Event()

    def produce():
        for n in range(60):
            enqueue("RetryTwice" if n % 3 else "Noop", priority=n % 5)
            if n % 10 == 0:
                with transaction.atomic():
                    enqueue_many("Noop", [{}] * 5)
        wait_until(lambda: not QueuedTask.objects.filter(
            status__in=["queued", "running", "scheduled", "paused"]).exists())  # fmt: skip
        stop.set()

    def operate():
        while not stop.is_set():
            keys = list(QueuedTask.objects.with_status("queued").values_list("pk", flat=True)[:3])
            some = QueuedTask.objects.filter(pk__in=keys)
            some.pause()
            some.resume()
            stop.wait(0.02)

    def purge():
        while not stop.is_set():
            list(purging.purge("default", status="success", older_than=timedelta(days=-1)))
            stop.wait(0.1)

    second = TaskQueueRunner(concurrency=3, poll_seconds=0.05)
    second.start()
    with running(concurrency=3):
        try:
            in_threads(produce, operate, purge)
        finally:
            stop.set()
            second.stop(timeout_seconds=10)
    left = set(QueuedTask.all_objects.values_list("status", flat=True))
    assert left <= {"success"}
    assert "Deadlock" not in caplog.text
    assert "database is locked" not in caplog.text
