"""What the pages say about a queued task: columns of the list and fields of the detail.

Owns their rendering. Parameters, output and metadata pass through `redaction` first.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_taskstore.admin.base import StoreAdmin
from django_taskstore.admin.redaction import redacted, sensitive_names
from django_taskstore.admin.rendering import (
    LONGEST_BRIEF,
    NOTHING,
    brief,
    exact,
    lasted,
    link,
    links,
    moment,
    pills,
    pretty,
)
from django_taskstore.admin.timeline import records_of
from django_taskstore.models import QueuedTask, Schedule
from django_taskstore.statuses import Status

#: No index leads from a task to those requeued from it, so only so many ids are looked at.
REQUEUED_WITHIN = 100_000
MOST_REQUEUED_SHOWN = 20


def state_of(task: QueuedTask) -> SafeString:
    """Return a task's status, and whether it is deleted or was asked to stop."""
    shown: list[tuple[str, Any]] = [(task.status, task.get_status_display())]
    if task.status == Status.RUNNING and task.cancel_requested_at:
        shown.append(("asked", _("Asked to stop")))
    if task.soft_deleted_at:
        shown.append(("deleted", _("Deleted")))
    return pills(shown)


class TaskColumns(StoreAdmin):
    """The computed columns and fields of queued tasks."""

    created_exact = exact("created_at", gettext_lazy("created at"))
    started_exact = exact("started_at", gettext_lazy("started at"))
    completed_exact = exact("completed_at", gettext_lazy("completed at"))
    updated_exact = exact("updated_at", gettext_lazy("updated at"))
    deleted_exact = exact("soft_deleted_at", gettext_lazy("deleted at"))
    run_after_exact = exact("run_after", gettext_lazy("run after"))
    lease_exact = exact("lease_expires_at", gettext_lazy("lease expires at"))
    cancel_exact = exact("cancel_requested_at", gettext_lazy("cancel requested at"))
    created = exact("created_at", gettext_lazy("created"))
    due = exact("run_after", gettext_lazy("run after"))
    started = exact("started_at", gettext_lazy("started"))
    completed = exact("completed_at", gettext_lazy("completed"))

    @admin.display(description=gettext_lazy("task"))
    def task(self, task: QueuedTask) -> Any:
        """Return the title, and the first words of the parameters without what is hidden."""
        names = sensitive_names(task.definition.alias)
        shown = brief(redacted(task.parameters, names)) if task.parameters else ""
        title = task.definition.title or task.definition.alias
        return format_html('{}<span class="ts-brief">{}</span>', title, shown)

    @admin.display(description=gettext_lazy("status"))
    def outcome(self, task: QueuedTask) -> SafeString:
        """Return the status, the attempts where they were many, and the last error."""
        tries = self.tries(task) if task.attempts > 1 or task.max_attempts > 1 else ""
        last = getattr(task, "last_attempt", None)
        error = "" if last is None else f"{last.exception_class} {last.message}"
        return format_html(
            '{} <span class="ts-quiet">{}</span><span class="ts-brief" title="{}">{}</span>',
            state_of(task),
            tries,
            error.strip(),
            error.strip()[:LONGEST_BRIEF],
        )

    @admin.display(description=gettext_lazy("waited"))
    def waited(self, task: QueuedTask) -> str:
        """Return how long the task waited for its last attempt, or waits since it is due."""
        is_due = task.status == Status.QUEUED
        return lasted(task.run_after, timezone.now() if is_due else task.started_at)

    @admin.display(description=gettext_lazy("attempts"))
    def tries(self, task: QueuedTask) -> str:
        """Return the attempts made, out of those allowed."""
        return f"{task.attempts}/{task.max_attempts}"

    @admin.display(description=gettext_lazy("alias"))
    def alias(self, task: QueuedTask) -> str:
        """Return the alias of the definition."""
        return str(task.definition.alias)

    @admin.display(description=gettext_lazy("worker"))
    def worker_name(self, task: QueuedTask) -> str:
        """Return the name of the worker that claimed the task last, its id where its row is gone.

        The list has read the name with the row.
        """
        if task.claimed_by is None:
            return NOTHING
        return getattr(task, "read_worker_name", None) or str(task.claimed_by)

    @admin.display(description=gettext_lazy("schedule"))
    def schedule_name(self, task: QueuedTask) -> str:
        """Return the name of the schedule that enqueued the task, which the list has read."""
        if task.schedule_id is None:
            return NOTHING
        return getattr(task, "read_schedule_name", None) or _("a schedule that is gone")

    @admin.display(description=gettext_lazy("last error"))
    def last_error(self, task: QueuedTask) -> Any:
        """Return what the last attempt that did not succeed said."""
        attempts = records_of(task).attempts
        last = attempts[-1] if attempts else None
        if last is None or not last.exception_class:
            return NOTHING
        return format_html("<strong>{}</strong> {}", last.exception_class, last.message)

    @admin.display(description=gettext_lazy("definition"))
    def definition_link(self, task: QueuedTask) -> SafeString:
        """Return a link to the definition."""
        url = self.url("change", task.definition_id, model="taskdefinition")
        return format_html("{} <code>{}</code>", link(url, task.definition), task.definition.alias)

    @admin.display(description=gettext_lazy("schedule"))
    def schedule_link(self, task: QueuedTask) -> Any:
        """Return a link to the schedule that enqueued it, by its plan or by hand, and when."""
        name = (
            Schedule.objects.filter(pk=task.schedule_id or 0).values_list("name", flat=True).first()
        )
        if name is None:
            return _("a schedule that is gone")
        shown = link(self.url("change", task.schedule_id, model="schedule"), name)
        return format_html("{} {}", shown, moment(task.occurrence_at))

    @admin.display(description=gettext_lazy("parameters"))
    def parameters_shown(self, task: QueuedTask) -> Any:
        """Return the parameters without what is hidden."""
        return self.json(task, task.parameters)

    @admin.display(description=gettext_lazy("output"))
    def output_shown(self, task: QueuedTask) -> Any:
        """Return the output without what is hidden."""
        return self.json(task, task.output)

    @admin.display(description=gettext_lazy("metadata"))
    def metadata_shown(self, task: QueuedTask) -> Any:
        """Return the metadata without what is hidden."""
        return self.json(task, task.metadata)

    def json(self, task: QueuedTask, value: Any) -> Any:
        """Return a JSON value of a task without what is hidden."""
        return pretty(redacted(value, sensitive_names(task.definition.alias)))

    @admin.display(description=gettext_lazy("ran for"))
    def run_time(self, task: QueuedTask) -> str:
        """Return how long the last attempt took, or takes so far."""
        running = task.status == Status.RUNNING
        return lasted(task.started_at, timezone.now() if running else task.completed_at)

    @admin.display(description=gettext_lazy("worker"))
    def worker(self, task: QueuedTask) -> Any:
        """Return a link to the worker that claimed the task last, while its row is there."""
        if task.claimed_by is None:
            return NOTHING
        name = records_of(task).workers.get(task.claimed_by)
        if name is None:
            return str(task.claimed_by)
        return link(self.url("change", task.claimed_by, model="worker"), name)

    @admin.display(description=gettext_lazy("requeued from"))
    def old_task(self, task: QueuedTask) -> Any:
        """Return a link to the old task, or its number when it was purged."""
        key = task.requeued_from_id
        if key is None:
            return NOTHING
        if QueuedTask.all_objects.filter(pk=key).exists():
            return link(self.url("change", key), f"#{key}")
        return _("#%(id)d, which is gone") % {"id": key}

    @admin.display(description=gettext_lazy("requeued as"))
    def new_tasks(self, task: QueuedTask) -> Any:
        """Return links to the tasks requeued from this one."""
        near = QueuedTask.all_objects.filter(
            requeued_from=task.pk, pk__gt=task.pk, pk__lte=task.pk + REQUEUED_WITHIN
        )
        keys = near.order_by("pk").values_list("pk", flat=True)[:MOST_REQUEUED_SHOWN]
        return links((self.url("change", key), f"#{key}") for key in keys)
