"""Fixed buckets for durations, so that any two histograms can be added.

Owns the bounds and `Histogram`. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The upper bounds of the buckets in seconds; one more bucket holds what is longer.
BOUNDS_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)


def bucket(seconds: float) -> int:
    """Return the number of the bucket that a duration falls into."""
    return bisect_left(BOUNDS_SECONDS, seconds)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations fell into each bucket.

    Attributes:
        counts: by the number of the bucket; empty ones may be missing.
    """

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many durations there are."""
        return sum(self.counts.values())

    def quantile(self, share: float) -> float | None:
        """Return a bound in seconds that this share of the durations stays within.

        Args:
            share: from 0 to 1; 0.95 for p95.

        Returns:
            A bound of a bucket, infinity beyond the last one, None without durations.
        """
        wanted, seen = share * self.total, 0
        for number in sorted(self.counts):
            seen += self.counts[number]
            if self.counts[number] and seen >= wanted:
                return BOUNDS_SECONDS[number] if number < len(BOUNDS_SECONDS) else float("inf")
        return None

    def __add__(self, other: Histogram) -> Histogram:
        numbers = self.counts.keys() | other.counts.keys()
        return Histogram({n: self.counts.get(n, 0) + other.counts.get(n, 0) for n in numbers})
