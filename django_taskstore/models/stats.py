"""Counts of what ended, for charts that never touch the table of tasks.

Owns `TaskStat`, one counter a row, and `Dashboard`, which gives the first page of the admin
its place in the menu and its permission. `rollups` writes and reads the counters.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_taskstore.database.fields import ByteText
from django_taskstore.models.definitions import TaskDefinition
from django_taskstore.validation import LONGEST_QUEUE_NAME


class TaskStat(models.Model):
    """How often something was counted, in one minute, hour or day, of one queue and definition."""

    class Span(models.TextChoices):
        """The lengths of time that counts are kept for."""

        MINUTE = "minute", _("Minute")
        HOUR = "hour", _("Hour")
        DAY = "day", _("Day")

    span = models.CharField(max_length=8, choices=Span.choices)
    starts_at = models.DateTimeField()
    queue_name = ByteText(max_length=LONGEST_QUEUE_NAME)
    definition = models.ForeignKey(
        TaskDefinition,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    measure = models.CharField(max_length=16)
    n = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("count")
        verbose_name_plural = _("counts")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["span", "starts_at", "queue_name", "definition", "measure"],
                name="taskstore_one_count",
            )
        ]

    def __str__(self) -> str:
        return f"{self.span} {self.starts_at} {self.queue_name} {self.measure}: {self.n}"


class Dashboard(TaskStat):
    """The counts as a page."""

    class Meta:
        proxy = True
        verbose_name = _("dashboard")
        verbose_name_plural = _("dashboard")
        default_permissions = ()
        permissions = [("view_dashboard", _("Can view the dashboard"))]
