"""The pages of queues: which there are, and pausing them.

Owns `QueueAdmin`. Rows are made by the first enqueue; here they are switched, never edited.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_taskstore.admin.acting import SwitchAdmin
from django_taskstore.admin.base import CountingPaginator, StoreChangeList
from django_taskstore.admin.dashboard import beside
from django_taskstore.admin.dashboard.chart_context import chart_context
from django_taskstore.admin.dashboard.overview import day_slots, overview
from django_taskstore.admin.dashboard.panels import queue_rows
from django_taskstore.admin.forms import PauseForm
from django_taskstore.admin.rendering import NOTHING, exact, link, pill
from django_taskstore.admin.verbs import Verb
from django_taskstore.models import Queue
from django_taskstore.statistics import snapshot
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
    undoes=True,
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
    "paused_exact",
    "paused_by",
    "pause_reason",
    "stop_exact",
    "created_exact",
    "tasks",
)


class ReadingPaginator(CountingPaginator):
    """Counts the rows by reading them: queues are few, and are read for the dashboard anyway."""

    @cached_property
    def count(self) -> int:
        """The number of rows."""
        return len(self.object_list)


class QueueChangeList(StoreChangeList):
    """Queues that know how they stand, as the dashboard does."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and put beside each queue its line of the dashboard."""
        super().get_results(request)
        if not self.multi_page:
            self.result_list = self.queryset
        model_admin: Any = self.model_admin
        seen = overview(model_admin.queue_database, "1h")
        address = model_admin.url
        rows = {row.state.name: row for row in queue_rows(seen, address, may_switch=False)}
        for queue in self.result_list:
            queue.row = rows.get(queue.name)


@admin.register(Queue)
class QueueAdmin(SwitchAdmin):
    """Queues."""

    paginator = ReadingPaginator
    verbs = QUEUE_VERBS
    actions = [verb.as_action() for verb in QUEUE_VERBS]
    list_display = ["name", "state", "waiting", "running", "oldest", "rate", "failed", "workers"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = FIELDS
    readonly_fields = FIELDS
    empty_hint = gettext_lazy("No queue is here. A queue appears with the first task put on it.")

    paused_exact = exact("paused_at", gettext_lazy("paused at"))
    stop_exact = exact("stop_requested_at", gettext_lazy("stop requested at"))
    created_exact = exact("created_at", gettext_lazy("created at"))

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """Return the list whose rows know how they stand."""
        return QueueChangeList

    def beside(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return who serves the queue, what it runs, what fails, and the charts of its day."""
        using, address = self.queue_database, self.address_for(request)
        slots = day_slots(using, queue_name=row.name)
        seen = snapshot(using, [row.name])
        age = seen.queues[0].oldest_wait_seconds if seen.queues else None
        parts = []
        if address("changelist", model="worker"):
            workers = [worker for worker in seen.workers if worker.serves(row)]
            parts.append(beside.serving(workers, address))
        if address("changelist", model="queuedtask"):
            may_requeue = self.may_requeue_all(request)
            parts += [
                beside.longest(using, address, queue_name=row.name),
                beside.failures(using, address, may_requeue=may_requeue, queue_name=row.name),
            ]
        return {
            **beside.together(*parts),
            **chart_context(slots, age),
            "queue_name": row.name,
            "links": self.links(request, row),
        }

    def links(self, request: HttpRequest, queue: Queue) -> list[dict[str, Any]]:
        """Return what can be done with all of the queue's tasks, for who may do it."""
        if not self.may(request, "add_bulkoperation"):
            return []
        ways: tuple[tuple[str, str, str, dict[str, str]], ...] = (
            ("move", "change_queuedtask", _("Move what waits…"), {"status": Status.QUEUED}),
            ("purge", "purge_queuedtask", _("Purge what has ended…"), {}),
        )
        return [
            {"label": label, "url": self.url_for_all(verb, {"queue": queue.name, **more})}
            for verb, permission, label, more in ways
            if self.may(request, permission)
        ]

    def url_for_all(self, verb: str, filters: dict[str, str]) -> str:
        """Return the page that confirms a verb on all tasks under some filters."""
        page = self.url("act_on_all", verb, model="queuedtask")
        return f"{page}?{urlencode({'list_query': urlencode(filters)})}"

    @admin.display(description=gettext_lazy("status"))
    def state(self, queue: Queue) -> SafeString:
        """Return whether the queue is paused, by whom and why."""
        if not queue.paused_at:
            return pill(DefinitionStatus.ACTIVE, _("Active"))
        why = ": ".join(filter(None, (queue.paused_by, queue.pause_reason)))
        shown = pill(Status.PAUSED, _("Paused"))
        return format_html('{}<span class="ts-brief">{}</span>', shown, why)

    @admin.display(description=gettext_lazy("waiting"))
    def waiting(self, queue: Any) -> Any:
        """Return how many tasks wait, those for later apart."""
        row = queue.row
        if row is None:
            return NOTHING
        later = f" +{row.state.scheduled:,}" if row.state.scheduled else ""
        return format_html("{}{}", link(row.waiting_url, f"{row.state.queued:,}"), later)

    @admin.display(description=gettext_lazy("running"))
    def running(self, queue: Any) -> Any:
        """Return how many tasks run."""
        row = queue.row
        return NOTHING if row is None else link(row.running_url, f"{row.state.running:,}")

    @admin.display(description=gettext_lazy("oldest"))
    def oldest(self, queue: Any) -> str:
        """Return how long the oldest task has waited."""
        return NOTHING if queue.row is None else str(queue.row.oldest)

    @admin.display(description=gettext_lazy("done a minute"))
    def rate(self, queue: Any) -> str:
        """Return how many tasks a minute succeeded in the last hour."""
        return NOTHING if queue.row is None else str(queue.row.per_minute)

    @admin.display(description=gettext_lazy("failed, 1 h"))
    def failed(self, queue: Any) -> str:
        """Return the share of the last hour's tasks that failed."""
        return NOTHING if queue.row is None else str(queue.row.failed)

    @admin.display(description=gettext_lazy("workers"))
    def workers(self, queue: Any) -> str:
        """Return how many workers serve it."""
        return NOTHING if queue.row is None else f"{queue.row.state.workers:,}"

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
