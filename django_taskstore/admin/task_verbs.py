"""The nine things an operator can do with queued tasks.

Owns their words. Each calls a verb of the model, of `queue` or of `purging`; none writes a column.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_taskstore.admin.editing import MoveForm, is_editable
from django_taskstore.admin.forms import RequeueForm
from django_taskstore.admin.verbs import Counted, Verb
from django_taskstore.models import QueuedTask
from django_taskstore.purging import remove
from django_taskstore.queue import move, requeue
from django_taskstore.statuses import FINAL, PAUSABLE, WAITING, Status


def requeue_as_new(task: QueuedTask, data: dict[str, Any]) -> QueuedTask:
    """Put the task's work on a queue again, with what the form changed."""
    return requeue(
        task, parameters=data.get("parameters"), queue_name=data.get("queue_name") or None
    )


def moved(task: QueuedTask, data: dict[str, Any]) -> str:
    """Give a waiting task another queue or priority; return where it is now, or ""."""
    row = QueuedTask.all_objects.using(task._state.db).filter(pk=task.pk)
    queue_name, priority = data["queue_name"] or None, data["priority"]
    if not move(row, queue_name=queue_name, priority=priority):
        return ""
    task.refresh_from_db(fields=["queue_name", "priority"])
    facts = {"queue": task.queue_name, "priority": task.priority}
    return gettext("Now on queue %(queue)s with priority %(priority)d.") % facts


def canceled_or_asked(task: QueuedTask) -> Counted:
    """Return the words for a cancel: a running task is only asked."""
    return asked if task.status == Status.RUNNING else canceled


def canceled(count: int) -> str:
    """Count canceled tasks in words."""
    return ngettext("%d canceled", "%d canceled", count) % count


def asked(count: int) -> str:
    """Count running tasks that were asked to stop in words."""
    return ngettext("%d asked to stop", "%d asked to stop", count) % count


def can_cancel(task: QueuedTask) -> bool:
    """Tell whether the task waits, or runs and was not asked yet."""
    running = task.status == Status.RUNNING and task.cancel_requested_at is None
    return running or task.status in WAITING


REQUEUE = Verb(
    name="requeue",
    permission="requeue",
    label=_("Requeue as new"),
    explanation=_(
        "Each task's work is put on a queue again as a new task that points back to the old one. "
        "The old task is not changed. Everything the work does is done once more."
    ),
    fits=lambda task: task.is_final,
    run=requeue_as_new,
    done=lambda _task: lambda count: ngettext("%d requeued", "%d requeued", count) % count,
    left=_("could not be requeued"),
    unfit=_("not ended"),
    recorded=_("Requeued as new."),
    form_for=RequeueForm,
)
RESTART = Verb(
    name="restart",
    permission="restart",
    label=_("Restart"),
    explanation=_(
        "Each finished task is queued again in its own row, with fresh attempts. Its output is "
        "cleared, its log continues. Everything the work does is done once more."
    ),
    fits=lambda task: task.status in FINAL and task.soft_deleted_at is None,
    run=lambda task, _data: task.restart(),
    done=lambda _task: lambda count: ngettext("%d restarted", "%d restarted", count) % count,
    left=_("has not ended, or is deleted"),
    recorded=_("Restarted."),
    is_dangerous=True,
)
CANCEL = Verb(
    name="cancel",
    permission="cancel",
    label=_("Cancel"),
    explanation=_(
        "Waiting tasks are canceled at once. Running ones are asked to stop: a handler that "
        "listens stops soon, any other runs to its end."
    ),
    fits=can_cancel,
    run=lambda task, _data: task.cancel(),
    done=canceled_or_asked,
    left=_("already ended, or already asked to stop"),
    recorded=_("Canceled."),
    is_dangerous=True,
)
PAUSE = Verb(
    name="pause",
    permission="pause",
    label=_("Pause"),
    explanation=_("The tasks keep their places and are not started until they are resumed."),
    fits=lambda task: task.status in PAUSABLE,
    run=lambda task, _data: task.pause(),
    done=lambda _task: lambda count: ngettext("%d paused", "%d paused", count) % count,
    left=_("not waiting"),
    recorded=_("Paused."),
)
RESUME = Verb(
    name="resume",
    permission="pause",
    label=_("Resume"),
    explanation=_("The tasks may be started again, now or at their time."),
    fits=lambda task: task.status == Status.PAUSED,
    run=lambda task, _data: task.resume(),
    done=lambda _task: lambda count: ngettext("%d resumed", "%d resumed", count) % count,
    left=_("not paused"),
    recorded=_("Resumed."),
    undoes=True,
)
MOVE = Verb(
    name="move",
    permission="move",
    label=_("Change queue or priority"),
    explanation=_(
        "Waiting tasks get another queue, another priority, or both. What runs or has ended is "
        "left as it is."
    ),
    fits=is_editable,
    run=moved,
    done=lambda _task: lambda count: ngettext("%d moved", "%d moved", count) % count,
    left=_("not waiting, or already there"),
    unfit=_("not waiting"),
    recorded=_("Moved."),
    form_for=MoveForm,
)
DELETE = Verb(
    name="delete",
    permission="delete",
    label=_("Delete"),
    explanation=_(
        "The tasks are hidden from the list and can be restored. Waiting tasks are canceled by "
        "it; running tasks cannot be deleted."
    ),
    fits=lambda task: task.status != Status.RUNNING and task.soft_deleted_at is None,
    run=lambda task, _data: task.soft_delete(),
    done=lambda _task: lambda count: ngettext("%d deleted", "%d deleted", count) % count,
    left=_("running, or already deleted"),
    recorded=_("Deleted."),
    is_dangerous=True,
)
RESTORE = Verb(
    name="restore",
    permission="delete",
    label=_("Restore"),
    explanation=_("The deleted tasks are shown in the list again, with the status they ended in."),
    fits=lambda task: task.soft_deleted_at is not None,
    run=lambda task, _data: task.restore(),
    done=lambda _task: lambda count: ngettext("%d restored", "%d restored", count) % count,
    left=_("not deleted"),
    recorded=_("Restored."),
    undoes=True,
)
PURGE = Verb(
    name="purge",
    permission="purge",
    label=_("Purge"),
    explanation=_(
        "Tasks that have ended are removed for good, with the records of their attempts. Nobody "
        "can restore them."
    ),
    fits=lambda task: task.is_final,
    run=lambda task, _data: remove([task.pk], task._state.db),
    done=lambda _task: lambda count: ngettext("%d purged", "%d purged", count) % count,
    left=_("has not ended, or is held by somebody"),
    unfit=_("not ended"),
    recorded=_("Purged."),
    is_dangerous=True,
)

TASK_VERBS = (REQUEUE, RESTART, CANCEL, PAUSE, RESUME, MOVE, DELETE, RESTORE, PURGE)
