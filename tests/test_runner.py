"""The runner: what it claims, how it stops, and that nothing a handler does ends it."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction
from django.utils import timezone, translation

from django_taskstore import TaskHandler, TaskQueueRunner, enqueue, enqueue_many, signals
from django_taskstore.exceptions import InvalidQueueName
from django_taskstore.models import Queue, QueuedTask, TaskAttempt
from django_taskstore.registry import registry
from tests.helpers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def handler():
    """Register handlers made in a test, and forget them afterwards."""
    made = []

    def make(handle, **attributes):
        made_class = type(f"Made{len(made)}", (TaskHandler,), {**attributes, "handle": handle})
        registry.add(made_class)
        made.append(made_class.alias)
        return made_class

    yield make
    for alias in made:
        registry.remove(alias)


def drain(*queues, **options):
    """Run a started runner until nothing is due."""
    runner = TaskQueueRunner(*queues, poll_seconds=0.05, **options)
    runner.start(until_empty=True)
    runner.join(60)
    assert not runner.is_running
    return runner


def status_of(task):
    """Read a task's status."""
    return QueuedTask.all_objects.get(pk=task.pk).status


def test_run_once_runs_what_is_due_on_this_thread(handler):
    seen = []
    kind = handler(lambda self: seen.append(threading.get_ident()))
    task = kind.enqueue()
    assert TaskQueueRunner().run_once() > 0
    assert TaskQueueRunner().run_once() == 0
    assert (status_of(task), seen) == ("success", [threading.get_ident()])


@pytest.mark.django_db
def test_run_once_works_inside_a_tests_transaction():
    task = enqueue("AtomicEffect")
    TaskQueueRunner().run_once()
    assert status_of(task) == "success"
    assert connection.in_atomic_block


def test_start_stop_and_is_running():
    runner = TaskQueueRunner(poll_seconds=0.05)
    assert not runner.is_running
    runner.start()
    assert runner.is_running
    with pytest.raises(RuntimeError, match="runs already"):
        runner.start()
    with pytest.raises(RuntimeError, match="own rounds"):
        runner.run_once()
    task = enqueue("Noop")
    wait_until(lambda: status_of(task) == "success")
    runner.stop()
    assert not runner.is_running
    again = enqueue("Noop")
    runner.start()
    wait_until(lambda: status_of(again) == "success", what="a second start")
    runner.stop()


def test_stop_waits_for_running_tasks_but_not_for_an_empty_queue(handler):
    begun, go_on = threading.Event(), threading.Event()

    def handle(self):
        begun.set()
        go_on.wait(30)

    kind = handler(handle)
    kind.enqueue_many([{}] * 50)
    runner = TaskQueueRunner(concurrency=1, poll_seconds=0.05)
    runner.start()
    assert begun.wait(30)
    runner.request_stop()
    assert runner.is_running
    go_on.set()
    runner.join(30)
    assert not runner.is_running
    counts = QueuedTask.objects.with_status("success").count()
    assert counts == 1
    assert QueuedTask.objects.with_status("queued").filter(attempts=0).count() == 49


def test_nothing_is_claimed_before_a_slot_is_free(handler):
    begun, go_on = threading.Semaphore(0), threading.Event()

    def handle(self):
        begun.release()
        go_on.wait(30)

    handler(handle).enqueue_many([{}] * 5)
    runner = TaskQueueRunner(concurrency=2, poll_seconds=0.02)
    runner.start()
    assert begun.acquire(timeout=30)
    assert begun.acquire(timeout=30)
    assert QueuedTask.objects.with_status("running").count() == 2
    go_on.set()
    wait_until(lambda: QueuedTask.objects.with_status("success").count() == 5)
    runner.stop()


def test_queues_share_one_pool_and_all_means_all():
    tasks = [enqueue("Noop", queue_name=name) for name in ("a", "b", "c")]
    drain("a", "b")
    assert [status_of(task) for task in tasks] == ["success", "success", "queued"]
    drain("*")
    assert status_of(tasks[2]) == "success"


def test_wrong_names_and_numbers_are_refused():
    with pytest.raises(InvalidQueueName):
        TaskQueueRunner("no spaces")
    with pytest.raises(ValueError, match="concurrency is 0"):
        TaskQueueRunner(concurrency=0)


def test_max_tasks_ends_the_runner():
    enqueue_many("Noop", [{}] * 5)
    runner = TaskQueueRunner(max_tasks=3, poll_seconds=0.05)
    runner.start()
    runner.join(30)
    assert not runner.is_running
    assert QueuedTask.objects.with_status("success").count() == 3


def test_a_paused_queue_is_left_alone_until_it_is_resumed():
    task = enqueue("Noop")
    queue = Queue.objects.get(name="default")
    queue.pause(by="ops", reason="mail server down")
    drain()
    assert status_of(task) == "queued"
    queue.resume()
    drain()
    assert status_of(task) == "success"


def test_a_runner_leaves_a_queue_whose_stop_was_requested():
    enqueue("Noop")
    runner = TaskQueueRunner(poll_seconds=0.05)
    runner.start()
    wait_until(lambda: QueuedTask.objects.with_status("success").exists())
    Queue.objects.get(name="default").request_stop()
    wait_until(lambda: not runner.is_running, what="the runner to leave its only queue")
    task = enqueue("Noop")
    drain()
    assert status_of(task) == "success", "a runner started later serves the queue again"


def test_unknown_handlers_go_back_untouched_and_block_nothing(handler):
    kind = handler(lambda self: True)
    kind.using(priority=50).enqueue_many([{}] * 50)
    registry.remove(kind.alias)
    before = set(QueuedTask.objects.values_list("pk", "status", "attempts", "run_after"))
    task = enqueue("Noop")
    drain(concurrency=2)
    assert status_of(task) == "success"
    rows = QueuedTask.objects.exclude(pk=task.pk)
    assert set(rows.values_list("pk", "status", "attempts", "run_after")) == before
    assert not TaskAttempt.objects.exists()


def test_tasks_of_a_canceled_definition_are_canceled_when_claimed():
    task = enqueue("Noop")
    task.definition.cancel()
    drain()
    assert status_of(task) == "canceled"
    task.definition.activate()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, RecursionError, MemoryError])
def test_no_exception_of_a_handler_ends_the_worker(handler, kind):
    def handle(self):
        raise kind("out")

    bad, good = handler(handle).enqueue(), enqueue("Noop")
    drain(concurrency=1)
    assert (status_of(bad), status_of(good)) == ("failed", "success")
    assert TaskAttempt.objects.get().exception_class == kind.__name__


def test_an_exception_without_a_text_is_recorded(handler):
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no words")

    def handle(self):
        raise Mute

    task = handler(handle).enqueue()
    drain()
    assert status_of(task) == "failed"
    assert "whose text fails" in TaskAttempt.objects.get().message


def test_what_a_handler_leaves_behind_is_tidied(handler):
    def leak(self):
        transaction.atomic().__enter__()
        QueuedTask.all_objects.filter(pk=self.queued_task.pk).update(priority=9)
        timezone.activate("Asia/Kathmandu")
        translation.activate("fr")

    def look(self):
        return [
            connection.in_atomic_block,
            timezone.get_current_timezone_name(),
            translation.get_language(),
        ]

    leaked = handler(leak).enqueue()
    looked = handler(look).enqueue()
    drain(concurrency=1)
    leaked.refresh_from_db()
    looked.refresh_from_db()
    assert (leaked.status, leaked.priority) == ("success", 0)
    assert looked.output == [False, "Europe/Sofia", "en-us"]


def test_a_healthy_connection_is_kept_between_tasks(handler):
    def handle(self):
        QueuedTask.objects.filter(pk=0).exists()
        return id(connection.connection)

    handler(handle).enqueue_many([{}] * 6)
    drain(concurrency=1)
    assert connection.settings_dict["CONN_MAX_AGE"] == 0
    assert len(set(QueuedTask.objects.values_list("output", flat=True))) == 1


def test_receivers_that_raise_change_nothing():
    def broken(**_):
        raise RuntimeError("receiver")

    for signal in (signals.task_started, signals.task_succeeded, signals.task_enqueued):
        signal.connect(broken)
    try:
        task = enqueue("Noop")
        drain()
    finally:
        for signal in (signals.task_started, signals.task_succeeded, signals.task_enqueued):
            signal.disconnect(broken)
    assert status_of(task) == "success"


def test_async_handlers_wait_together():
    enqueue_many("AsyncHello", [{"seconds": 1}] * 20)
    began = time.monotonic()
    drain(concurrency=20)
    assert QueuedTask.objects.with_status("success").count() == 20
    assert time.monotonic() - began < 10, "one after the other they take 20 s"


def test_a_running_task_hears_that_it_was_canceled(ledger):
    task = enqueue("PatientLedger", {"seconds": 60})
    runner = TaskQueueRunner(poll_seconds=0.05)
    runner.start()
    wait_until(ledger.starts)
    task.cancel()
    wait_until(lambda: status_of(task) == "canceled", what="the handler to stop")
    runner.stop()


def test_progress_and_log_are_saved_while_the_task_runs(handler):
    go_on = threading.Event()

    def handle(self, context):
        self.log_info("half way")
        context.set_progress(1, 2, "halving")
        go_on.wait(30)

    kind = handler(None, handle_with_context=handle)
    task = kind.enqueue()
    runner = TaskQueueRunner(poll_seconds=0.05)
    runner.start()
    row = wait_until(
        lambda: QueuedTask.objects.filter(pk=task.pk, details__contains="half way").first(),
        what="the live log",
    )
    go_on.set()
    runner.stop()
    assert (row.status, row.progress) == (
        "running",
        {"done": 1, "total": 2, "message": "halving"},
    )
