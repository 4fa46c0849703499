"""The pages of workers: who works what, on which code, who is lost; asking one to be quiet or stop.

Owns `WorkerAdmin`. A worker's row is what it last said of itself: "lost" means that it has
not said anything for a while, and no code but these pages judges by it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_taskstore.admin.acting import SwitchAdmin
from django_taskstore.admin.base import StoreChangeList
from django_taskstore.admin.dashboard import beside
from django_taskstore.admin.rendering import NOTHING, duration, exact, lasted, link, moment, pill
from django_taskstore.admin.strips import recent_runs
from django_taskstore.admin.verbs import Tally
from django_taskstore.admin.worker_verbs import FORGET, WORKER_VERBS, is_lost, lost_before
from django_taskstore.models import Worker
from django_taskstore.statuses import Status

#: Digits of a revision that a list shows, as version control does.
SHORT_REVISION = 12
FIELDSETS: Any = (
    (None, {"fields": ("host", "pid", "state", "version", "revision_exact", "id")}),
    (
        gettext_lazy("Work"),
        {"fields": ("queue_names", "tasks", "successes", "failures", "memory")},
    ),
    (
        gettext_lazy("Configuration"),
        {"fields": ("concurrency", "lease", "poll", "python", "django", "database")},
    ),
    (
        gettext_lazy("Times"),
        {"fields": ("started", "heartbeat", "quiet_exact", "stop_exact")},
    ),
)


def fact(key: str, label: Any) -> Any:
    """Return a field of a page that shows what a worker said of itself when it started.

    Args:
        key: the name in the worker's facts; one that ends in "_seconds" is shown in words.
        label: what the page calls it.
    """

    @admin.display(description=label)
    def shown(_self: Any, worker: Worker) -> str:
        said = (worker.facts or {}).get(key)
        if said is None:
            return NOTHING
        return duration(float(said)) if key.endswith("_seconds") else str(said)

    return shown


def count(column: str, label: Any) -> Any:
    """Return a field of a page that shows one of the row's numbers as people write it.

    Args:
        column: the number's name.
        label: what the page calls it.
    """

    @admin.display(description=label)
    def shown(_self: Any, worker: Worker) -> str:
        return f"{getattr(worker, column):,}"

    return shown


class WorkerChangeList(StoreChangeList):
    """Workers that know whether they run other code than the newest one that lives."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and put beside each worker whether its code is the newest one's."""
        super().get_results(request)
        living = Worker.objects.filter(heartbeat_at__gte=lost_before()).order_by("-started_at")
        newest = living.values_list("version", "revision").first()
        for worker in self.result_list:
            code = (worker.version, worker.revision)
            worker.is_behind = not is_lost(worker) and code != newest


@admin.register(Worker)
class WorkerAdmin(SwitchAdmin):
    """Workers."""

    verbs = WORKER_VERBS
    actions = [verb.as_action() for verb in WORKER_VERBS]
    list_display = [
        "name",
        "state",
        "code",
        "queue_names",
        "tasks",
        "ended",
        "memory",
        "started",
        "heartbeat",
    ]
    search_fields = ["host"]
    ordering = ["-heartbeat_at"]
    fieldsets = FIELDSETS
    readonly_fields = tuple(name for _title, part in FIELDSETS for name in part["fields"])
    empty_hint = gettext_lazy(
        "No worker is here. Start one with “manage.py taskqueue_run”; it appears with its first "
        "heartbeat."
    )

    quiet_exact = exact("quiet_requested_at", gettext_lazy("quiet requested at"))
    stop_exact = exact("stop_requested_at", gettext_lazy("stop requested at"))
    successes = count("succeeded", gettext_lazy("succeeded"))
    failures = count("failed", gettext_lazy("failed"))
    lease = fact("lease_seconds", gettext_lazy("lease"))
    poll = fact("poll_seconds", gettext_lazy("longest sleep"))
    python = fact("python", "Python")
    django = fact("django", "Django")
    database = fact("database", gettext_lazy("database"))

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """Return the list whose rows know whether they are behind."""
        return WorkerChangeList

    def has_forget_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission of the same name."""
        return self.may(request, "forget_worker")

    def beside(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the worker runs and ran, for those who may see tasks."""
        address, using = self.address_for(request), self.queue_database
        if not address("changelist", model="queuedtask"):
            return {}
        page = partial(address, "change", model="queuedtask")
        return {
            **beside.longest(using, address, claimed_by=row.pk),
            "strip": recent_runs(using, page, claimed_by=row.pk),
            "strip_name": _("The last tasks of this worker"),
        }

    def page_after(self, request: HttpRequest, row: Any, tally: Tally) -> str:
        """Return where to go after a verb: a forgotten worker has no page."""
        if tally.verb is FORGET and tally.changed:
            return self.url("changelist")
        return super().page_after(request, row, tally)

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

    @admin.display(description=gettext_lazy("version"))
    def code(self, worker: Any) -> SafeString:
        """Return the package's version and the project's revision, marked if not the newest's."""
        version = worker.version or NOTHING
        behind = pill("behind", _("not the newest")) if worker.is_behind else ""
        return format_html(
            '<span class="ts-code">{}</span> <code class="ts-under" title="{}">{}</code>{}',
            version,
            worker.revision,
            worker.revision[:SHORT_REVISION],
            behind,
        )

    @admin.display(description=gettext_lazy("revision"))
    def revision_exact(self, worker: Worker) -> str:
        """Return the project's revision, or a dash where the setting says none."""
        return worker.revision or NOTHING

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

    @admin.display(description=gettext_lazy("succeeded"), ordering="succeeded")
    def ended(self, worker: Worker) -> SafeString:
        """Return how many tasks succeeded since its start, and how many attempts failed."""
        failed = ngettext("%(count)s failed", "%(count)s failed", worker.failed)
        failed = failed % {"count": f"{worker.failed:,}"} if worker.failed else ""
        return format_html('{}<span class="ts-brief">{}</span>', f"{worker.succeeded:,}", failed)

    @admin.display(description=gettext_lazy("memory"), ordering="memory_bytes")
    def memory(self, worker: Worker) -> str:
        """Return how much memory it took at its last heartbeat."""
        return NOTHING if worker.memory_bytes is None else filesizeformat(worker.memory_bytes)

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
