"""When to kill, and whom: each second, or as soon as a worker has something in hand.

A kill that meets an idle worker proves nothing; `one_at_work` makes sure of that.
"""

from __future__ import annotations

import random
import time

from tests.helpers import wait_until


def each_second(is_wanted):
    """Yield once a second, the first time after one, while something is wanted: asked each time."""
    at = time.monotonic() + 1.0
    while True:
        time.sleep(max(0.0, at - time.monotonic()))
        if not is_wanted():
            return
        at += 1.0
        yield


def one_at_work(ledger, crew):
    """Wait until somebody has started a task and not ended it; return a place in the crew."""

    def busy():
        return [place for place, worker in enumerate(crew) if ledger.in_hand(worker.pid)]

    return random.choice(wait_until(busy, seconds=60, what="a worker with a task in hand"))
