"""How finished tasks reach the dispatcher, and how it sleeps until there is something to do.

Owns `Mailbox`. Threads and signal handlers write it without a lock of ours: a deque takes
an outcome in one step, and ``SimpleQueue.put`` is reentrant (Python manual, queue).
"""

from __future__ import annotations

import contextlib
import queue
from collections import deque

from django_taskstore.outcomes import Outcome


class Mailbox:
    """Outcomes on their way, and a bell."""

    def __init__(self) -> None:
        self._outcomes: deque[Outcome] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._has_rung = False

    def put(self, outcome: Outcome, *, ring: bool) -> None:
        """Leave an outcome; ring unless the bell has rung since the last collection."""
        self._outcomes.append(outcome)
        if ring and not self._has_rung:
            self._has_rung = True
            self._bell.put(None)

    def ring(self) -> None:
        """End the reader's sleep."""
        self._bell.put(None)

    def collect(self) -> list[Outcome]:
        """Take all outcomes; whoever has rung until now is answered with that."""
        while not self._bell.empty():
            self._bell.get()
        # First: who leaves an outcome from here on rings again.
        self._has_rung = False
        found = []
        while self._outcomes:
            found.append(self._outcomes.popleft())
        return found

    def wait(self, seconds: float) -> bool:
        """Sleep until the bell rings; return whether it did within the time."""
        with contextlib.suppress(queue.Empty):
            self._bell.get(timeout=max(0.0, seconds))
            return True
        return False

    def __bool__(self) -> bool:
        return bool(self._outcomes)
