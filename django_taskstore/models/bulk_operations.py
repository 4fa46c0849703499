"""What an operator asked to be done with every task that matches, and how far it is.

Owns `BulkOperation`: the frozen filter, the cursor and the counts. `bulk` does the work.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_taskstore.database.clock import DatabaseNow
from django_taskstore.models.queued_tasks import QueuedTask


class BulkOperation(models.Model):
    """A verb used on all tasks of a selection, chunk by chunk, by a worker."""

    class Verbs(models.TextChoices):
        """What can be done with all tasks of a selection."""

        REQUEUE = "requeue", _("Requeue as new")
        RESTART = "restart", _("Restart")
        CANCEL = "cancel", _("Cancel")
        PAUSE = "pause", _("Pause")
        RESUME = "resume", _("Resume")
        MOVE = "move", _("Change queue or priority")
        DELETE = "delete", _("Delete")
        RESTORE = "restore", _("Restore")
        PURGE = "purge", _("Purge")

    verb = models.CharField(_("action"), max_length=16, choices=Verbs.choices)
    selection = models.JSONField(_("filter"), default=dict)
    options = models.JSONField(_("options"), default=dict)
    asked_by = models.CharField(_("asked by"), max_length=255, blank=True)
    asked_by_id = models.CharField(max_length=255, blank=True, editable=False)
    first_id = models.PositiveBigIntegerField(_("first task"), default=0)
    last_id = models.PositiveBigIntegerField(_("last task"))
    done_to_id = models.PositiveBigIntegerField(_("done up to task"), default=0)
    changed = models.PositiveIntegerField(_("changed"), default=0)
    skipped = models.PositiveIntegerField(_("skipped"), default=0)
    refused = models.PositiveIntegerField(_("refused"), default=0)
    first_refusal = models.TextField(_("first refusal"), blank=True)
    queued_task = models.ForeignKey(
        QueuedTask,
        models.DO_NOTHING,
        verbose_name=_("queued task"),
        related_name="+",
        null=True,
        db_constraint=False,
        db_index=False,
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    stop_requested_at = models.DateTimeField(_("stop requested at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("bulk operation")
        verbose_name_plural = _("bulk operations")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} #{self.pk}"

    @property
    def task(self) -> QueuedTask | None:
        """The task that does the work, until it is purged."""
        try:
            return self.queued_task
        except QueuedTask.DoesNotExist:
            return None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be done."""
        return self.finished_at is not None

    @property
    def was_stopped(self) -> bool:
        """Whether somebody stopped it before its last task."""
        return self.is_over and self.done_to_id < self.last_id

    @property
    def fraction_done(self) -> float:
        """How much of the ids was looked at, from 0 to 1."""
        span = self.last_id - self.first_id
        if self.done_to_id >= self.last_id or span <= 0:
            return 1.0
        return max(0.0, (self.done_to_id - self.first_id) / span)

    def request_stop(self) -> bool:
        """Ask the worker to stop after its chunk; return whether that was new and in time."""
        rows = BulkOperation.objects.filter(
            pk=self.pk, stop_requested_at=None, finished_at=None
        ).update(stop_requested_at=DatabaseNow())
        self.refresh_from_db()
        return rows > 0
