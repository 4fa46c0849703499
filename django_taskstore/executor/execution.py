"""One run of a handler: prepare, call, classify. The story of one task, read downwards.

Owns `Execution`. It returns an `Outcome` and leaves recording it to the runner, but for an
atomic handler, whose writes and outcome commit together here. No exception of a handler
leaves it, SystemExit included.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django_taskstore import signals
from django_taskstore.backoff import delay_seconds, exponential
from django_taskstore.claims import Claim
from django_taskstore.context import Interrupted, Reason, TaskContext
from django_taskstore.database.errors import is_outage
from django_taskstore.database.hygiene import depths, distrust, tidy
from django_taskstore.database.transactions import writing
from django_taskstore.exceptions import ClaimLost, InvalidOutput, TaskFailed, WorkerLost, seconds
from django_taskstore.executor.calls import (
    Result,
    Undo,
    call,
    classify,
    classify_error,
    is_async,
    takes_context,
    working_call,
)
from django_taskstore.executor.enforcement import GRACE_SECONDS, POLITE_SECONDS, Enforcement
from django_taskstore.executor.interruption import Grip, HandlerStopped
from django_taskstore.handlers import ERROR, Log
from django_taskstore.models import QueuedTask
from django_taskstore.outcomes import Outcome, failure, record
from django_taskstore.registry import HandlerClass, registry
from django_taskstore.statuses import Ending
from django_taskstore.tracebacks import exception_name, str_of


class Execution:
    """One run of one claimed task.

    Args:
        claim: the claim, with its alias.

    Raises:
        HandlerNotFound: this process has no handler for the alias.
    """

    __slots__ = (
        "_began",
        "_enforcement",
        "_grip",
        "_stop",
        "claim",
        "context",
        "handler_class",
        "log",
        "run_seconds",
        "started_at",
    )

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.handler_class: HandlerClass = registry.get(claim.alias)
        self.context = TaskContext(attempt=claim.attempts)
        self.log = Log(claim.details)
        self.started_at: datetime | None = None
        self.run_seconds = 0.0
        self._began = 0.0
        self._grip = Grip()
        self._stop: Callable[[], bool] = self._grip.interrupt
        self._enforcement: Enforcement | None = None

    @property
    def is_async(self) -> bool:
        """Whether the handler is a coroutine function, which belongs on the event loop."""
        handler_class: Any = self.handler_class
        return is_async(handler_class)

    @property
    def timeout_seconds(self) -> float | None:
        """The handler's timeout, or None."""
        limit = self.handler_class.timeout
        return None if limit is None else seconds(limit)

    def run(self) -> Outcome:
        """Run the handler on this thread and return what came of it.

        It runs in a copy of the thread's context: the time zone, the language and the context
        variables that it sets are gone with the copy.
        """
        found = depths()
        try:
            return copy_context().run(self._run)
        finally:
            if self._grip.was_sent:
                distrust()
            tidy(found)

    def _run(self) -> Outcome:
        try:
            handler = self._begin()
            if self.handler_class.atomic:
                return self._run_atomic(handler)
            return self._outcome(self._call(handler))
        except BaseException as error:
            return self._outcome(classify_error(error, self.context))
        finally:
            self._grip.end()

    def _call(self, handler: Any) -> Result:
        """Call the handler, which can be interrupted, and classify what it returns."""
        with self._grip:
            returned = call(handler, self.context)
        return classify(handler, self.context, returned)

    async def run_async(self) -> Outcome:
        """Run an async handler on the current event loop and return what came of it."""
        limit = asyncio.timeout(self.timeout_seconds)
        try:
            handler = self._begin()
            async with limit:
                work = asyncio.ensure_future(working_call(handler, self.context))
                self._stop = stopper(work)
                if not takes_context(self.handler_class):
                    self.context.on_cancel(self._stop)
                returned = await work
            return self._outcome(classify(handler, self.context, returned))
        except BaseException as error:
            if limit.expired():
                self.context.cancel(Reason.TIMEOUT)
            return self._outcome(classify_error(error, self.context))
        finally:
            self._grip.end()

    @property
    def is_given_up(self) -> bool:
        """Whether its task has ended without it: what the handler returns no longer matters."""
        return self._grip.is_given_up

    @property
    def held_at(self) -> float | None:
        """When this run will have ignored its timeout, by the monotonic clock, or None."""
        limit = self.timeout_seconds
        if limit is None or not self._began or self._grip.has_ended:
            return None
        return self._began + limit + GRACE_SECONDS

    @property
    def is_overdue(self) -> bool:
        """Whether the handler runs longer than its timeout, by the monotonic clock."""
        return self.held_at is not None and time.monotonic() >= self.held_at - GRACE_SECONDS

    def enforce(self) -> bool:
        """Make a handler stop that was told to; return whether it ignores everything."""
        if not self._began or self._grip.has_ended or not self.context.is_canceled:
            return False
        if self._enforcement is None:
            polite_seconds = POLITE_SECONDS if takes_context(self.handler_class) else 0.0
            self._enforcement = Enforcement(self.context, polite_seconds=polite_seconds)
        return self._enforcement.press(self._stop)

    def give_up(self) -> Outcome | None:
        """Return the outcome of a task whose handler ignores everything; None if it has ended."""
        if not self._grip.give_up():
            return None
        ignored = HandlerStopped("The handler goes on although it was told to stop.")
        return self._outcome(classify_error(ignored, self.context))

    def release(self, line: str) -> Outcome:
        """Return the outcome of a task that its worker gives back, started or not."""
        if self.started_at is None:
            return Outcome(self.claim, Ending.RELEASED)
        self.log.add(ERROR, line)
        return self._outcome(Result(Ending.RELEASED, exception=Interrupted(line)))

    @property
    def fails_when_lost(self) -> bool:
        """Whether the task must not start again once its worker has left it."""
        return bool(self.claim.metadata.get("on_lost", self.handler_class.on_lost) == "fail")

    def _begin(self) -> Any:
        """Make the handler's instance for this run and say that the task has started."""
        self.started_at = datetime.now(UTC)
        self._began = time.monotonic()
        if self.handler_class.timeout is not None:
            self.context.deadline = self.started_at + timedelta(seconds=self.timeout_seconds or 0)
        claim = self.claim
        handler = self.handler_class(queued_task=claim, parameters=claim.parameters, log=self.log)
        if signals.task_started.receivers:
            signals.task_started.send_robust(
                QueuedTask,
                task_id=claim.id,
                alias=claim.alias,
                queue_name=claim.queue_name,
                attempt=claim.attempts,
            )
        return handler

    def _run_atomic(self, handler: Any) -> Outcome:
        """Run an atomic handler: its writes and its outcome commit together, or neither.

        When the answer to the COMMIT is lost, nobody knows whether it landed. Releasing is
        right in both cases: it changes the row only if the commit did not.
        """
        returned = False
        try:
            with writing(self.claim.using):
                result = self._call(handler)
                if result.ending is not Ending.SUCCEEDED:
                    raise Undo(result)
                outcome = self._outcome(result)
                if not record([outcome], self.claim.using):
                    raise ClaimLost
                returned = True
            return replace(outcome, landed=True)
        except Undo as undo:
            return self._outcome(undo.result)
        except ClaimLost:
            return Outcome(self.claim, Ending.RELEASED)
        except BaseException as error:
            if returned and is_outage(error):
                return self._outcome(Result(Ending.RELEASED, exception=error))
            return self._outcome(classify_error(error, self.context))

    def _outcome(self, result: Result) -> Outcome:
        """Return the outcome of this claim for what the call came to."""
        if self._began:
            self.run_seconds = time.monotonic() - self._began
        if result.exception is not None:
            self._log_exception(result.exception)
        succeeded = result.ending is Ending.SUCCEEDED
        wait_seconds = 0.0 if succeeded else self._wait_seconds(result)
        texts: dict[str, Any] = {
            "details": str(self.log) if self.log.changed else None,
            "progress": self.context.progress,
            "started_at": self.started_at,
            "run_seconds": self.run_seconds,
        }
        if succeeded:
            output = {"output": result.output, "output_text": result.output_text}
            return Outcome(self.claim, Ending.SUCCEEDED, **output, **texts)
        return self._unsuccessful(result, wait_seconds, texts)

    def _unsuccessful(self, result: Result, wait_seconds: float, texts: dict[str, Any]) -> Outcome:
        exception = result.exception
        if result.ending is Ending.RELEASED and self.fails_when_lost:
            left = WorkerLost("The worker left the running task, whose handler has on_lost='fail'.")
            return Outcome(self.claim, Ending.FAILED, exception=left, **texts)
        may_retry = result.ending in (Ending.RETRIED, Ending.FAILED)
        if may_retry and exception is not None and not isinstance(exception, InvalidOutput):
            return failure(self.claim, exception, wait_seconds=wait_seconds, **texts)
        return Outcome(
            self.claim, result.ending, exception=exception, wait_seconds=wait_seconds, **texts
        )

    def _wait_seconds(self, result: Result) -> float:
        """Return the delay before a retry; a backoff that fails must not strand the task."""
        fails = result.ending in (Ending.RETRIED, Ending.FAILED)
        is_last = self.claim.attempts >= self.claim.max_attempts
        if result.wait_seconds is not None or is_last or not fails:
            return result.wait_seconds or 0.0
        try:
            return delay_seconds(self.handler_class.backoff, self.claim.attempts)
        except Exception as error:
            self.log.add(ERROR, f"backoff failed, the default is used: {str_of(error)}")
            return exponential(self.claim.attempts)

    def _log_exception(self, exception: BaseException) -> None:
        """Let the task's log end with why it did not succeed."""
        if not isinstance(exception, (TaskFailed, Interrupted)):
            self.log.add(ERROR, f"{exception_name(exception)}: {str_of(exception)}")


def stopper(work: asyncio.Future[Any]) -> Callable[[], bool]:
    """Return a callable that cancels a coroutine's task from another thread."""
    loop = asyncio.get_running_loop()

    def stop() -> bool:
        loop.call_soon_threadsafe(work.cancel)
        return True

    return stop
