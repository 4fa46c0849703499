"""Tasks for the commands that act on them, and what became of them."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from django_taskstore import switchboard
from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL
from tests.helpers import add_task, fresh

REQUEUE, CANCEL = "taskqueue_requeue", "taskqueue_cancel"


def add(status="failed", *, count=1, hours=1, queue_name="emails", **columns):
    """Insert tasks that were made, or ended, some hours ago."""
    switchboard.ensure(queue_name, "default")
    then = timezone.now() - timedelta(hours=hours)
    times = {"created_at": then, "completed_at": then if status in FINAL else None}
    made = {"status": status, "queue_name": queue_name, **times, **columns}
    return [add_task(**made) for _ in range(count)]


def ids(tasks):
    """Return the ids of tasks as words."""
    return [str(task.pk) for task in tasks]


def requeued():
    """Return the ids of the tasks that new ones point back to, once for each."""
    new = QueuedTask.objects.filter(requeued_from__isnull=False)
    return sorted(new.values_list("requeued_from_id", flat=True))


def keys(*groups):
    """Return the ids of tasks, sorted."""
    return sorted(task.pk for group in groups for task in group)


def statuses(tasks):
    """Return the statuses of tasks as they are now."""
    return [fresh(task).status for task in tasks]
