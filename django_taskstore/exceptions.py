"""Every exception of the package, and the three a handler raises to steer its task.

Owns names and messages only: nothing here touches a model, a setting or a database.
Each class's docstring is its default message, so the class documents itself.
"""

from __future__ import annotations

from datetime import timedelta

__all__ = [
    "Cancel",
    "ClaimLost",
    "DefinitionCanceled",
    "HandlerAlreadyRegistered",
    "HandlerImportFailed",
    "HandlerNotFound",
    "InvalidHandler",
    "InvalidMaxAttempts",
    "InvalidOutput",
    "InvalidParameters",
    "InvalidPriority",
    "InvalidQueueName",
    "InvalidRecurrence",
    "InvalidRunAfter",
    "InvalidSetting",
    "Retry",
    "ScheduleEnded",
    "Snooze",
    "TaskFailed",
    "TaskRunning",
    "TaskStoreError",
    "TaskTimedOut",
    "WorkerLost",
]


#: Ten years: a longer delay would leave the calendar, and with it strand the task.
LONGEST_DELAY_SECONDS = 10 * 365 * 86_400.0


class TaskStoreError(Exception):
    """Something went wrong in the task store."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class InvalidSetting(TaskStoreError):
    """A key of the TASKSTORE setting is unknown or has a wrong value."""


class HandlerNotFound(TaskStoreError):
    """No handler is registered under this alias."""


class HandlerAlreadyRegistered(TaskStoreError):
    """Another handler is already registered under this alias."""


class HandlerImportFailed(TaskStoreError):
    """A tasks module could not be imported, so its handlers are missing."""


class InvalidHandler(TaskStoreError):
    """The class cannot serve as a task handler."""


class DefinitionCanceled(TaskStoreError):
    """The task definition is canceled or deleted, so nothing may be enqueued for it."""


class InvalidParameters(TaskStoreError, ValueError):
    """The parameters are not a JSON object, are too large, or fail the handler's form."""


class InvalidOutput(TaskStoreError, ValueError):
    """The handler's output cannot be stored as JSON."""


class InvalidQueueName(TaskStoreError, ValueError):
    """A queue name is 1 to 100 characters out of A-Z a-z 0-9 _ . : and -."""


class InvalidPriority(TaskStoreError, ValueError):
    """A priority is a whole number from -100 to 100; the higher runs first."""


class InvalidMaxAttempts(TaskStoreError, ValueError):
    """max_attempts is a whole number from 1."""


class InvalidRunAfter(TaskStoreError, ValueError):
    """run_after is an aware datetime or a timedelta."""


class InvalidRecurrence(TaskStoreError, ValueError):
    """The recurrence rule is not understood, out of bounds, or never happens."""


class ScheduleEnded(TaskStoreError):
    """The schedule has no occurrence left."""


class ClaimLost(TaskStoreError):
    """The claim no longer holds its task: it ended, was rescued, or was claimed again."""


class TaskRunning(TaskStoreError):
    """The task is running: cancel it and wait until it has ended."""


class TaskFailed(TaskStoreError):
    """The handler said that its task failed."""


class TaskTimedOut(TaskStoreError):
    """The handler ran longer than its timeout."""


class WorkerLost(TaskStoreError):
    """The worker that ran this task stopped renewing its lease."""


class HandlerSignal(TaskStoreError):
    """Raised inside a handler to steer its task; never a fault of the store."""


class Retry(HandlerSignal):
    """Run the task again after a delay; this attempt counts.

    Args:
        delay: seconds, or a timedelta; None asks the handler's ``backoff``.
        message: what the attempt's record should say.
    """

    def __init__(self, delay: float | timedelta | None = None, message: str = "") -> None:
        super().__init__(message or "The handler asked for another attempt.")
        self.delay_seconds = None if delay is None else seconds(delay)


class Snooze(HandlerSignal):
    """Run the task again after a delay; this attempt does not count.

    Args:
        delay: seconds, or a timedelta.
        message: what the attempt's record should say.
    """

    def __init__(self, delay: float | timedelta, message: str = "") -> None:
        super().__init__(message or "The handler asked to run later.")
        self.delay_seconds = seconds(delay)


class Cancel(HandlerSignal):
    """End the task as canceled.

    Args:
        reason: what the task's record should say.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "The task was canceled.")


def seconds(delay: float | timedelta) -> float:
    """Return a delay in seconds, from zero to ten years, given as a number or a timedelta."""
    value = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    return min(max(0.0, value), LONGEST_DELAY_SECONDS)
