"""A table that atomic handlers write to, in the queue's own database."""

from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """One effect of one task."""

    task_id = models.BigIntegerField()
    note = models.CharField(max_length=100, blank=True)

    def __str__(self) -> str:
        return f"{self.task_id} {self.note}"
