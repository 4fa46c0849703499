"""Stopping a handler that does not stop by itself: an exception raised in its thread.

Owns `Grip` and `HandlerStopped`. It cannot end a call into C that waits, such as
``time.sleep`` or a socket without a timeout: the exception comes when that call returns. What
must end at once needs a process of its own (``--processes``).
"""

from __future__ import annotations

import ctypes
import threading
from types import TracebackType
from typing import Self

#: One for all runs: it is held for a few instructions, and a lock for each would cost more.
_lock = threading.Lock()


class HandlerStopped(BaseException):
    """The handler went on after it was told to stop; no ``except Exception`` hides this."""


class Grip:
    """A hold on one run: a block that another thread can interrupt, and a run it can give up.

    The exception is delivered some bytecodes after it is sent. Leaving the block therefore takes
    back what has not been delivered, so that it never reaches the next task of the thread.

    Attributes:
        was_sent: whether the block was interrupted.
        has_ended: whether the run is over.
        is_given_up: whether somebody else has said what the run came to.
    """

    __slots__ = ("_thread_id", "has_ended", "is_given_up", "was_sent")

    def __init__(self) -> None:
        self._thread_id: int | None = None
        self.was_sent = False
        self.has_ended = False
        self.is_given_up = False

    def __enter__(self) -> Self:
        # Last and without a lock: nothing may come between it and the block.
        self._thread_id = threading.get_ident()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._thread_id is not None:
            try:
                with _lock:
                    thread_id, self._thread_id = self._thread_id, None
                    if self.was_sent:
                        raise_in(thread_id, None)
            except HandlerStopped:
                continue  # It came while the block was being left: too late to matter.

    def interrupt(self) -> bool:
        """Raise `HandlerStopped` in the block's thread; return whether it is inside the block."""
        with _lock:
            if self._thread_id is None:
                return False
            self.was_sent = True
            raise_in(self._thread_id, HandlerStopped)
            return True

    def end(self) -> None:
        """Note that the run is over: from here on nobody can give it up."""
        with _lock:
            self.has_ended = True

    def give_up(self) -> bool:
        """Take the word from a run that still goes on; return whether it does."""
        with _lock:
            self.is_given_up = self.is_given_up or not self.has_ended
            return self.is_given_up


def raise_in(thread_id: int, exception: type[BaseException] | None) -> None:
    """Have a thread raise an exception, or, with None, no longer raise what waits.

    From CPython's C API, PyThreadState_SetAsyncExc.
    """
    what = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), what)
