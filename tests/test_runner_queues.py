"""The runner from outside: start, stop, run_once, its queues and its limits."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore import TaskHandler, TaskQueueRunner, enqueue, enqueue_many
from django_taskstore.exceptions import InvalidQueueName
from django_taskstore.models import Queue, QueuedTask, TaskAttempt, TaskDefinition, Worker
from tests.helpers import (
    add_task,
    fresh,
    row_of,
    running,
    wait_for_threads,
    wait_until,
    work_until_empty,
)
from tests.testapp.tasks import Noop

pytestmark = pytest.mark.django_db(transaction=True)


def status(task):
    return fresh(task).status


@pytest.fixture
def gate(add_handler):
    """Register a handler that waits until the test opens the gate."""

    class Gate:
        opened = threading.Event()
        inside: list = []

    class Gated(TaskHandler):
        def handle(self):
            Gate.inside.append(self.queued_task.pk)
            assert Gate.opened.wait(30)

    add_handler(Gated)
    yield Gate
    Gate.opened.set()


def test_a_runner_starts_works_and_stops():
    runner = TaskQueueRunner(concurrency=2, poll_seconds=0.05)
    assert runner.is_running is False
    task = enqueue("HelloWorldTask", {"name": "Tom"})
    runner.start()
    assert runner.is_running is True
    wait_until(lambda: status(task) == "success")
    runner.stop()
    wait_for_threads()
    assert runner.is_running is False
    assert fresh(task).details.endswith("INFO: Hello Tom!")
    assert runner.released == 0


def test_a_runner_starts_once_and_may_start_again():
    with running() as runner, pytest.raises(RuntimeError, match="runs already; stop"):
        runner.start()
    task = enqueue("Noop")
    runner.start()
    wait_until(lambda: status(task) == "success")
    runner.stop()
    wait_for_threads()


def test_stop_before_start_does_no_harm():
    runner = TaskQueueRunner(poll_seconds=0.05)
    runner.stop()
    runner.stop()
    task = enqueue("Noop")
    runner.start()
    wait_until(lambda: status(task) == "success")
    runner.stop()
    wait_for_threads()


def test_run_once_works_after_a_stop():
    runner = TaskQueueRunner(poll_seconds=0.05)
    runner.start()
    runner.stop()
    wait_for_threads()
    task = enqueue("Noop")
    assert runner.run_once() > 0
    assert status(task) == "success"


def test_stop_waits_for_what_runs_and_leaves_what_waits(gate):
    first = enqueue("Gated")
    runner = TaskQueueRunner(concurrency=1, poll_seconds=0.05)
    runner.start()
    wait_until(lambda: gate.inside)
    second = enqueue("Noop")
    stopper = threading.Thread(target=runner.stop)
    stopper.start()
    stopper.join(0.3)
    assert stopper.is_alive()
    assert runner.is_running
    gate.opened.set()
    stopper.join(30)
    assert not runner.is_running
    wait_for_threads()
    assert (status(first), status(second)) == ("success", "queued")
    assert fresh(second).claim_seq == 0


def test_stop_with_a_deadline_gives_back_what_does_not_end(gate):
    task = enqueue("Gated")
    runner = TaskQueueRunner(concurrency=1, poll_seconds=0.05)
    runner.start()
    wait_until(lambda: gate.inside)
    began = time.monotonic()
    runner.stop(timeout_seconds=0.2)
    assert time.monotonic() - began < 10
    assert runner.released == 1
    stored = fresh(task)
    assert (stored.status, stored.attempts, stored.claim_seq) == ("queued", 0, 1)
    assert "was given back" in stored.details
    assert TaskAttempt.objects.get().outcome == "released"
    gate.opened.set()
    wait_for_threads()
    assert row_of(task)["status"] == "queued", "the abandoned thread's outcome comes too late"


def test_run_once_does_one_round_here_and_now():
    tasks = [enqueue("HelloWorldTask") for _ in range(3)]
    runner = TaskQueueRunner(concurrency=2)
    assert runner.run_once() == 4
    assert sorted(map(status, tasks)) == ["queued", "success", "success"]
    runner.run_once()
    assert set(map(status, tasks)) == {"success"}
    assert runner.run_once() == 0


def test_run_once_promotes_what_is_due():
    task = add_task(status="scheduled", run_after=timezone.now() - timedelta(seconds=1))
    TaskQueueRunner().run_once()
    assert status(task) == "success"


def test_run_once_is_refused_while_the_loop_runs():
    with running() as runner, pytest.raises(RuntimeError, match="does its own rounds; stop"):
        runner.run_once()


def test_until_empty_works_off_everything_that_is_due_and_ends():
    enqueue_many("Noop", [{}] * 50)
    again = enqueue("RetryTwice")
    later = enqueue("Noop", run_after=timedelta(hours=1))
    work_until_empty(concurrency=4)
    assert QueuedTask.objects.with_status("success").count() == 51
    assert fresh(again).output == {"attempts": 3}
    assert status(later) == "scheduled"


def test_until_empty_on_an_empty_queue_ends_at_once():
    began = time.monotonic()
    work_until_empty()
    assert time.monotonic() - began < 10


def test_max_tasks_stops_after_so_many():
    enqueue_many("Noop", [{}] * 20)
    work_until_empty(concurrency=3, max_tasks=7)
    assert QueuedTask.objects.with_status("success").count() == 7
    assert QueuedTask.objects.with_status("queued").count() == 13


def test_only_the_named_queues_are_worked():
    mine, other = enqueue("Noop", queue_name="mine"), enqueue("Noop", queue_name="other")
    default = enqueue("Noop")
    work_until_empty("mine")
    assert [status(task) for task in (mine, other, default)] == ["success", "queued", "queued"]
    work_until_empty()
    assert status(default) == "success"


def test_queues_that_differ_by_case_are_two():
    lower, upper = enqueue("Noop", queue_name="emails"), enqueue("Noop", queue_name="Emails")
    work_until_empty("emails")
    assert (status(lower), status(upper)) == ("success", "queued")


def test_several_queues_share_the_pool_and_take_turns(add_handler):
    order = []

    class Noting(TaskHandler):
        def handle(self):
            order.append(self.queued_task.queue_name)

    add_handler(Noting)
    for name in ("a", "b", "c"):
        enqueue_many("Noting", [{}] * 4, queue_name=name)
    runner = TaskQueueRunner("a", "b", "c", concurrency=1)
    for _ in range(3):
        runner.run_once()
        runner._dispatcher.slots.pace.stalled()
    assert set(order) == {"a", "b", "c"}, "a full queue does not starve the others"


def test_the_star_takes_up_queues_that_are_made_later():
    first = enqueue("Noop", queue_name="first")
    with running("*"):
        wait_until(lambda: status(first) == "success")
        later = enqueue("Noop", queue_name="made-later")
        wait_until(lambda: status(later) == "success", seconds=10)


def test_a_paused_queue_is_not_asked_and_a_resumed_one_is_within_a_second_or_so():
    task = enqueue("Noop", queue_name="emails")
    queue = Queue.objects.get(name="emails")
    queue.pause(by="ann", reason="provider is down")
    with running("emails", "other"):
        other = enqueue("Noop", queue_name="other")
        wait_until(lambda: status(other) == "success")
        assert status(task) == "queued"
        queue.resume()
        began = time.monotonic()
        wait_until(lambda: status(task) == "success")
        assert time.monotonic() - began < 5
        queue.pause()
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 1.3)
        held = enqueue("Noop", queue_name="emails")
        other = enqueue("Noop", queue_name="other")
        wait_until(lambda: status(other) == "success")
        assert status(held) == "queued"


def test_a_runner_asked_to_leave_its_queues_stops_and_a_later_one_serves_them():
    task = enqueue("Noop", queue_name="emails")
    runner = TaskQueueRunner("emails", poll_seconds=0.05)
    runner.start()
    wait_until(lambda: status(task) == "success")
    Queue.objects.get(name="emails").request_stop()
    wait_until(lambda: not runner.is_running, seconds=10)
    wait_for_threads()
    task = enqueue("Noop", queue_name="emails")
    work_until_empty("emails")
    assert status(task) == "success"


def test_a_runner_asked_to_leave_one_queue_goes_on_with_the_other():
    for name in ("a", "b"):
        enqueue("Noop", queue_name=name)
    with running("a", "b"):
        wait_until(lambda: QueuedTask.objects.with_status("success").count() == 2)
        Queue.objects.get(name="a").request_stop()
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > 1.3)
        left, served = enqueue("Noop", queue_name="a"), enqueue("Noop", queue_name="b")
        wait_until(lambda: status(served) == "success")
        assert status(left) == "queued"


def test_higher_priorities_start_first_then_the_older(add_handler):
    order = []

    class Noting(TaskHandler):
        def handle(self):
            order.append(self.get_param("name"))

    add_handler(Noting)
    for name, priority in [("c", 0), ("a", 5), ("d", 0), ("e", -5), ("b", 5)]:
        enqueue("Noting", {"name": name}, priority=priority)
    work_until_empty(concurrency=1)
    assert order == ["a", "b", "c", "d", "e"]


def test_a_task_of_a_definition_canceled_meanwhile_is_canceled_when_claimed():
    task = enqueue("Noop")
    TaskDefinition.objects.get(alias="Noop").cancel()
    other = enqueue("HelloWorldTask")
    work_until_empty()
    assert (status(task), status(other)) == ("canceled", "success")
    assert "canceled or deleted" in TaskAttempt.objects.get().message


def test_a_task_this_worker_has_no_handler_for_goes_back_untouched(add_handler):
    stranger = add_task("elsewhere.Task", priority=50)
    before = row_of(stranger)
    mine = enqueue("Noop")
    work_until_empty(concurrency=2)
    after = row_of(stranger)
    assert status(mine) == "success"
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"claim_seq", "updated_at", "started_at"}
    assert after["claim_seq"] >= 1
    assert not TaskAttempt.objects.exists()
    add_handler(type("There", (Noop,), {"alias": "elsewhere.Task"}))
    work_until_empty()
    assert status(stranger) == "success"


def test_fifty_tasks_without_a_handler_do_not_block_the_queue():
    strangers = [add_task("elsewhere.Task", priority=50) for _ in range(50)]
    mine = [enqueue("Noop") for _ in range(10)]
    work_until_empty(concurrency=3)
    assert {status(task) for task in mine} == {"success"}
    assert {status(task) for task in strangers} == {"queued"}
    assert {fresh(task).attempts for task in strangers} == {0}
    assert max(fresh(task).claim_seq for task in strangers) == 1


def test_tasks_without_a_handler_do_not_use_up_max_tasks():
    """Else a worker that is recycled would meet the same rows again and never get past them."""
    for _ in range(5):
        add_task("elsewhere.Task", priority=50)
    mine = enqueue("Noop")
    work_until_empty(concurrency=2, max_tasks=2)
    assert status(mine) == "success"


def test_a_running_worker_shows_itself_and_a_stopped_one_is_gone():
    with running("a", "b", concurrency=3):
        worker = wait_until(Worker.objects.first)
        assert (worker.queues, worker.concurrency, worker.pid > 0) == (["a", "b"], 3, True)
    assert not Worker.objects.exists()


@pytest.mark.parametrize("name", ["", "two words", "q" * 101])
def test_a_runner_refuses_a_name_that_no_queue_can_have(name):
    with pytest.raises(InvalidQueueName):
        TaskQueueRunner(name)


@pytest.mark.parametrize("option", ["concurrency", "poll_seconds", "lease_seconds"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_runner_refuses_a_number_that_is_not_above_zero(option, value):
    with pytest.raises(ValueError, match=f"{option} is {value}, expected a number above 0"):
        TaskQueueRunner(**{option: value})


def test_the_settings_are_the_defaults(settings):
    settings.TASKSTORE = {"MAX_CONCURRENCY": 3, "POLL_SECONDS": 0.5, "LEASE_SECONDS": 45}
    runner = TaskQueueRunner()
    assert (runner.queues, runner.concurrency) == (("default",), 3)
    assert (runner.poll_seconds, runner.lease_seconds) == (0.5, 45)
