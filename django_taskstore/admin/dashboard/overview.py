"""What the dashboard knows, read at most once in a few seconds for all who look.

Owns `Overview` and its cache. The statements are those of `statistics` and `rollups`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _

from django_taskstore import __version__
from django_taskstore.conf import settings
from django_taskstore.models import TaskStat
from django_taskstore.rollups import Counts, read, start_of
from django_taskstore.statistics import Snapshot, StatusWarning, snapshot
from django_taskstore.statistics.troubles import (
    Failing,
    LongRunning,
    NextRun,
    failing,
    longest_running,
    next_runs,
)

MINUTE, HOUR, DAY = TaskStat.Span.MINUTE, TaskStat.Span.HOUR, TaskStat.Span.DAY
#: More failures are warned of when their share is so many times the day's, and they are not few.
FAILURE_JUMP = 5
FEWEST_FAILURES = 10
#: How long an old overview is shown while somebody else reads a new one.
STALE_SECONDS = 60.0
#: One that took longer to read is kept for so many times as long: a million waiting tasks take
#: PostgreSQL a second to count, and open dashboards shall not keep a connection busy with it.
SLOW_SECONDS = 0.5
SLOW_REST = 20


@dataclass(frozen=True, slots=True)
class Period:
    """How far back the charts look.

    Attributes:
        span: what one bar stands for.
        step: its length.
        bars: how many.
    """

    span: str
    step: timedelta
    bars: int

    def starts(self, now: datetime) -> list[datetime]:
        """Return the starts of the bars, the current one last."""
        last = start_of(self.span, now)
        return [last - self.step * back for back in reversed(range(self.bars))]


PERIODS = {
    "1h": Period(MINUTE, timedelta(minutes=1), 60),
    "24h": Period(HOUR, timedelta(hours=1), 24),
    "7d": Period(HOUR, timedelta(hours=1), 168),
    "30d": Period(DAY, timedelta(days=1), 30),
}


@dataclass(frozen=True, slots=True)
class Overview:
    """How everything stands.

    Attributes:
        snapshot: the queues and workers now.
        period: how far back the charts look.
        counts: what was counted, by span, start and queue.
        hour: the counts of the last hour by queue.
        minutes: the ended tasks of each of the last 60 minutes, by queue.
        recent: the counts of the last ten minutes.
        day: the counts of the last 24 hours.
        failing: what fails now.
        longest: what has run for long.
        schedules: what is due next.
    """

    snapshot: Snapshot
    period: Period
    counts: Mapping[tuple[Any, ...], Counts]
    hour: Mapping[str, Counts]
    minutes: Mapping[str, list[int]]
    recent: Counts
    day: Counts
    failing: list[Failing]
    longest: list[LongRunning]
    schedules: list[NextRun]

    def slots(self, queue_name: str = "") -> list[tuple[datetime, Counts]]:
        """Return the counts of each bar of the charts, of one queue or of all."""
        sums: dict[datetime, Counts] = defaultdict(Counts)
        for (span, start, name), one in self.counts.items():
            if span == self.period.span and queue_name in ("", name):
                sums[start] += one
        starts = self.period.starts(self.snapshot.time)
        return [(start, sums.get(start, Counts())) for start in starts]

    @property
    def warnings(self) -> tuple[StatusWarning, ...]:
        """What an operator should look at."""
        return (*self._jump(), *self.snapshot.warnings, *self._late())

    def _jump(self) -> Iterator[StatusWarning]:
        """Yield that failures are many more than usual."""
        usual, now = self.day.failed_share, self.recent.failed_share
        if usual is None or now is None or self.recent.failed < FEWEST_FAILURES:
            return
        if now >= FAILURE_JUMP * usual and now > usual:
            facts = {"now": f"{100 * now:.0f}", "usual": f"{100 * usual:.1f}"}
            text = _(
                "%(now)s %% of the tasks of the last ten minutes failed; of the last day "
                "%(usual)s %%."
            )
            yield StatusWarning("failure_jump", text % facts)

    def _late(self) -> Iterator[StatusWarning]:
        """Yield which schedules nobody runs, or cannot run."""
        for run in self.schedules:
            facts = {"name": run.name, "error": run.error}
            if run.error:
                text = _("The schedule “%(name)s” cannot run: %(error)s") % facts
                yield StatusWarning("schedule_error", text, None, run.next_run_at)
            elif run.is_late:
                text = _("The schedule “%(name)s” is late: no worker runs schedules.") % facts
                yield StatusWarning("late_schedule", text, None, run.next_run_at)


def day_slots(using: str, **only: Any) -> list[tuple[datetime, Counts]]:
    """Return the counts in each of the last 24 hours.

    Args:
        using: the database's alias.
        **only: ``queue_name`` or ``definition_id``.
    """
    starts = PERIODS["24h"].starts(timezone.now())
    counts = read(using, {HOUR: starts[0]}, "starts_at", **only)
    return [(start, counts.get((start,), Counts())) for start in starts]


def overview(using: str, period: str) -> Overview:
    """Return how everything stands, at most a few seconds old.

    Args:
        using: the database's alias.
        period: a key of `PERIODS`.
    """
    # The version: what another release has pickled may lack fields.
    key = f"django_taskstore.overview:{__version__}:{using}:{period}"
    return shared(key, lambda: gather(using, PERIODS[period]))


def shared(key: str, gather: Callable[[], Overview]) -> Overview:
    """Return what the cache holds; one caller at a time replaces what is old.

    Those who come meanwhile see the old one: a hundred open pages cost what one does.
    """
    found = cache.get(key)
    if found is not None and found[0] > time.time():
        known: Overview = found[1]
        return known
    if found is not None and not cache.add(f"{key}:lock", 1, STALE_SECONDS):
        return found[1]  # type: ignore[no-any-return]
    began = time.monotonic()
    fresh = gather()
    fresh_seconds = seconds_to_keep(time.monotonic() - began)
    cache.set(key, (time.time() + fresh_seconds, fresh), fresh_seconds + STALE_SECONDS)
    cache.delete(f"{key}:lock")
    return fresh


def seconds_to_keep(took_seconds: float) -> float:
    """Return how long an overview stays fresh that took so long to read."""
    usual = settings.ADMIN_CACHE_SECONDS
    return usual if took_seconds < SLOW_SECONDS else max(usual, SLOW_REST * took_seconds)


def gather(using: str, period: Period) -> Overview:
    """Read everything."""
    seen = snapshot(using)
    hour_ago = start_of(MINUTE, seen.time) - timedelta(minutes=59)
    recently = start_of(MINUTE, seen.time) - timedelta(minutes=9)
    day_ago = start_of(HOUR, seen.time) - timedelta(hours=23)
    starts = period.starts(seen.time)
    ranges: dict[str, datetime] = {MINUTE: hour_ago, HOUR: day_ago}
    ranges[period.span] = min(starts[0], ranges.get(period.span, starts[0]))
    counts = read(using, ranges, "span", "starts_at", "queue_name")
    return Overview(
        snapshot=seen,
        period=period,
        counts=counts,
        hour=hour_by_queue(counts, hour_ago),
        minutes=minutes_by_queue(counts, PERIODS["1h"].starts(seen.time)),
        recent=total(c for (span, at, _), c in counts.items() if span == MINUTE and at >= recently),
        day=total(c for (span, at, _), c in counts.items() if span == HOUR and at >= day_ago),
        failing=failing(seen.time, using),
        longest=longest_running(using),
        schedules=next_runs(seen.time, using),
    )


Read = Mapping[tuple[Any, ...], Counts]


def hour_by_queue(counts: Read, hour_ago: datetime) -> dict[str, Counts]:
    """Return the counts of the last hour by queue."""
    sums: dict[str, Counts] = defaultdict(Counts)
    for (span, start, name), one in counts.items():
        if span == MINUTE and start >= hour_ago:
            sums[name] += one
    return dict(sums)


def minutes_by_queue(counts: Read, starts: list[datetime]) -> dict[str, list[int]]:
    """Return how many tasks ended in each of the last 60 minutes, by queue."""
    names = {name for span, _, name in counts if span == MINUTE}
    return {
        name: [counts.get((MINUTE, start, name), Counts()).ended for start in starts]
        for name in names
    }


def total(counts: Any) -> Counts:
    """Return the sum of counts."""
    return sum(counts, Counts())
