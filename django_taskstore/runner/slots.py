"""What this process has claimed, and how much more it may claim.

Owns `Slots`: the table of what is in flight, the threads that are held, and the pace. It
claims and starts nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from django_taskstore.claims import Claim
from django_taskstore.runner.held import Held
from django_taskstore.runner.in_flight import InFlight
from django_taskstore.runner.pace import Pace


class Slots:
    """The slots of one runner, and those claimed ahead of them.

    Args:
        concurrency: tasks at the same time.
    """

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.in_flight = InFlight()
        self.held = Held()
        self.pace = Pace()
        self._measured_at = 0.0

    @property
    def capacity(self) -> int:
        """How many tasks may be in flight: the slots, and what will start very soon."""
        return self.concurrency - len(self.held) + self.pace.ahead

    def busy(self, ended: Iterable[Claim]) -> int:
        """Return how many tasks are in flight.

        Args:
            ended: claims whose outcomes have still to land: the transaction that records an
                outcome may give its slot to another task.
        """
        return len(self.in_flight) - self.in_flight.count(ended)

    def free(self, ended: Iterable[Claim]) -> int:
        """Return how many tasks would start at once."""
        return self.concurrency - len(self.held) - self.busy(ended)

    def measure(self, finished: int) -> None:
        """Learn how many tasks have finished since the last time, if any were in flight."""
        now = time.monotonic()
        if self.in_flight:
            self.pace.ended(finished, seconds=now - self._measured_at)
        self._measured_at = now
