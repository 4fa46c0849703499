"""What a round costs, and what happens to running tasks: cancel, timeout, news, the pool."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_taskstore import TaskHandler, TaskQueueRunner, enqueue, enqueue_many
from django_taskstore.database.limits import Limits
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.runner.dispatcher import Dispatcher
from django_taskstore.runner.identity import Identity
from django_taskstore.runner.pace import Pace
from tests.helpers import fresh, running, wait_until, work_until_empty
from tests.testapp.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)


def status(task):
    return fresh(task).status


def a_dispatcher(concurrency):
    identity = Identity(uuid.uuid4(), ("default",), concurrency, "default")
    limits = Limits("default", answer_seconds=10)
    return Dispatcher(identity, lease_seconds=60, poll_seconds=1000, max_tasks=None, limits=limits)


def test_a_round_is_one_transaction_that_takes_outcomes_and_claims():
    enqueue_many("Noop", [{}] * 20)
    dispatcher = a_dispatcher(5)
    assert dispatcher.round() == 5
    with CaptureQueriesContext(connection) as queries:
        # How much is claimed ahead follows the pace; on a slow machine it is nothing.
        assert dispatcher.round() >= 5 + 5
    sql = [query["sql"] for query in queries]
    assert sum(one.startswith("COMMIT") for one in sql) == 1, sql
    updates = [one for one in sql if one.startswith("UPDATE")]
    assert len(updates) == 2, "one for the outcomes, one for the claims"
    selects = [one for one in sql if one.startswith("SELECT")]
    assert len(selects) <= 3, "the claim and, once a second, queues and definitions"
    assert QueuedTask.objects.with_status("success").count() == 5


def test_an_idle_round_costs_one_look_a_queue():
    dispatcher = a_dispatcher(5)
    dispatcher.round()
    with CaptureQueriesContext(connection) as queries:
        assert dispatcher.round() == 0
    sql = [query["sql"] for query in queries]
    writes = [one for one in sql if one.startswith(("UPDATE", "INSERT", "DELETE"))]
    assert all("SKIP LOCKED" in one for one in writes), "a claim that finds nothing is a look"
    assert len(sql) <= 2, sql


def test_no_task_is_claimed_before_a_slot_is_free(add_handler):
    opened = threading.Event()

    class Slow(TaskHandler):
        def handle(self):
            assert opened.wait(30)

    add_handler(Slow)
    enqueue_many("Slow", [{}] * 10)
    with running(concurrency=3):
        try:
            rows = QueuedTask.objects
            wait_until(lambda: rows.with_status("running").count() == 3)
            began = time.monotonic()
            wait_until(lambda: time.monotonic() - began > 0.5)
            assert rows.with_status("running").count() == 3
            assert rows.filter(claim_seq__gt=0).count() == 3
        finally:
            opened.set()


def test_concurrency_is_reached_and_not_exceeded(add_handler):
    inside, most, lock = [0], [0], threading.Lock()
    four = threading.Barrier(4)

    class Counting(TaskHandler):
        def handle(self):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            four.wait(30)
            with lock:
                inside[0] -= 1

    add_handler(Counting)
    enqueue_many("Counting", [{}] * 40)
    work_until_empty(concurrency=4)
    assert QueuedTask.objects.with_status("success").count() == 40
    assert most[0] == 4


def test_tasks_on_several_threads_do_not_share_a_handler(add_handler):
    eight = threading.Barrier(8)

    class Echoing(TaskHandler):
        def handle(self):
            self.log_info(self.get_param("n"))
            eight.wait(30)
            return {"n": self.get_param("n"), "log": self.last_info_message}

    add_handler(Echoing)
    enqueue_many("Echoing", [{"n": n} for n in range(64)])
    work_until_empty(concurrency=8)
    for task in QueuedTask.objects.all():
        n = task.parameters["n"]
        assert task.output == {"n": n, "log": str(n)}
        assert task.details.endswith(f"INFO: {n}")
        assert task.details.count("INFO") == 1


@pytest.mark.parametrize(
    "raising", [SystemExit(1), KeyboardInterrupt(), RecursionError(), ValueError("x")]
)
def test_the_worker_outlives_what_a_handler_raises(add_handler, raising):
    class Raising(TaskHandler):
        def handle(self):
            raise raising

    add_handler(Raising)
    bad = [enqueue("Raising") for _ in range(5)]
    good = [enqueue("Noop") for _ in range(5)]
    work_until_empty(concurrency=2)
    assert {status(task) for task in bad} == {"failed"}
    assert {status(task) for task in good} == {"success"}


def test_the_worker_outlives_a_connection_that_a_handler_destroyed(add_handler):
    class Destroying(TaskHandler):
        def handle(self):
            connection.ensure_connection()
            connection.connection.close()
            Effect.objects.count()

    add_handler(Destroying)
    bad, good = enqueue("Destroying"), [enqueue("AtomicEffect") for _ in range(3)]
    work_until_empty(concurrency=1, seconds=20)
    assert status(bad) == "failed"
    assert {status(task) for task in good} == {"success"}


@pytest.mark.parametrize("how", ["snooze", "retry", "backoff"])
def test_the_worker_outlives_a_wait_beyond_the_calendar(add_handler, how):
    from django_taskstore import Retry, Snooze

    class Forever(TaskHandler):
        max_attempts = 2
        backoff = 1e15

        def handle(self):
            if how == "snooze":
                raise Snooze(timedelta.max)
            if how == "retry":
                raise Retry(1e15)
            raise ValueError("x")

    add_handler(Forever)
    bad, good = enqueue("Forever"), enqueue("Noop")
    with running(concurrency=1):
        wait_until(lambda: status(good) == "success", seconds=10)
        wait_until(lambda: status(bad) in ("failed", "scheduled"), seconds=10)


def test_the_worker_outlives_receivers_that_raise(seen_signals):
    from django_taskstore import signals

    def explode(**kwargs):
        raise ValueError("receiver")

    every = [signals.task_started, signals.task_succeeded, signals.task_failed]
    for signal in every:
        signal.connect(explode)
    try:
        tasks = [enqueue("Noop"), enqueue("Failing"), enqueue("Noop")]
        work_until_empty(concurrency=1)
    finally:
        for signal in every:
            signal.disconnect(explode)
    assert [status(task) for task in tasks] == ["success", "failed", "success"]
    assert {"task_succeeded", "task_failed"} <= {name for name, _ in seen_signals}


def test_a_running_task_hears_that_it_was_canceled(add_handler):
    began = threading.Event()

    class Waiting(TaskHandler):
        def handle_with_context(self, context):
            began.set()
            assert context.wait(30)
            context.raise_if_canceled()

    add_handler(Waiting)
    task = enqueue("Waiting", max_attempts=3)
    with running(concurrency=1):
        assert began.wait(30)
        assert task.cancel() is True
        wait_until(lambda: status(task) == "canceled", seconds=10)


def test_a_handler_that_ends_well_in_spite_of_a_cancel_succeeds(add_handler):
    began = threading.Event()

    class EndsAnyway(TaskHandler):
        def handle_with_context(self, context):
            began.set()
            assert context.wait(30)
            return {"done": "anyway"}

    add_handler(EndsAnyway)
    task = enqueue("EndsAnyway")
    with running(concurrency=1):
        assert began.wait(30)
        task.cancel()
        wait_until(lambda: fresh(task).is_final, seconds=10)
    assert (status(task), fresh(task).output) == ("success", {"done": "anyway"})


def test_a_plain_async_handler_is_canceled_at_its_await():
    task = enqueue("AsyncHello", {"seconds": 60})
    with running(concurrency=1):
        wait_until(lambda: fresh(task).status == "running")
        task.cancel()
        wait_until(lambda: status(task) == "canceled", seconds=10)


def test_a_timeout_reaches_a_handler_through_its_context(add_handler):
    class Slow(TaskHandler):
        timeout = 0.5

        def handle_with_context(self, context):
            assert context.wait(30)
            context.raise_if_canceled()

    add_handler(Slow)
    task = enqueue("Slow")
    with running(concurrency=1):
        wait_until(lambda: status(task) == "failed", seconds=10)
    assert TaskAttempt.objects.get().exception_class.endswith("TaskTimedOut")
    assert "longer than its timeout" in fresh(task).details


def test_a_timeout_stops_an_async_handler(add_handler):
    class Slow(TaskHandler):
        timeout = timedelta(seconds=0.2)
        max_attempts = 2
        backoff = 0

        async def handle(self):
            await asyncio.sleep(60)

    add_handler(Slow)
    task = enqueue("Slow")
    began = time.monotonic()
    work_until_empty(concurrency=1, seconds=20)
    assert time.monotonic() - began < 15
    assert (status(task), fresh(task).attempts) == ("failed", 2)
    kinds = set(TaskAttempt.objects.values_list("exception_class", flat=True))
    assert kinds == {"django_taskstore.exceptions.TaskTimedOut"}


def test_async_handlers_run_at_the_same_time():
    enqueue_many("AsyncHello", [{"seconds": 0.5}] * 20)
    began = time.monotonic()
    work_until_empty(concurrency=20)
    assert time.monotonic() - began < 5, "one after the other they would take ten seconds"
    assert QueuedTask.objects.with_status("success").count() == 20


def test_async_handlers_share_the_concurrency(add_handler):
    inside, most = [0], [0]

    class Counting(TaskHandler):
        async def handle(self):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            await asyncio.sleep(0.02)
            inside[0] -= 1

    add_handler(Counting)
    enqueue_many("Counting", [{}] * 20)
    work_until_empty(concurrency=3)
    assert most[0] == 3


def test_an_async_handler_uses_the_orm_and_a_broken_connection_there_heals(add_handler):
    from asgiref.sync import sync_to_async

    class Reading(TaskHandler):
        async def handle(self):
            if self.get_param("break"):
                await sync_to_async(self.destroy)()
            return await Effect.objects.acount()

        def destroy(self):
            connection.ensure_connection()
            connection.connection.close()

    add_handler(Reading)
    first = enqueue("Reading")
    bad = enqueue("Reading", {"break": True})
    last = enqueue("Reading")
    work_until_empty(concurrency=1, seconds=20)
    assert [status(task) for task in (first, bad, last)] == ["success", "failed", "success"]


def test_progress_and_log_are_saved_while_the_task_runs(add_handler):
    opened = threading.Event()

    class Telling(TaskHandler):
        def handle_with_context(self, context):
            self.log_info("half way")
            context.set_progress(5, 10, "half")
            assert opened.wait(30)
            self.log_info("done")

    add_handler(Telling)
    task = enqueue("Telling")
    with running(concurrency=1):
        try:
            wait_until(lambda: fresh(task).progress, seconds=10)
            stored = fresh(task)
            assert stored.status == "running"
            assert stored.progress == {"done": 5, "total": 10, "message": "half"}
            assert stored.details.endswith("INFO: half way")
        finally:
            opened.set()
        wait_until(lambda: status(task) == "success")
    assert [line[-8:] for line in fresh(task).details.splitlines()] == ["half way", "FO: done"]


def test_the_lease_of_a_running_task_is_renewed(add_handler):
    opened = threading.Event()

    class Slow(TaskHandler):
        def handle(self):
            assert opened.wait(30)

    add_handler(Slow)
    task = enqueue("Slow")
    with running(concurrency=1, lease_seconds=1.5):
        try:
            wait_until(lambda: status(task) == "running")
            first = fresh(task).lease_expires_at
            wait_until(lambda: fresh(task).lease_expires_at > first + timedelta(seconds=2))
            assert fresh(task).claim_seq == 1
        finally:
            opened.set()
        wait_until(lambda: status(task) == "success")


def test_a_task_whose_claim_was_lost_is_told_and_its_outcome_rejected(add_handler, caplog):
    began = threading.Event()

    class Losing(TaskHandler):
        def handle_with_context(self, context):
            began.set()
            assert context.wait(30)
            return "too late"

    add_handler(Losing)
    task = enqueue("Losing")
    with running(concurrency=1, lease_seconds=1.5):
        assert began.wait(30)
        QueuedTask.objects.filter(pk=task.pk).update(claim_seq=99)
        wait_until(lambda: "lease_lost" in caplog.text, seconds=10)
    stored = fresh(task)
    assert (stored.claim_seq, stored.output) == (99, None)


def test_another_workers_lost_task_is_rescued_and_run():
    from django_taskstore import claim_next
    from tests.helpers import expire

    task = enqueue("Noop")
    claim_next()
    expire(task)
    with running(concurrency=1, lease_seconds=1.5):
        wait_until(lambda: status(task) == "success", seconds=15)
    stored = fresh(task)
    assert (stored.attempts, stored.lost_count, stored.claim_seq) == (1, 1, 2)


heard: list = []


def hear(queue_name, task_id, exception):
    """Serve as ERROR_HANDLER."""
    heard.append((queue_name, task_id, type(exception).__name__, str(exception)))
    raise RuntimeError("the hook itself fails")


def test_the_error_handler_hears_of_each_failed_attempt(settings):
    settings.TASKSTORE = {"ERROR_HANDLER": "tests.test_runner_rounds.hear"}
    heard.clear()
    enqueue("Noop")
    failing = enqueue("Failing", {"message": "boom"}, queue_name="default")
    no = enqueue("SayNo", {"line": "nothing to print"})
    silent = enqueue("Steered", {"how": "cancel"})
    retried = enqueue("RetryTwice")
    work_until_empty(concurrency=1)
    assert ("default", failing.pk, "ValueError", "boom") in heard
    assert ("default", no.pk, "TaskFailed", "nothing to print") in heard
    assert sum(one[1] == retried.pk for one in heard) == 2
    assert not [one for one in heard if one[1] == silent.pk]
    assert len(heard) == 4


def test_each_thread_cleans_up_after_its_tasks(add_handler):
    class LeavesTraces(TaskHandler):
        def handle(self):
            transaction.atomic().__enter__()
            Effect.objects.create(task_id=self.queued_task.pk)

    add_handler(LeavesTraces)
    enqueue_many("LeavesTraces", [{}] * 6)
    enqueue_many("AtomicEffect", [{}] * 6)
    work_until_empty(concurrency=2)
    assert QueuedTask.objects.with_status("success").count() == 12
    assert Effect.objects.count() == 6


def test_pace_claims_ahead_what_starts_within_a_tenth_of_a_second():
    pace = Pace()
    assert pace.ahead == 0, "nothing is known yet"
    pace.ended(20, seconds=0.01)
    assert pace.ahead == 0, "the tasks may be long"
    pace.ran(0.001)
    assert pace.ahead == 200
    for _ in range(20):
        pace.ended(10, seconds=5.0)
    assert pace.ahead == 0, "slow tasks are claimed one by one"
    for _ in range(30):
        pace.ended(100, seconds=0.001)
    assert pace.ahead == 1_000, "there is a limit"
    pace.stalled()
    assert pace.ahead == 0


def test_tasks_that_are_not_short_are_not_claimed_ahead():
    """However many threads make them end often: a kill would leave more than it has threads."""
    pace = Pace()
    pace.ended(1_000, seconds=1.0)
    for _ in range(40):
        pace.ran(0.03)
    assert pace.ahead == 0
    for _ in range(40):
        pace.ran(0.01)
    assert pace.ahead == 100


def test_the_usual_time_is_not_that_of_a_few_slow_tasks():
    pace = Pace()
    assert pace.usual_seconds is None
    for number in range(200):
        pace.ran(5.0 if number % 20 == 0 else 0.001)
    assert pace.usual_seconds < 0.01
    for _ in range(40):
        pace.ran(5.0)
    assert pace.usual_seconds > 1


def test_what_was_claimed_ahead_behind_a_slow_task_goes_back(add_handler):
    opened = threading.Event()

    class Mixed(TaskHandler):
        def handle(self):
            if self.get_param("slow"):
                assert opened.wait(30)

    add_handler(Mixed)
    enqueue_many("Mixed", [{}] * 30, priority=10)
    enqueue("Mixed", {"slow": True})
    behind = [enqueue("Mixed", priority=-5) for _ in range(5)]
    with running(concurrency=1):
        try:
            rows = QueuedTask.objects
            wait_until(lambda: rows.with_status("success").count() == 30)
            wait_until(lambda: rows.with_status("running").count() == 1, seconds=10)
            assert {fresh(task).status for task in behind} == {"queued"}
            assert {fresh(task).attempts for task in behind} == {0}
        finally:
            opened.set()
        wait_until(lambda: rows.with_status("success").count() == 36)


def test_run_once_is_at_home_in_a_transaction():
    with transaction.atomic():
        task = enqueue("HelloWorldTask")
        TaskQueueRunner().run_once()
        assert status(task) == "success"
        assert connection.in_atomic_block
        transaction.set_rollback(True)
    assert not QueuedTask.objects.exists()
