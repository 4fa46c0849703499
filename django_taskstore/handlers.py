"""Defining work: the base class of task handlers.

Owns `TaskHandler`: what a handler declares about itself, how it reads its parameters, and
the log it writes for people. A new instance serves each execution, so that two tasks never
share one. It may not end its task; the executor does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar

from django_taskstore import queue
from django_taskstore.backoff import Backoff
from django_taskstore.claims import Claim
from django_taskstore.conf import settings
from django_taskstore.exceptions import InvalidParameters
from django_taskstore.models import QueuedTask
from django_taskstore.validation import storable_text

INFO, SUCCESS, ERROR = "INFO", "SUCCESS", "ERROR"
Echo = Callable[[str, str], None]


class TaskHandler:
    """A kind of work; subclass it, write ``handle``, and `register` the class.

    ``handle(self)`` returns True or None for success, False for failure, or any other JSON
    value, which becomes the task's output. It may be ``async def``. A handler that can stop
    early defines ``handle_with_context(self, context)`` instead.

    Attributes:
        alias: the name tasks are queued under; the class's name by default.
        title: a short name for people; the alias by default.
        description: what it does, in a sentence.
        queue_name: the queue its tasks go to.
        priority: -100 to 100; the higher runs first.
        max_attempts: how often a task is tried; None takes DEFAULT_MAX_ATTEMPTS.
        backoff: seconds before a retry, a sequence of them, or ``callable(attempt)``; None
            doubles from 15 seconds.
        timeout: seconds, or a timedelta, after which the task should stop; None for no limit.
        on_lost: "retry" or "fail": what becomes of a task whose worker died.
        atomic: run in one transaction with the outcome, for effects that happen exactly once.
        form_class: a Django form that checks parameters wherever they come from.
        sensitive_parameters: names whose values are never shown.
        schedules: when its tasks are enqueued by themselves: rules, or dicts with the fields
            of `declarations.DeclaredSchedule`.
    """

    alias: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str] = ""
    queue_name: ClassVar[str] = "default"
    priority: ClassVar[int] = 0
    max_attempts: ClassVar[int | None] = None
    backoff: ClassVar[Backoff | None] = None
    timeout: ClassVar[float | timedelta | None] = None
    on_lost: ClassVar[str] = "retry"
    atomic: ClassVar[bool] = False
    form_class: ClassVar[Any] = None
    sensitive_parameters: ClassVar[Iterable[str]] = ()
    schedules: ClassVar[Iterable[Any]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.alias = cls.__dict__.get("alias", cls.__name__)
        cls.title = cls.__dict__.get("title", cls.alias)

    def __init__(
        self,
        *,
        queued_task: QueuedTask | Claim | None = None,
        parameters: dict[str, Any] | None = None,
        log: Log | None = None,
        echo: Echo | None = None,
    ) -> None:
        """Prepare one execution.

        Args:
            queued_task: the row, or a claim that can read it; None on the command line.
            parameters: a JSON object.
            log: the task's log, which this execution continues.
            echo: called with level and text for each log line.
        """
        self._queued_task = queued_task
        self.parameters: dict[str, Any] = {} if parameters is None else parameters
        self.output: Any = None
        self.last_info_message = ""
        self.last_success_message = ""
        self.last_error_message = ""
        self.log = Log() if log is None else log
        self._echo = echo

    @property
    def queued_task(self) -> QueuedTask | None:
        """The row that this execution serves, as it was claimed; None on the command line."""
        task = self._queued_task
        return task.queued_task if isinstance(task, Claim) else task

    @property
    def has_queued_task(self) -> bool:
        """Whether this execution serves a row of a queue."""
        return self._queued_task is not None

    @property
    def options(self) -> dict[str, Any]:
        """The command line's parameters when there is no queued task, else an empty dict."""
        return {} if self.has_queued_task else self.parameters

    def get_param(self, name: str, default: Any = "") -> Any:
        """Return a parameter with the type it was given, or the default when it is missing."""
        return self.parameters.get(name, default)

    def get_param_array(self, name: str) -> list[Any]:
        """Return a parameter as a list: a list as it is, a text split at ``;``, else one item."""
        value = self.parameters.get(name)
        if value is None or value == "":
            return []
        if isinstance(value, list):
            return value
        if isinstance(value, str):
            return [part.strip() for part in value.split(";") if part.strip()]
        return [value]

    def log_info(self, message: object) -> None:
        """Write an information line to the task's log."""
        self.last_info_message = self._write(INFO, message)

    def log_success(self, message: object) -> None:
        """Write a success line to the task's log."""
        self.last_success_message = self._write(SUCCESS, message)

    def log_error(self, message: object) -> None:
        """Write an error line to the task's log; the last one explains a failure."""
        self.last_error_message = self._write(ERROR, message)

    def _write(self, level: str, message: object) -> str:
        text = str(message)
        self.log.add(level, text)
        if self._echo is not None:
            self._echo(level, text)
        return text

    @classmethod
    def clean_parameters(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """Check parameters with the handler's form, and take the types it gives them.

        Args:
            parameters: a JSON object.

        Returns:
            The parameters to store: what the form cleaned where JSON can hold it, so that
            "5" becomes 5, and what was given elsewhere.

        Raises:
            InvalidParameters: the form has errors, or does not know a parameter.
        """
        if cls.form_class is None:
            return parameters
        form = cls.form_class(data=parameters)
        unknown = sorted(set(parameters) - set(form.fields))
        if unknown:
            raise InvalidParameters(
                f"{cls.alias} has no parameter {', '.join(map(repr, unknown))}; it has "
                f"{', '.join(map(repr, form.fields))}."
            )
        if not form.is_valid():
            raise InvalidParameters(f"Parameters of {cls.alias} are not valid. {errors_of(form)}")
        cleaned = {
            name: value
            for name, value in form.cleaned_data.items()
            if isinstance(value, (str, int, float, bool)) and name in parameters
        }
        return {**parameters, **cleaned}

    @classmethod
    def row_metadata(cls) -> dict[str, Any]:
        """Return what each of its tasks carries for a worker that has not the handler: a rescue."""
        return {"on_lost": "fail"} if cls.on_lost == "fail" else {}

    @classmethod
    def using(cls, **options: Any) -> BoundHandler:
        """Choose queue, priority, time or attempts for what is enqueued next.

        Args:
            **options: the fields of `queue.Options`.
        """
        return BoundHandler(cls, queue.Options(**options))

    @classmethod
    def enqueue(cls, /, **parameters: Any) -> QueuedTask:
        """Put a task with these parameters on the handler's queue; see `queue.enqueue`."""
        return queue.enqueue(cls, parameters)

    @classmethod
    async def aenqueue(cls, /, **parameters: Any) -> QueuedTask:
        """Put a task on the handler's queue from async code."""
        return await queue.aenqueue(cls, parameters)

    @classmethod
    def enqueue_many(cls, parameters: Iterable[dict[str, Any] | None]) -> int:
        """Put many tasks on the handler's queue; see `queue.enqueue_many`."""
        return queue.enqueue_many(cls, parameters)


class BoundHandler:
    """A handler class together with the options of what is enqueued next."""

    def __init__(self, handler: type[TaskHandler], options: queue.Options) -> None:
        self.handler = handler
        self.options = {name: getattr(options, name) for name in queue.Options.__dataclass_fields__}

    def enqueue(self, /, **parameters: Any) -> QueuedTask:
        """Put a task with these parameters on the queue; see `queue.enqueue`."""
        return queue.enqueue(self.handler, parameters, **self.options)

    async def aenqueue(self, /, **parameters: Any) -> QueuedTask:
        """Put a task on the queue from async code."""
        return await queue.aenqueue(self.handler, parameters, **self.options)

    def enqueue_many(self, parameters: Iterable[dict[str, Any] | None]) -> int:
        """Put many tasks on the queue; see `queue.enqueue_many`."""
        return queue.enqueue_many(self.handler, parameters, **self.options)


class Log:
    """The lines of one task's log, stamped in UTC and capped at MAX_DETAILS_BYTES.

    Args:
        earlier: the lines of earlier attempts.
    """

    __slots__ = ("_bytes", "_full", "_lines", "_saved", "changed")

    def __init__(self, earlier: str = "") -> None:
        self._lines = [earlier] if earlier else []
        self._bytes = len(earlier.encode()) if earlier else 0
        self._full = False
        self._saved = len(self._lines)
        self.changed = False

    def add(self, level: str, text: str, *, now: datetime | None = None) -> None:
        """Append a line, or once the log is full a line that says so."""
        if self._full:
            return
        stamp = stamp_of(int(time.time() if now is None else now.timestamp()))
        line = f"[{stamp}] {level}: {storable_text(text)}"
        size = (len(line) if line.isascii() else len(line.encode())) + 1
        if self._bytes + size > settings.MAX_DETAILS_BYTES:
            self._full = True
            line = f"[{stamp}] {ERROR}: The log is full; later lines are dropped."
        self._lines.append(line)
        self._bytes += size
        self.changed = True

    def unsaved(self) -> str | None:
        """Return the whole log if it has lines that were not asked for before, else None."""
        if self._saved == len(self._lines):
            return None
        self._saved = len(self._lines)
        return str(self)

    def __str__(self) -> str:
        return "\n".join(self._lines)


@lru_cache(maxsize=4)
def stamp_of(second: int) -> str:
    """Return a time as log lines begin, in UTC; most share their second with the one before."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")


def errors_of(form: Any) -> str:
    """Return a form's errors as one line of text."""
    return " ".join(
        f"{name}: {' '.join(map(str, errors))}" if name != "__all__" else " ".join(map(str, errors))
        for name, errors in form.errors.items()
    )
