"""Where handlers run: threads, one event loop for async ones, or the caller's own thread.

Owns the three pools, which share one interface. A pool calls ``finished`` with each
execution and its outcome; it records nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from asgiref.sync import sync_to_async
from django.db import connections

from django_taskstore.database.transactions import tidy
from django_taskstore.executor import Execution
from django_taskstore.outcomes import Outcome

#: How long an idle thread may take to end.
IDLE_SECONDS = 0.5

Finished = Callable[[Execution, Outcome], None]


class Pool(Protocol):
    """What the dispatcher asks of a pool."""

    def submit(self, execution: Execution) -> None:
        """Run an execution as soon as there is room."""

    def take_back(self) -> list[Execution]:
        """Return the executions that have not started; they will not."""

    def waiting_seconds(self) -> float:
        """Return how long nothing that waits has started, 0 when nothing waits."""

    def stop(self) -> None:
        """End once what runs has ended; do not wait for that."""


class InlinePool:
    """Runs each execution at once on the caller's thread, for `run_once` and tests."""

    def __init__(self, finished: Finished) -> None:
        self.finished = finished

    def submit(self, execution: Execution) -> None:
        """Run the execution now."""
        self.finished(execution, execution.run())

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

    The threads are daemons: a handler that never returns must not keep the process alive
    once its task was given back.

    Args:
        size: the most threads.
        finished: called on the handler's thread.
    """

    def __init__(self, size: int, finished: Finished) -> None:
        self.size = size
        self.finished = finished
        self._queue: queue.SimpleQueue[Execution | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._moved_at = time.monotonic()
        self._loop = EventLoop(size, finished)
        self._lock = threading.Lock()

    def submit(self, execution: Execution) -> None:
        """Run an execution as soon as a thread is free; an async one at once."""
        if execution.is_async:
            self._loop.submit(execution)
            return
        if self._queue.empty():
            self._moved_at = time.monotonic()
        self._queue.put(execution)
        with self._lock:
            if self._idle < self._queue.qsize() and len(self._threads) < self.size:
                self._add_thread()

    def take_back(self) -> list[Execution]:
        """Return the executions that have not started; they will not."""
        taken = self._loop.take_back()
        while True:
            try:
                execution = self._queue.get_nowait()
            except queue.Empty:
                return taken
            if execution is not None:
                taken.append(execution)

    def waiting_seconds(self) -> float:
        """Return how long nothing that waits has started, 0 when nothing waits."""
        return 0.0 if self._queue.empty() else time.monotonic() - self._moved_at

    def stop(self) -> None:
        """Let each thread end after what it runs; idle ones close their connections now."""
        for _ in self._threads:
            self._queue.put(None)
        self._loop.stop()
        until = time.monotonic() + IDLE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _add_thread(self) -> None:
        name = f"taskstore-handler-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        try:
            while (execution := self._next()) is not None:
                self._moved_at = time.monotonic()
                self.finished(execution, execution.run())
        finally:
            connections.close_all()

    def _next(self) -> Execution | None:
        self._idle += 1
        try:
            return self._queue.get()
        finally:
            self._idle -= 1


class EventLoop:
    """Runs async executions concurrently on one event loop of its own.

    Args:
        size: the most coroutines at the same time.
        finished: called on the loop's thread.
    """

    def __init__(self, size: int, finished: Finished) -> None:
        self.size = size
        self.finished = finished
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[Execution] = deque()
        self._running = 0
        self._lock = threading.Lock()
        self._is_untidy = False
        self._tidying: asyncio.Task[None] | None = None

    def submit(self, execution: Execution) -> None:
        """Run an execution as soon as there is room."""
        with self._lock:
            self._waiting.append(execution)
        self._start_next()

    def take_back(self) -> list[Execution]:
        """Return the executions that have not started; they will not."""
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
        return taken

    def stop(self) -> None:
        """Stop the loop; what still runs on it is abandoned."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        # The ORM's async methods share one thread, whose connections are closed from there.
        closing = asyncio.run_coroutine_threadsafe(sync_to_async(connections.close_all)(), loop)
        with contextlib.suppress(TimeoutError):
            closing.result(IDLE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)

    def _start_next(self) -> None:
        with self._lock:
            if not self._waiting or self._running >= self.size:
                return
            execution = self._waiting.popleft()
            self._running += 1
            loop = self._running_loop()
        asyncio.run_coroutine_threadsafe(self._run(execution), loop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=run_loop, args=(self._loop,), name="taskstore-async", daemon=True
            )
            thread.start()
        return self._loop

    async def _run(self, execution: Execution) -> None:
        outcome = await execution.run_async()
        self._tidy_soon()
        with self._lock:
            self._running -= 1
        self.finished(execution, outcome)
        self._start_next()

    def _tidy_soon(self) -> None:
        """Tidy the connections of the ORM's async methods, once for all tasks that end meanwhile.

        The methods share one thread, and a hop to it for each task would cost more than a
        short task does.
        """
        self._is_untidy = True
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.ensure_future(self._tidy())

    async def _tidy(self) -> None:
        while self._is_untidy:
            self._is_untidy = False
            await sync_to_async(tidy)({})


def run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Run an event loop until it is stopped, then close it and its sockets."""
    try:
        loop.run_forever()
    finally:
        loop.close()
