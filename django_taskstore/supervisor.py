"""Several worker processes under one small parent.

Owns `Supervisor`: it starts the same command several times, replaces what dies, and hands
signals on. It opens no database connection, so nothing is ever shared across a fork; each
child is a fresh interpreter.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger("django_taskstore.worker")

LOOK_SECONDS = 0.1
#: What a child may take beyond its own deadline before it is killed.
MARGIN_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 30.0
#: A child that ran this long was well: its next death starts the backoff anew.
WELL_AFTER_SECONDS = 60.0
USAGE, NOT_READY, RELEASED = 2, 3, 4


@dataclass
class Child:
    """One worker process, or the place of one that will be started again."""

    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0
    done: bool = field(default=False)


class Supervisor:
    """Keeps a number of worker processes alive until told to stop.

    Args:
        arguments: the child's command line after ``taskqueue_run``.
        processes: how many children.
        shutdown_timeout_seconds: how long a child may take to stop.
        recycles: start a child again when it ended in order, as it does after --max-tasks.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        processes: int,
        shutdown_timeout_seconds: float,
        recycles: bool,
    ) -> None:
        self.arguments = list(arguments)
        self.shutdown_timeout_seconds = shutdown_timeout_seconds
        self.recycles = recycles
        self.children = [Child() for _ in range(processes)]
        self._signals = 0
        self._passed_on = 0
        self._kill_at: float | None = None
        self._exit_code = 0

    def request_stop(self) -> None:
        """Stop all children; a second time at once. Safe in a signal handler."""
        self._signals += 1

    def run(self) -> int:
        """Supervise until all children are done; return the exit code."""
        try:
            while not all(child.done for child in self.children):
                self._pass_signals_on()
                for child in self.children:
                    self._look_after(child)
                time.sleep(LOOK_SECONDS)
        finally:
            self._kill_all()
        return self._exit_code

    def _pass_signals_on(self) -> None:
        while self._passed_on < self._signals:
            self._passed_on += 1
            self._kill_at = (
                time.monotonic() + self.shutdown_timeout_seconds + MARGIN_SECONDS
                if self._kill_at is None
                else min(self._kill_at, time.monotonic() + MARGIN_SECONDS)
            )
            for child in self._alive():
                with contextlib.suppress(ProcessLookupError):
                    child.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self._kill_all()

    def _look_after(self, child: Child) -> None:
        if child.done:
            return
        if child.process is None:
            if self._signals:
                child.done = True
            elif time.monotonic() >= child.start_at:
                self._start(child)
        elif (code := child.process.poll()) is not None:
            self._ended(child, code)

    def _start(self, child: Child) -> None:
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            [sys.executable, "-m", "django", "taskqueue_run", *self.arguments, "--supervised"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            # The child reads this pipe: its end tells that the parent is gone, however.
            stdin=subprocess.PIPE,
            # Ctrl-C in a terminal must reach the child once, from its parent.
            start_new_session=True,
        )

    def _ended(self, child: Child, code: int) -> None:
        lived_seconds = time.monotonic() - child.started_at
        pid = child.process.pid if child.process else 0
        child.process = None
        if code in (0, RELEASED) and (self._signals or not self.recycles):
            child.done, self._exit_code = True, max(self._exit_code, code)
        elif self._signals:
            child.done, self._exit_code = True, max(self._exit_code, RELEASED)
        elif code in (USAGE, NOT_READY) and not child.deaths:
            self._exit_code = code
            child.done = True
            self.request_stop()
        else:
            self._start_again(child, code, pid, lived_seconds)

    def _start_again(self, child: Child, code: int, pid: int, lived_seconds: float) -> None:
        if code == 0:
            return
        child.deaths = 1 if lived_seconds > WELL_AFTER_SECONDS else child.deaths + 1
        pause_seconds = min(LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** (child.deaths - 1))
        child.start_at = time.monotonic() + pause_seconds
        logger.error(
            "Worker process %s ended with %s; another one starts in %.1f s.",
            pid,
            f"signal {-code}" if code < 0 else f"exit code {code}",
            pause_seconds,
        )

    def _alive(self) -> list[Child]:
        return [child for child in self.children if child.process is not None]

    def _kill_all(self) -> None:
        for child in self._alive():
            if child.process is not None and child.process.poll() is None:
                child.process.kill()
                child.process.wait()


def watch_parent(request_stop: Callable[[], Any]) -> threading.Thread:
    """Stop this worker when its supervisor is gone, however that ended.

    Args:
        request_stop: called once, on a thread of its own.
    """

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 1024):
                pass
        request_stop()

    thread = threading.Thread(target=watch, name="taskstore-parent-watch", daemon=True)
    thread.start()
    return thread
