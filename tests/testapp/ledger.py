"""The ledger: a file outside the database where handlers say that they start and end."""

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
