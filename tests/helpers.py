"""Waiting for conditions, and looking at real worker processes from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def wait_until(condition, *, seconds=30.0, what="the condition"):
    """Return the condition's first true value; fail when it stays false for too long."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"Waited {seconds} s in vain for {what}.")
        time.sleep(0.02)  # The pause between two looks, not a wait for a time.


@dataclass(frozen=True)
class Line:
    """One line of the ledger."""

    task_id: int
    claim_seq: int
    pid: int
    what: str
    at_ns: int


class Ledger:
    """What handlers wrote outside the database."""

    def __init__(self, path):
        self.path = Path(path)

    def lines(self):
        """Return all whole lines so far."""
        if not self.path.exists():
            return []
        rows = [line.split() for line in self.path.read_text().splitlines()]
        return [Line(int(a), int(b), int(c), d, int(e)) for a, b, c, d, e in rows]

    def starts(self):
        """Return how often each task started."""
        return self._count("start")

    def ends(self):
        """Return how often each task came to its end."""
        return self._count("end")

    def _count(self, what):
        counts = defaultdict(int)
        for line in self.lines():
            if line.what == what:
                counts[line.task_id] += 1
        return dict(counts)


class WorkerProcess:
    """A real ``taskqueue_run`` on the test's database."""

    def __init__(self, *arguments, ledger=None, environment=None):
        variables = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TASKSTORE_TEST_DB_NAME": str(connection.settings_dict["NAME"]),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }
        if ledger is not None:
            variables["TASKSTORE_TEST_LEDGER"] = str(ledger.path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "taskqueue_run", *arguments],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def pid(self):
        """The process's id."""
        return self.process.pid

    def send(self, number):
        """Send a signal."""
        os.kill(self.process.pid, number)

    def kill(self):
        """Kill the process, which cannot notice, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.process.wait(30)

    def stop(self, *, seconds=60.0):
        """Send SIGTERM; return the exit code and all output."""
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGTERM)
        return self.wait(seconds=seconds)

    def wait(self, *, seconds=60.0):
        """Wait for the end; return the exit code and all output."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output


@contextlib.contextmanager
def workers(count, *arguments, **options):
    """Start worker processes and make sure that none outlives the test."""
    started = [WorkerProcess(*arguments, **options) for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.communicate()
