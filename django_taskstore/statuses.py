"""The words of the state machine: statuses of rows, and how an attempt can end.

Owns the vocabulary and the sets the transitions start from. It may not know models.
The diagram is in docs/lifecycle.md; `transitions` is the only writer of a status.
"""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Status(TextChoices):
    """Where a queued task is in its life."""

    QUEUED = "queued", _("Queued")
    SCHEDULED = "scheduled", _("Scheduled")
    RUNNING = "running", _("Running")
    SUCCESS = "success", _("Success")
    FAILED = "failed", _("Failed")
    CANCELED = "canceled", _("Canceled")
    PAUSED = "paused", _("Paused")


class DefinitionStatus(TextChoices):
    """Whether a task definition takes new work."""

    ACTIVE = "active", _("Active")
    CANCELED = "canceled", _("Canceled")


class Ending(TextChoices):
    """How one attempt at a task ended."""

    SUCCEEDED = "succeeded", _("Succeeded")
    RETRIED = "retried", _("Retried")
    FAILED = "failed", _("Failed")
    CANCELED = "canceled", _("Canceled")
    SNOOZED = "snoozed", _("Snoozed")
    RELEASED = "released", _("Released")
    LOST = "lost", _("Worker lost")


FINAL = (Status.SUCCESS, Status.FAILED, Status.CANCELED)
WAITING = (Status.QUEUED, Status.SCHEDULED, Status.PAUSED)
PAUSABLE = (Status.QUEUED, Status.SCHEDULED)
UNFINISHED = (*WAITING, Status.RUNNING)
