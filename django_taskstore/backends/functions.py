"""Handlers for task functions: one generated class a function, under its dotted path.

Owns `TaskFunction` and how a function is called: with its arguments, its context, and its
return value as the task's output. The classes keep the registry's protocol without being
`TaskHandler`s, since functions are declared before models can be imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.utils.text import capfirst

from django_taskstore.backends import results
from django_taskstore.backends.api import TaskContext, normalize_json, signals
from django_taskstore.backends.arguments import read_arguments, write_arguments
from django_taskstore.backends.signing import sign
from django_taskstore.context import TaskContext as Steering
from django_taskstore.registry import registry

Echo = Callable[[str, str], None]


@dataclass(frozen=True, kw_only=True)
class FunctionContext(TaskContext):  # type: ignore[misc,type-arg] # The stubs' class differs.
    """Django's context of a running task, and the means of a handler.

    Beside ``attempt`` and ``task_result`` a function finds here all of
    `django_taskstore.context.TaskContext`, such as ``is_canceled`` and ``set_progress``, and
    the lines of its task's log.
    """

    steering: Steering = field(repr=False)
    write: Echo = field(repr=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.steering, name)

    def log_info(self, message: object) -> None:
        """Write an information line to the task's log."""
        self.write("INFO", str(message))

    def log_success(self, message: object) -> None:
        """Write a success line to the task's log."""
        self.write("SUCCESS", str(message))

    def log_error(self, message: object) -> None:
        """Write an error line to the task's log."""
        self.write("ERROR", str(message))


class TaskFunction:
    """One execution of a task function; `serve` makes a subclass for each function.

    Attributes:
        declared: the task, as its module declares it.
        options: its options, with the defaults of its backend.
    """

    declared: ClassVar[Any]
    options: ClassVar[dict[str, Any]]
    alias: ClassVar[str]
    form_class: ClassVar[None] = None
    sensitive_parameters: ClassVar[Iterable[str]] = ()

    def __init__(
        self,
        *,
        queued_task: Any = None,
        parameters: dict[str, Any] | None = None,
        log: Any = None,
        echo: Echo | None = None,
    ) -> None:
        """Prepare one execution; see `handlers.TaskHandler`."""
        # A claim, which reads its row when it is asked to, or the row itself.
        self.queued_task = getattr(queued_task, "queued_task", queued_task)
        self.args, self.kwargs = read_arguments(parameters or {})
        self.output: Any = None
        self.last_error_message = ""
        self._log = log
        self._echo = echo

    @classmethod
    def clean_parameters(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments in the form they are stored in.

        Args:
            parameters: that form, or an object of named arguments, as people type it.
        """
        return write_arguments(*read_arguments(parameters))

    @classmethod
    def row_metadata(cls) -> dict[str, Any]:
        """Return what each of its tasks carries: how it is lost, and the proof of its path."""
        on_lost = {"on_lost": "fail"} if cls.options["on_lost"] == "fail" else {}
        return {**on_lost, **sign(cls.alias)}

    def call(self, steering: Steering | None = None) -> bool:
        """Call the function."""
        result = self._result()
        if self.queued_task is not None:
            signals.task_started.send_robust(results.sender(result), task_result=result)
        return self._keep(self.declared.func(*self._arguments(result, steering), **self.kwargs))

    async def acall(self, steering: Steering | None = None) -> bool:
        """Call the coroutine function and await its end."""
        result = await sync_to_async(self._result)() if self._is_retry else self._result()
        if self.queued_task is not None:
            await announce_start(result)
        arguments = self._arguments(result, steering)
        return self._keep(await self.declared.func(*arguments, **self.kwargs))

    @property
    def _is_retry(self) -> bool:
        """Whether earlier attempts have to be read from the database."""
        return self.queued_task is not None and self.queued_task.attempts > 1

    def _result(self) -> Any:
        if self.queued_task is None:
            return results.without_row(self.declared, self.args, self.kwargs)
        return results.running(self.queued_task, self.declared)

    def _arguments(self, result: Any, steering: Steering | None) -> list[Any]:
        if steering is None:
            return self.args
        context = FunctionContext(task_result=result, steering=steering, write=self._write)
        return [context, *self.args]

    def _keep(self, returned: Any) -> bool:
        """Take the return value as the output: False is a value here, and no failure."""
        self.output = normalize_json(returned)
        return True

    def _write(self, level: str, text: str) -> None:
        if self._log is not None:
            self._log.add(level, text)
        if self._echo is not None:
            self._echo(level, text)


async def announce_start(result: Any) -> None:
    """Send ``task_started`` from the event loop.

    Django's own receiver only logs. Those of a project may use the ORM, and so need a thread.
    """
    if len(signals.task_started.receivers) == 1:
        signals.task_started.send_robust(results.sender(result), task_result=result)
    else:
        await signals.task_started.asend_robust(results.sender(result), task_result=result)


def serve(declared: Any, options: dict[str, Any]) -> type[TaskFunction]:
    """Return the handler of a task, registering one when there is none with these options.

    Args:
        declared: the task.
        options: the attributes of a handler that they are: max_attempts, schedules and so on.

    Raises:
        InvalidHandler: an option breaks a rule of handlers.
        HandlerAlreadyRegistered: a handler class has the function's path as its alias.
    """
    known = registered(declared.module_path)
    if known is None or known.declared.func is not declared.func or known.options != options:
        known = make(declared, options)
        registry.add(known)
    return known


def registered(path: str) -> type[TaskFunction] | None:
    """Return the handler of a function's path, or None when this process has none."""
    handler: Any = registry.get(path) if path in registry else None
    return handler if inspect.isclass(handler) and issubclass(handler, TaskFunction) else None


def make(declared: Any, options: dict[str, Any]) -> type[TaskFunction]:
    """Return a new handler class that stands for a function, its name and text included."""
    function = declared.func
    is_async = inspect.iscoroutinefunction(function)
    method = "handle_with_context" if declared.takes_context else "handle"
    columns = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "declared": declared,
        "options": options,
        "alias": declared.module_path,
        "title": capfirst(function.__name__.strip("_").replace("_", " ")),
        "description": inspect.getdoc(function) or "",
        "queue_name": declared.queue_name,
        "priority": declared.priority,
        method: TaskFunction.acall if is_async else TaskFunction.call,
        **options,
    }
    return type(function.__name__, (TaskFunction,), columns)
