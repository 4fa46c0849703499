"""Queues, which exist once something was enqueued on them, and the workers that serve them.

Owns `Queue` and `Worker`. A worker's row is for people and probes to read; no task's fate
is judged by it, since only leases can tell whether a worker lives.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models, router
from django.utils.translation import gettext_lazy as _

from django_taskstore import signals
from django_taskstore.conf import LONGEST_REVISION
from django_taskstore.database.clock import DatabaseNow
from django_taskstore.database.fields import ByteText
from django_taskstore.validation import LONGEST_QUEUE_NAME


class Queue(models.Model):
    """A named queue, and what operators asked of it."""

    name = ByteText(_("name"), max_length=LONGEST_QUEUE_NAME, unique=True)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True, editable=False)
    paused_by = models.CharField(_("paused by"), max_length=255, blank=True)
    pause_reason = models.CharField(_("reason"), max_length=255, blank=True)
    stop_requested_at = models.DateTimeField(
        _("stop requested at"), null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        ordering = ["name"]

    def __str__(self) -> str:
        return str(self.name)

    def pause(self, *, by: str = "", reason: str = "") -> bool:
        """Stop claims from this queue; return whether it was not paused before.

        Args:
            by: who asked.
            reason: why, for the next person who wonders.
        """
        rows = Queue.objects.filter(pk=self.pk, paused_at=None).update(
            paused_at=DatabaseNow(), paused_by=by, pause_reason=reason
        )
        self._tell()
        return rows > 0

    def resume(self) -> bool:
        """Allow claims again; return whether the queue was paused."""
        rows = Queue.objects.filter(pk=self.pk, paused_at__isnull=False).update(
            paused_at=None, paused_by="", pause_reason=""
        )
        self._tell()
        return rows > 0

    def request_stop(self) -> None:
        """Ask every runner of this queue that started before now to leave it."""
        Queue.objects.filter(pk=self.pk).update(stop_requested_at=DatabaseNow())
        self._tell()

    def _tell(self) -> None:
        """Let idle runners look again, and read the row as it is now."""
        signals.queues_changed.send_robust(Queue, using=router.db_for_write(Queue))
        self.refresh_from_db()


class Worker(models.Model):
    """A worker process as it last described itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"))
    queues = models.JSONField(_("queues"), default=list)
    concurrency = models.PositiveIntegerField(_("concurrency"))
    running = models.PositiveIntegerField(_("running"), default=0)
    started_at = models.DateTimeField(_("started at"))
    heartbeat_at = models.DateTimeField(_("last heartbeat"))
    quiet_requested_at = models.DateTimeField(_("quiet requested at"), null=True, blank=True)
    stop_requested_at = models.DateTimeField(_("stop requested at"), null=True, blank=True)
    # Defaults of the database too: while a deploy goes on, workers of the last release write rows.
    version = models.CharField(_("version"), max_length=50, default="", db_default="")
    revision = models.CharField(
        _("revision"), max_length=LONGEST_REVISION, default="", db_default=""
    )
    succeeded = models.PositiveBigIntegerField(_("succeeded"), default=0, db_default=0)
    failed = models.PositiveBigIntegerField(_("failed"), default=0, db_default=0)
    memory_bytes = models.PositiveBigIntegerField(_("memory"), null=True, blank=True)
    facts = models.JSONField(_("configuration"), null=True, blank=True)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["-heartbeat_at"]
        permissions = [("forget_worker", _("Can forget a lost worker"))]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    def request_quiet(self) -> bool:
        """Ask the worker to claim nothing more; return whether that was new."""
        return self._request("quiet_requested_at")

    def request_stop(self) -> bool:
        """Ask the worker to finish what runs and end; return whether that was new."""
        return self._request("stop_requested_at")

    def forget(self, *, silent_since: datetime) -> bool:
        """Remove the row of a worker that is gone; return whether it was removed.

        Args:
            silent_since: a worker heard of at this aware datetime or later keeps its row.
        """
        rows = Worker.objects.filter(pk=self.pk, heartbeat_at__lt=silent_since)
        return rows.delete()[0] > 0

    def _request(self, column: str) -> bool:
        rows = Worker.objects.filter(pk=self.pk, **{column: None})
        changed = rows.update(**{column: DatabaseNow()})
        self.refresh_from_db()
        return changed > 0
