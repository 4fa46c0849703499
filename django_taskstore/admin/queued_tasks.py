"""The pages of queued tasks: the list, one task, and what may be done with them.

Owns `QueuedTaskAdmin`. The row is read-only but for the four columns of a waiting task.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from django_taskstore.admin.attempts import AttemptInline
from django_taskstore.admin.editing import (
    EDITABLE,
    QueuedTaskForm,
    TaskMovedError,
    is_editable,
    save_waiting,
)
from django_taskstore.admin.enqueueing import EnqueuePage
from django_taskstore.admin.exporting import ExportPage
from django_taskstore.admin.selecting import TASK_FILTERS
from django_taskstore.admin.task_columns import TaskColumns, state_of
from django_taskstore.admin.task_list import TaskChangeList
from django_taskstore.admin.task_pages import TaskPages
from django_taskstore.admin.task_verbs import TASK_VERBS
from django_taskstore.admin.verbs import Tally, Verb
from django_taskstore.conf import settings
from django_taskstore.models import QueuedTask

#: Columns that lead to their task wherever they stand.
LEADING = ("id", "task")


@admin.register(QueuedTask)
class QueuedTaskAdmin(TaskColumns, TaskPages, EnqueuePage, ExportPage):
    """Queued tasks."""

    form = QueuedTaskForm
    inlines = [AttemptInline]
    verbs = TASK_VERBS
    actions = [verb.as_action() for verb in TASK_VERBS]
    acting_related = ("definition",)
    list_display = ()
    list_select_related = ["definition"]
    list_filter = list(TASK_FILTERS)
    ordering = ["-id"]
    sortable_by: ClassVar[list[str]] = []
    search_fields = ["id__exact"]
    search_help_text = _(
        "The id of a task, or a text: in its parameters (args:), its errors (error:) or the name "
        "of its worker (worker:)."
    )
    empty_hint = _(
        "No queued task is here. A task appears when code, a command or the button above "
        "enqueues it; with a filter, try a wider one."
    )
    readonly_fields = [
        "definition_link",
        "schedule_link",
        "last_error",
        "queue_name",
        "priority",
        "run_after",
        "run_after_exact",
        "tries",
        "parameters_shown",
        "output_shown",
        "old_task",
        "new_tasks",
        "created_exact",
        "started_exact",
        "completed_exact",
        "run_time",
        "updated_exact",
        "deleted_exact",
        "worker",
        "lease_exact",
        "cancel_exact",
        "lost_count",
        "claim_seq",
        "metadata_shown",
    ]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns of the list that the settings name, or a subclass of its own."""
        return list(self.list_display or settings.ADMIN_LIST_DISPLAY)

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> list[Any]:
        """Return the columns that lead to the task: the first, and its id and title anywhere."""
        leading = [*list_display[:1], *(one for one in list_display[1:] if one in LEADING)]
        return list(self.list_display_links or leading)

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """Return the list that looks no further than it must."""
        return TaskChangeList

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the sections; parameters are a field only where they may be edited."""
        parameters = (
            "parameters" if self.has_change_permission(request, obj) else "parameters_shown"
        )
        error = ["last_error"] if obj is not None and obj.attempts else []
        due = "run_after" if self.has_change_permission(request, obj) else "run_after_exact"
        schedule = ["schedule_link"] if obj is not None and obj.schedule_id else []
        main = ["definition_link", *schedule, *error, "queue_name", "priority", due, "tries"]
        times = ["created_exact", "started_exact", "completed_exact", "run_time", "updated_exact"]
        machinery = [
            "worker",
            "lease_exact",
            "cancel_exact",
            "lost_count",
            "claim_seq",
            "deleted_exact",
            "metadata_shown",
        ]
        return [
            (None, {"fields": [*main, "old_task", "new_tasks"]}),
            (_("Work"), {"fields": [parameters, "output_shown"]}),
            (_("Times"), {"fields": times}),
            (
                _("Machinery"),
                {
                    "fields": machinery,
                    "classes": ["collapse"],
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Return everything but what may be edited."""
        if not self.has_change_permission(request, obj):
            return list(self.readonly_fields)
        return [name for name in self.readonly_fields if name not in EDITABLE]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Follow the permission to enqueue."""
        return self.may(request, "enqueue_queuedtask")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the user's permission, for a task that waits."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or is_editable(obj))

    def has_requeue_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission of the same name."""
        return self.may(request, "requeue_queuedtask")

    def has_restart_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission of the same name."""
        return self.may(request, "restart_queuedtask")

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission of the same name."""
        return self.may(request, "cancel_queuedtask")

    def has_pause_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission of the same name, which covers resuming."""
        return self.may(request, "pause_queuedtask")

    def has_move_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission to change: what does not wait is skipped, not refused."""
        return self.may(request, "change_queuedtask")

    def has_purge_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission of the same name."""
        return self.may(request, "purge_queuedtask")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **options: Any
    ) -> Any:
        """Show or save a task; one that stopped waiting meanwhile is left alone."""
        view = super().changeform_view
        if request.method != "POST":
            return view(request, object_id, *args, **options)
        try:
            return view(request, object_id, *args, **options)
        except (TaskMovedError, PermissionDenied) as error:
            if isinstance(error, PermissionDenied) and not self.has_change_permission(request):
                raise
        text = _("Nothing was changed: the task no longer waits.")
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.url("change", object_id))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        """Write the changed columns, if the task still waits."""
        columns = {name: form.cleaned_data[name] for name in form.changed_data}
        if columns:
            save_waiting(obj, columns, self.queue_database)

    def record(self, request: HttpRequest, verb: Verb, row: Any, result: Any) -> None:
        """Write a requeue into both tasks' histories, a move with where, a purge as the end."""
        if isinstance(result, QueuedTask):
            self.log_change(request, row, requeued_words(row, result))
            self.log_addition(request, result, _("Requeued from #%(id)d.") % {"id": row.pk})
        elif verb.name == "move":
            self.log_change(request, row, result)
        elif verb.name == "purge":
            gone: Any = [row]
            self.log_deletions(request, gone)
        else:
            super().record(request, verb, row, result)

    def page_after(self, request: HttpRequest, row: Any, tally: Tally) -> str:
        """Lead from a requeued task to the new one, from a purged one to the list."""
        if tally.verb.name == "purge" and tally.changed:
            return self.url("changelist")
        new = next((one for one in tally.changed if isinstance(one, QueuedTask)), None)
        return super().page_after(request, row if new is None else new, tally)

    def described(self, row: Any) -> Any:
        """Return a task's status and queue."""
        return state_of(row)


def requeued_words(old: QueuedTask, new: QueuedTask) -> str:
    """Return the line of a requeue in the history, with the names of what was changed."""
    names = sorted(old.parameters.keys() | new.parameters.keys())
    changed = [one for one in names if old.parameters.get(one) != new.parameters.get(one)]
    if old.queue_name != new.queue_name:
        changed.append("queue_name")
    if not changed:
        return str(_("Requeued as new: #%(id)d.") % {"id": new.pk})
    facts = {"id": new.pk, "names": ", ".join(changed)}
    return str(_("Requeued as new: #%(id)d, with another %(names)s.") % facts)
