"""Putting work on a queue, putting old work on it again, and moving what waits.

Owns enqueue in its three forms, requeue and move. Everything happens in the caller's transaction
on the queue's database: rolled back, it never was, and nobody is woken. It may not claim.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone

from django_taskstore import notifier, signals, switchboard
from django_taskstore.conf import settings
from django_taskstore.database.insertion import insert_alike, insert_one
from django_taskstore.database.transactions import will_write
from django_taskstore.definitions import Definition, queue_database, working
from django_taskstore.models import QueuedTask
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.registry import HandlerClass, registry
from django_taskstore.statuses import Status
from django_taskstore.validation import (
    parameters_text,
    validate_max_attempts,
    validate_parameters,
    validate_priority,
    validate_queue_name,
    validate_run_after,
)


@dataclass(frozen=True, slots=True)
class Options:
    """How to queue a task; None leaves the choice to its handler.

    Attributes:
        queue_name: the queue.
        priority: -100 to 100; the higher runs first.
        run_after: an aware datetime, or a timedelta from now.
        max_attempts: how often it may be tried.
        metadata: a JSON object that travels along, such as a trace id or a tenant.
    """

    queue_name: str | None = None
    priority: int | None = None
    run_after: datetime | timedelta | None = None
    max_attempts: int | None = None
    metadata: dict[str, Any] | None = None


def enqueue(
    handler: str | HandlerClass | type, parameters: dict[str, Any] | None = None, **options: Any
) -> QueuedTask:
    """Put a task on its queue, in the caller's transaction.

    Args:
        handler: an alias, or a handler class.
        parameters: a JSON object.
        **options: the fields of `Options`.

    Returns:
        The saved row.

    Raises:
        HandlerNotFound: neither a handler nor a task definition has the alias.
        DefinitionCanceled: the definition takes no work.
        InvalidParameters, InvalidQueueName, InvalidPriority, InvalidRunAfter: as named.
    """
    template = prepare(handler, Options(**options))
    task = template.row(parameters)
    insert_one(task, using=template.using)
    template.announce([task.pk])
    return task


def enqueue_many(
    handler: str | HandlerClass | type,
    parameters: Iterable[dict[str, Any] | None],
    **options: Any,
) -> int:
    """Put many tasks of one kind on a queue: all of them or, when one is invalid, none.

    Args:
        handler: an alias, or a handler class.
        parameters: a JSON object for each task.
        **options: the fields of `Options`, the same for all.

    Returns:
        The number of tasks.

    Raises:
        As `enqueue`.
    """
    template = prepare(handler, Options(**options))
    limit_bytes = settings.MAX_PARAMETERS_BYTES
    texts = [template.text(one, limit_bytes=limit_bytes) for one in parameters]
    if texts:
        with transaction.atomic(using=template.using):
            # MySQL does not tell the ids of the rows of one INSERT.
            template.announce(template.insert(texts))
    return len(texts)


async def aenqueue(
    handler: str | HandlerClass | type, parameters: dict[str, Any] | None = None, **options: Any
) -> QueuedTask:
    """Put a task on its queue from async code; see `enqueue`."""
    return await sync_to_async(enqueue)(handler, parameters, **options)


def requeue(
    task: QueuedTask,
    *,
    parameters: dict[str, Any] | None = None,
    queue_name: str | None = None,
) -> QueuedTask:
    """Queue an old task's work as a new task that points back to it.

    Args:
        task: the old task; it is not changed.
        parameters: new ones, or None for the old task's.
        queue_name: another queue, or None for the old task's.

    Returns:
        The new row.

    Raises:
        As `enqueue`.
    """
    will_write(queue_database())
    options = Options(
        queue_name=queue_name or task.queue_name,
        priority=task.priority,
        max_attempts=task.max_attempts,
        metadata=task.metadata,
    )
    template = prepare(task.definition.alias, options)
    new = template.row(task.parameters if parameters is None else parameters)
    new.requeued_from = task
    insert_one(new, using=template.using)
    template.announce([new.pk])
    return new


def move(
    tasks: QueuedTaskQuerySet, *, queue_name: str | None = None, priority: int | None = None
) -> int:
    """Give waiting tasks another queue, another priority, or both.

    Args:
        tasks: which; what does not wait, and what is there already, is left as it is.
        queue_name: another queue, or None for each task's own.
        priority: -100 to 100, or None for each task's own.

    Returns:
        The number of tasks that changed.

    Raises:
        InvalidQueueName, InvalidPriority: as named.
    """
    columns: dict[str, Any] = {}
    if queue_name is not None:
        columns["queue_name"] = validate_queue_name(queue_name)
    if priority is not None:
        columns["priority"] = validate_priority(priority)
    changed = tasks.place(**columns) if columns else 0
    if changed and queue_name is not None:
        switchboard.ensure(queue_name, tasks.db)
    return changed


@dataclass(frozen=True, slots=True)
class Template:
    """What all tasks of one call share."""

    definition: Definition
    handler: HandlerClass | None
    using: str
    columns: dict[str, Any]

    def checked(self, parameters: dict[str, Any] | None) -> dict[str, Any]:
        """Return the parameters of one task as they are stored."""
        checked = validate_parameters(parameters, limit_bytes=settings.MAX_PARAMETERS_BYTES)
        return checked if self.handler is None else self.handler.clean_parameters(checked)

    def text(self, parameters: dict[str, Any] | None, *, limit_bytes: int) -> str:
        """Return the parameters of one task as the JSON text that is stored."""
        text = parameters_text(parameters, limit_bytes=limit_bytes)
        if self.handler is None:
            return text
        given = {} if parameters is None else parameters
        cleaned = self.handler.clean_parameters(given)
        return text if cleaned is given else json.dumps(cleaned)

    def row(self, parameters: dict[str, Any] | None) -> QueuedTask:
        """Return an unsaved task with these parameters, checked."""
        return QueuedTask(parameters=self.checked(parameters), **self.columns)

    def insert(self, texts: list[str]) -> list[int]:
        """Insert a task for each JSON text of parameters; return their ids where told."""
        alike = QueuedTask(**self.columns)
        return insert_alike(alike, column="parameters", texts=texts, using=self.using)

    def announce(self, task_ids: list[int]) -> None:
        """Wake a worker and send `task_enqueued` once the transaction has committed."""
        waits = self.columns["status"] == Status.SCHEDULED
        notifier.wake(notifier.ANYTHING if waits else self.columns["queue_name"], self.using)
        facts = {
            "task_id": task_ids[0] if task_ids else None,
            "task_ids": task_ids,
            "alias": self.definition.alias,
            "queue_name": self.columns["queue_name"],
            "attempt": 0,
        }
        transaction.on_commit(
            lambda: signals.task_enqueued.send_robust(QueuedTask, **facts),
            using=self.using,
            robust=True,
        )


def prepare(handler: str | HandlerClass | type, options: Options) -> Template:
    """Check the options once for all tasks of a call, and find the definition."""
    alias = handler if isinstance(handler, str) else handler.alias  # type: ignore[union-attr]
    known = registry.get(alias) if alias in registry else None
    using = queue_database()
    columns = task_columns(options, known)
    definition = working(alias, using)
    switchboard.ensure(columns["queue_name"], using)
    return Template(definition, known, using, {"definition_id": definition.id, **columns})


def task_columns(options: Options, handler: HandlerClass | None) -> dict[str, Any]:
    """Return the columns that the options and, where they are silent, the handler give."""
    now = timezone.now()
    run_after = now if options.run_after is None else options.run_after
    moment = validate_run_after(run_after, now=now)
    queue_name = pick(options.queue_name, handler, "queue_name", "default")
    most = pick(options.max_attempts, handler, "max_attempts", None)
    return {
        "queue_name": validate_queue_name(queue_name),
        "priority": validate_priority(pick(options.priority, handler, "priority", 0)),
        "max_attempts": validate_max_attempts(
            settings.DEFAULT_MAX_ATTEMPTS if most is None else most
        ),
        "run_after": moment,
        "created_at": now,
        "status": Status.SCHEDULED if moment > now else Status.QUEUED,
        "metadata": task_metadata(options, handler),
    }


def pick(given: Any, handler: HandlerClass | None, name: str, otherwise: Any) -> Any:
    """Return what was given, else the handler's choice, else the package's."""
    if given is not None:
        return given
    return otherwise if handler is None else getattr(handler, name)


def task_metadata(options: Options, handler: HandlerClass | None) -> dict[str, Any]:
    """Return the metadata, with what the handler wants known where it is not."""
    metadata = validate_parameters(options.metadata, limit_bytes=settings.MAX_PARAMETERS_BYTES)
    return metadata if handler is None else {**metadata, **handler.row_metadata()}
