"""The pages of queues: which there are, and pausing them.

Owns `QueueAdmin`. Rows are made by the first enqueue; here they are switched, never edited.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_taskstore.admin.acting import VerbAdmin
from django_taskstore.admin.forms import PauseForm
from django_taskstore.admin.rendering import link, pill
from django_taskstore.admin.verbs import Verb
from django_taskstore.models import Queue
from django_taskstore.statuses import DefinitionStatus, Status


def request_stop(queue: Queue, _data: dict[str, Any]) -> bool:
    """Ask the queue's runners to leave it, which can be asked at any time."""
    queue.request_stop()
    return True


PAUSE = Verb(
    name="pause",
    permission="switch",
    label=gettext_lazy("Pause"),
    explanation=gettext_lazy(
        "Nothing more is started from these queues until they are resumed. Running tasks go on, "
        "and tasks can still be enqueued."
    ),
    fits=lambda queue: queue.paused_at is None,
    run=lambda queue, data: queue.pause(by=data["user"], reason=data["reason"]),
    done=lambda _row: lambda count: ngettext("%d paused", "%d paused", count) % count,
    left=gettext_lazy("already paused"),
    recorded=gettext_lazy("Paused."),
    form_for=lambda _rows, data: PauseForm(data),
)
RESUME = Verb(
    name="resume",
    permission="switch",
    label=gettext_lazy("Resume"),
    explanation=gettext_lazy("Tasks of these queues are started again."),
    fits=lambda queue: queue.paused_at is not None,
    run=lambda queue, _data: queue.resume(),
    done=lambda _row: lambda count: ngettext("%d resumed", "%d resumed", count) % count,
    left=gettext_lazy("not paused"),
    recorded=gettext_lazy("Resumed."),
)
STOP = Verb(
    name="stop",
    permission="switch",
    label=gettext_lazy("Ask runners to stop"),
    explanation=gettext_lazy(
        "Every runner that serves these queues now finishes what it runs and leaves them. "
        "Runners started later are not concerned: tasks wait until one is started."
    ),
    fits=lambda _queue: True,
    run=request_stop,
    done=lambda _row: (
        lambda count: (
            ngettext(
                "runners of %d queue asked to stop", "runners of %d queues asked to stop", count
            )
            % count
        )
    ),
    left="",
    recorded=gettext_lazy("Asked runners to stop."),
    is_dangerous=True,
)
QUEUE_VERBS = (PAUSE, RESUME, STOP)
FIELDS = (
    "name",
    "state",
    "paused_at",
    "paused_by",
    "pause_reason",
    "stop_requested_at",
    "created_at",
    "tasks",
)


@admin.register(Queue)
class QueueAdmin(VerbAdmin):
    """Queues."""

    verbs = QUEUE_VERBS
    actions = [verb.as_action() for verb in QUEUE_VERBS]
    list_display = ["name", "state", "paused_by", "pause_reason", "paused_at", "stop_requested_at"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = FIELDS
    readonly_fields = FIELDS
    empty_hint = gettext_lazy("No queue is here. A queue appears with the first task put on it.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: the first enqueue makes a queue."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: queues are switched by verbs."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: tasks may be on it."""
        return False

    def has_switch_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission to change queues."""
        return self.may(request, "change_queue")

    @admin.display(description=gettext_lazy("status"))
    def state(self, queue: Queue) -> SafeString:
        """Return whether the queue is paused."""
        if queue.paused_at:
            return pill(Status.PAUSED, _("Paused"))
        return pill(DefinitionStatus.ACTIVE, _("Active"))

    @admin.display(description=gettext_lazy("tasks"))
    def tasks(self, queue: Queue) -> SafeString:
        """Return a link to the queue's tasks."""
        url = f"{self.url('changelist', model='queuedtask')}?queue={queue.name}"
        return link(url, _("Tasks of this queue"))

    def record(self, request: HttpRequest, verb: Verb, row: Any, result: Any) -> None:
        """Write the reason of a pause into the history too."""
        if verb is not PAUSE:
            super().record(request, verb, row, result)
            return
        self.log_change(request, row, _("Paused: %(reason)s") % {"reason": row.pause_reason})

    def described(self, row: Any) -> Any:
        """Return whether a queue is paused."""
        return self.state(row)
