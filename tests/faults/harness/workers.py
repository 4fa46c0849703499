"""Worker processes that a case starts, wounds and kills.

Owns `Worker`: one ``taskqueue_run`` with its output in a file, so that a talkative worker never
waits for a reader.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from django.db import connection

from django_taskstore.conf import settings
from tests.helpers import ROOT, wait_until

#: A lease of three seconds, renewed each second, so that a case sees a rescue soon.
LEASE_SECONDS, BEAT_SECONDS = 3.0, 1.0
SHORT_LEASE = ("--unstuck-minutes", "0.05", "--interval", "0.2")
#: What a busy machine may add to a bound: scheduling and the start of a process.
MARGIN_SECONDS = 6.0


class Worker:
    """A real worker on the case's database.

    Args:
        *arguments: the command line after ``taskqueue_run``.
        folder: where its output goes.
        ledger: what its handlers write to.
        port: another port than the database's, such as a proxy's.
        failpoint: where to die; see `failpoints.arm`.
        settings: keys of TASKSTORE.
        environment: more variables.
        launcher: a command to start it under, such as one that limits its memory.
    """

    _numbers = itertools.count(1)

    def __init__(
        self,
        *arguments,
        folder,
        ledger,
        port=None,
        failpoint=None,
        settings=None,
        environment=None,
        launcher=(),
    ):
        self.stop_seconds = stop_seconds(arguments)
        self.log = Path(folder) / f"worker-{next(self._numbers)}.log"
        extra = {"TASKSTORE_TEST_SETTINGS": json.dumps(settings or {}), **(environment or {})}
        if failpoint is not None:
            extra["TASKSTORE_TEST_FAILPOINT"] = failpoint
        command = [*launcher, sys.executable, "-m", "tests.faults.harness.entry", "taskqueue_run"]
        self.started_at = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments],
                cwd=ROOT,
                env={**os.environ, **surroundings(ledger, port), **extra},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self):
        """The process's id."""
        return self.process.pid

    @property
    def output(self):
        """All it has said so far."""
        return self.log.read_text(errors="replace")

    @property
    def is_alive(self):
        """Whether it still runs."""
        return self.process.poll() is None

    def ready(self):
        """Wait until its banner says that it works."""
        wait_until(
            lambda: "handlers" in self.output or not self.is_alive, seconds=60, what="the banner"
        )
        return self

    def send(self, number):
        """Send a signal; a process that has just ended does not mind."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def freeze(self):
        """Stop it and all its children, so that none of them notices the time that passes."""
        self._send_all(signal.SIGSTOP)

    def thaw(self):
        """Let it and its children go on."""
        self._send_all(signal.SIGCONT)

    def _send_all(self, number):
        self.send(number)  # First: a stopped parent starts no further child.
        for child in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(number)

    def kill(self):
        """Kill the process, which cannot notice, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.process.wait(30)

    def stop(self, *, seconds=60.0):
        """Send SIGTERM and wait; return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait(seconds=seconds)

    def wait(self, *, seconds=60.0):
        """Wait for the end; return the exit code."""
        return self.process.wait(seconds)


def stop_seconds(arguments):
    """Return how long a worker with these arguments may take to stop, beside its promise."""
    if "--shutdown-timeout" in arguments:
        return float(arguments[arguments.index("--shutdown-timeout") + 1])
    return float(settings.SHUTDOWN_TIMEOUT_SECONDS)


def surroundings(ledger, port):
    """Return the variables that lead a worker to the case's database and ledger."""
    place = connection.settings_dict
    prefix = "MYSQL_" if connection.vendor == "mysql" else "PG"
    here = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TASKSTORE_TEST_DB_NAME": str(place["NAME"]),
        "TASKSTORE_TEST_LEDGER": str(ledger.path),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    if connection.vendor != "sqlite":
        here[f"{prefix}HOST"] = place["HOST"]
        here[f"{prefix}PORT"] = str(port or place["PORT"])
    return here


def is_alive(pid):
    """Tell whether a process exists and is not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
