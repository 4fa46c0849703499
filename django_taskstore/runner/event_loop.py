"""Where async handlers run: one event loop on a thread of its own.

Owns `EventLoop`. It calls ``finished`` with each execution and its outcome; it records
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from asgiref.sync import sync_to_async
from django.db import connections

from django_taskstore.database.hygiene import tidy
from django_taskstore.executor import Execution
from django_taskstore.outcomes import Outcome

#: How long an idle thread may take to end.
IDLE_SECONDS = 0.5

Finished = Callable[[Execution, Outcome], None]


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
