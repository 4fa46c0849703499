"""The pages of workers: who works what, who is lost, and asking one to be quiet or to stop.

Owns `WorkerAdmin`. A worker's row is what it last said of itself: "lost" means that it has
not said anything for a while, and no code but these pages judges by it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_taskstore.admin.acting import SwitchAdmin
from django_taskstore.admin.rendering import NOTHING, exact, lasted, link, moment, pill
from django_taskstore.admin.verbs import Verb
from django_taskstore.conf import settings
from django_taskstore.models import Worker
from django_taskstore.statuses import Status

#: Heartbeats that may be missed before a worker is called lost.
MISSED = 3
QUIET = Verb(
    name="quiet",
    permission="switch",
    label=gettext_lazy("Quiet"),
    explanation=gettext_lazy(
        "The worker finishes what it runs, claims nothing more and stays. It hears of it with its "
        "next heartbeat."
    ),
    fits=lambda worker: worker.quiet_requested_at is None and worker.stop_requested_at is None,
    run=lambda worker, _data: worker.request_quiet(),
    done=lambda _row: (
        lambda count: ngettext("%d asked to be quiet", "%d asked to be quiet", count) % count
    ),
    left=gettext_lazy("already asked"),
    recorded=gettext_lazy("Asked to be quiet."),
)
STOP = Verb(
    name="stop",
    permission="switch",
    label=gettext_lazy("Stop"),
    explanation=gettext_lazy(
        "The worker claims nothing more, finishes what it runs and ends. It hears of it with its "
        "next heartbeat; whatever keeps it running may start it again."
    ),
    fits=lambda worker: worker.stop_requested_at is None,
    run=lambda worker, _data: worker.request_stop(),
    done=lambda _row: lambda count: ngettext("%d asked to stop", "%d asked to stop", count) % count,
    left=gettext_lazy("already asked to stop"),
    recorded=gettext_lazy("Asked to stop."),
    is_dangerous=True,
)
WORKER_VERBS = (QUIET, STOP)
FIELDS = (
    "id",
    "host",
    "pid",
    "state",
    "queue_names",
    "concurrency",
    "tasks",
    "started",
    "heartbeat",
    "quiet_exact",
    "stop_exact",
)


@admin.register(Worker)
class WorkerAdmin(SwitchAdmin):
    """Workers."""

    verbs = WORKER_VERBS
    actions = [verb.as_action() for verb in WORKER_VERBS]
    list_display = ["name", "state", "queue_names", "tasks", "started", "heartbeat"]
    search_fields = ["host"]
    ordering = ["-heartbeat_at"]
    fields = FIELDS
    readonly_fields = FIELDS
    empty_hint = gettext_lazy(
        "No worker is here. Start one with “manage.py taskqueue_run”; it appears with its first "
        "heartbeat."
    )

    quiet_exact = exact("quiet_requested_at", gettext_lazy("quiet requested at"))
    stop_exact = exact("stop_requested_at", gettext_lazy("stop requested at"))

    @admin.display(description=gettext_lazy("worker"), ordering="host")
    def name(self, worker: Worker) -> str:
        """Return host and process."""
        return str(worker)

    @admin.display(description=gettext_lazy("status"))
    def state(self, worker: Worker) -> SafeString:
        """Return whether it works, was asked to be quiet or to stop, or is lost."""
        if is_lost(worker):
            return pill("lost", _("Lost"))
        if worker.stop_requested_at:
            return pill("asked", _("Stopping"))
        if worker.quiet_requested_at:
            return pill(Status.PAUSED, _("Quiet"))
        return pill("active", _("Working"))

    @admin.display(description=gettext_lazy("queues"))
    def queue_names(self, worker: Worker) -> str:
        """Return the queues' names."""
        return ", ".join(map(str, worker.queues)) or NOTHING

    @admin.display(description=gettext_lazy("running"))
    def tasks(self, worker: Worker) -> SafeString:
        """Return how much of its room is used, as a link to the tasks it runs."""
        url = f"{self.url('changelist', model='queuedtask')}?worker={worker.pk}&status=running"
        meter = '<meter value="{}" max="{}" aria-label="{}"></meter> {}'
        used = link(url, f"{worker.running} / {worker.concurrency}")
        return format_html(meter, worker.running, worker.concurrency, _("running"), used)

    @admin.display(description=gettext_lazy("started"), ordering="started_at")
    def started(self, worker: Worker) -> Any:
        """Return when it started."""
        return moment(worker.started_at)

    @admin.display(description=gettext_lazy("last heartbeat"), ordering="heartbeat_at")
    def heartbeat(self, worker: Worker) -> str:
        """Return how long ago it said that it lives."""
        return _("%(duration)s ago") % {"duration": lasted(worker.heartbeat_at, timezone.now())}

    def described(self, row: Any) -> Any:
        """Return a worker's state."""
        return self.state(row)


def is_lost(worker: Worker) -> bool:
    """Tell whether a worker has missed several heartbeats."""
    silence = timedelta(seconds=MISSED * settings.HEARTBEAT_SECONDS)
    return bool(worker.heartbeat_at < timezone.now() - silence)
