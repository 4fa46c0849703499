"""One verb for every task that matches, done by a worker in chunks.

Owns `start` and the handler that does the work: the queue's own means, so a bulk operation
survives the death of its worker, shows its progress and can be stopped. A chunk moves its
tasks and the operation's cursor in one transaction: no task is moved twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Max, Min

from django_taskstore.context import TaskContext
from django_taskstore.database.clock import DatabaseNow
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.definitions import queue_database
from django_taskstore.exceptions import Cancel, TaskStoreError
from django_taskstore.handlers import TaskHandler
from django_taskstore.models import BulkOperation, QueuedTask
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.queue import enqueue, requeue
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
        eldest = rows(using).aggregate(eldest=Min("pk"))["eldest"] or 1
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


def newest_id(using: str) -> int:
    """Return the id of the newest task, 0 when there is none."""
    return rows(using).aggregate(newest=Max("pk"))["newest"] or 0


def rows(using: str) -> QueuedTaskQuerySet:
    """Return all tasks, the hidden ones included."""
    return QueuedTaskQuerySet(QueuedTask, using=using)


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
    top = min(operation.done_to_id + REACH, operation.last_id)
    meant = Selection.from_json(operation.selection).narrow(rows(using))
    next_ones = meant.filter(pk__gt=operation.done_to_id, pk__lte=top).order_by("pk")
    keys = list(next_ones.values_list("pk", flat=True)[:CHUNK])
    if keys:
        changed, refused = VERBS[operation.verb](rows(using).filter(pk__in=keys), operation)
        operation.changed += changed
        operation.refused += refused
        operation.skipped += len(keys) - changed - refused
    operation.done_to_id = keys[-1] if len(keys) == CHUNK else top
    operation.save(using=using)


def requeue_each(tasks: QueuedTaskQuerySet, operation: BulkOperation) -> tuple[int, int]:
    """Requeue finished tasks as new ones; return how many were, and how many are refused."""
    changed = refused = 0
    queue_name = operation.options.get("queue_name") or None
    for task in tasks.select_related("definition").order_by("pk"):
        if not task.is_final:
            continue
        try:
            requeue(task, queue_name=queue_name)
        except TaskStoreError as error:
            refused += 1
            operation.first_refusal = operation.first_refusal or f"#{task.pk}: {error}"
        else:
            changed += 1
    return changed, refused


Chunk = Callable[[QueuedTaskQuerySet, BulkOperation], tuple[int, int]]
VERBS: dict[str, Chunk] = {
    "requeue": requeue_each,
    "restart": lambda tasks, _: (tasks.restart(), 0),
    "cancel": lambda tasks, _: (tasks.cancel(), 0),
    "pause": lambda tasks, _: (tasks.pause(), 0),
    "resume": lambda tasks, _: (tasks.resume(), 0),
    "delete": lambda tasks, _: (tasks.soft_delete(), 0),
    "restore": lambda tasks, _: (tasks.restore(), 0),
}
