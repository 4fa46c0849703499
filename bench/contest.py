"""Running contestants in turn, and what their figures come to.

Owns `Entry`, `play` and `Result`. The contestants of one measure alternate: what else the
machine does meanwhile meets all of them, so that a ratio within one round is worth more
than any rate.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Figures = dict[str, float]


@dataclass(frozen=True)
class Entry:
    """One contestant of one measure.

    Attributes:
        database: where it keeps its tasks.
        label: what it is and how it is set.
        run: measures once.
        against: the entry that it is compared with.
    """

    database: str
    label: str
    run: Callable[[], Figures]
    against: Entry | None = None


@dataclass
class Result:
    """What an entry's rounds gave."""

    entry: Entry
    rounds: list[Figures] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Return the median of one figure."""
        return statistics.median(figures[name] for figures in self.rounds)

    @property
    def figures(self) -> Figures:
        """The medians of all figures."""
        return {name: self.median(name) for name in self.rounds[0]}


@dataclass
class Table:
    """The results of one measure, side by side.

    Attributes:
        title: what was measured.
        results: one for each entry.
    """

    title: str
    results: list[Result]

    def ratio(self, result: Result) -> float | None:
        """Return a result's first figure by that of its rival: the median of the rounds."""
        rivals = (one for one in self.results if one.entry is result.entry.against)
        rival = next(rivals, None)
        if rival is None:
            return None
        first = next(iter(result.rounds[0]))
        pairs = zip(result.rounds, rival.rounds, strict=True)
        return statistics.median(own[first] / other[first] for own, other in pairs)


def play(title: str, entries: Sequence[Entry], *, repeat: int) -> Table:
    """Measure each entry in turn, several times.

    Args:
        title: what is measured.
        entries: the contestants.
        repeat: how many rounds.
    """
    table = Table(title, [Result(entry) for entry in entries])
    for number in range(1, repeat + 1):
        for result in table.results:
            figures = result.entry.run()
            result.rounds.append(figures)
            said = ", ".join(f"{name} {plain(value)}" for name, value in figures.items())
            where = f"{title} {number}/{repeat}: {result.entry.database}, {result.entry.label}"
            print(f"{where}: {said}", file=sys.stderr, flush=True)
    return table


def plain(value: float) -> str:
    """Return a figure as a person reads it: three or four digits, no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
