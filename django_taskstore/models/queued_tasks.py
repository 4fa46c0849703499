"""One execution on a queue, and the record of each attempt at it that did not just succeed.

Owns `QueuedTask`, `TaskAttempt` and the indexes of the hot table: exactly those that a
named query needs (docs/architecture.md lists which). Statuses are written by `transitions`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_taskstore.database.fields import ByteText
from django_taskstore.database.indexes import PartialIndex
from django_taskstore.models.definitions import TaskDefinition
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.models.schedules import Schedule
from django_taskstore.statuses import FINAL, Ending, Status
from django_taskstore.validation import (
    LONGEST_QUEUE_NAME,
    validate_priority,
    validate_queue_name,
)

#: Columns that only a transition may change once the row exists.
GUARDED = frozenset(
    {
        "status",
        "attempts",
        "lost_count",
        "claim_seq",
        "claimed_by",
        "lease_expires_at",
        "cancel_requested_at",
        "started_at",
        "completed_at",
        "soft_deleted_at",
    }
)


class LiveQueuedTasks(models.Manager.from_queryset(QueuedTaskQuerySet)):  # type: ignore[misc]
    """Hides soft-deleted tasks."""

    def get_queryset(self) -> QueuedTaskQuerySet:
        rows: QueuedTaskQuerySet = super().get_queryset()
        return rows.filter(soft_deleted_at=None)


class QueuedTask(models.Model):
    """A task on a queue: what to do, where it stands, and what came of it."""

    id = models.BigAutoField(primary_key=True)
    definition = models.ForeignKey(
        TaskDefinition,
        models.DO_NOTHING,
        verbose_name=_("definition"),
        related_name="queued_tasks",
        db_constraint=False,
        db_index=False,
    )
    queue_name = ByteText(_("queue"), max_length=LONGEST_QUEUE_NAME, default="default")
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.QUEUED
    )
    priority = models.SmallIntegerField(_("priority"), default=0)
    run_after = models.DateTimeField(_("run after"), default=timezone.now)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    max_attempts = models.PositiveIntegerField(_("most attempts"), default=1)
    lost_count = models.PositiveIntegerField(_("lost workers"), default=0)
    claim_seq = models.PositiveBigIntegerField(_("claim number"), default=0)
    claimed_by = models.UUIDField(_("worker"), null=True, blank=True)
    lease_expires_at = models.DateTimeField(_("lease expires at"), null=True, blank=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested at"), null=True, blank=True)
    schedule = models.ForeignKey(
        Schedule,
        models.DO_NOTHING,
        verbose_name=_("schedule"),
        related_name="+",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
    )
    occurrence_at = models.DateTimeField(_("occurrence"), null=True, blank=True)
    output = models.JSONField(_("output"), null=True, blank=True)
    details = models.TextField(_("log"), blank=True, default="")
    progress = models.JSONField(_("progress"), null=True, blank=True)
    requeued_from = models.ForeignKey(
        "self",
        models.DO_NOTHING,
        verbose_name=_("requeued from"),
        related_name="requeued_as",
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
    )
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)
    soft_deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)

    objects = LiveQueuedTasks()
    all_objects = QueuedTaskQuerySet.as_manager()

    class Meta:
        verbose_name = _("queued task")
        verbose_name_plural = _("queued tasks")
        ordering = ["-id"]
        permissions = [
            ("requeue_queuedtask", _("Can requeue a task as a new one")),
            ("restart_queuedtask", _("Can restart a finished task")),
            ("cancel_queuedtask", _("Can cancel a task")),
            ("pause_queuedtask", _("Can pause and resume a task")),
            ("enqueue_queuedtask", _("Can enqueue a task")),
            ("view_payload_queuedtask", _("Can see hidden values of a task")),
            ("export_queuedtask", _("Can export tasks")),
            ("purge_queuedtask", _("Can remove an ended task for good")),
        ]
        indexes = [
            PartialIndex(
                fields=["queue_name", "status", "-priority", "run_after", "id"],
                name="taskstore_claim",
                only=Status.QUEUED.value,
            ),
            PartialIndex(
                fields=["status", "run_after", "id"],
                name="taskstore_due",
                only=Status.SCHEDULED.value,
            ),
            PartialIndex(
                fields=["status", "lease_expires_at", "id"],
                name="taskstore_lease",
                only=Status.RUNNING.value,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.definition} #{self.pk}"

    def save(  # type: ignore[override]
        self,
        *args: Any,
        update_fields: Collection[str] | None = None,
        **options: Any,
    ) -> None:
        """Save the row; on an existing one leave the columns of the state machine alone.

        An admin form or a stale object would otherwise undo a cancel or a worker's outcome.
        """
        deferred = self.get_deferred_fields()
        if "queue_name" not in deferred:
            validate_queue_name(self.queue_name)
        if "priority" not in deferred:
            validate_priority(self.priority)
        if not self._state.adding:
            wanted = self._loaded_fields() if update_fields is None else set(update_fields)
            update_fields = (wanted | {"updated_at"}) - GUARDED
        super().save(*args, update_fields=update_fields, **options)

    def _loaded_fields(self) -> set[str]:
        deferred = self.get_deferred_fields()
        fields = self._meta.concrete_fields
        return {f.name for f in fields if not f.primary_key and f.attname not in deferred}

    @property
    def is_final(self) -> bool:
        """Whether the task has ended."""
        return self.status in FINAL

    def cancel(self) -> bool:
        """Cancel the task if it waits, or ask it to stop if it runs; return whether it changed."""
        return self._changed(self._row().cancel())

    def pause(self) -> bool:
        """Keep the waiting task from being claimed; return whether it changed."""
        return self._changed(self._row().pause())

    def resume(self) -> bool:
        """Let the paused task be claimed again; return whether it changed."""
        return self._changed(self._row().resume())

    def restart(self) -> bool:
        """Queue the finished task once more in this row; return whether it changed."""
        return self._changed(self._row().restart())

    def soft_delete(self) -> bool:
        """Hide the task unless it runs; a waiting one is canceled by it."""
        return self._changed(self._row().soft_delete())

    def restore(self) -> bool:
        """Show the soft-deleted task again; return whether it changed."""
        return self._changed(self._row().restore())

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """Remove the row for good.

        Raises:
            TaskRunning: the task is running.
        """
        return self._row().delete()

    def _row(self) -> QueuedTaskQuerySet:
        return QueuedTaskQuerySet(type(self), using=self._state.db).filter(pk=self.pk)

    def _changed(self, rows: int) -> bool:
        self.refresh_from_db()
        return rows > 0


class TaskAttempt(models.Model):
    """How one attempt ended that did not simply succeed, with its traceback."""

    queued_task = models.ForeignKey(
        QueuedTask,
        models.CASCADE,
        verbose_name=_("queued task"),
        related_name="attempt_records",
        db_constraint=False,
        db_index=False,
    )
    claim_seq = models.PositiveBigIntegerField(_("claim number"))
    number = models.PositiveIntegerField(_("attempt"))
    worker = models.UUIDField(_("worker"), null=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), default=timezone.now)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Ending.choices)
    exception_class = models.CharField(_("exception"), max_length=255, blank=True)
    message = models.TextField(_("message"), blank=True)
    traceback = models.TextField(_("traceback"), blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["queued_task", "claim_seq"]
        constraints = [
            models.UniqueConstraint(
                fields=["queued_task", "claim_seq"], name="taskstore_one_outcome"
            )
        ]

    def __str__(self) -> str:
        return f"#{self.queued_task_id} {self.number}: {self.get_outcome_display()}"
