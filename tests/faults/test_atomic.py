"""Effects that happen exactly once: an atomic handler's writes commit with its outcome."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

import pytest
from django.conf import settings

from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL
from tests.testapp.models import Effect

pytestmark = [pytest.mark.faults, pytest.mark.long]

MANY_LOSSES = {"MAX_LOSSES": 1_000}


def effects():
    """Return how many tasks had how many effects."""
    counts = Counter(Effect.objects.values_list("task_id", flat=True))
    return Counter(counts.values())


def kept_killing(case, *, processes):
    """Kill a worker each second and start another until all tasks have ended; return how often."""
    crew = [start(case) for _ in range(processes)]
    unfinished = QueuedTask.objects.exclude(status__in=FINAL)
    kills, kill_at = 0, time.monotonic() + 2.0
    while unfinished.exists():
        time.sleep(0.1)  # The pause between two looks, not a wait for a time.
        if time.monotonic() >= kill_at:
            victim = random.randrange(processes)
            crew[victim].kill()
            crew[victim] = start(case)
            kills, kill_at = kills + 1, kill_at + 1.0
    return kills


def start(case):
    """Start a worker under which bad luck alone fails no task."""
    return case.launch("--concurrency", "4", settings=MANY_LOSSES)


def test_each_effect_happens_once_under_kills(case):
    ids = case.enqueue_many(300, "AtomicLedger", {"seconds": 0.02})
    kept_killing(case, processes=2)
    assert effects() == {1: len(ids)}
    assert set(QueuedTask.objects.values_list("status", flat=True)) == {"success"}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_effects_happen_once_each_with_a_kill_a_second(case):
    count = 2_000 if settings.BACKEND == "sqlite" else 10_000
    ids = case.enqueue_many(count, "AtomicLedger", {"seconds": 0.01})
    kills = kept_killing(case, processes=3)
    print(f"{count} atomic tasks, {kills} kills, effects: {dict(effects())}")
    assert kills >= 3
    assert effects() == {1: len(ids)}


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
