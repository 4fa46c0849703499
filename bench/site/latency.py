"""``python -m bench.site.latency N``: enqueue a task when all is quiet, N times; print delays.

It waits a random time between two tasks, so that the worker's polls are met at any moment.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import django

QUIET_SECONDS = (0.05, 1.05)


def main(tries: int) -> None:
    """Measure and print."""
    from bench.stores import QUEUE
    from django_taskstore import enqueue

    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        calls, commits = [], []
        enqueue("Stamp", {"file": file.name, "number": -1}, queue_name=QUEUE)
        began(path, 1)
        for number in range(tries):
            time.sleep(random.uniform(*QUIET_SECONDS))
            called_ns = time.time_ns()
            enqueue("Stamp", {"file": file.name, "number": number}, queue_name=QUEUE)
            committed_ns = time.time_ns()
            began_ns = began(path, number + 2)
            calls.append((began_ns - called_ns) / 1e6)
            commits.append((began_ns - committed_ns) / 1e6)
    print(json.dumps({**spread("call", calls), **spread("commit", commits)}))


def began(path: Path, lines: int) -> int:
    """Wait until the file has so many lines; return the time in the last one."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        written = path.read_text().splitlines()
        if len(written) == lines:
            return int(written[-1].split()[1])
        time.sleep(0.001)
    raise TimeoutError("No worker started the task within a minute.")


def spread(name: str, milliseconds: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    ordered = sorted(milliseconds)
    return {
        f"p50 ms from {name}": statistics.median(ordered),
        f"p99 ms from {name}": ordered[int(len(ordered) * 0.99)],
    }


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))
