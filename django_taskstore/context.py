"""What a running handler can ask: whether to stop, how long it has, where it stands.

Owns `TaskContext`. It touches no database: the heartbeat reads `progress` and writes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any

from django_taskstore.exceptions import Cancel, HandlerSignal, TaskTimedOut


class Reason(Enum):
    """Why a running task should stop."""

    CANCELED = "The task was canceled."
    TIMEOUT = "The task ran longer than its timeout."
    SHUTDOWN = "The worker is stopping."
    LEASE_LOST = "The worker lost the task's lease."
    OUT_OF_TOUCH = "The worker cannot reach the database to renew the task's lease."


class Interrupted(HandlerSignal):
    """The task stops for its worker's sake: no outcome of its own."""


#: Guards the rare moments: a cancel, and the first wait. One for all tasks, since a lock and an
#: event for each cost as much as the rest of a short task.
_lock = threading.Lock()


class TaskContext:
    """The way a handler hears that it should stop, and says how far it is.

    Args:
        attempt: the number of this attempt, from 1.
        deadline: when the handler's timeout ends, an aware datetime, or None.
    """

    __slots__ = (
        "_callbacks",
        "_progress_is_saved",
        "_told_at",
        "attempt",
        "deadline",
        "progress",
        "reason",
    )

    def __init__(self, *, attempt: int = 1, deadline: datetime | None = None) -> None:
        self.attempt = attempt
        self.deadline = deadline
        self.progress: dict[str, Any] | None = None
        self.reason: Reason | None = None
        self._told_at: float | None = None
        self._progress_is_saved = True
        self._callbacks: dict[object, Callable[[], object]] | None = None

    @property
    def is_canceled(self) -> bool:
        """Whether the handler should stop: canceled, timed out, or its worker stops."""
        return self.reason is not None

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; return at once, and True, when the task is canceled."""
        canceled = threading.Event()
        forget = self.on_cancel(canceled.set)
        canceled.wait(seconds)
        forget()
        return self.is_canceled

    async def async_wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds`` without holding the event loop; True when canceled."""
        loop, canceled = asyncio.get_running_loop(), asyncio.Event()
        forget = self.on_cancel(lambda: loop.call_soon_threadsafe(canceled.set))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(canceled.wait(), seconds)
        forget()
        return self.is_canceled

    def raise_if_canceled(self) -> None:
        """Leave the handler when it should stop.

        Raises:
            Cancel: somebody canceled the task.
            TaskTimedOut: its timeout is over.
            Interrupted: its worker stops; the task goes back to its queue.
        """
        if not self.is_canceled:
            return
        if self.reason is Reason.CANCELED:
            raise Cancel(Reason.CANCELED.value)
        if self.reason is Reason.TIMEOUT:
            raise TaskTimedOut(Reason.TIMEOUT.value)
        raise Interrupted((self.reason or Reason.SHUTDOWN).value)

    def set_progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far the task is; shown in the admin about a second later.

        Args:
            done: what is done, in the task's own unit.
            total: all there is to do, or None when that is unknown.
            message: a few words about the step.
        """
        self.progress = {"done": done, "total": total, "message": message}
        self._progress_is_saved = False

    def unsaved_progress(self) -> dict[str, Any] | None:
        """Return the progress if it was set since the last call, else None."""
        if self._progress_is_saved:
            return None
        self._progress_is_saved = True
        return self.progress

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], object]:
        """Call back when the task is told to stop, at once if it was already.

        Returns:
            A callable that takes the callback away again.
        """
        key = object()
        with _lock:
            is_canceled = self.is_canceled
            if not is_canceled:
                self._callbacks = {**(self._callbacks or {}), key: callback}
        if is_canceled:
            callback()
        return lambda: self._forget(key)

    def _forget(self, key: object) -> None:
        with _lock:
            if self._callbacks is not None:
                self._callbacks.pop(key, None)

    @property
    def told_seconds(self) -> float | None:
        """How long ago the handler was told to stop, or None."""
        return None if self._told_at is None else time.monotonic() - self._told_at

    def cancel(self, reason: Reason) -> None:
        """Tell the handler to stop; the first reason stays, unless it was only a doubt."""
        if self.reason is reason:
            return
        with _lock:
            if self.reason in (None, Reason.OUT_OF_TOUCH):
                self._told_at, self.reason = time.monotonic(), reason
            callbacks, self._callbacks = self._callbacks or {}, None
        for callback in callbacks.values():
            with contextlib.suppress(RuntimeError):  # Its event loop has just closed.
                callback()
