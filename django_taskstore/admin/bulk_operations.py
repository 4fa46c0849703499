"""The pages of bulk operations: how far each is, and stopping it.

Owns `BulkOperationAdmin`, and the line in the history that says how an operation ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_taskstore.admin.acting import SwitchAdmin
from django_taskstore.admin.bulk_here import HerePage
from django_taskstore.admin.rendering import NOTHING, exact, link, pill, pretty
from django_taskstore.admin.verbs import Verb
from django_taskstore.models import BulkOperation
from django_taskstore.signals import bulk_operation_ended
from django_taskstore.statuses import Status

STOP = Verb(
    name="stop",
    permission="switch",
    label=gettext_lazy("Stop"),
    explanation=gettext_lazy(
        "The worker stops after the chunk it is at. What was done stays done; the rest is left."
    ),
    fits=lambda operation: operation.finished_at is None and operation.stop_requested_at is None,
    run=lambda operation, _data: operation.request_stop(),
    done=lambda _row: lambda count: ngettext("%d asked to stop", "%d asked to stop", count) % count,
    left=gettext_lazy("already over, or already asked to stop"),
    recorded=gettext_lazy("Asked to stop."),
    is_dangerous=True,
)
FIELDS = (
    "verb",
    "selection_shown",
    "options_shown",
    "last_id",
    "asked_by",
    "created_exact",
    "finished_exact",
    "task",
)


@admin.register(BulkOperation)
class BulkOperationAdmin(HerePage, SwitchAdmin):
    """Bulk operations."""

    live_template = "admin/django_taskstore/bulkoperation/live.html"
    live_related = ("queued_task",)

    verbs = (STOP,)
    actions = [STOP.as_action()]
    list_display = ["name", "state", "progress", "changed_shown", "asked_by", "created_exact"]
    list_display_links = ["name"]
    ordering = ["-id"]
    fields = FIELDS
    readonly_fields = FIELDS
    empty_hint = gettext_lazy(
        "No bulk operation is here. Select all tasks of a list and choose an action to make one."
    )

    @admin.display(description=gettext_lazy("bulk operation"))
    def name(self, operation: BulkOperation) -> str:
        """Return the verb and the number."""
        return str(operation)

    @admin.display(description=gettext_lazy("status"))
    def state(self, operation: BulkOperation) -> SafeString:
        """Return whether it is done, was stopped, or goes on."""
        if operation.was_stopped:
            return pill(Status.CANCELED, _("Stopped"))
        if operation.is_over:
            return pill(Status.SUCCESS, _("Done"))
        if operation.stop_requested_at:
            return pill("asked", _("Asked to stop"))
        if operation.done_to_id > operation.first_id:
            return pill(Status.RUNNING, _("Running"))
        return pill(Status.QUEUED, _("Waiting for a worker"))

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, operation: BulkOperation) -> SafeString:
        """Return how much of the table was looked at, as a bar."""
        percent = round(100 * operation.fraction_done)
        bar = '<progress value="{}" max="100" aria-label="{}"></progress> {} %'
        return format_html(bar, percent, _("progress"), percent)

    created_exact = exact("created_at", gettext_lazy("created at"))
    finished_exact = exact("finished_at", gettext_lazy("finished at"))

    @admin.display(description=gettext_lazy("changed"))
    def changed_shown(self, operation: BulkOperation) -> str:
        """Return how many tasks were changed."""
        return f"{operation.changed:,}"

    def beside(self, request: HttpRequest, row: BulkOperation) -> dict[str, Any]:
        """Return how far the operation is, which refreshes, and the way to do it here."""
        return {**self.live_context(row), **self.here_context(request, row)}

    def has_ended(self, row: BulkOperation) -> bool:
        """Tell whether nothing more will be done."""
        return row.is_over

    def live_parts(self, row: BulkOperation) -> dict[str, Any]:
        """Return the state, the bar and the numbers."""
        return {
            "operation": row,
            "state": self.state(row),
            "progress": self.progress(row),
            "numbers": numbers(row, timezone.now()),
        }

    @admin.display(description=gettext_lazy("filter"))
    def selection_shown(self, operation: BulkOperation) -> Any:
        """Return the frozen filter; a long list of ids as its length."""
        shown = dict(operation.selection)
        if "ids" in shown:
            shown["ids"] = _("%(count)s tasks found by a search") % {"count": len(shown["ids"])}
        return pretty(shown)

    @admin.display(description=gettext_lazy("options"))
    def options_shown(self, operation: BulkOperation) -> Any:
        """Return what the verb's form said."""
        said = {name: value for name, value in operation.options.items() if value not in ("", None)}
        return pretty(said)

    @admin.display(description=gettext_lazy("queued task"))
    def task(self, operation: BulkOperation) -> Any:
        """Return a link to the task that does the work."""
        key = operation.queued_task_id
        return (
            NOTHING if key is None else link(self.url("change", key, model="queuedtask"), f"#{key}")
        )

    def described(self, row: Any) -> Any:
        """Return how an operation stands."""
        return self.state(row)


def numbers(operation: BulkOperation, now: datetime) -> list[tuple[Any, str]]:
    """Return the names of an operation's counts with their values.

    Args:
        operation: the row.
        now: an aware datetime.
    """
    done = operation.changed + operation.skipped + operation.refused
    found = [
        (_("changed"), f"{operation.changed:,}"),
        (_("skipped"), f"{operation.skipped:,}"),
        (_("refused"), f"{operation.refused:,}"),
    ]
    task = operation.task
    if task is not None and task.started_at is not None:
        seconds = ((operation.finished_at or now) - task.started_at).total_seconds()
        found.append((_("a second"), f"{done / max(seconds, 1.0):,.0f}"))
    return found


def record_end(operation: BulkOperation, **_facts: Any) -> None:
    """Write how an operation ended into its history, in the name of who asked for it."""
    message = _("Ended: %(changed)d changed, %(skipped)d skipped, %(refused)d refused.") % {
        "changed": operation.changed,
        "skipped": operation.skipped,
        "refused": operation.refused,
    }
    LogEntry.objects.create(
        user_id=operation.asked_by_id,
        content_type_id=ContentType.objects.get_for_model(operation).pk,
        object_id=str(operation.pk),
        object_repr=str(operation)[:200],
        action_flag=CHANGE,
        change_message=message,
    )


bulk_operation_ended.connect(record_end, dispatch_uid="django_taskstore.admin.bulk_operations")
