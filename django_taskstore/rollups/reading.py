"""Summing counts up for charts and tables.

Owns the reads of `TaskStat`. Each is one statement over a range of its unique index.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, Sum

from django_taskstore.models import TaskStat
from django_taskstore.rollups.buckets import Histogram
from django_taskstore.statuses import Ending


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in some length of time.

    Attributes:
        endings: attempts by how they ended.
        wait: how long tasks waited once they were due.
        run: how long they ran.
    """

    endings: Mapping[str, int] = field(default_factory=dict)
    wait: Histogram = field(default_factory=Histogram)
    run: Histogram = field(default_factory=Histogram)

    @property
    def succeeded(self) -> int:
        """Tasks that succeeded."""
        return self.endings.get(Ending.SUCCEEDED, 0)

    @property
    def failed(self) -> int:
        """Tasks that failed for good."""
        return self.endings.get(Ending.FAILED, 0)

    @property
    def retried(self) -> int:
        """Attempts after which the task waits for another."""
        return self.endings.get(Ending.RETRIED, 0)

    @property
    def canceled(self) -> int:
        """Tasks that were canceled while they ran."""
        return self.endings.get(Ending.CANCELED, 0)

    @property
    def ended(self) -> int:
        """Tasks that came to an end."""
        return self.succeeded + self.failed + self.canceled

    @property
    def failed_share(self) -> float | None:
        """The share of ended tasks that failed, None when none ended."""
        return self.failed / self.ended if self.ended else None

    def __add__(self, other: Counts) -> Counts:
        names = self.endings.keys() | other.endings.keys()
        return Counts(
            {name: self.endings.get(name, 0) + other.endings.get(name, 0) for name in names},
            self.wait + other.wait,
            self.run + other.run,
        )


def counts_of(measures: Iterable[tuple[str, int]]) -> Counts:
    """Return counters by their meaning."""
    endings: dict[str, int] = {}
    times: dict[str, dict[int, int]] = {"wait": {}, "run": {}}
    for measure, n in measures:
        kind, _, number = measure.partition("_")
        if kind in times:
            times[kind][int(number)] = n
        else:
            endings[measure] = n
    return Counts(endings, Histogram(times["wait"]), Histogram(times["run"]))


def read(
    using: str,
    ranges: Mapping[str, datetime],
    *columns: str,
    **only: Any,
) -> dict[tuple[Any, ...], Counts]:
    """Read counts, in one statement.

    Args:
        using: the database's alias.
        ranges: since when, by the span to read.
        *columns: what to group by: span, starts_at, queue_name, definition_id.
        **only: ``queue_name`` or ``definition_id`` to narrow to.

    Returns:
        Counts by the values of the columns; what saw nothing is missing.
    """
    found = within(using, ranges).filter(**only)
    sums = found.values_list(*columns, "measure").annotate(Sum("n"))
    measures: dict[tuple[Any, ...], list[tuple[str, int]]] = defaultdict(list)
    for *key, measure, n in sums:
        measures[tuple(key)].append((measure, n))
    return {key: counts_of(pairs) for key, pairs in measures.items()}


def within(using: str, ranges: Mapping[str, datetime]) -> Any:
    """Return the counters of these spans since these moments."""
    wanted = Q(pk__in=())
    for span, since in ranges.items():
        wanted |= Q(span=span, starts_at__gte=since)
    return TaskStat.objects.using(using).filter(wanted).order_by()
