"""The attempts at a task, on its page.

Owns the read-only inline. Whoever may see the task may see its attempts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest

from django_taskstore.admin.base import WrittenByStore
from django_taskstore.admin.rendering import lasted, pill
from django_taskstore.models import TaskAttempt

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[Any, Any]
    InlineFormSet = BaseInlineFormSet[Any, Any, Any]
else:
    TabularInline = admin.TabularInline
    InlineFormSet = BaseInlineFormSet

MOST_SHOWN = 50


class LatestAttempts(InlineFormSet):
    """The latest attempts, newest first."""

    def get_queryset(self) -> Any:
        """Return the rows, read once."""
        if not hasattr(self, "_latest"):
            rows = super().get_queryset().order_by("-claim_seq")
            self._latest = list(rows[:MOST_SHOWN])
            for attempt in self._latest:
                attempt.pill = pill(attempt.outcome, attempt.get_outcome_display())
                attempt.lasted = lasted(attempt.started_at, attempt.finished_at)
        return self._latest


class AttemptInline(WrittenByStore, TabularInline):
    """What became of each attempt that did not simply succeed."""

    model = TaskAttempt
    formset = LatestAttempts
    template = "admin/django_taskstore/queuedtask/attempts.html"
    extra = 0
    max_num = 0
    can_delete = False
    fields = ("outcome",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the task's page, which checked already."""
        return True
