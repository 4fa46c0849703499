"""One execution: what a handler returns, raises and leaves behind, and what becomes of it.

`run_once` is the runner's real round on this thread; it serves inside a test's transaction.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone, translation

from django_taskstore import Cancel, Retry, Snooze, TaskHandler, TaskQueueRunner, enqueue
from django_taskstore.exceptions import TaskFailed
from django_taskstore.executor import run_now
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.registry import registry
from django_taskstore.statuses import Ending
from tests.helpers import fresh, in_threads
from tests.testapp.models import Effect

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(add_handler):
    """Return a function that runs a handler once through a runner and gives the row back."""

    def run(work, *, rounds=1, parameters=None, options=None, **attributes):
        method = "handle_with_context" if work.__code__.co_argcount == 2 else "handle"
        add_handler(type("Probe", (TaskHandler,), {method: work, **attributes}))
        task = enqueue("Probe", parameters, **(options or {}))
        runner = TaskQueueRunner(concurrency=1)
        for _ in range(rounds):
            runner.run_once()
        return fresh(task)

    return run


@pytest.mark.parametrize(
    ("returned", "status", "output"),
    [
        (True, "success", None),
        (None, "success", None),
        (False, "failed", None),
        (0, "success", 0),
        ("", "success", ""),
        ([], "success", []),
        ({"a": [1, "ü"]}, "success", {"a": [1, "ü"]}),
    ],
)
def test_what_a_returned_value_means(runs, returned, status, output):
    task = runs(lambda self: returned)
    assert (task.status, task.output, task.attempts) == (status, output, 1)


def test_an_output_that_was_set_is_stored_with_true(runs):
    def work(self):
        self.output = {"answer": 42}
        return True

    assert runs(work).output == {"answer": 42}


def test_false_fails_with_the_last_error_line(runs):
    def work(self):
        self.log_error("the printer is on fire")
        return False

    task = runs(work)
    assert task.status == "failed"
    assert "ERROR: the printer is on fire" in task.details
    attempt = TaskAttempt.objects.get()
    assert attempt.message == "the printer is on fire"
    assert attempt.exception_class.endswith("TaskFailed")


def test_false_without_a_line_says_that_it_was_false(runs):
    runs(lambda self: False)
    assert TaskAttempt.objects.get().message == "The handler returned False."


@pytest.mark.parametrize(
    "output",
    [{1, 2}, float("nan"), object(), {"a": (1,)}, "\x00", b"raw", [range(3)]],
)
def test_an_output_that_is_no_json_fails_the_task_with_the_reason(runs, output):
    task = runs(lambda self: output, max_attempts=3)
    assert task.status == "failed", "trying again would give the same output"
    assert TaskAttempt.objects.get().message
    assert "ERROR" in task.details


def test_an_output_that_is_too_large_fails_the_task(runs, settings):
    settings.TASKSTORE = {"MAX_OUTPUT_BYTES": 100}
    task = runs(lambda self: "x" * 101)
    assert (task.status, task.output) == ("failed", None)
    assert "more than the 100 allowed" in task.details


def test_an_exception_fails_the_task_and_is_told_in_log_and_record(runs):
    def work(self):
        self.log_info("before")
        raise ValueError("boom")

    task = runs(work)
    lines = task.details.splitlines()
    assert lines[0].endswith("INFO: before")
    assert lines[1].endswith("ERROR: ValueError: boom")
    attempt = TaskAttempt.objects.get()
    assert (attempt.exception_class, attempt.message) == ("ValueError", "boom")
    assert 'raise ValueError("boom")' in attempt.traceback


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def endless(depth=0):
    return endless(depth + 1)


@pytest.mark.parametrize(
    ("raising", "name"),
    [
        (SystemExit(3), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
        (Mute(), "tests.test_executor.Mute"),
        (MemoryError(), "MemoryError"),
        (None, "RecursionError"),
        (ExceptionGroup("many", [ValueError("a"), KeyError("b")]), "ExceptionGroup"),
        (UnicodeError("\ud800"), "UnicodeError"),
    ],
)
def test_whatever_a_handler_raises_is_recorded(runs, raising, name):
    def work(self):
        if raising is None:
            endless()
        raise raising

    assert runs(work).status == "failed"
    assert TaskAttempt.objects.get().exception_class == name


def test_retry_counts_an_attempt_and_fails_when_none_is_left(runs):
    def work(self):
        raise Retry(0, "the gateway is busy")

    task = runs(work, max_attempts=2)
    assert (task.status, task.attempts) == ("scheduled", 1)
    assert "the gateway is busy" in task.details
    TaskQueueRunner().run_once()
    task.refresh_from_db()
    assert (task.status, task.attempts) == ("failed", 2)
    outcomes = TaskAttempt.objects.order_by("claim_seq").values_list("outcome", "number")
    assert list(outcomes) == [("retried", 1), ("failed", 2)]


def test_retry_waits_as_long_as_it_says_else_as_the_backoff_says(runs):
    def work(self):
        raise Retry(self.get_param("delay", None))

    def wait(**options):
        before = timezone.now()
        task = runs(work, max_attempts=9, backoff=[100], **options)
        return (task.run_after - before).total_seconds()

    assert 45 < wait(parameters={"delay": 50}) < 60
    assert 95 < wait() < 110


def test_snooze_does_not_count(runs):
    def work(self):
        if not self.queued_task.claim_seq > 2:
            raise Snooze(0)

    task = runs(work, rounds=3)
    assert (task.status, task.attempts, task.claim_seq) == ("success", 1, 3)


def test_cancel_ends_the_task_as_canceled_with_the_reason(runs):
    def work(self):
        raise Cancel("no longer wanted")

    task = runs(work, max_attempts=5)
    assert task.status == "canceled"
    assert "no longer wanted" in task.details
    assert TaskAttempt.objects.get().outcome == "canceled"


@pytest.mark.parametrize("broken", [lambda attempt: 1 / 0, "soon", [], lambda attempt: None])
def test_a_backoff_that_fails_does_not_strand_the_task(runs, broken):
    def work(self):
        raise ValueError("x")

    wrapped = staticmethod(broken) if callable(broken) else broken
    task = runs(work, max_attempts=2, backoff=wrapped)
    assert task.status == "scheduled"
    assert task.run_after > timezone.now() + timedelta(seconds=10)
    assert "backoff failed, the default is used" in task.details


def test_a_backoff_may_be_a_function_of_the_attempt(runs):
    def work(self):
        raise ValueError("x")

    before = timezone.now()
    task = runs(work, max_attempts=2, backoff=staticmethod(lambda attempt: attempt * 500))
    assert 490 < (task.run_after - before).total_seconds() < 510


def test_the_log_goes_on_through_attempts(runs):
    def work(self):
        self.log_info(f"attempt {self.queued_task.attempts}")
        if self.queued_task.attempts < 3:
            raise ValueError("again")

    task = runs(work, rounds=3, max_attempts=3, backoff=0)
    assert task.status == "success"
    said = [line.split(": ", 1)[1] for line in task.details.splitlines()]
    assert said == [
        "attempt 1", "ValueError: again", "attempt 2", "ValueError: again", "attempt 3",
    ]  # fmt: skip


def test_the_context_knows_attempt_deadline_and_progress(runs):
    def work(self, context):
        context.set_progress(3, 4, "almost")
        return [context.attempt, (context.deadline - timezone.now()).total_seconds()]

    task = runs(work, timeout=timedelta(seconds=50))
    attempt, left = task.output
    assert attempt == 1
    assert 40 < left <= 50
    assert task.progress == {"done": 3, "total": 4, "message": "almost"}


def test_each_execution_has_its_own_handler(runs):
    seen = []

    def work(self):
        seen.append(self)
        raise ValueError("again")

    runs(work, rounds=2, max_attempts=2, backoff=0)
    assert len({id(handler) for handler in seen}) == 2


def test_the_queued_task_is_at_hand_without_a_query(runs):
    def work(self):
        with connection.execute_wrapper(refuse):
            task = self.queued_task
            return [task.queue_name, task.priority, task.attempts, task.status, task.metadata]

    def refuse(execute, sql, params, many, context):
        raise AssertionError(sql)

    task = runs(work, options={"priority": 4, "metadata": {"t": 1}})
    assert task.output == ["default", 4, 1, "running", {"t": 1}], task.details


def test_an_async_handler_runs_in_run_once_too(runs):
    async def work(self):
        await asyncio.sleep(0)
        self.log_success("awaited")
        return {"loop": True}

    task = runs(work)
    assert (task.status, task.output) == ("success", {"loop": True})
    assert "SUCCESS: awaited" in task.details


def test_an_atomic_handlers_writes_and_outcome_come_together(runs):
    def work(self):
        Effect.objects.create(task_id=self.queued_task.pk)

    task = runs(work, atomic=True)
    assert task.status == "success"
    assert Effect.objects.get().task_id == task.pk


@pytest.mark.parametrize(
    ("ending", "status"),
    [(ValueError("x"), "failed"), (Retry(9), "scheduled"), (Snooze(9), "scheduled"),
     (Cancel(), "canceled"), (False, "failed"), ({1}, "failed"), (SystemExit(), "failed")],
)  # fmt: skip
def test_an_atomic_handler_that_does_not_succeed_writes_nothing(runs, ending, status):
    def work(self):
        Effect.objects.create(task_id=self.queued_task.pk)
        if isinstance(ending, BaseException):
            raise ending
        return ending

    assert runs(work, atomic=True, max_attempts=2, backoff=5).status in (status, "scheduled")
    assert Effect.objects.count() == 0


def test_an_atomic_handler_that_lost_its_lease_writes_nothing(runs):
    def work(self):
        Effect.objects.create(task_id=self.queued_task.pk)
        QueuedTask.objects.filter(pk=self.queued_task.pk).update(claim_seq=99)

    before = Effect.objects.count()
    task = runs(work, atomic=True)
    assert Effect.objects.count() == before
    assert task.claim_seq == 1, "the handler's own write is undone as well"


@pytest.mark.django_db(transaction=True)
def test_an_atomic_handler_whose_task_somebody_else_took_writes_nothing(runs):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time: nobody can take the task meanwhile")

    def work(self):
        pk = self.queued_task.pk
        in_threads(lambda: QueuedTask.objects.filter(pk=pk).update(claim_seq=99))
        Effect.objects.create(task_id=pk)

    task = runs(work, atomic=True)
    assert Effect.objects.count() == 0
    assert (task.status, task.claim_seq) == ("running", 99)


@pytest.mark.django_db(transaction=True)
def test_what_a_handler_leaves_open_is_rolled_back(runs):
    def work(self):
        transaction.atomic().__enter__()
        Effect.objects.create(task_id=1)
        transaction.atomic().__enter__()
        Effect.objects.create(task_id=2)

    assert runs(work).status == "success"
    assert not connection.in_atomic_block
    assert Effect.objects.count() == 0
    assert connection.get_autocommit()


@pytest.mark.django_db(transaction=True)
def test_a_handler_that_switches_autocommit_off_does_not_harm_the_next(runs):
    def work(self):
        transaction.set_autocommit(False)
        Effect.objects.create(task_id=1)

    assert runs(work).status == "success"
    assert connection.get_autocommit()
    assert Effect.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_healthy_connection_is_kept_where_conn_max_age_is_zero(runs):
    assert connection.settings_dict["CONN_MAX_AGE"] == 0
    connection.ensure_connection()
    before = connection.connection
    assert runs(lambda self: Effect.objects.count()).status == "success"
    assert connection.connection is before


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_broke_in_a_handler_is_replaced(runs):
    def work(self):
        connection.ensure_connection()
        connection.connection.close()
        Effect.objects.count()

    assert runs(work).status == "failed"
    assert Effect.objects.count() == 0, "the next statement connects again"


def test_hygiene_keeps_the_transaction_that_is_around(runs):
    """A TestCase's own transaction is no leak."""

    def work(self):
        transaction.atomic().__enter__()
        Effect.objects.create(task_id=1)

    Effect.objects.create(task_id=0)
    assert runs(work).status == "success"
    assert connection.in_atomic_block
    assert [effect.task_id for effect in Effect.objects.all()] == [0]


def test_time_zone_and_language_are_reset(runs):
    zone, language = timezone.get_current_timezone_name(), translation.get_language()

    def work(self):
        timezone.activate("Asia/Tokyo")
        translation.activate("de")

    assert runs(work).status == "success"
    assert timezone.get_current_timezone_name() == zone
    assert translation.get_language() == language


def test_a_receiver_that_raises_changes_nothing(runs, caplog):
    from django_taskstore import signals

    def explode(**kwargs):
        raise ValueError("receiver")

    for signal in (signals.task_started, signals.task_succeeded):
        signal.connect(explode)
    try:
        assert runs(lambda self: True).status == "success"
    finally:
        for signal in (signals.task_started, signals.task_succeeded):
            signal.disconnect(explode)
    assert "receiver" in caplog.text


def test_the_signals_of_a_life(runs, seen_signals, django_capture_on_commit_callbacks):
    def work(self):
        if self.queued_task.attempts == 1:
            raise ValueError("x")

    with django_capture_on_commit_callbacks(execute=True):
        task = runs(work, rounds=2, max_attempts=2, backoff=0)
    mine = [name for name, kwargs in seen_signals if kwargs["task_id"] == task.pk]
    assert sorted(mine) == sorted(
        ["task_enqueued", "task_started", "task_retried", "task_started", "task_succeeded"]
    )
    retried = next(kwargs for name, kwargs in seen_signals if name == "task_retried")
    assert isinstance(retried["exception"], ValueError)
    assert (retried["alias"], retried["queue_name"], retried["attempt"]) == ("Probe", "default", 1)


def test_a_wait_beyond_the_calendar_does_not_stop_the_worker(runs):
    def work(self):
        raise Snooze(timedelta.max)

    other = enqueue("HelloWorldTask", priority=-1)
    task = runs(work, rounds=1)
    for _ in range(3):
        TaskQueueRunner().run_once()
    assert fresh(other).status == "success"
    assert fresh(task).status in ("failed", "scheduled")


def test_a_handler_that_was_constructed_wrongly_fails_its_task(runs):
    def construct(self, **state):
        raise TypeError("cannot be built")

    task = runs(lambda self: True, __init__=construct)
    assert task.status == "failed"
    assert "cannot be built" in task.details


def test_run_now_works_without_a_queue():
    heard = []
    result = run_now(
        registry.get("HelloWorldTask"), {"name": "Tom"},
        echo=lambda level, text: heard.append((level, text)),
    )  # fmt: skip
    assert result.ending is Ending.SUCCEEDED
    assert heard == [("INFO", "Hello Tom!")]
    assert isinstance(run_now(registry.get("SayNo"), {}).exception, TaskFailed)
    assert run_now(registry.get("AsyncHello"), {}).output == {"loop": True}
    assert QueuedTask.objects.count() == 0


def test_run_now_undoes_an_atomic_handler_that_fails():
    assert run_now(registry.get("AtomicEffect"), {"fail": True}).ending is Ending.FAILED
    assert Effect.objects.count() == 0
    assert run_now(registry.get("AtomicEffect"), {}).ending is Ending.SUCCEEDED
    assert Effect.objects.count() == 1


def test_the_run_time_is_known(runs):
    from django_taskstore import signals

    seen = []

    def receive(outcome, **kwargs):
        seen.append(outcome.run_seconds)

    signals.task_succeeded.connect(receive)
    try:
        runs(lambda self: time.sleep(0.05))
    finally:
        signals.task_succeeded.disconnect(receive)
    assert 0.05 <= seen[0] < 5
