"""How long to wait before the next attempt: pure arithmetic, no clock and no settings.

Owns the reading of a handler's ``backoff``. A delay is seconds, never below zero.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta

from django_taskstore.exceptions import seconds

Delay = float | timedelta
Backoff = Delay | Sequence[Delay] | Callable[[int], Delay]

#: A day: a longer automatic wait looks like a lost task to the person who waits for it.
LONGEST_DELAY_SECONDS = 86_400.0


def exponential(
    attempt: int, *, first_seconds: float = 15.0, longest_seconds: float = LONGEST_DELAY_SECONDS
) -> float:
    """Return a doubling delay with up to 10 % of jitter, so that retries do not march in step.

    Args:
        attempt: the attempt that has just failed, counted from 1.
        first_seconds: the delay after the first attempt.
        longest_seconds: the cap, jitter included.
    """
    doubled = first_seconds * 2.0 ** min(attempt - 1, 32)
    return min(longest_seconds, doubled * random.uniform(1.0, 1.1))


def delay_seconds(backoff: Backoff | None, attempt: int) -> float:
    """Return the seconds to wait after the given failed attempt.

    Args:
        backoff: one delay for all attempts, a sequence with one delay an attempt (the last
            serves all later ones), a callable of the attempt, or None for `exponential`.
        attempt: the attempt that has just failed, counted from 1.

    Raises:
        TypeError, ValueError: the backoff is none of these, or is an empty sequence.
    """
    if backoff is None:
        return exponential(attempt)
    if callable(backoff):
        return seconds(backoff(attempt))
    if isinstance(backoff, Sequence) and not isinstance(backoff, str):
        if not backoff:
            raise ValueError("backoff is an empty sequence; give at least one delay in seconds.")
        return seconds(backoff[min(attempt, len(backoff)) - 1])
    return seconds(backoff)
