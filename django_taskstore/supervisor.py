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
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django_taskstore import signals
from django_taskstore.exceptions import seconds
from django_taskstore.executor.enforcement import GRACE_SECONDS
from django_taskstore.registry import registry

logger = logging.getLogger("django_taskstore.worker")

LOOK_SECONDS = 0.1
#: What a child may take beyond its own deadline before it is killed.
MARGIN_SECONDS = 1.9
LONGEST_PAUSE_SECONDS = 30.0
#: A child that ran this long was well: its next death starts the backoff anew.
WELL_AFTER_SECONDS = 60.0
USAGE, NOT_READY, RELEASED, HELD_UP = 2, 3, 4, 6
#: What a child that can still act may take to leave before its parent ends it.
KILL_MARGIN_SECONDS = 2.5
#: What a child says on its line when it leaves in order; a handler's `os._exit(0)` does not.
FAREWELL = b"end"


@dataclass
class Child:
    """One worker process, or the place of one that will be started again."""

    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0
    line: socket.socket | None = None
    kill_at: float | None = None
    took_leave: bool = False
    told_to_stop: bool = False
    done: bool = False


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
                for child in self.children:
                    self._look_after(child)
                self._pass_signals_on()
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
                self._tell(child)
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self._kill_all()

    @staticmethod
    def _tell(child: Child) -> None:
        """Send a child the signal, unless it has died since it was looked after."""
        if child.process is not None and child.process.poll() is None:
            child.told_to_stop = True
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGTERM)

    def _look_after(self, child: Child) -> None:
        if child.done:
            return
        if child.process is None:
            if self._is_stopping:
                child.done = True
            elif time.monotonic() >= child.start_at:
                self._start(child)
        elif (code := child.process.poll()) is not None:
            self._ended(child, code)
        else:
            self._listen(child)

    def _start(self, child: Child) -> None:
        child.line, theirs = socket.socketpair()
        child.line.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        child.started_at, child.kill_at, child.took_leave = time.monotonic(), None, False
        child.process = subprocess.Popen(
            [sys.executable, "-m", "django", "taskqueue_run", *self.arguments, "--supervised"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            # The child reads and writes this line: its end tells that the parent is gone.
            stdin=theirs.fileno(),
            # Ctrl-C in a terminal must reach the child once, from its parent.
            start_new_session=True,
        )
        theirs.close()

    def _listen(self, child: Child) -> None:
        """Kill a child that has passed its own deadline: none of its threads can run."""
        self._hear(child)
        if child.process and child.kill_at and time.monotonic() > child.kill_at:
            logger.error("Worker process %s is held by a task past its timeout.", child.process.pid)
            child.process.kill()

    def _hear(self, child: Child) -> None:
        """Read what a child has said: its deadline, or its farewell."""
        with contextlib.suppress(OSError):
            while child.line is not None and (said := child.line.recv(4096)):
                for word in said.split():
                    if word == FAREWELL:
                        child.took_leave = True
                    else:
                        child.kill_at = float(word) or None

    def _ended(self, child: Child, code: int) -> None:
        lived_seconds = time.monotonic() - child.started_at
        pid = child.process.pid if child.process else 0
        child.process = None
        self._hear(child)
        if child.line is not None:
            child.line.close()
        if child.told_to_stop:
            child.done, self._exit_code = True, max(self._exit_code, self._stopped_with(code))
        elif code in (0, RELEASED) and child.took_leave and not self.recycles:
            child.done, self._exit_code = True, max(self._exit_code, code)
        elif self._is_stopping:
            child.done = True  # It has died, not stopped, so it says nothing of the stop.
        elif code in (USAGE, NOT_READY) and not child.deaths:
            self._exit_code = code
            child.done = True
            self.request_stop()
        else:
            self._start_again(child, code, pid, lived_seconds)

    @property
    def _is_stopping(self) -> bool:
        """Tell whether children have been told: none is started after that."""
        return self._passed_on > 0

    def _stopped_with(self, code: int) -> int:
        """Return the exit code that a child's end after the signal means."""
        if code == -signal.SIGTERM and self._passed_on == 1:
            return 0  # It was still starting: a child takes the signal over before it claims.
        return code if code in (0, RELEASED) else RELEASED

    def _start_again(self, child: Child, code: int, pid: int, lived_seconds: float) -> None:
        if code == HELD_UP or (code == 0 and child.took_leave):
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


class Leash:
    """A child's line to its supervisor, on its standard input.

    The child says when to kill it unless it says otherwise before: a task that keeps the
    interpreter's lock in a call into C leaves no other thread of the child a word.
    """

    def __init__(self) -> None:
        self._held_at: float | None = None
        signals.task_started.connect(self._started)

    def tell(self, held_at: float | None) -> None:
        """Say when a task will have ignored everything, by the machine's monotonic clock.

        Args:
            held_at: the moment, after which this process has a little time to leave; None when
                nothing that runs has a timeout.
        """
        if held_at != self._held_at:
            self._held_at = held_at
            kill_at = 0.0 if held_at is None else held_at + KILL_MARGIN_SECONDS
            with contextlib.suppress(OSError):
                os.write(0, b"%.3f\n" % kill_at)

    def take_leave(self) -> None:
        """Say that this process ends in order."""
        with contextlib.suppress(OSError):
            os.write(0, FAREWELL + b"\n")

    def watch_parent(self, request_stop: Callable[[], Any]) -> None:
        """Stop this worker when its supervisor is gone, however that ended.

        Args:
            request_stop: called once, on a thread of its own.
        """

        def watch() -> None:
            with contextlib.suppress(OSError, ValueError):
                while os.read(0, 1024):
                    pass
            request_stop()

        threading.Thread(target=watch, name="taskstore-parent-watch", daemon=True).start()

    def _started(self, *, alias: str, **facts: Any) -> None:
        """Set the deadline before the handler can take the interpreter's lock."""
        limit = registry.get(alias).timeout if alias in registry else None
        if limit is not None:
            held_at = time.monotonic() + seconds(limit) + GRACE_SECONDS
            self.tell(min(held_at, self._held_at or held_at))
