"""One run of a handler: prepare, call, classify. The story of one task, read downwards.

Owns `Execution`. It returns an `Outcome` and leaves recording it to the runner, but for an
atomic handler, whose writes and outcome commit together here. No exception of a handler
leaves it, SystemExit included.
"""

from __future__ import annotations

import asyncio
import time
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django_taskstore import signals
from django_taskstore.backoff import delay_seconds, exponential
from django_taskstore.claims import Claim
from django_taskstore.context import Interrupted, Reason, TaskContext
from django_taskstore.database.errors import is_outage
from django_taskstore.database.hygiene import depths, tidy
from django_taskstore.database.transactions import writing
from django_taskstore.definitions import queue_database
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
from django_taskstore.handlers import ERROR, Echo, Log
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

    __slots__ = ("_began", "claim", "context", "handler_class", "log", "run_seconds", "started_at")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.handler_class: HandlerClass = registry.get(claim.alias)
        self.context = TaskContext(attempt=claim.attempts)
        self.log = Log(claim.details)
        self.started_at: datetime | None = None
        self._began = 0.0
        self.run_seconds = 0.0

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
            tidy(found)

    def _run(self) -> Outcome:
        try:
            handler = self._begin()
            if self.handler_class.atomic:
                return self._run_atomic(handler)
            return self._outcome(classify(handler, self.context, call(handler, self.context)))
        except BaseException as error:
            return self._outcome(classify_error(error, self.context))

    async def run_async(self) -> Outcome:
        """Run an async handler on the current event loop and return what came of it."""
        limit = asyncio.timeout(self.timeout_seconds)
        try:
            handler = self._begin()
            async with limit:
                work = asyncio.ensure_future(working_call(handler, self.context))
                self._cancel_with_context(work)
                returned = await work
            return self._outcome(classify(handler, self.context, returned))
        except BaseException as error:
            if limit.expired():
                self.context.cancel(Reason.TIMEOUT)
            return self._outcome(classify_error(error, self.context))

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
        self._began = time.perf_counter()
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

    def _cancel_with_context(self, work: asyncio.Future[Any]) -> None:
        """Cancel a plain async handler with its context; one that takes the context decides."""
        if takes_context(self.handler_class):
            return
        loop = asyncio.get_running_loop()
        self.context.on_cancel(lambda: loop.call_soon_threadsafe(work.cancel))

    def _run_atomic(self, handler: Any) -> Outcome:
        """Run an atomic handler: its writes and its outcome commit together, or neither.

        When the answer to the COMMIT is lost, nobody knows whether it landed. Releasing is
        right in both cases: it changes the row only if the commit did not.
        """
        returned = False
        try:
            with writing(self.claim.using):
                result = classify(handler, self.context, call(handler, self.context))
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
            self.run_seconds = time.perf_counter() - self._began
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
            return Outcome(self.claim, Ending.SUCCEEDED, output=result.output, **texts)
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


def run_now(
    handler_class: HandlerClass, parameters: dict[str, Any], *, echo: Echo | None = None
) -> Result:
    """Run a handler here and now, without a queued task.

    Args:
        handler_class: the handler.
        parameters: a JSON object, already cleaned.
        echo: called with level and text for each line the handler logs.
    """
    context = TaskContext()
    try:
        handler = handler_class(parameters=parameters, echo=echo)
        if not handler_class.atomic:
            return classify(handler, context, call(handler, context))
        with writing(queue_database()):
            result = classify(handler, context, call(handler, context))
            if result.ending is not Ending.SUCCEEDED:
                raise Undo(result)
        return result
    except Undo as undo:
        return undo.result
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return classify_error(error, context)
