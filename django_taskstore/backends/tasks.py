"""Declaring task functions, with the options that Django's tasks do not have.

Owns `TaskStoreTask`, which Django's ``@task`` makes for our backends, and a ``task`` of our
own for Django 6.0, whose decorator takes no extra options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from django_taskstore.backends import functions
from django_taskstore.backends.api import InvalidTask, Task, task_backends
from django_taskstore.backends.options import OPTIONS
from django_taskstore.backoff import Backoff
from django_taskstore.exceptions import TaskStoreError

#: What Django 6.0 wants to be told of every task.
PLAIN = {"priority": 0, "queue_name": "default", "backend": "default", "takes_context": False}


@dataclass(frozen=True, kw_only=True)
class TaskStoreTask(Task):  # type: ignore[type-arg] # At run time it is not generic.
    """A task function with the options of a handler.

    Attributes:
        max_attempts: how often it is tried; None takes OPTIONS, then DEFAULT_MAX_ATTEMPTS.
        backoff: seconds before a retry, a sequence of them, or ``callable(attempt)``.
        timeout: seconds, or a timedelta, after which it should stop.
        on_lost: "retry" or "fail": what becomes of it when its worker dies.
        atomic: run in one transaction with the outcome.
        schedule: when it is enqueued by itself: a rule, or a dict with the fields of
            `declarations.DeclaredSchedule`.
    """

    max_attempts: int | None = None
    backoff: Backoff | None = None
    timeout: float | timedelta | None = None
    on_lost: str | None = None
    atomic: bool = False
    schedule: str | dict[str, Any] | None = None

    def __post_init__(self) -> None:
        Task.__post_init__(self)
        serve(self, self.get_backend().options)


def serve(declared: Any, defaults: Mapping[str, Any]) -> type[functions.TaskFunction]:
    """Return the handler of a task, made when the task is new or its options have changed.

    Args:
        declared: a task of this or of Django's own class.
        defaults: the OPTIONS of its backend.

    Raises:
        InvalidTask: its options break a rule of handlers.
    """
    schedule = getattr(declared, "schedule", None)
    options: dict[str, Any] = {
        "atomic": getattr(declared, "atomic", False),
        "schedules": () if schedule is None else (schedule,),
    }
    for name in OPTIONS:
        chosen = getattr(declared, name, None)
        options[name] = defaults.get(name) if chosen is None else chosen
    options["on_lost"] = options["on_lost"] or "retry"
    try:
        return functions.serve(declared, options)
    except TaskStoreError as error:
        raise InvalidTask(str(error)) from error


def task(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Declare a task function; use as ``@task`` or ``@task(max_attempts=5)``.

    It is Django's decorator with the extra options on every version. Where the backend is
    not ours, as in tests with Django's own, options that it does not know are left out.

    Args:
        function: the function, at the top of its module.
        **options: priority, queue_name, backend, takes_context, and the attributes of
            `TaskStoreTask`.

    Raises:
        InvalidTask: the function or an option cannot be used.
        TypeError: there is no such option.
    """
    known = {one.name for one in fields(TaskStoreTask)} - {"func", "run_after"}
    if unknown := sorted(options.keys() - known):
        raise TypeError(
            f"task() takes no option {', '.join(unknown)}, only {', '.join(sorted(known))}; "
            "run_after belongs to .using()."
        )

    def declare(decorated: Callable[..., Any]) -> Any:
        wanted = {**PLAIN, **options}
        task_class: Any = task_backends[wanted["backend"]].task_class
        taken = {one.name for one in fields(task_class)} & wanted.keys()
        return task_class(func=decorated, run_after=None, **{name: wanted[name] for name in taken})

    return declare if function is None else declare(function)
