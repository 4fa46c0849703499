"""Counting what ended, on the worker's side.

Owns `Recorder`, which a runner feeds once a round, and the removal of old counts. A count
goes to its minute, its hour and its day at once, in one statement every few seconds, so
nothing has to be folded later. Counts are for people: those of the last seconds before a
worker is killed are lost, and no code decides by them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from django_taskstore.database import counters
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.models import TaskStat
from django_taskstore.outcomes import Outcome
from django_taskstore.rollups.buckets import bucket
from django_taskstore.statuses import Ending

FLUSH_SECONDS = 5.0
#: How an attempt must have ended to be counted: a given-back one never happened.
COUNTED = frozenset({Ending.SUCCEEDED, Ending.FAILED, Ending.CANCELED, Ending.RETRIED})
KEY = ("span", "starts_at", "queue_name", "definition", "measure")
KEPT = {
    TaskStat.Span.MINUTE: timedelta(days=2),
    TaskStat.Span.HOUR: timedelta(days=60),
    TaskStat.Span.DAY: timedelta(days=730),
}


class Recorder:
    """Counts outcomes in memory and adds them to the database now and then.

    Args:
        using: the database's alias.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self._counts: Counter[tuple[str, int, str, int, int]] = Counter()
        self._ended: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._flush_at = time.monotonic() + FLUSH_SECONDS

    def count(self, outcomes: Iterable[Outcome]) -> None:
        """Count the outcomes of one round, from the thread that recorded them."""
        keys = [
            (
                outcome.claim.queue_name,
                outcome.claim.definition_id,
                outcome.ending,
                bucket(outcome.claim.waited_seconds),
                bucket(outcome.run_seconds),
            )
            for outcome in outcomes
            if outcome.ending in COUNTED and outcome.started_at is not None
        ]
        with self._lock:
            self._counts.update(keys)
            self._ended.update(ending for _queue, _definition, ending, _wait, _run in keys)

    @property
    def ended(self) -> Counter[str]:
        """How many attempts ended since the start, by ending."""
        with self._lock:
            return self._ended.copy()

    def flush_when_due(self) -> None:
        """Add what was counted to the database, if the last time is a few seconds ago."""
        if time.monotonic() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Add what was counted to the database; what it does not take is kept for the next time."""
        self._flush_at = time.monotonic() + FLUSH_SECONDS
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            write(counts, timezone.now(), self.using)
        except Exception:
            with self._lock:
                self._counts.update(counts)
            raise


def write(counts: Counter[tuple[str, int, str, int, int]], now: datetime, using: str) -> None:
    """Add counts to the minute, the hour and the day of a moment."""
    numbers: Counter[tuple[str, int, str]] = Counter()
    for (queue_name, definition_id, ending, wait, run), n in counts.items():
        numbers[queue_name, definition_id, str(ending)] += n
        numbers[queue_name, definition_id, f"wait_{wait}"] += n
        numbers[queue_name, definition_id, f"run_{run}"] += n
    added = {
        (str(span), start_of(span, now), *key): n
        for span in TaskStat.Span
        for key, n in numbers.items()
    }

    def transact() -> None:
        with writing(using):
            counters.add(TaskStat, added, key=KEY, number="n", using=using)

    repeat_on_conflict(using, transact)


def start_of(span: str, moment: datetime) -> datetime:
    """Return the beginning of the minute, hour or day, in UTC, that a moment is in."""
    whole: dict[str, Any] = {"second": 0, "microsecond": 0}
    if span != TaskStat.Span.MINUTE:
        whole["minute"] = 0
    if span == TaskStat.Span.DAY:
        whole["hour"] = 0
    return moment.astimezone(timezone.get_fixed_timezone(0)).replace(**whole)


def purge(using: str) -> int:
    """Remove counts that nobody looks at any more; return how many rows.

    Args:
        using: the database's alias.
    """
    removed = 0
    for span, kept in KEPT.items():
        old = TaskStat.objects.using(using).filter(span=span, starts_at__lt=timezone.now() - kept)
        removed += old.delete()[0]
    return removed
