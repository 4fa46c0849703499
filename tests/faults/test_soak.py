"""The soak: many tasks under kills and restarts, and the figures it must hold."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests.faults.harness.soak import Plan, Soak
from tests.faults.harness.workers import BEAT_SECONDS, LEASE_SECONDS

pytestmark = [pytest.mark.faults, pytest.mark.long]

#: With two cores and 16 threads, about a minute of work.
SHORT = Plan(tasks=10_000, task_seconds=0.04, workers=4, threads=4, kills=30, restart_seconds=None)
SHORT_ON_SQLITE = Plan(
    tasks=3_000, task_seconds=0.02, workers=2, threads=2, kills=15, restart_seconds=None
)
FULL = Plan(
    tasks=100_000, task_seconds=0.04, workers=8, threads=4, kills=10_000, restart_seconds=60.0
)


@pytest.mark.timeout(600)
def test_the_short_soak(case):
    plan = SHORT_ON_SQLITE if settings.BACKEND == "sqlite" else SHORT
    judge(Soak(case, None, plan).run())


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_the_full_soak(own_case, server):
    figures = Soak(own_case, server, FULL).run()
    judge(figures)
    assert figures.rss_growth_percent < 10


def judge(figures):
    """Print the figures and fail on those that must hold."""
    print(f"\n{figures}")
    assert not figures.violations, "\n".join(figures.violations[:20])
    assert figures.recovery_p95_seconds <= LEASE_SECONDS + BEAT_SECONDS + 1.0
    assert figures.duplicate_starts <= figures.duplicate_bound
