"""The dashboard's page, its refreshing part and its twin for programs.

Owns `DashboardAdmin`. It writes nothing.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from django_taskstore.admin.base import StoreAdmin, WrittenByStore
from django_taskstore.admin.dashboard import panels
from django_taskstore.admin.dashboard.chart_context import chart_context
from django_taskstore.admin.dashboard.overview import PERIODS, Overview, overview
from django_taskstore.admin.live import fragment
from django_taskstore.models import Dashboard
from django_taskstore.statistics import as_json

PERIOD_NAMES = {
    "1h": gettext_lazy("Hour"),
    "24h": gettext_lazy("Day"),
    "7d": gettext_lazy("Week"),
    "30d": gettext_lazy("Month"),
}
MOST_ACTIONS = 10


@admin.register(Dashboard)
class DashboardAdmin(WrittenByStore, StoreAdmin):
    """The dashboard."""

    class Media:
        js = ["django_taskstore/live.js"]

    def get_urls(self) -> list[Any]:
        """Return the three addresses; there are no rows to list or change."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        views = {
            "": (self.page_view, "changelist"),
            "live/": (self.live_view, "live"),
            "stats.json": (self.stats_view, "stats"),
        }
        return [
            path(route, self.admin_site.admin_view(require_safe(view)), name=f"{name}_{page}")
            for route, (view, page) in views.items()
        ]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission of the same name."""
        user: Any = request.user
        return bool(user.has_perm("django_taskstore.view_dashboard"))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show it in the menu to those who may see it."""
        return self.has_view_permission(request)

    def page_view(self, request: HttpRequest) -> HttpResponse:
        """Show the dashboard."""
        seen = self.seen(request)
        period, queue = chosen(request)
        context = self.page_context(
            request,
            _("Dashboard"),
            **self.parts(request, seen),
            list_url="",
            live_url=f"{self.url('live')}?{request.GET.urlencode()}",
            periods=[(key, label, key == period) for key, label in PERIOD_NAMES.items()],
            queue_names=[state.name for state in seen.snapshot.queues],
            actions=self.recent_actions(request),
        )
        context["queue"] = queue
        return TemplateResponse(request, "admin/django_taskstore/dashboard/page.html", context)

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """Return the part that refreshes."""
        context = self.parts(request, self.seen(request))
        return fragment(request, "admin/django_taskstore/dashboard/live.html", context)

    def stats_view(self, request: HttpRequest) -> HttpResponse:
        """Return the numbers for programs: what `taskqueue_status --json` says, and the day's."""
        seen = self.seen(request)
        return JsonResponse(
            {
                **as_json(seen.snapshot),
                "last_24h": {
                    "succeeded": seen.day.succeeded,
                    "failed": seen.day.failed,
                    "canceled": seen.day.canceled,
                    "retried": seen.day.retried,
                },
            }
        )

    def seen(self, request: HttpRequest) -> Overview:
        """Return what the user asked for.

        Raises:
            PermissionDenied: the user may not see it.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        period, _queue = chosen(request)
        return overview(self.queue_database, period)

    def parts(self, request: HttpRequest, seen: Overview) -> dict[str, Any]:
        """Return what the refreshing part shows."""
        address = self.address_for(request)
        _period, queue = chosen(request)
        states = [state for state in seen.snapshot.queues if queue in ("", state.name)]
        known = [age for state in states if (age := state.oldest_wait_seconds) is not None]
        return {
            "warnings": panels.warning_lines(seen),
            "tiles": panels.tiles(seen, address),
            **chart_context(seen.slots(queue), max(known, default=None)),
            "queues": panels.queue_rows(
                seen, address, may_switch=self.may(request, "change_queue")
            ),
            "failing": panels.failing_rows(
                seen.failing,
                address,
                may_requeue=self.may_requeue_all(request),
            ),
            "longest": panels.long_rows(seen.longest, seen.snapshot.time, address),
            "next_runs": panels.next_rows(seen, address),
        }

    def recent_actions(self, request: HttpRequest) -> list[LogEntry] | None:
        """Return what was done in the admin last, for those who may see the admin's log."""
        user: Any = request.user
        if not user.has_perm("admin.view_logentry"):
            return None
        entries = LogEntry.objects.filter(content_type__app_label=self.opts.app_label)
        recent = entries.select_related("user", "content_type").order_by("-pk")
        return list(recent[:MOST_ACTIONS])


def chosen(request: HttpRequest) -> tuple[str, str]:
    """Return the period and the queue that the address asks for."""
    period = request.GET.get("period", "1h")
    return (period if period in PERIODS else "1h"), request.GET.get("queue", "")
