"""Calling a handler, and what its return or exception means.

Owns `Result` and the classification. It knows no claim and writes nothing.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync

from django_taskstore.conf import settings
from django_taskstore.context import Interrupted, Reason, TaskContext
from django_taskstore.exceptions import (
    Cancel,
    InvalidOutput,
    Retry,
    Snooze,
    TaskFailed,
    TaskTimedOut,
)
from django_taskstore.statuses import Ending
from django_taskstore.validation import output_text

#: The worker's reasons, not the task's: it goes back and its attempt is returned.
GIVES_BACK = (Reason.SHUTDOWN, Reason.LEASE_LOST, Reason.OUT_OF_TOUCH)


@dataclass(frozen=True, slots=True)
class Result:
    """What calling a handler came to, whether or not a queued task stands behind it."""

    ending: Ending
    output: Any = None
    output_text: str | None = None
    exception: BaseException | None = None
    wait_seconds: float | None = None


SUCCESS = Result(Ending.SUCCEEDED)


class Undo(Exception):
    """Leaves the transaction of an atomic handler whose task did not succeed."""

    def __init__(self, result: Result) -> None:
        self.result = result


@functools.lru_cache(maxsize=1_000)
def is_async(handler_class: Any) -> bool:
    """Tell whether a handler class works in a coroutine function."""
    return inspect.iscoroutinefunction(working_method(handler_class))


def takes_context(handler: Any) -> bool:
    """Tell whether a handler, class or instance, wants the context."""
    return callable(getattr(handler, "handle_with_context", None))


def working_method(handler: Any) -> Any:
    """Return the method that does the work of a handler, class or instance."""
    return handler.handle_with_context if takes_context(handler) else handler.handle


def working_call(handler: Any, context: TaskContext) -> Any:
    """Call the working method; an async one returns a coroutine."""
    method = working_method(handler)
    return method(context) if takes_context(handler) else method()


def call(handler: Any, context: TaskContext) -> Any:
    """Call the working method and wait for its value, async or not."""
    if not is_async(handler.__class__):
        return working_call(handler, context)

    async def wait() -> Any:
        return await working_call(handler, context)

    return async_to_sync(wait)()


def classify(handler: Any, context: TaskContext, returned: Any) -> Result:
    """Say what a returned value means: only ``False`` is a failure."""
    if returned is False:
        message = handler.last_error_message or "The handler returned False."
        return classify_error(TaskFailed(message), context)
    output = handler.output if returned is True or returned is None else returned
    if output is None:
        return SUCCESS
    try:
        text = output_text(output, limit_bytes=settings.MAX_OUTPUT_BYTES)
    except InvalidOutput as error:
        return Result(Ending.FAILED, exception=error)
    return Result(Ending.SUCCEEDED, output, text)


def classify_error(error: BaseException, context: TaskContext) -> Result:
    """Say what an exception means: the handler steers, was told to stop, or failed."""
    if isinstance(error, Cancel):
        return Result(Ending.CANCELED, exception=error)
    if isinstance(error, Snooze):
        return Result(Ending.SNOOZED, exception=error, wait_seconds=error.delay_seconds)
    if isinstance(error, Retry):
        return Result(Ending.RETRIED, exception=error, wait_seconds=error.delay_seconds)
    if context.reason is Reason.CANCELED:
        return Result(Ending.CANCELED, exception=Cancel(Reason.CANCELED.value))
    if context.reason is Reason.TIMEOUT and not isinstance(error, TaskTimedOut):
        timed_out = TaskTimedOut(Reason.TIMEOUT.value).with_traceback(error.__traceback__)
        return Result(Ending.FAILED, exception=timed_out)
    if context.reason in GIVES_BACK or isinstance(error, Interrupted):
        return Result(Ending.RELEASED, exception=error)
    return Result(Ending.FAILED, exception=error)
