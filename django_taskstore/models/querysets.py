"""Verbs for sets of queued tasks: how to find them, and how an operator moves them.

Owns `QueuedTaskQuerySet`. Each verb calls one arrow of `transitions` and returns how many
rows it changed; rows in another status are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Self, TypeVar

from django.db import models, router, transaction

from django_taskstore import signals, transitions
from django_taskstore.database.clock import DatabaseNow
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.exceptions import TaskRunning
from django_taskstore.models.definitions import TaskDefinition
from django_taskstore.statuses import WAITING, Status

Result = TypeVar("Result")


class QueuedTaskQuerySet(models.QuerySet[Any]):
    """Finding and moving queued tasks."""

    def of(self, alias: str) -> Self:
        """Narrow to the tasks of one definition, by its alias."""
        return self.filter(definition__alias=alias)

    def on_queue(self, *names: str) -> Self:
        """Narrow to the tasks of these queues."""
        return self.filter(queue_name__in=names)

    def with_status(self, *statuses: str) -> Self:
        """Narrow to the tasks in one of these statuses."""
        return self.filter(status__in=statuses)

    def created_between(self, start: datetime | None = None, end: datetime | None = None) -> Self:
        """Narrow to the tasks created at or after ``start`` and before ``end``, aware datetimes."""
        rows = self if start is None else self.filter(created_at__gte=start)
        return rows if end is None else rows.filter(created_at__lt=end)

    def cancel(self) -> int:
        """Cancel waiting tasks at once and ask running ones to stop."""
        return self._transact(self._cancel)

    def _cancel(self) -> int:
        waiting = list(
            self._for_update()
            .filter(status__in=WAITING)
            .values_list("pk", "definition_id", "queue_name", "attempts")
        )
        changed = transitions.cancel(self._by_pk(row[0] for row in waiting))
        asked = transitions.ask_to_cancel(self)
        if waiting:
            transaction.on_commit(
                lambda: self._announce_canceled(waiting), using=self._writes_to(), robust=True
            )
        return changed + asked

    def pause(self) -> int:
        """Keep waiting tasks from being claimed until they are resumed."""
        return self._transact(lambda: transitions.pause(self))

    def resume(self) -> int:
        """Let paused tasks be claimed again."""
        return self._transact(lambda: self._told(transitions.resume(self)))

    def place(self, **columns: Any) -> int:
        """Give waiting tasks another queue, another priority, or both; see `queue.move`."""
        waiting = self.filter(status__in=WAITING, soft_deleted_at=None).exclude(**columns)
        # A worker that claims at the same moment wins: its row no longer fits the UPDATE.
        return self._transact(
            lambda: self._told(waiting.update(**columns, updated_at=DatabaseNow()))
        )

    def restart(self) -> int:
        """Queue finished tasks once more in their own rows."""
        return self._transact(lambda: self._told(transitions.restart(self)))

    def soft_delete(self) -> int:
        """Hide tasks that do not run; waiting ones are canceled by it."""
        return self._transact(lambda: transitions.soft_delete(self))

    def restore(self) -> int:
        """Show soft-deleted tasks again."""
        return self._transact(lambda: transitions.restore(self))

    def delete(self) -> tuple[int, dict[str, int]]:
        """Remove rows for good.

        Raises:
            TaskRunning: one of them is running; nothing is removed then.
        """
        return self._transact(self._delete)

    def _delete(self) -> tuple[int, dict[str, int]]:
        rows = list(self._for_update().values_list("pk", "status"))
        running = [pk for pk, status in rows if status == Status.RUNNING]
        if running:
            raise TaskRunning(
                f"Task {running[0]} is running and cannot be deleted: cancel it and wait "
                "until it has ended."
            )
        found = self._by_pk(pk for pk, _ in rows)
        return super(QueuedTaskQuerySet, found).delete()

    def _transact(self, work: Callable[[], Result]) -> Result:
        """Do a verb in a transaction, and again when it met a deadlock or a busy lock."""
        using = self._writes_to()

        def transact() -> Result:
            with writing(using):
                return work()

        return repeat_on_conflict(using, transact)

    def _told(self, changed: int) -> int:
        """Tell idle runners that there may be work."""
        signals.queues_changed.send_robust(self.model, using=self._writes_to())
        return changed

    def _writes_to(self) -> str:
        return getattr(self, "_db", None) or router.db_for_write(self.model)

    def _for_update(self) -> Self:
        return self.using(self._writes_to()).select_for_update().order_by("pk")

    def _by_pk(self, keys: Any) -> QueuedTaskQuerySet:
        rows = QueuedTaskQuerySet(self.model, using=self._writes_to())
        return rows.filter(pk__in=list(keys))

    def _announce_canceled(self, rows: list[Any]) -> None:
        definitions = TaskDefinition.all_objects.using(self._writes_to())
        aliases = dict(
            definitions.filter(pk__in={row[1] for row in rows}).values_list("pk", "alias")
        )
        for task_id, definition_id, queue_name, attempt in rows:
            signals.task_canceled.send_robust(
                self.model,
                task_id=task_id,
                alias=aliases.get(definition_id, ""),
                queue_name=queue_name,
                attempt=attempt,
            )
