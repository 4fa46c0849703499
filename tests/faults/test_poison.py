"""Tasks that take their process along, and their innocent neighbours."""

from __future__ import annotations

import shutil

import pytest

from django_taskstore.models import QueuedTask

pytestmark = [pytest.mark.faults, pytest.mark.long]

#: 512 MB of address space: a worker needs 200.
LITTLE_MEMORY = ("prlimit", f"--as={768 * 1024 * 1024}")


@pytest.mark.parametrize("how", ["segfault", pytest.param("exit", marks=pytest.mark.long)])
def test_a_task_that_kills_its_process_fails_and_its_neighbours_succeed(case, how):
    """F6: the poison is lost three times; nobody else is lost more than twice."""
    poison = case.enqueue("Poison", {"how": how}, priority=1)
    innocents = case.enqueue_many(20, "LedgerOutput", {"seconds": 0.3})
    parent = case.start("--processes", "2", "--concurrency", "4")
    case.drained(seconds=120)
    row = QueuedTask.objects.get(pk=poison.pk)
    assert (row.status, row.lost_count) == ("failed", 3)
    assert case.ledger.starts()[poison.pk] == 3
    rows = QueuedTask.objects.filter(pk__in=innocents)
    assert set(rows.values_list("status", "attempts")) == {("success", 1)}
    assert max(rows.values_list("lost_count", flat=True)) <= 2
    assert parent.is_alive
    assert parent.stop() == 0


def test_a_task_that_was_lost_twice_runs_alone(case):
    """What killed its process twice gets a process without neighbours."""
    suspect = case.enqueue("LedgerOutput", {"seconds": 1.5})
    QueuedTask.objects.filter(pk=suspect.pk).update(lost_count=2)
    others = case.enqueue_many(6, "LedgerOutput", {"seconds": 0.4})
    case.start("--concurrency", "4")
    case.drained()
    runs = case.ledger.runs()
    began, ended = runs.pop(suspect.pk)
    overlapping = [task for task, (start, end) in runs.items() if start < ended and end > began]
    assert set(runs) == others
    assert overlapping == []
    QueuedTask.objects.filter(pk=suspect.pk).update(lost_count=0)  # They were not real.


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
@pytest.mark.long
def test_a_task_that_eats_all_memory_fails_and_nobody_else(case):
    """F7: under a limit, the allocation fails or the process ends; the worker goes on."""
    poison = case.enqueue("Poison", {"how": "memory"})
    innocents = case.enqueue_many(10, "LedgerOutput", {"seconds": 0.1})
    case.start("--processes", "2", "--concurrency", "2", launcher=LITTLE_MEMORY)
    case.drained(seconds=120)
    assert QueuedTask.objects.get(pk=poison.pk).status == "failed"
    rows = QueuedTask.objects.filter(pk__in=innocents)
    assert set(rows.values_list("status", "attempts")) == {("success", 1)}


def test_a_worker_outlives_whatever_a_handler_raises(case):
    """F8: nothing a handler raises ends the process, not even what means to."""
    ways = ("system_exit", "interrupt", "recursion", "unprintable")
    tasks = [case.enqueue("Poison", {"how": how}) for how in ways]
    worker = case.start("--concurrency", "1")
    after = case.enqueue("LedgerOutput")
    assert case.ended(after).status == "success"
    for task in tasks:
        row = case.ended(task)
        assert (row.status, row.lost_count) == ("failed", 0)
    assert worker.stop() == 0
