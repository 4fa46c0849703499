"""The ledger: a file outside the database where handlers say that they start and end.

What they do in between takes as long as a test says.
"""

from __future__ import annotations

import os
import time
from pathlib import Path


def write_line(handler, what):
    """Append one line to the ledger in one write, which O_APPEND keeps whole."""
    task = handler.queued_task
    line = f"{task.pk} {task.claim_seq} {os.getpid()} {what} {time.monotonic_ns()}\n"
    descriptor = os.open(
        Path(os.environ["TASKSTORE_TEST_LEDGER"]), os.O_APPEND | os.O_CREAT | os.O_WRONLY
    )
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def take_time(handler):
    """Sleep for the parameter "seconds", and then until the file "gate" is there, if any."""
    time.sleep(float(handler.get_param("seconds", 0)))
    gate = handler.get_param("gate")
    while gate and not Path(gate).exists():
        time.sleep(0.02)
