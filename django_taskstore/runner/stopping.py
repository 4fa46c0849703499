"""When a runner stops: whether it was asked to, and how long it may still take.

Owns `Stopping` and `left_of`. Pure but for the monotonic clock; signal handlers may call it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: How long a handler that was told to stop may take before its task is given back. A worker's
#: process ends 1.75 s after its deadline: this leaves a slow database a second to give back.
GRACE_SECONDS = 0.6
#: The same when there is no time left.
HASTE_SECONDS = 0.1
#: How long a runner that stops tries to give back what has not ended.
LAST_SECONDS = 1.0


class Stopping:
    """A request to stop, and its deadline."""

    def __init__(self) -> None:
        self.is_requested = False
        self.grace_seconds = GRACE_SECONDS
        self._deadline: float | None = None

    def request(self, *, timeout_seconds: float | None) -> None:
        """Stop; give back what still runs after the timeout, if there is one."""
        if timeout_seconds is not None:
            self._deadline = time.monotonic() + timeout_seconds
        self.is_requested = True

    def request_now(self) -> None:
        """Stop and give back at once what still runs."""
        self.grace_seconds = HASTE_SECONDS
        self.request(timeout_seconds=0.0)

    def remaining_seconds(self, longest_seconds: float) -> float:
        """Return the time until the deadline; the longest wait when there is none."""
        if self._deadline is None:
            return longest_seconds
        return max(0.0, self._deadline - time.monotonic())


def left_of(seconds: float) -> Callable[[], float]:
    """Return what tells how much of this time is left."""
    until = time.monotonic() + seconds
    return lambda: max(0.0, until - time.monotonic())
