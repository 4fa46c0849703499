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


class ScheduleStatus(TextChoices):
    """Whether a schedule puts tasks on its queue."""

    DRAFT = "draft", _("Draft")
    ACTIVE = "active", _("Active")
    INACTIVE = "inactive", _("Inactive")
    COMPLETED = "completed", _("Completed")


class MisfirePolicy(TextChoices):
    """What becomes of occurrences that nobody was there to see."""

    COALESCE = "coalesce", _("Run once for all of them")
    SKIP = "skip", _("Leave them out")
    ALL = "all", _("Run each, up to 100")


class OverlapPolicy(TextChoices):
    """What becomes of an occurrence while an earlier one's task has not ended."""

    ALLOW = "allow", _("Run beside it")
    SKIP = "skip", _("Leave it out")


class RunResult(TextChoices):
    """What came of one occurrence of a schedule."""

    ENQUEUED = "enqueued", _("Enqueued")
    SKIPPED = "skipped", _("Skipped")
    MISSED = "missed", _("Missed")
    FAILED = "failed", _("Failed")


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
#: How an attempt ends that had an error.
FAILURES = (Ending.FAILED, Ending.RETRIED, Ending.LOST)
