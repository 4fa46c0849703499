"""How many threads may work on short tasks at once: the interpreter lets one of them run.

Owns `Turns`. Handlers that compute, and most that use the ORM do, gain nothing from more
threads than keep the interpreter busy, and each of those costs it turns: ten threads that
read a row did four fifths of what two did. It starts and stops no thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: How long the processor's time is collected before it tells anything.
WINDOW_SECONDS = 0.05
#: Two overlap what one waits for; with fewer the interpreter would often have nothing to do.
FEWEST = 2
#: Of the time of one processor: an interpreter that takes more is full, with less it has room.
FULL, ROOM = 0.92, 0.85
#: After something held threads up for so long fewer are not tried: it may well go on.
PATIENCE_SECONDS = 1.0
#: With more than one processor's time, handlers compute outside of the interpreter.
OUTSIDE = 1.3


class Turns:
    """The number of threads that may work, learned from the processor's time they take.

    Args:
        most: all threads.
        clock: returns seconds.
        processor: returns the seconds that this process has spent on processors.

    Attributes:
        threads: how many may work at once.
    """

    def __init__(
        self,
        most: int,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self.most = self.threads = most
        self._clock, self._processor = clock, processor
        self._looked_at, self._spent = clock(), processor()
        self._fewer_from = self._looked_at

    def learn(self, *, are_short: bool) -> None:
        """Allow fewer threads while the interpreter is full, more while it has room.

        Args:
            are_short: whether tasks are over so soon that none waits long for another.
        """
        elapsed = self._clock() - self._looked_at
        if elapsed < WINDOW_SECONDS:
            return
        spent = self._processor() - self._spent
        self._looked_at += elapsed
        self._spent += spent
        self._allow(spent / elapsed if are_short else 0.0)

    def _allow(self, share: float) -> None:
        if share < ROOM or share > OUTSIDE:
            self.threads = min(self.most, self.threads * 2)
        elif share > FULL and self._looked_at >= self._fewer_from:
            self.threads = min(self.threads, max(FEWEST, self.threads - 1))

    def allow_all(self) -> None:
        """Allow all threads: something holds up those that may work, a slow task for instance."""
        self.threads = self.most
        self._fewer_from = self._clock() + PATIENCE_SECONDS
