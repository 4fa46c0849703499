"""When tasks began, beside when they were enqueued. Standard library only, as `tally` is.

Owns `stamp`, which the handlers of all contestants call, and `delays`, which enqueues when all
is quiet and measures from before the call, and from its return, to the handler.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

#: Between two tasks, at random, so that a worker's polls are met at any moment.
QUIET_SECONDS = (0.05, 1.05)


def stamp(path: str) -> None:
    """Add a line with the time to a file; one short line is written whole."""
    line = f"{time.time_ns()}\n".encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(file, line)
    os.close(file)


def delays(enqueue: Callable[[str], object], tries: int) -> dict[str, float]:
    """Enqueue a stamping task when all is quiet, again and again; return the delays.

    Args:
        enqueue: enqueues a task that calls `stamp` with this path.
        tries: how often, after a first one that does not count.
    """
    with tempfile.NamedTemporaryFile() as file:
        calls, returns = [], []
        for number in range(tries + 1):
            time.sleep(random.uniform(*QUIET_SECONDS))
            called_ns = time.time_ns()
            enqueue(file.name)
            returned_ns = time.time_ns()
            began_ns = began(Path(file.name), number + 1)
            calls.append((began_ns - called_ns) / 1e6)
            returns.append((began_ns - returned_ns) / 1e6)
    return {**spread("call", calls[1:]), **spread("commit", returns[1:])}


def began(path: Path, lines: int) -> int:
    """Wait until the file has so many lines; return the time in the last one.

    Raises:
        TimeoutError: nobody started the task within a minute.
    """
    until = time.monotonic() + 60
    while time.monotonic() < until:
        written = path.read_text()
        if written.count("\n") == lines:
            return int(written.split()[-1])
        time.sleep(0.001)
    raise TimeoutError("No worker started the task within a minute.")


def spread(name: str, milliseconds: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    ordered = sorted(milliseconds)
    return {
        f"p50 ms from {name}": statistics.median(ordered),
        f"p99 ms from {name}": ordered[int(len(ordered) * 0.99)],
    }
