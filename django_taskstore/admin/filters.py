"""The filters beside the lists: none asks the big table what values it has.

Owns the filters. Their choices come from small tables and constants, never from DISTINCT.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_taskstore.models import Queue, TaskDefinition

#: A longer list helps nobody; the address takes any value.
MOST_CHOICES = 200


class QueueFilter(admin.SimpleListFilter):
    """One queue, out of the table of queues."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the names."""
        names = Queue.objects.order_by("name").values_list("name", flat=True)
        return [(name, name) for name in names[:MOST_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to the queue."""
        return queryset.filter(queue_name=self.value()) if self.value() else queryset


class DefinitionFilter(admin.SimpleListFilter):
    """One task definition, soft-deleted ones included: their old tasks are still there."""

    title = _("definition")
    parameter_name = "definition"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the aliases."""
        rows = TaskDefinition.all_objects.order_by("alias").values_list("pk", "alias")
        return [(str(key), alias) for key, alias in rows[:MOST_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to the definition."""
        value = self.value() or ""
        if not value:
            return queryset
        return queryset.filter(definition_id=int(value)) if is_key(value) else queryset.none()


class CreatedFilter(admin.SimpleListFilter):
    """How long ago a task was created."""

    title = _("created")
    parameter_name = "created"
    ranges = {
        "15m": (timedelta(minutes=15), _("Last 15 minutes")),
        "1h": (timedelta(hours=1), _("Last hour")),
        "24h": (timedelta(hours=24), _("Last 24 hours")),
        "7d": (timedelta(days=7), _("Last 7 days")),
        "30d": (timedelta(days=30), _("Last 30 days")),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the presets."""
        return [(key, label) for key, (_length, label) in self.ranges.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to the preset."""
        if self.value() not in self.ranges:
            return queryset
        length, _label = self.ranges[str(self.value())]
        return queryset.filter(created_at__gte=timezone.now() - length)


class DeletedFilter(admin.SimpleListFilter):
    """Soft-deleted rows are hidden unless somebody asks for them."""

    title = _("deleted")
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the two choices beside the default, which is "No"."""
        return [("yes", _("Yes")), ("all", _("All"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return the choices with "No" in the place of "All"."""
        for place, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": _("No")} if place == 0 else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to live or to soft-deleted rows."""
        if self.value() == "all":
            return queryset
        return queryset.filter(soft_deleted_at__isnull=self.value() != "yes")


def is_key(text: str) -> bool:
    """Tell whether a text is a key that every database takes."""
    return text.isascii() and text.isdigit() and len(text) < 19
