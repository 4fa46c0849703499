"""The pages about one task beside its form: the part that refreshes, and hidden values.

Owns `TaskPages`.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from django_taskstore.admin.base import StoreAdmin
from django_taskstore.admin.live import fragment
from django_taskstore.admin.rendering import block, pretty, progress
from django_taskstore.admin.task_columns import state_of
from django_taskstore.admin.timeline import steps
from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL


class TaskPages(StoreAdmin):
    """An admin of tasks whose page shows a life that goes on."""

    def get_urls(self) -> list[Any]:
        """Add the two pages."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(
                f"<int:key>/{page}/",
                self.admin_site.admin_view(require_safe(view)),
                name=f"{name}_{page}",
            )
            for page, view in (("live", self.live_view), ("raw", self.raw_view))
        ] + super().get_urls()

    def has_payload_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission to see hidden values, which changes nothing."""
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.view_payload_queuedtask"))

    def beside(self, request: HttpRequest, row: QueuedTask) -> dict[str, Any]:
        """Return the task's life, and where its hidden values are shown."""
        context = life(row)
        if row.status not in FINAL:
            context["live_url"] = self.url("live", row.pk)
            context["live_media"] = Media(js=["django_taskstore/live.js"])
        if self.has_payload_permission(request, row):
            context["links"] = [{"url": self.url("raw", row.pk), "label": _("Hidden values")}]
        return context

    def live_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Return the part of a task's page that refreshes."""
        task = self.visible(request, key)
        answer = fragment(request, "admin/django_taskstore/queuedtask/live.html", life(task))
        if task.status in FINAL:
            answer["X-Task-Ended"] = "yes"
        return answer

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

    def visible(self, request: HttpRequest, key: int) -> QueuedTask:
        """Return a task that the user may see.

        Raises:
            PermissionDenied: the user may see none.
            Http404: it is not there.
        """
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        rows = QueuedTask.all_objects.select_related("definition")
        task: QueuedTask | None = rows.filter(pk=key).first() if key < 2**63 else None
        if task is None:
            raise Http404
        return task


def life(task: QueuedTask) -> dict[str, Any]:
    """Return what the refreshing part shows."""
    return {
        "task": task,
        "state": state_of(task),
        "progress": progress(task.progress),
        "steps": steps(task, timezone.now()),
        "log": block(task.details) if task.details else "",
    }
