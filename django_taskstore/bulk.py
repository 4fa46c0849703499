"""One verb for every task that matches, done by a worker in chunks.

Owns `start` and the handler that does the work: the queue's own means, so a bulk operation
survives the death of its worker, shows its progress and can be stopped. A chunk moves its
tasks and the operation's cursor in one transaction: no task is moved twice. `at_once` does
the same for a command, without a worker and without a cursor that outlives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Max, Min

from django_taskstore.claims import rows
from django_taskstore.context import TaskContext
from django_taskstore.database.clock import DatabaseNow
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.definitions import queue_database
from django_taskstore.exceptions import Cancel, TaskStoreError
from django_taskstore.handlers import TaskHandler
from django_taskstore.models import BulkOperation
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.purging import remove
from django_taskstore.queue import enqueue, move, requeue
from django_taskstore.registry import register
from django_taskstore.selection import Selection
from django_taskstore.signals import bulk_operation_ended

#: Tasks of one transaction.
CHUNK = 500
#: Ids that one statement looks through, so that a filter which matches little stays short.
REACH = 50_000
#: Before everything that waits, and after what is called urgent.
PRIORITY = 99


def start(
    verb: str,
    selection: Selection,
    *,
    last_id: int,
    options: dict[str, Any],
    asked_by: Any,
    queue_name: str,
) -> BulkOperation:
    """Write down what should be done and enqueue the task that does it, in one transaction.

    Args:
        verb: one of `BulkOperation.Verbs`.
        selection: which tasks.
        last_id: the newest task that may be touched: what comes later was not seen.
        options: what the verb's form said.
        asked_by: the user.
        queue_name: a queue that some worker serves.
    """
    using = queue_database()
    with writing(using):
        eldest = eldest_id(using)
        operation = BulkOperation.objects.using(using).create(
            verb=verb,
            selection=selection.as_json(),
            options=options,
            asked_by=asked_by.get_username(),
            asked_by_id=str(asked_by.pk),
            first_id=eldest - 1,
            done_to_id=eldest - 1,
            last_id=last_id,
        )
        operation.queued_task = enqueue(
            BulkOperationTask,
            {"operation": operation.pk},
            queue_name=queue_name,
            priority=PRIORITY,
        )
        operation.save(using=using, update_fields=["queued_task"])
    return operation


def eldest_id(using: str) -> int:
    """Return the id of the eldest task, 1 when there is none."""
    return rows(using).aggregate(eldest=Min("pk"))["eldest"] or 1


def newest_id(using: str) -> int:
    """Return the id of the newest task, 0 when there is none."""
    return rows(using).aggregate(newest=Max("pk"))["newest"] or 0


@register
class BulkOperationTask(TaskHandler):
    """Does a bulk operation that somebody asked for in the admin."""

    alias = "taskstore.bulk"
    title = "Bulk operation"
    description = "Uses one verb on all tasks that match, as asked for in the admin."
    max_attempts = 5

    def handle_with_context(self, context: TaskContext) -> dict[str, int]:
        """Do chunk after chunk until all ids were looked at or somebody stops it."""
        key, using = self.get_param("operation"), queue_database()
        while True:
            operation = advance(key, using)
            share = round(100 * operation.fraction_done)
            context.set_progress(share, 100, f"{operation.changed:,} changed")
            if operation.is_over:
                break
            leave_if_canceled(context, operation, using)
        self.log_info(f"{operation.changed} changed, {operation.skipped} skipped.")
        if operation.refused:
            self.log_error(f"{operation.refused} refused, first: {operation.first_refusal}")
        return {"changed": operation.changed, "skipped": operation.skipped}


def leave_if_canceled(context: TaskContext, operation: BulkOperation, using: str) -> None:
    """Leave the handler when it should stop; canceling its task stops the operation for good."""
    try:
        context.raise_if_canceled()
    except Cancel:
        operation.request_stop()
        finish(operation.pk, using)
        raise


def advance(key: int, using: str) -> BulkOperation:
    """Do the next chunk of an operation, or end it; return how it stands.

    Args:
        key: the operation's primary key.
        using: the database's alias.
    """

    def transact() -> BulkOperation:
        with writing(using):
            operation = BulkOperation.objects.using(using).select_for_update().get(pk=key)
            if operation.finished_at is None and operation.stop_requested_at is None:
                move_chunk(operation, using)
            return operation

    operation = repeat_on_conflict(using, transact)
    over = operation.done_to_id >= operation.last_id or operation.stop_requested_at is not None
    return finish(key, using) if over and not operation.is_over else operation


def finish(key: int, using: str) -> BulkOperation:
    """Note that an operation has ended, and say so once."""
    found = BulkOperation.objects.using(using).filter(pk=key)
    is_news = found.filter(finished_at=None).update(finished_at=DatabaseNow())
    operation = found.get()
    if is_news:
        bulk_operation_ended.send_robust(BulkOperation, operation=operation)
    return operation


def move_chunk(operation: BulkOperation, using: str) -> None:
    """Use the verb on the next tasks and move the cursor behind them."""
    meant = Selection.from_json(operation.selection).narrow(rows(using))
    keys, done_to_id = next_ones(meant, after_id=operation.done_to_id, last_id=operation.last_id)
    moved = use(operation.verb, keys, operation.options, using)
    operation.changed += moved.changed
    operation.skipped += moved.skipped
    operation.refused += moved.refused
    operation.first_refusal = operation.first_refusal or moved.first_refusal
    operation.done_to_id = done_to_id
    operation.save(using=using)


def at_once(
    verb: str,
    meant: QueuedTaskQuerySet,
    *,
    options: dict[str, Any],
    after_id: int,
    last_id: int,
    chunk: int,
) -> Iterator[Moved]:
    """Use a verb on all tasks that match, one transaction a chunk, while somebody waits for it.

    Args:
        verb: one of `BulkOperation.Verbs`.
        meant: the tasks.
        options: what the verb takes; ``queue_name`` for a requeue.
        after_id: only tasks after this one.
        last_id: the newest task that may be touched: the verb itself may make newer ones.
        chunk: tasks a transaction.
    """
    using = meant.db

    def transact() -> Moved:
        with writing(using):
            keys, top = next_ones(meant, after_id=after_id, last_id=last_id, chunk=chunk)
            return replace(use(verb, keys, options, using), done_to_id=top)

    while after_id < last_id:
        moved = repeat_on_conflict(using, transact)
        after_id = moved.done_to_id
        yield moved


def next_ones(
    meant: QueuedTaskQuerySet, *, after_id: int, last_id: int, chunk: int | None = None
) -> tuple[list[int], int]:
    """Return the ids of the next tasks that match, and up to which id that is all of them."""
    size = CHUNK if chunk is None else chunk
    top = min(after_id + REACH, last_id)
    found = meant.filter(pk__gt=after_id, pk__lte=top).order_by("pk")
    keys = list(found.values_list("pk", flat=True)[:size])
    return keys, keys[-1] if len(keys) == size else top


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one chunk.

    Attributes:
        changed: tasks that the verb changed or made anew.
        skipped: tasks that it does not fit.
        refused: tasks whose work nobody takes any more.
        first_refusal: why the first of those was refused.
        done_to_id: up to which id all tasks were looked at.
    """

    changed: int = 0
    skipped: int = 0
    refused: int = 0
    first_refusal: str = ""
    done_to_id: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(
            self.changed + other.changed,
            self.skipped + other.skipped,
            self.refused + other.refused,
            self.first_refusal or other.first_refusal,
            max(self.done_to_id, other.done_to_id),
        )


def use(verb: str, keys: list[int], options: dict[str, Any], using: str) -> Moved:
    """Use a verb on the tasks with these ids."""
    if not keys:
        return Moved()
    moved = VERBS[verb](rows(using).filter(pk__in=keys), options)
    return replace(moved, skipped=len(keys) - moved.changed - moved.refused)


def requeue_each(tasks: QueuedTaskQuerySet, options: dict[str, Any]) -> Moved:
    """Requeue finished tasks as new ones, and count those that are refused."""
    changed = refused = 0
    first_refusal = ""
    queue_name = options.get("queue_name") or None
    for task in tasks.select_related("definition").order_by("pk"):
        if not task.is_final:
            continue
        try:
            requeue(task, queue_name=queue_name)
        except TaskStoreError as error:
            refused += 1
            first_refusal = first_refusal or f"#{task.pk}: {error}"
        else:
            changed += 1
    return Moved(changed, refused=refused, first_refusal=first_refusal)


def move_each(tasks: QueuedTaskQuerySet, options: dict[str, Any]) -> Moved:
    """Give waiting tasks another queue, another priority, or both."""
    queue_name, priority = options.get("queue_name") or None, options.get("priority")
    return Moved(move(tasks, queue_name=queue_name, priority=priority))


def purge_each(tasks: QueuedTaskQuerySet, _options: dict[str, Any]) -> Moved:
    """Remove tasks that have ended for good."""
    return Moved(remove(list(tasks.values_list("pk", flat=True)), tasks.db))


Chunk = Callable[[QueuedTaskQuerySet, dict[str, Any]], Moved]
VERBS: dict[str, Chunk] = {
    "requeue": requeue_each,
    "restart": lambda tasks, _: Moved(tasks.restart()),
    "cancel": lambda tasks, _: Moved(tasks.cancel()),
    "pause": lambda tasks, _: Moved(tasks.pause()),
    "resume": lambda tasks, _: Moved(tasks.resume()),
    "move": move_each,
    "delete": lambda tasks, _: Moved(tasks.soft_delete()),
    "restore": lambda tasks, _: Moved(tasks.restore()),
    "purge": purge_each,
}
