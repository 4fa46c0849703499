"""Faults of the task store that this one follows: each must not come back.

The numbers are those of the study: U1 to U28, the queue and its runner.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from django_taskstore import (
    TaskHandler,
    TaskQueueRunner,
    claim_next,
    enqueue,
    enqueue_many,
    fail,
    maintenance,
    outcomes,
    succeed,
)
from django_taskstore.exceptions import ClaimLost, DefinitionCanceled, InvalidQueueName
from django_taskstore.models import QueuedTask, TaskAttempt, TaskDefinition
from tests.helpers import (
    add_task,
    expire,
    fresh,
    running,
    wait_for_threads,
    wait_until,
    work_until_empty,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gate(add_handler):
    opened = threading.Event()

    class Gated(TaskHandler):
        def handle(self):
            assert opened.wait(30)

    add_handler(Gated)
    yield opened
    opened.set()


def test_u1_a_task_of_a_killed_worker_is_run_by_another():
    task = enqueue("Noop")
    claim_next()
    expire(task)
    with running(lease_seconds=1.5):
        wait_until(lambda: fresh(task).status == "success", seconds=15)


def test_u2_a_running_task_of_another_worker_is_not_failed_at_the_next_look():
    task = enqueue("Noop")
    claim_next()
    for _ in range(3):
        assert maintenance.rescue("default") == []
    assert fresh(task).status == "running"


def test_u3_a_rescue_sees_more_than_three_and_a_late_success_does_not_flip_the_row():
    tasks = [enqueue("Noop") for _ in range(7)]
    taken = [claim_next() for _ in tasks]
    for task in tasks:
        expire(task)
    assert len(maintenance.rescue("default")) == 7
    with pytest.raises(ClaimLost):
        succeed(taken[0])
    assert fresh(tasks[0]).status == "queued"


def test_u4_a_finishing_worker_undoes_no_edit_and_a_stale_save_no_cancel():
    task = enqueue("Noop", {"n": 1})
    claim = claim_next()
    QueuedTask.objects.filter(pk=task.pk).update(parameters={"n": 2}, priority=7)
    task.cancel()
    fail(claim, "x")
    stored = fresh(task)
    assert (stored.parameters, stored.priority) == ({"n": 2}, 7)
    assert stored.cancel_requested_at is not None
    waiting = enqueue("Noop")
    stale = QueuedTask.objects.get(pk=waiting.pk)
    waiting.cancel()
    stale.priority = 3
    stale.save()
    assert (fresh(waiting).status, fresh(waiting).priority) == ("canceled", 3)


def test_u5_a_deleted_task_does_not_run():
    task = enqueue("Noop")
    assert task.soft_delete()
    work_until_empty()
    stored = fresh(task)
    assert (stored.status, stored.claim_seq) == ("canceled", 0)


def test_u6_no_worker_hoards_a_task_that_it_has_no_slot_for(gate):
    enqueue_many("Gated", [{}] * 5)
    with running(concurrency=2):
        rows = QueuedTask.objects
        wait_until(lambda: rows.with_status("running").count() == 2)
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 0.3)
        assert rows.filter(claim_seq__gt=0).count() == 2
        gate.set()
        wait_until(lambda: rows.with_status("success").count() == 5)


def test_u7_a_row_that_is_no_longer_queued_is_not_claimed_over():
    from django_taskstore import transitions

    task = enqueue("Noop")
    first = claim_next()
    rows = QueuedTask.all_objects.filter(pk=task.pk)
    assert transitions.claim(rows, worker=first.worker, lease=timedelta(minutes=1)) == 0
    assert fresh(task).claim_seq == 1


def test_u9_the_claim_has_an_index():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, QueuedTask._meta.db_table)
    assert "taskstore_claim" in found


def test_u10_tasks_of_one_second_run_in_the_order_they_came(add_handler):
    order = []

    class Noting(TaskHandler):
        def handle(self):
            order.append(self.get_param("n"))

    add_handler(Noting)
    for n in range(25):
        enqueue("Noting", {"n": n})
    work_until_empty(concurrency=1)
    assert order == list(range(25))


def test_u11_handlers_are_not_shared_between_tasks(add_handler):
    barrier = threading.Barrier(4)

    class Pair(TaskHandler):
        def handle(self):
            self.log_info(self.get_param("n"))
            barrier.wait(20)
            self.output = {"n": self.get_param("n"), "last": self.last_info_message}
            return True

    add_handler(Pair)
    enqueue_many("Pair", [{"n": n} for n in range(4)])
    work_until_empty(concurrency=4)
    for task in QueuedTask.objects.all():
        n = task.parameters["n"]
        assert task.output == {"n": n, "last": str(n)}
        assert task.details.count("INFO") == 1


def test_u12_a_handler_that_blows_up_takes_nobody_with_it():
    bad, good = enqueue("Failing"), enqueue("Noop")
    work_until_empty(concurrency=1)
    assert (fresh(bad).status, fresh(good).status) == ("failed", "success")


def test_u13_a_task_has_a_time_limit(add_handler):
    class Slow(TaskHandler):
        timeout = 0.2

        def handle_with_context(self, context):
            context.wait(30)
            context.raise_if_canceled()

    add_handler(Slow)
    task = enqueue("Slow")
    work_until_empty(concurrency=1, seconds=20)
    assert fresh(task).status == "failed"


def test_u14_a_failed_task_is_tried_again_and_attempts_are_counted_at_the_claim():
    task = enqueue("RetryTwice")
    work_until_empty(concurrency=1)
    assert (fresh(task).status, fresh(task).attempts) == ("success", 3)
    claimed = enqueue("Noop")
    claim_next()
    assert fresh(claimed).attempts == 1


def test_u15_a_task_whose_definition_row_is_gone_does_not_stay_running():
    task = enqueue("Noop")
    table = TaskDefinition._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE id = %s", [task.definition_id])
    work_until_empty()
    assert fresh(task).status != "running"


def test_u16_an_outcome_that_cannot_be_written_is_kept_and_written_later(add_handler):
    """The database refuses the transaction of the round twice; the work is not lost."""
    from django_taskstore.runner import exchange

    refusals = []
    real = exchange.record

    def refuse(fresh_outcomes, using):
        if fresh_outcomes and len(refusals) < 2:
            refusals.append(1)
            from django.db import OperationalError

            raise OperationalError("the server closed the connection")
        return real(fresh_outcomes, using)

    task = enqueue("Noop")
    exchange.record = refuse
    try:
        work_until_empty(concurrency=1)
    finally:
        exchange.record = real
    assert len(refusals) == 2
    assert (fresh(task).status, fresh(task).attempts) == ("success", 1)


def test_u17_stop_does_not_wait_for_an_empty_queue(add_handler):
    class Short(TaskHandler):
        def handle(self):
            time.sleep(0.05)  # Work enough for a minute.

    add_handler(Short)
    enqueue_many("Short", [{}] * 2_000)
    runner = TaskQueueRunner(concurrency=2, poll_seconds=0.05)
    runner.start()
    wait_until(lambda: QueuedTask.objects.with_status("success").exists())
    began = time.monotonic()
    runner.stop()
    assert time.monotonic() - began < 5
    wait_for_threads()
    rows = QueuedTask.objects
    assert rows.with_status("running").count() == 0
    assert rows.with_status("queued").count() > 1_000
    assert not rows.with_status("queued").filter(attempts__gt=0).exists()


def test_u17_stop_returns_only_when_the_running_task_has_ended(gate):
    task = enqueue("Gated")
    runner = TaskQueueRunner(concurrency=1, poll_seconds=0.05)
    runner.start()
    wait_until(lambda: fresh(task).status == "running")
    threading.Timer(0.3, gate.set).start()
    runner.stop()
    assert fresh(task).status == "success"
    wait_for_threads()


def test_u18_a_stop_before_the_start_does_not_stop_the_next_run():
    runner = TaskQueueRunner(poll_seconds=0.05)
    runner.stop()
    runner.start()
    try:
        first = enqueue("Noop")
        wait_until(lambda: fresh(first).status == "success")
        second = enqueue("Noop")
        wait_until(lambda: fresh(second).status == "success")
    finally:
        runner.stop()
        wait_for_threads()


def test_u19_many_tasks_take_no_second_each():
    enqueue_many("Noop", [{}] * 100)
    began = time.monotonic()
    work_until_empty(concurrency=2)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("name", ["", None])
def test_u20_no_task_has_an_empty_queue_name(name):
    if name is None:
        assert fresh(enqueue("Noop", queue_name=None)).queue_name == "default"
        return
    with pytest.raises(InvalidQueueName):
        enqueue("Noop", queue_name=name)
    with pytest.raises(InvalidQueueName):
        add_task(queue_name=name)
    task = enqueue("Noop")
    task.queue_name = name
    with pytest.raises(InvalidQueueName):
        task.save()


def test_u21_a_parameter_that_is_no_text_does_not_empty_the_others():
    given = {"name": "Tom", "n": 5, "list": [1], "none": None, "yes": True}
    task = enqueue("Typed", given)
    work_until_empty()
    assert fresh(task).output["parameters"] == given


def test_u22_aliases_match_exactly_in_code_and_parameters_name_no_alias(add_handler):
    class Alias(TaskHandler):
        alias = "send_email"

        def handle(self):
            return {"ran": "send_email", "alias": self.get_param("task_alias")}

    class Other(TaskHandler):
        alias = "SendEmail"

        def handle(self):
            return {"ran": "SendEmail"}

    add_handler(Alias)
    add_handler(Other)
    first = enqueue("send_email", {"task_alias": "SendEmail"})
    second = enqueue("SendEmail")
    work_until_empty()
    assert fresh(first).output == {"ran": "send_email", "alias": "SendEmail"}
    assert fresh(second).output == {"ran": "SendEmail"}


def test_u23_a_canceled_definition_neither_takes_nor_runs_work():
    task = enqueue("Noop")
    TaskDefinition.objects.get(alias="Noop").cancel()
    with pytest.raises(DefinitionCanceled):
        enqueue("Noop")
    work_until_empty()
    assert fresh(task).status == "canceled"


def test_u24_a_deleted_definition_does_not_break_the_next_start():
    from django_taskstore import definitions

    TaskDefinition.objects.get(alias="Noop").soft_delete()
    definitions.mirror("default")
    task = enqueue("HelloWorldTask")
    work_until_empty()
    assert fresh(task).status == "success"


def test_u25_log_lines_are_saved_while_the_task_runs_and_stamped_in_utc(add_handler):
    opened = threading.Event()

    class Telling(TaskHandler):
        def handle(self):
            self.log_info("half way")
            assert opened.wait(30)

    add_handler(Telling)
    task = enqueue("Telling")
    with running(concurrency=1):
        try:
            wait_until(lambda: "half way" in fresh(task).details, seconds=10)
            stored = fresh(task)
            assert stored.status == "running"
            stamp = datetime.fromisoformat(f"{stored.details[1:20]}+00:00")
            assert abs(stamp - datetime.now(UTC)) < timedelta(minutes=1)
        finally:
            opened.set()


def test_u26_ids_are_the_databases():
    enqueue_many("Noop", [{}] * 200)
    assert QueuedTask.objects.values("pk").distinct().count() == 200


def test_u27_no_date_stands_for_no_date():
    task = fresh(enqueue("Noop"))
    for column in ("started_at", "completed_at", "lease_expires_at", "soft_deleted_at"):
        assert getattr(task, column) is None
    assert abs(task.run_after - timezone.now()) < timedelta(minutes=1)


@pytest.mark.parametrize("concurrency", [0, -1])
def test_u28_a_concurrency_that_makes_no_sense_is_refused(concurrency):
    with pytest.raises(ValueError, match="expected a number above 0"):
        TaskQueueRunner(concurrency=concurrency)


def test_errors_are_not_swallowed():
    task = enqueue("Failing", {"message": "the reason"})
    work_until_empty()
    assert "the reason" in fresh(task).details
    attempt = TaskAttempt.objects.get()
    assert (attempt.message, "Traceback" in attempt.traceback) == ("the reason", True)
    with pytest.raises(ClaimLost):
        claim = enqueue("Noop") and claim_next()
        succeed(claim)
        outcomes.fail(claim, "too late")
