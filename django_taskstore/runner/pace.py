"""How many tasks to claim ahead of the free slots.

Owns `Pace`. Pure but for what it is told: it reads no clock.
"""

from __future__ import annotations

#: What is claimed ahead should start within this time, or another worker could have it.
AHEAD_SECONDS = 0.1
MOST_AHEAD = 500
#: The weight of the newest run time; a slow task is believed at once.
WEIGHT = 0.05


class Pace:
    """The moving average of run times, and what it allows.

    Args:
        concurrency: how many tasks run at the same time.
    """

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.average_seconds: float | None = None

    def ran(self, run_seconds: float) -> None:
        """Learn how long a task ran."""
        if self.average_seconds is None or run_seconds > AHEAD_SECONDS:
            self.average_seconds = run_seconds
        else:
            self.average_seconds += WEIGHT * (run_seconds - self.average_seconds)

    def stalled(self) -> None:
        """Learn that what was claimed ahead did not start in time."""
        self.average_seconds = None

    @property
    def ahead(self) -> int:
        """How many tasks to claim beyond the free slots; 0 until run times are known."""
        if self.average_seconds is None:
            return 0
        starts = AHEAD_SECONDS / max(self.average_seconds, 1e-6) * self.concurrency
        return min(MOST_AHEAD, int(starts))
