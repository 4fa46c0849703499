"""Looking at what was enqueued.

Owns `captured_enqueues` and `assert_enqueued`. They read rows, so that what was rolled back
was not enqueued here either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import Max

from django_taskstore.definitions import queue_database
from django_taskstore.models import QueuedTask
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.registry import registry

#: Lines of an assertion's message.
SHOWN = 20


@contextmanager
def captured_enqueues(what: Any = None) -> Iterator[list[QueuedTask]]:
    """Collect the tasks that are enqueued within the block; the list is filled at its end.

    Args:
        what: a handler class, a task function or an alias to collect no others; None collects
            all.
    """
    captured: list[QueuedTask] = []
    newest = tasks(None).aggregate(newest=Max("pk"))["newest"] or 0
    yield captured
    captured.extend(tasks(what).filter(pk__gt=newest).order_by("pk"))


def assert_enqueued(
    what: Any, parameters: dict[str, Any] | None = None, *, times: int | None = None, **columns: Any
) -> QueuedTask | None:
    """Check that a task was enqueued, whatever has become of it since.

    Args:
        what: a handler class, a task function or an alias.
        parameters: exactly these, or None for any; for a task function its named arguments,
            or ``{"args": [...], "kwargs": {...}}``.
        times: how often, 0 for never; None for at least once.
        **columns: other columns, such as ``queue_name``, ``priority`` or ``status``.

    Returns:
        The newest such task.

    Raises:
        AssertionError: it was not; the message shows what was.
    """
    wanted = tasks(what).filter(**columns).order_by("-pk")
    found = [
        task for task in wanted if parameters is None or task.parameters == stored(what, parameters)
    ]
    if found if times is None else len(found) == times:
        return found[0] if found else None
    facts = {"parameters": parameters, **columns} if parameters is not None else columns
    raise AssertionError(
        f"{alias_of(what)} was enqueued {len(found)} times with {facts}, expected "
        f"{'at least one' if times is None else times}. Enqueued were:\n{shown()}"
    )


def tasks(what: Any) -> QueuedTaskQuerySet:
    """Return all tasks, or those of one handler."""
    rows = QueuedTask.all_objects.using(queue_database()).select_related("definition")
    return rows if what is None else rows.of(alias_of(what))


def alias_of(what: Any) -> str:
    """Return the alias of a handler class, of a task function, or the alias itself.

    Raises:
        TypeError: it is none of these.
    """
    for alias in (what, getattr(what, "alias", None), getattr(what, "module_path", None)):
        if isinstance(alias, str):
            return alias
    raise TypeError(f"{what!r} is no handler class, no task function and no alias.")


def stored(what: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as enqueue would have stored them."""
    alias = alias_of(what)
    return registry.get(alias).clean_parameters(parameters) if alias in registry else parameters


def shown() -> str:
    """Return the newest tasks, one a line."""
    rows = tasks(None).order_by("-pk")[:SHOWN]
    lines = [
        f"  {task.definition.alias} {task.parameters} queue_name={task.queue_name} "
        f"priority={task.priority} status={task.status}"
        for task in rows
    ]
    return "\n".join(lines) or "  nothing"
