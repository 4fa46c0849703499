"""Where handlers run: threads, or the caller's own thread; async ones on the event loop.

Owns the pools, which share one interface. A pool calls ``finished`` with each
execution and its outcome; it records nothing.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from django.core.cache import caches
from django.db import connections

from django_taskstore.database.hygiene import note_settings
from django_taskstore.executor import Execution
from django_taskstore.runner.event_loop import IDLE_SECONDS, EventLoop, Finished
from django_taskstore.runner.turns import Turns

#: What waits longer than this for a thread gets another one.
HURRY_SECONDS = 0.01


def unknown() -> None:
    """Say that run times are not known."""


class Call(Enum):
    """What a sleeping thread is woken for."""

    WORK = "work"
    END = "end"


class Pool(Protocol):
    """What the dispatcher asks of a pool."""

    def submit(self, executions: Sequence[Execution]) -> None:
        """Run executions, in their order, as soon as there is room."""

    def hurry(self) -> None:
        """Put idle threads to work on what has waited too long for the busy ones."""

    def take_back(self) -> list[Execution]:
        """Return the executions that have not started; they will not."""

    @property
    def waiting(self) -> int:
        """How many executions have not started."""

    def waiting_seconds(self) -> float:
        """Return how long nothing that waits has started, 0 when nothing waits."""

    def stop(self) -> None:
        """End once what runs has ended; do not wait for that."""


class InlinePool:
    """Runs each execution at once on the caller's thread, for `run_once` and tests."""

    def __init__(self, finished: Finished) -> None:
        self.finished = finished

    waiting = 0

    def submit(self, executions: Sequence[Execution]) -> None:
        """Run the executions now."""
        for execution in executions:
            self.finished(execution, execution.run())

    def hurry(self) -> None:
        """Nothing ever waits."""

    def take_back(self) -> list[Execution]:
        """Nothing ever waits."""
        return []

    def waiting_seconds(self) -> float:
        """Nothing ever waits."""
        return 0.0

    def stop(self) -> None:
        """Nothing runs any more."""


class HandlerThreads:
    """Runs executions on threads, made when they are needed, and async ones on a loop.

    All threads take from one deque, so that no task waits behind a slow one in a chunk of
    its own. Short tasks are worked off by few threads without any of them going to sleep in
    between; the sleeping costs more than such a task. How many may work on them, `turns` says.

    The threads are daemons: a handler that never returns must not keep the process alive
    once its task was given back.

    Args:
        size: the most threads.
        finished: called on the handler's thread.
        usual_seconds: returns how long a task usually runs, or None when that is unknown.
    """

    def __init__(
        self, size: int, finished: Finished, usual_seconds: Callable[[], float | None] = unknown
    ) -> None:
        self.size = size
        self.finished = finished
        self.usual_seconds = usual_seconds
        self._waiting: deque[Execution] = deque()
        #: One entry wakes one sleeping thread.
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._asleep = 0
        self._lock = threading.Lock()
        self._moved_at = time.monotonic()
        self.turns = Turns(size)
        self._loop = EventLoop(size, finished)

    @property
    def waiting(self) -> int:
        """How many executions wait for a thread."""
        return len(self._waiting)

    def submit(self, executions: Sequence[Execution]) -> None:
        """Run executions as soon as a thread is free; async ones at once."""
        self.turns.learn(are_short=self._are_short)
        if not self._waiting:
            self._moved_at = time.monotonic()
        for execution in executions:
            if execution.is_async:
                self._loop.submit(execution)
            else:
                self._waiting.append(execution)
        self._call(self._wanted())

    def hurry(self) -> None:
        """Wake all threads that sleep if nothing has started for a moment."""
        if self.waiting_seconds() >= HURRY_SECONDS:
            self.turns.allow_all()
            self._call(len(self._waiting))

    def take_back(self) -> list[Execution]:
        """Return the executions that have not started; they will not."""
        taken = self._loop.take_back()
        while self._waiting:
            with contextlib.suppress(IndexError):
                taken.append(self._waiting.popleft())
        return taken

    def waiting_seconds(self) -> float:
        """Return how long nothing that waits has started, 0 when nothing waits."""
        return time.monotonic() - self._moved_at if self._waiting else 0.0

    def stop(self) -> None:
        """Let each thread end after what it runs; idle ones close their connections now."""
        for _ in self._threads:
            self._calls.put(Call.END)
        self._loop.stop()
        until = time.monotonic() + IDLE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _wanted(self) -> int:
        """Return how many more threads make short work of what waits; for tiny tasks none."""
        if not self._are_short:
            return len(self._waiting)
        work_seconds = len(self._waiting) * (self.usual_seconds() or 0.0)
        return math.ceil(work_seconds / HURRY_SECONDS) - self._busy

    @property
    def _are_short(self) -> bool:
        """Whether a task usually ends before another thread would be called for the next."""
        usual_seconds = self.usual_seconds()
        return usual_seconds is not None and usual_seconds < HURRY_SECONDS

    @property
    def _busy(self) -> int:
        """How many threads do not sleep."""
        return len(self._threads) - self._asleep

    @property
    def _is_crowded(self) -> bool:
        """Whether more threads work than may."""
        return self._busy > self.turns.threads

    def _call(self, wanted: int) -> None:
        """Wake sleeping threads, and make new ones where too few sleep."""
        wanted = min(wanted, len(self._waiting), self.turns.threads - self._busy)
        missing = min(wanted - self._asleep, self.size - len(self._threads))
        for _ in range(missing):
            self._add_thread()
        for _ in range(wanted - self._calls.qsize()):
            self._calls.put(Call.WORK)

    def _add_thread(self) -> None:
        name = f"taskstore-handler-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        make_caches()
        note_settings()
        try:
            while self._sleep():
                self._work_off()
        finally:
            connections.close_all()

    def _sleep(self) -> bool:
        """Wait to be called; return whether there is work, or the pool ends."""
        with self._lock:
            # Here, not before: of two that find it crowded by one, the first goes.
            steps_aside = self._is_crowded
            self._asleep += 1
        try:
            # Submitted while this thread still counted as busy: nobody was called for it.
            may_go_on = bool(self._waiting) and not steps_aside
            return may_go_on or self._calls.get() is Call.WORK
        finally:
            with self._lock:
                self._asleep -= 1

    def _work_off(self) -> None:
        while self._waiting and not self._is_crowded:
            try:
                execution = self._waiting.popleft()
            except IndexError:  # Another thread was faster.
                return
            self._moved_at = time.monotonic()
            self.finished(execution, execution.run())


def make_caches() -> None:
    """Make this thread's cache clients now: made in the context of a task, they end with it."""
    for alias in caches:
        with contextlib.suppress(Exception):  # A task that uses it will hear of it.
            caches[alias]
