"""Charts as geometry: numbers in, places of bars and points out.

Owns the arithmetic. Colours are classes and texts are the template's, so a chart needs no
script and no inline style. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django_taskstore.rollups import Counts

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 480, 180, 50, 22, 8
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT, HEIGHT - BOTTOM - TOP
#: The ends of the logarithmic axis of times, in seconds.
SHORTEST, LONGEST = 0.01, 100_000.0
TIMES_SECONDS = (0.01, 0.1, 1, 10, 60, 600, 3_600, 36_000)
KINDS = ("success", "failed", "canceled")
Slots = Sequence[tuple[datetime, Counts]]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """What one slot of time looks like: its bars, and its numbers for the title and the table."""

    start: datetime
    counts: Counts
    bars: list[Bar]
    x: float
    width: float
    is_current: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the chart with its value."""

    y: float
    value: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """Stacked bars of what ended."""

    columns: list[Column]
    ticks: list[Tick]
    labels: list[tuple[float, datetime]]
    succeeded: int
    failed: int
    peak: int
    peak_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A line through the slots that know its value; a gap begins a new piece."""

    kind: str
    pieces: list[str]
    values: list[float | None]


@dataclass(frozen=True, slots=True)
class Latency:
    """Times on a logarithmic axis, with the age of the oldest waiting task now."""

    lines: list[Line]
    starts: list[datetime]
    ticks: list[Tick]
    labels: list[tuple[float, datetime]]
    age_y: float | None
    age_seconds: float | None

    @property
    def has_values(self) -> bool:
        """Whether anything was measured."""
        return any(value is not None for line in self.lines for value in line.values)

    @property
    def table(self) -> list[tuple[datetime, list[float | None]]]:
        """The values by slot, in the order of the lines."""
        rows = zip(*(line.values for line in self.lines), strict=True)
        return [(start, list(row)) for start, row in zip(self.starts, rows, strict=True)]


def throughput(slots: Slots) -> Throughput:
    """Return the chart of what ended in each slot."""
    peak_at, most = max(slots, key=lambda slot: slot[1].ended)
    top = nice(most.ended)
    step = PLOT_WIDTH / len(slots)
    columns = [
        column(start, counts, LEFT + place * step, step, top, is_current=place == len(slots) - 1)
        for place, (start, counts) in enumerate(slots)
    ]
    return Throughput(
        columns=columns,
        ticks=[Tick(height_of(top * part / 2, top), top * part / 2) for part in (0, 1, 2)],
        labels=labels(slots),
        succeeded=sum(counts.succeeded for _, counts in slots),
        failed=sum(counts.failed for _, counts in slots),
        peak=most.ended,
        peak_at=peak_at,
    )


def column(
    start: datetime, counts: Counts, x: float, step: float, top: float, *, is_current: bool
) -> Column:
    """Return the bars of one slot, one above the other."""
    bars, done = [], 0
    numbers = zip(KINDS, (counts.succeeded, counts.failed, counts.canceled), strict=True)
    for kind, n in numbers:
        if n:
            upper, lower = height_of(done + n, top), height_of(done, top)
            width = max(1.0, step * 0.8)
            bars.append(Bar(kind, round(x, 2), upper, round(width, 2), round(lower - upper, 2)))
            done += n
    return Column(start, counts, bars, round(x, 2), round(step, 2), is_current)


def height_of(value: float, top: float) -> float:
    """Return the place of a value on an axis from 0 to ``top``."""
    return round(TOP + PLOT_HEIGHT * (1 - value / top), 2)


def nice(value: int) -> float:
    """Return the end of an axis: an even round number not below the value, at least 2."""
    if value <= 2:
        return 2
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 2, 4, 6, 8, 10) if value <= size * step)


MEASURES: dict[str, Callable[[Counts], float | None]] = {
    "wait-50": lambda counts: counts.wait.quantile(0.5),
    "wait-95": lambda counts: counts.wait.quantile(0.95),
    "run-50": lambda counts: counts.run.quantile(0.5),
    "run-95": lambda counts: counts.run.quantile(0.95),
}


def latency(slots: Slots, age_seconds: float | None) -> Latency:
    """Return the chart of waiting and running times.

    Args:
        slots: the counts of each slot.
        age_seconds: the age of the oldest waiting task now, or None.
    """
    lines = []
    for kind, measure in MEASURES.items():
        values = [measure(counts) for _, counts in slots]
        lines.append(Line(kind, pieces(values), values))
    return Latency(
        lines=lines,
        starts=[start for start, _ in slots],
        ticks=[Tick(log_height(value), value) for value in TIMES_SECONDS],
        labels=labels(slots),
        age_y=None if age_seconds is None else log_height(age_seconds),
        age_seconds=age_seconds,
    )


def pieces(values: list[float | None]) -> list[str]:
    """Return the points of a line; a lone one is drawn as a short dash."""
    step, found, points = PLOT_WIDTH / len(values), [], []
    for place, value in enumerate([*values, None]):
        if value is not None:
            points.append((LEFT + (place + 0.4) * step, log_height(value)))
        elif points:
            if len(points) == 1:
                points.append((points[0][0] + step * 0.4, points[0][1]))
            found.append(" ".join(f"{x:.1f},{y:.1f}" for x, y in points))
            points = []
    return found


def log_height(seconds: float) -> float:
    """Return the place of a time on the logarithmic axis."""
    inside = min(max(seconds, SHORTEST), LONGEST)
    share = math.log(inside / SHORTEST) / math.log(LONGEST / SHORTEST)
    return round(TOP + PLOT_HEIGHT * (1 - share), 2)


def labels(slots: Slots) -> list[tuple[float, datetime]]:
    """Return about four moments and their places under the chart."""
    every = max(1, len(slots) // 4)
    step = PLOT_WIDTH / len(slots)
    return [
        (round(LEFT + place * step, 1), start)
        for place, (start, _) in enumerate(slots)
        if place % every == 0 and place < len(slots) - every / 2
    ]


def sparkline(numbers: Sequence[int]) -> str:
    """Return the points of a small line, 100 wide and 20 high."""
    top, step = max(*numbers, 1), 100 / (len(numbers) - 1)
    return " ".join(f"{i * step:.1f},{19 - 18 * n / top:.1f}" for i, n in enumerate(numbers))
