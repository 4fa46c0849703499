"""The pages about one task beside its form: the part that refreshes, and hidden values.

Owns `TaskPages`.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from django_taskstore.admin.live import LiveAdmin
from django_taskstore.admin.own_panels import own_panels
from django_taskstore.admin.rendering import block, pretty, progress
from django_taskstore.admin.strips import recent_runs, wait_and_run
from django_taskstore.admin.task_columns import state_of
from django_taskstore.admin.timeline import steps
from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL


class TaskPages(LiveAdmin):
    """An admin of tasks whose page shows a life that goes on."""

    live_template = "admin/django_taskstore/queuedtask/live.html"

    def get_urls(self) -> list[Any]:
        """Add the page with hidden values."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_raw"
        view = self.admin_site.admin_view(require_safe(self.raw_view))
        return [path("<int:key>/raw/", view, name=name), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with their definitions, which every page names."""
        return super().get_queryset(request).select_related("definition")

    def has_payload_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission to see hidden values, which changes nothing."""
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.view_payload_queuedtask"))

    def beside(self, request: HttpRequest, row: QueuedTask) -> dict[str, Any]:
        """Return the task's life, its kin, and where its hidden values are shown."""
        context = self.live_context(row) | {"strip_self": row.pk}
        context["strip"] = recent_runs(
            self.queue_database,
            lambda key: self.url("change", key),
            definition_id=row.definition_id,
        )
        context["own_panels"] = list(own_panels(row, request))
        if self.has_payload_permission(request, row):
            context["links"] = [{"url": self.url("raw", row.pk), "label": _("Hidden values")}]
        return context

    def has_ended(self, row: QueuedTask) -> bool:
        """Tell whether the task is over."""
        return row.status in FINAL

    def live_parts(self, row: QueuedTask) -> dict[str, Any]:
        """Return the task's life, progress and log."""
        now = timezone.now()
        return {
            "task": row,
            "state": state_of(row),
            "bar": wait_and_run(row, now),
            "progress": progress(row.progress),
            "steps": steps(row, now),
            "log": block(row.details) if row.details else "",
        }

    def raw_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Show what a task was given and what it gave, hidden values included.

        Raises:
            PermissionDenied: the user may not see them.
        """
        task = self.visible(request, key)
        if not self.has_payload_permission(request, task):
            raise PermissionDenied
        context = self.page_context(
            request,
            _("Hidden values of %(task)s") % {"task": task},
            payload=[
                (_("Parameters"), pretty(task.parameters)),
                (_("Output"), pretty(task.output)),
                (_("Metadata"), pretty(task.metadata)),
            ],
            back_url=self.url("change", task.pk),
        )
        return TemplateResponse(request, "admin/django_taskstore/queuedtask/raw.html", context)
