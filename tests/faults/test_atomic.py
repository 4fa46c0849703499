"""Effects that happen exactly once: an atomic handler's writes commit with its outcome."""

from __future__ import annotations

import random
import signal
from collections import Counter

import pytest
from django.conf import settings

from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL
from tests.faults.harness.kills import each_second, one_at_work
from tests.testapp.models import Effect

pytestmark = [pytest.mark.faults, pytest.mark.long]

#: SQLite has one writer at a time, and an atomic handler is that for its whole run.
TASKS = {"sqlite": 2_000, "postgresql": 10_000, "mysql": 10_000}
MANY_LOSSES = {"MAX_LOSSES": 1_000}


def effects():
    """Return how many tasks had how many effects."""
    counts = Counter(Effect.objects.values_list("task_id", flat=True))
    return Counter(counts.values())


def kept_killing(case, *, processes):
    """Kill a worker each second and start another until all tasks have ended; return how often."""
    crew = [start(case) for _ in range(processes)]
    kills = 0
    for _ in each_second(QueuedTask.objects.exclude(status__in=FINAL).exists):
        replace(case, crew, random.randrange(processes))
        kills += 1
    return kills


def replace(case, crew, place):
    """Kill one of the crew and start another in its place."""
    crew[place].kill()
    crew[place] = start(case)


def start(case):
    """Start a worker under which bad luck alone fails no task."""
    return case.launch("--concurrency", "4", settings=MANY_LOSSES)


def test_each_effect_happens_once_under_kills(case):
    ids = case.enqueue_many(100, "AtomicLedger", {"seconds": 0.1})
    crew = [start(case) for _ in range(2)]
    for _ in range(4):
        replace(case, crew, one_at_work(case.ledger, crew))
    case.drained()
    assert case.ledger.interrupted() >= 1
    assert effects() == {1: len(ids)}
    assert set(QueuedTask.objects.values_list("status", flat=True)) == {"success"}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_effects_happen_once_each_with_a_kill_a_second(case):
    count = TASKS[settings.BACKEND]
    ids = case.enqueue_many(count, "AtomicLedger", {"seconds": 0.01})
    kills = kept_killing(case, processes=3)
    print(f"{count} atomic tasks, {kills} kills, effects: {dict(effects())}")
    assert kills >= 3
    assert effects() == {1: len(ids)}


@pytest.mark.skipif(
    settings.BACKEND == "sqlite",
    reason="a process that is frozen in a transaction keeps SQLite's only write lock",
)
def test_a_lost_lease_undoes_all_that_was_written(case):
    """A stopped worker wakes up inside the handler: its writes go with its outcome."""
    task = case.enqueue("AtomicLedger", {"seconds": 1})
    zombie = case.start()
    case.started(task)
    zombie.send(signal.SIGSTOP)
    case.start()
    case.ended(task, seconds=90)
    zombie.send(signal.SIGCONT)
    assert zombie.stop() == 0
    assert effects() == {1: 1}


def test_an_effect_before_an_error_never_was(case):
    task = case.enqueue("AtomicEffect", {"fail": True})
    case.start()
    assert case.ended(task).status == "failed"
    assert effects() == {}
