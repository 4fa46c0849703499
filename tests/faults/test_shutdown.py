"""Stopping: in time always, and never at the cost of an attempt."""

from __future__ import annotations

import random
import signal
import time

import pytest
from django.db import connection

from django_taskstore.models import QueuedTask
from tests.faults.harness.workers import MARGIN_SECONDS
from tests.helpers import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.long]

#: The promise is the deadline and 2 s; a busy machine needs a moment to say so.
LATE_SECONDS = 2.0 + MARGIN_SECONDS / 3


def stopped(worker, *, within):
    """Stop a worker; return its exit code, and fail if it came too late."""
    asked_at = time.monotonic()
    code = worker.stop(seconds=within + 30)
    took_seconds = time.monotonic() - asked_at
    assert took_seconds <= within + LATE_SECONDS, worker.output
    return code


def test_a_stop_at_any_moment_uses_up_no_attempt(case):
    """F46: short tasks, long ones and hung ones, while more are enqueued."""
    short = case.enqueue_many(150, "LedgerOutput", {"seconds": 0.02})
    hung = [case.enqueue("DeafForever", {"how": "sleep"}) for _ in range(2)]
    for _ in range(3):
        worker = case.start("--concurrency", "4", "--shutdown-timeout", "0.3")
        wait_until(case.ledger.starts, what="a start")
        short |= case.enqueue_many(10, "LedgerOutput", {"seconds": 0.02})
        pause = random.uniform(0, 0.5)
        until = time.monotonic() + pause
        wait_until(lambda until=until: time.monotonic() > until)
        assert stopped(worker, within=0.3) in (0, 4)
        running = QueuedTask.objects.with_status("running")
        assert not running.exists()
    rows = QueuedTask.objects.filter(pk__in=[task.pk for task in hung])
    assert set(rows.values_list("status", "attempts", "lost_count")) == {("queued", 0, 0)}
    rows.cancel()
    case.start("--once", "--concurrency", "4").wait()
    done = QueuedTask.objects.filter(pk__in=short)
    assert set(done.values_list("status", "attempts", "lost_count")) == {("success", 1, 0)}
    case.may_overlap = True  # A hung handler is left behind in a process that ends.


def test_two_signals_give_back_at_once(case):
    task = case.enqueue("DeafForever", {"how": "sleep"})
    worker = case.start("--shutdown-timeout", "600")
    case.started(task)
    worker.send(signal.SIGTERM)
    wait_until(lambda: "Stopping" in worker.output, what="the first word")
    assert stopped(worker, within=0) == 4
    row = QueuedTask.objects.get()
    assert (row.status, row.attempts, row.lost_count) == ("queued", 0, 0)
    row.cancel()


def test_a_worker_stops_in_time_while_the_database_is_away(own_case, server):
    task = own_case.enqueue("DeafForever", {"how": "sleep"})
    worker = own_case.start("--shutdown-timeout", "1")
    own_case.started(task)
    connection.close()
    server.stop()
    assert stopped(worker, within=1) == 4
    server.start()
    QueuedTask.objects.get().cancel()
    own_case.start("elsewhere")
    row = own_case.ended(task)
    assert (row.attempts, row.lost_count) == (0, 1)


def test_a_worker_stops_in_time_in_a_black_hole(case):
    if connection.vendor == "sqlite":
        pytest.skip("no network lies between a worker and a file")
    proxy = case.proxy()
    task = case.enqueue("LedgerOutput", {"seconds": 0.5})
    worker = case.start("--shutdown-timeout", "1", port=proxy.port)
    case.started(task)
    proxy.silence()
    assert stopped(worker, within=1) == 4
    proxy.heal()
    case.start()
    assert case.ended(task).status == "success"


def test_the_children_of_a_supervisor_stop_in_time(case):
    tasks = [case.enqueue("DeafForever", {"how": "c"}) for _ in range(2)]
    parent = case.start("--processes", "2", "--concurrency", "1", "--shutdown-timeout", "0.5")
    for task in tasks:
        case.started(task)
    assert stopped(parent, within=0.5) == 4
    QueuedTask.all_objects.all().cancel()
    case.start("elsewhere")
    for task in tasks:
        assert case.ended(task).status == "canceled"
