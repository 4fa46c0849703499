"""Machines whose clocks are wrong: only the database's clock decides."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from django_taskstore.models import QueuedTask
from tests.faults.harness.workers import LEASE_SECONDS, MARGIN_SECONDS

pytestmark = [pytest.mark.faults]


def test_workers_whose_clocks_are_hours_off_steal_nothing(case):
    """F29: one worker an hour ahead, one an hour behind, one right."""
    long = case.enqueue("LedgerOutput", {"seconds": 2 * LEASE_SECONDS})
    holder = case.start("--concurrency", "2", environment={"TASKSTORE_TEST_SKEW": "-1"})
    case.started(long)
    case.start(environment={"TASKSTORE_TEST_SKEW": "1"})
    case.start()
    later = case.enqueue("LedgerOutput", run_after=timedelta(seconds=2))
    enqueued_ns = time.monotonic_ns()
    case.ended(later)
    start = next(line for line in case.ledger.lines() if line.task_id == later.pk)
    waited_seconds = (start.at_ns - enqueued_ns) / 1e9
    assert 1.5 < waited_seconds < 2 + MARGIN_SECONDS
    row = case.ended(long)
    assert (row.status, row.attempts, row.lost_count) == ("success", 1, 0)
    assert holder.stop() == 0


def test_a_timeout_does_not_follow_the_wall_clock(case):
    """F30: a clock that is an hour ahead ends no task before its time."""
    task = case.enqueue("Deaf", {"how": "loop", "seconds": 0.5})
    case.start(environment={"TASKSTORE_TEST_SKEW": "1"})
    assert case.ended(task).status == "success"
    assert QueuedTask.objects.get().attempts == 1


@pytest.mark.long
def test_wall_clocks_that_jump_take_nothing_early(case):
    """F30: ten minutes to and fro each second, on every machine but the database's."""
    jumping = {"TASKSTORE_TEST_STEP": "600"}
    workers = [case.start("--concurrency", "2", environment=jumping) for _ in range(2)]
    long = case.enqueue("LedgerOutput", {"seconds": 3 * LEASE_SECONDS})
    later = case.enqueue("LedgerOutput", run_after=timedelta(seconds=2))
    enqueued_ns = time.monotonic_ns()
    case.ended(later)
    start = next(line for line in case.ledger.lines() if line.task_id == later.pk)
    assert 1.5 < (start.at_ns - enqueued_ns) / 1e9 < 2 + MARGIN_SECONDS
    row = case.ended(long)
    assert (row.status, row.attempts, row.lost_count) == ("success", 1, 0)
    assert [worker.stop() for worker in workers] == [0, 0]
