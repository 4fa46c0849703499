"""When a task was created: presets that end now, and days that somebody types beside them.

Owns these filters, and how a day becomes a moment on the clock of the current time zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_taskstore.admin.filters import TaskFilter

#: The parameters that name the first day and the last.
DAYS = ("created_from", "created_to")
#: Databases and time zones agree on the days between.
YEARS = range(1971, 9999)


class CreatedFilter(TaskFilter):
    """How long ago a task was created."""

    title = _("created")
    parameter_name = "created"
    column = "created_since"
    template = "admin/django_taskstore/created_filter.html"
    ranges = {
        "15m": (timedelta(minutes=15), _("Last 15 minutes")),
        "1h": (timedelta(hours=1), _("Last hour")),
        "24h": (timedelta(hours=24), _("Last 24 hours")),
        "7d": (timedelta(days=7), _("Last 7 days")),
        "30d": (timedelta(days=30), _("Last 30 days")),
    }

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        self.days = {name: request.GET.get(name, "") for name in DAYS}
        ours = {self.parameter_name, *DAYS, "p", "before", "e"}
        self.kept = [pair for pair in request.GET.items() if pair[0] not in ours]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return the presets; each takes the place of the days."""
        is_free = self.value() is None and not any(self.days.values())
        for key, label in [(None, gettext("All")), *self.lookup_choices]:
            query = {self.parameter_name: key, **dict.fromkeys(DAYS)}
            yield {
                "selected": is_free if key is None else self.value() == key,
                "query_string": changelist.get_query_string(query),
                "display": label,
            }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the presets."""
        return [(key, label) for key, (_length, label) in self.ranges.items()]

    @classmethod
    def meant(cls, value: str) -> datetime:
        """Return the start of the preset."""
        if value not in cls.ranges:
            raise ValueError(value)
        return timezone.now() - cls.ranges[value][0]


class DayFilter(TaskFilter):
    """A day that somebody typed beside the presets."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return nothing: the form beside the presets takes any day."""
        return []


class FromFilter(DayFilter):
    """The first day on which a task was created."""

    title = _("created from")
    parameter_name = "created_from"
    column = "created_since"

    @classmethod
    def meant(cls, value: str) -> datetime:
        """Return the start of the day."""
        return start_of_day(value)


class ToFilter(DayFilter):
    """The last day on which a task was created."""

    title = _("created to")
    parameter_name = "created_to"
    column = "created_before"

    @classmethod
    def meant(cls, value: str) -> datetime:
        """Return the start of the next day."""
        return start_of_day(value, after=timedelta(days=1))


def start_of_day(text: str, *, after: timedelta = timedelta(0)) -> datetime:
    """Return the beginning of a day in the current time zone.

    Args:
        text: the day, as 2026-11-24.
        after: whole days to add, as the calendar counts them.

    Raises:
        ValueError: it is no day, or too far away.
    """
    day = date.fromisoformat(text)
    if day.year not in YEARS:
        raise ValueError(text)
    return timezone.make_aware(datetime.combine(day + after, time.min))
