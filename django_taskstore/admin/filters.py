"""The filters of the lists: none asks the big table what values it has.

Owns the filters. Their choices come from small tables and constants, never from DISTINCT.
`created_filters` has those by time, `selecting` puts all of the list of tasks together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_taskstore.admin.choices import MOST_CHOICES, names
from django_taskstore.models import Worker
from django_taskstore.statuses import Status


class TaskFilter(admin.SimpleListFilter):
    """One column of a `Selection`, chosen by the address."""

    #: The column.
    column: str

    @classmethod
    def meant(cls, value: str) -> Any:
        """Return the column's value for what the address says.

        Raises:
            ValueError: the address says nothing that a row could have.
        """
        return value

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Leave the rows alone: the list narrows them by all its filters at once."""
        return queryset


class StatusFilter(TaskFilter):
    """One status; the tabs above the list show the choices."""

    title = _("status")
    parameter_name = "status"
    column = "status"
    template = "admin/django_taskstore/no_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the statuses."""
        return list(Status.choices)


class NamedFilter(TaskFilter):
    """One row of another table, chosen by its name."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the names that the table holds."""
        return names(request, str(self.parameter_name))


class KeyFilter(NamedFilter):
    """One row of another table, which the address names by its key."""

    @classmethod
    def meant(cls, value: str) -> int:
        """Return the key."""
        return key_in(value)


class QueueFilter(NamedFilter):
    """One queue, out of the table of queues."""

    title = _("queue")
    parameter_name = "queue"
    column = "queue_name"


class DefinitionFilter(KeyFilter):
    """One task definition, soft-deleted ones included: their old tasks are still there."""

    title = _("definition")
    parameter_name = "definition"
    column = "definition_id"


class ScheduleFilter(KeyFilter):
    """The schedule that enqueued the task, by its plan or by hand."""

    title = _("schedule")
    parameter_name = "schedule"
    column = "schedule_id"


class WorkerFilter(TaskFilter):
    """The worker that claimed last, out of those whose rows are there."""

    title = _("worker")
    parameter_name = "worker"
    column = "worker"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the workers."""
        workers = Worker.objects.order_by("host", "pid").only("host", "pid")
        return [(str(worker.pk), worker) for worker in workers[:MOST_CHOICES]]

    @classmethod
    def meant(cls, value: str) -> UUID:
        """Return the worker's id."""
        return UUID(value)


class FlagFilter(TaskFilter):
    """Whether something is so; the address says it in one word."""

    word: str
    label: Any

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the one choice beside all."""
        return [(self.word, self.label)]

    @classmethod
    def meant(cls, value: str) -> bool:
        """Return whether only such tasks are meant."""
        return value == cls.word


class AttemptsFilter(FlagFilter):
    """Whether a task took more than one attempt."""

    title = _("attempts")
    parameter_name = "attempts"
    column = "retried"
    word, label = "many", _("More than one")


class ErrorFilter(FlagFilter):
    """Whether an attempt at the task failed, however the task ended."""

    title = _("error")
    parameter_name = "error"
    column = "has_error"
    word, label = "yes", _("With an error")


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


class DeletedTaskFilter(DeletedFilter):
    """As `DeletedFilter`, for tasks."""

    column = "deleted"

    @classmethod
    def meant(cls, value: str) -> str:
        """Return the choice."""
        return value if value in ("yes", "all") else "no"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Leave the rows alone: the list narrows them by all its filters at once."""
        return queryset


def key_in(text: str) -> int:
    """Return the key that an address names.

    Raises:
        ValueError: it names none.
    """
    if not is_key(text):
        raise ValueError(text)
    return int(text)


def is_key(text: str) -> bool:
    """Tell whether a text is a key that every database takes."""
    return text.isascii() and text.isdigit() and len(text) < 19
