"""One worker process from its first round to its exit code.

Owns the operating system's signals, the deadline of a stop, which nothing can hold up, and
the reasons to leave early. The work is the runner's.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from django_taskstore.runner import TaskQueueRunner
from django_taskstore.scheduler import ScheduleRunner
from django_taskstore.supervisor import Leash

#: Exit codes: running tasks were given back; threads were held by tasks that ignore everything.
RELEASED, HELD_UP = 4, 6
LOOK_SECONDS = 0.2
#: What telling, recording and releasing may take beyond the deadline of a stop.
MARGIN_SECONDS = 1.75


class Work:
    """A runner under the eyes of its process.

    Args:
        runner: not yet started.
        schedules: looks after schedules beside it, if anything here should.
        patience_seconds: how long a stop waits for running tasks.
        leash: the line to a supervisor, if there is one.
    """

    def __init__(
        self,
        runner: TaskQueueRunner,
        schedules: ScheduleRunner | None,
        *,
        patience_seconds: float,
        leash: Leash | None,
    ) -> None:
        self.runner = runner
        self.schedules = schedules
        self.patience_seconds = patience_seconds
        self.leash = leash
        self._signals = 0
        self._exit_at: float | None = None

    def run(self, *, until_empty: bool) -> int:
        """Work until told to stop, or until nothing is due; return the exit code."""
        with signals_to(self.stop):
            # What is loaded stays loaded: the collector would walk over it for every few rounds.
            gc.collect()
            gc.freeze()
            self._begin_schedules(once=until_empty)
            self.runner.start(until_empty=until_empty)
            self._catch_up()
            if self.leash is not None:
                self.leash.watch_parent(self.leave)
            while self.runner.is_running and not self._is_too_late():
                self.runner.join(LOOK_SECONDS)
                self._look()
        self._end_schedules()
        if self.leash is not None:
            self.leash.take_leave()
        if self.runner.is_running:
            say("Not all could be recorded in time: such tasks start again when leases expire.")
        if self.runner.held:
            return HELD_UP
        return RELEASED if self.runner.released or self.runner.is_running else 0

    def stop(self) -> None:
        """Stop in order; the second time, at once. Safe in a signal handler."""
        self._signals += 1
        if self._signals == 1:
            say(f"Stopping: waiting up to {self.patience_seconds:g} s for running tasks.")
            self.leave()
        else:
            say("Stopping now: running tasks are given back.")
            self._leave_now()

    def _catch_up(self) -> None:
        """Stop again if a signal came before there was anything to stop."""
        if self._signals > 1:
            self._leave_now()
        elif self._signals:
            self.leave()

    def leave(self) -> None:
        """Claim nothing more and wait for what runs."""
        if self.schedules is not None:
            self.schedules.request_stop()
        self.runner.request_stop(timeout_seconds=self.patience_seconds)
        self._exit_within(self.patience_seconds)

    def _begin_schedules(self, *, once: bool) -> None:
        """Look after schedules: once here and now, or on a thread of their own."""
        if self.schedules is None:
            return
        if not once:
            self.schedules.start()
            return
        self.schedules.set_initial_runs()
        self.schedules.run_once()

    def _end_schedules(self) -> None:
        """Let the schedule at hand be finished; what is not, is undone with its transaction."""
        if self.schedules is not None:
            self.schedules.request_stop()
            self.schedules.join(MARGIN_SECONDS if self._exit_at is None else self._left_seconds())

    def _left_seconds(self) -> float:
        return max(0.0, (self._exit_at or 0.0) - time.monotonic())

    def _leave_now(self) -> None:
        self.runner.abandon()
        self._exit_within(0.0)

    def _exit_within(self, seconds: float) -> None:
        exit_at = time.monotonic() + seconds + MARGIN_SECONDS
        self._exit_at = exit_at if self._exit_at is None else min(self._exit_at, exit_at)

    def _is_too_late(self) -> bool:
        return self._exit_at is not None and time.monotonic() >= self._exit_at

    def _look(self) -> None:
        """Leave when threads are held: a supervisor starts another process at once."""
        if self.leash is not None:
            self.leash.tell(self.runner.held_at)
        if self._exit_at is not None:
            return
        if self.leash is not None and self.runner.held:
            self._leave_now()
        elif self.runner.is_held_up:
            say("Half of the threads are held by tasks that ignore everything; start it again.")
            self.leave()


class signals_to:  # noqa: N801 - read as a verb: with signals_to(stop)
    """Hand SIGTERM and SIGINT to a callable, and give them back afterwards.

    Args:
        stop: called on the main thread between two bytecodes; it may only set flags.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.stop = stop
        self.before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self.before[number] = signal.signal(number, lambda *_: self.stop())
            except ValueError:
                return  # Not the main thread: whoever runs this one stops it.

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Write a line from a signal handler: unbuffered, so never inside another write."""
    os.write(2, f"{text}\n".encode())
