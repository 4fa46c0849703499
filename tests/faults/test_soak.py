"""The soak: many tasks under kills and restarts, and the figures it must hold."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests.faults.harness.soak import Plan, Soak, rss_bytes, unfinished
from tests.faults.harness.workers import BEAT_SECONDS, LEASE_SECONDS
from tests.helpers import wait_until

pytestmark = [pytest.mark.faults]

#: With two cores and 16 threads, about a minute of work.
SHORT = Plan(tasks=10_000, task_seconds=0.04, workers=4, threads=4, kills=30, restart_seconds=None)
#: As many workers: of two, killed each second, often none lives that could rescue.
SHORT_ON_SQLITE = Plan(
    tasks=3_000, task_seconds=0.04, workers=4, threads=2, kills=15, restart_seconds=None
)
FULL = Plan(
    tasks=100_000, task_seconds=0.04, workers=8, threads=4, kills=10_000, restart_seconds=60.0
)


@pytest.mark.timeout(600)
def test_the_short_soak(case):
    plan = SHORT_ON_SQLITE if settings.BACKEND == "sqlite" else SHORT
    judge(Soak(case, None, plan).run(), busy_seconds=20)


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_the_full_soak(own_case, server):
    figures = Soak(own_case, server, FULL).run()
    judge(figures)
    assert figures.rss_growth_percent < 10


#: Until here a new worker still grows to its size. SQLite's page caches take longest: by
#: sqlite3_memory_used() they grow by 12 MB over 70,000 tasks, and then no more.
WARM = 100_000


@pytest.mark.timeout(300)
def test_memory_does_not_grow_over_fifty_thousand_tasks(case):
    tasks = WARM + 50_000
    case.enqueue_many(tasks, "Noop")
    worker = case.start()
    left(tasks - WARM)
    early = rss_bytes(worker.pid)
    assert unfinished(), "nothing was left to measure"
    left(0)
    assert rss_bytes(worker.pid) < 1.1 * early


def left(count):
    """Wait until no more than so many tasks are unfinished."""
    wait_until(
        lambda: unfinished() <= count, seconds=200, look_seconds=0.1, what=f"{count} tasks left"
    )


def judge(figures, *, busy_seconds=0):
    """Print the figures and fail on those that must hold.

    Args:
        figures: of a soak.
        busy_seconds: what a machine that does other things as well may add to a recovery.
    """
    print(f"\n{figures}")
    assert not figures.violations, "\n".join(figures.violations[:20])
    assert figures.recovery_p95_seconds <= LEASE_SECONDS + BEAT_SECONDS + 1.0 + busy_seconds
    assert figures.duplicate_starts <= figures.duplicate_bound
