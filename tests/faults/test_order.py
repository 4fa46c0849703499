"""In which order tasks start, and that what was rolled back never does: with real workers."""

from __future__ import annotations

import pytest
from django.db import transaction

from django_taskstore import enqueue
from django_taskstore.models import QueuedTask
from tests.faults.harness.workers import SHORT_LEASE

pytestmark = [pytest.mark.faults]

PRIORITIES = (5, -5, 0)


def preload(case, count, **parameters):
    """Put tasks of three priorities on the default queue, mixed; return the order due."""
    for chunk in range(count // 60):
        for priority in PRIORITIES[chunk % 3 :] + PRIORITIES[: chunk % 3]:
            case.enqueue_many(20, "Ledger", parameters, priority=priority)
    rows = QueuedTask.objects.order_by("-priority", "run_after", "id")
    return list(rows.values_list("pk", flat=True))


def started(case):
    """Return the tasks in the order in which they started."""
    lines = sorted(case.ledger.lines(), key=lambda line: line.at_ns)
    return [line.task_id for line in lines if line.what == "start"]


@pytest.mark.parametrize(
    "count", [1_200, pytest.param(10_200, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_one_thread_starts_everything_in_order(case, count):
    """F38: by priority, then by time, then by id, without exception."""
    due = preload(case, count)
    case.start("--serial", "--once").wait(seconds=240)
    assert started(case) == due


@pytest.mark.long
def test_many_slots_start_nearly_in_order(case):
    """F39: no task is overtaken by more than what others hold in their slots."""
    due = preload(case, 180, seconds=0.2)
    crew = [case.launch("--concurrency", "2", "--once") for _ in range(4)]
    for worker in crew:
        worker.wait(seconds=120)
    # Each worker holds its slots and what ends within a tenth of a second: one more task.
    window = len(crew) * (2 + 1)
    rank = {pk: place for place, pk in enumerate(due)}
    order = [rank[pk] for pk in started(case)]
    overtaken = [
        sum(earlier > mine for earlier in order[:place]) for place, mine in enumerate(order)
    ]
    assert max(overtaken) <= window, order


def test_a_full_queue_starves_no_other_that_the_workers_serve(case):
    """F39: the queues are asked in turn, whatever waits on the first."""
    flood = case.enqueue_many(120, "Ledger", {"seconds": 0.05}, queue_name="a")
    few = case.enqueue_many(8, "Ledger", {"seconds": 0.05}, queue_name="b")
    for worker in [case.launch("a", "b", "--concurrency", "2", "--once") for _ in range(2)]:
        worker.wait(seconds=120)
    order = started(case)
    assert set(order) == flood | few
    last = max(order.index(pk) for pk in few)
    assert last < len(order) / 2


def test_what_was_rolled_back_is_never_started(case):
    """F41: a whole transaction, a savepoint in it, and what was committed beside them."""
    case.start(lease=(*SHORT_LEASE[:2], "--interval", "1"))
    kept = []
    for _ in range(20):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            enqueue("LedgerOutput")
            _ = 1 / 0
        with transaction.atomic():
            kept.append(case.enqueue("LedgerOutput"))
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                enqueue("LedgerOutput")
                _ = 1 / 0
            kept.append(case.enqueue("LedgerOutput"))
    case.drained()
    assert case.ledger.ends() == {task.pk: 1 for task in kept}
