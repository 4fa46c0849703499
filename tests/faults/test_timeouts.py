"""Handlers that do not stop: on a thread, in a process of their own, on the event loop."""

from __future__ import annotations

import pytest

from django_taskstore.models import TaskAttempt
from tests.faults.harness.workers import LEASE_SECONDS, MARGIN_SECONDS, is_alive
from tests.helpers import wait_until

pytestmark = [pytest.mark.faults]

HELD_UP = 6


def test_a_loop_in_python_is_stopped_at_its_timeout(case):
    task = case.enqueue("Deaf", {"how": "loop"})
    worker = case.start("--concurrency", "2")
    row = case.ended(task, seconds=1 + MARGIN_SECONDS)
    attempt = TaskAttempt.objects.get()
    assert (row.status, row.attempts, row.lost_count) == ("failed", 1, 0)
    assert attempt.exception_class.endswith("TaskTimedOut")
    assert "in handle" in attempt.traceback
    assert case.ended(case.enqueue("LedgerOutput")).status == "success"
    assert worker.stop() == 0


def test_a_cancel_stops_a_loop_in_python(case):
    task = case.enqueue("DeafForever", {"how": "loop"})
    case.start()
    case.started(task)
    task.cancel()
    assert case.ended(task, seconds=1 + MARGIN_SECONDS).status == "canceled"
    assert case.ended(case.enqueue("LedgerOutput")).status == "success"


@pytest.mark.parametrize(
    "how",
    ["swallow", *(pytest.param(how, marks=pytest.mark.long) for how in ("sleep", "socket"))],
)
def test_a_task_that_ignores_everything_ends_and_its_slot_stays_taken(case, how):
    """F49: the thread cannot be freed, so the task ends without it and the others go on."""
    task = case.enqueue("Deaf", {"how": how})
    worker = case.start("--concurrency", "3")
    row = case.ended(task, seconds=3 + MARGIN_SECONDS)
    assert (row.status, row.attempts, row.lost_count) == ("failed", 1, 0)
    assert case.ended(case.enqueue("LedgerOutput")).status == "success"
    assert worker.stop() == HELD_UP


def test_a_worker_whose_threads_are_held_drains_and_leaves(case):
    tasks = [case.enqueue("Deaf", {"how": "sleep"}) for _ in range(2)]
    other = case.enqueue("LedgerOutput", {"seconds": 4})
    worker = case.start("--concurrency", "3")
    assert worker.wait(seconds=4 + 3 + 2 * MARGIN_SECONDS) == HELD_UP
    assert {case.ended(task).status for task in tasks} == {"failed"}
    assert case.ended(other).status == "success"
    assert "start it again" in worker.output


@pytest.mark.parametrize(
    "how",
    ["sleep", *(pytest.param(how, marks=pytest.mark.long) for how in ("socket", "swallow"))],
)
def test_a_process_is_given_up_with_its_hung_task(case, how):
    """F49: its neighbours are released unharmed, their attempts returned, and run elsewhere."""
    hung = case.enqueue("Deaf", {"how": how})
    parent = case.start("--processes", "2", "--concurrency", "2")
    case.started(hung)
    # So many that one of them must share the hung task's process.
    neighbours = [case.enqueue("LedgerOutput", {"seconds": 5}) for _ in range(3)]
    for task in neighbours:
        case.started(task)
    pid = case.pid_of(hung)
    assert pid in {case.pid_of(task) for task in neighbours}
    wait_until(lambda: not is_alive(pid), seconds=3 + MARGIN_SECONDS, what="the child's end")
    for task in neighbours:
        row = case.ended(task)
        assert (row.status, row.attempts, row.lost_count) == ("success", 1, 0)
    row = case.ended(hung)
    assert (row.status, row.attempts, row.lost_count) == ("failed", 1, 0)
    assert parent.is_alive
    assert parent.stop() == 0


@pytest.mark.long
def test_a_thread_that_holds_the_interpreter_loses_its_task_and_nothing_else(case):
    """F14: its heartbeat cannot run either; another worker takes the task, the late end is void."""
    task = case.enqueue("Greedy", {"seconds": 3 * LEASE_SECONDS})
    greedy = case.start("--concurrency", "2")
    case.started(task)
    case.start()
    row = case.ended(task)
    assert (row.status, row.lost_count, row.claim_seq) == ("success", 1, 2)
    wait_until(lambda: case.ledger.ends().get(task.pk, 0) == 2, seconds=120, what="the late end")
    assert case.ended(case.enqueue("LedgerOutput")).status == "success"
    assert greedy.stop() == 0
    assert "lease_lost" in greedy.output
    assert case.ended(task).updated_at == row.updated_at


@pytest.mark.long
def test_a_process_that_holds_the_interpreter_is_killed(case):
    """F14, F49: no thread of the child can run, so its parent ends it."""
    hung = case.enqueue("Deaf", {"how": "c"})
    parent = case.start("--processes", "2", "--concurrency", "2")
    case.started(hung)
    pid = case.pid_of(hung)
    wait_until(lambda: not is_alive(pid), seconds=6 + MARGIN_SECONDS, what="the child's end")
    after = case.enqueue("LedgerOutput")
    assert case.ended(after, seconds=LEASE_SECONDS + 2 * MARGIN_SECONDS).status == "success"
    row = case.ended(hung, seconds=120)
    assert (row.status, row.lost_count) == ("failed", 3)
    wait_until(lambda: not is_alive(case.pid_of(hung)), what="the last child's end")
    assert parent.stop() == 0
