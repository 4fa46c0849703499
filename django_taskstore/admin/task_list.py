"""The list of queued tasks: its tabs, its chips, its reach, its pages.

Owns `TaskChangeList`. It narrows by all filters at once, looks only as far as `reach`
allows, and says what it did not look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, Count, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest
from django.utils.translation import gettext as _

from django_taskstore.admin.base import StoreChangeList
from django_taskstore.admin.chips import Chip, chips_of
from django_taskstore.admin.filters import is_key
from django_taskstore.admin.reach import Landscape, Reach, look, next_before, reach_of
from django_taskstore.admin.rendering import GLYPHS
from django_taskstore.admin.selecting import selection_of
from django_taskstore.admin.task_search import search
from django_taskstore.claims import rows
from django_taskstore.models import Schedule, TaskAttempt, Worker
from django_taskstore.selection import Selection
from django_taskstore.statistics import Tally
from django_taskstore.statuses import Status

BEFORE = "before"
#: The statuses of tasks whose last attempt may have left an error.
SAY_WHY = (Status.FAILED, Status.SCHEDULED, Status.QUEUED, Status.CANCELED)
#: What a list does not show and a row may hold much of.
HEAVY = (
    "output",
    "details",
    "progress",
    "metadata",
    "definition__description",
    "definition__memo",
)
WORKER_NAME: Any = Concat("host", Value(":"), Cast("pid", CharField()), output_field=CharField())
#: What these columns show beside the row is read with it: they cost no statement.
READ_ALONG = {
    "worker_name": (Worker, "claimed_by", WORKER_NAME),
    "schedule_name": (Schedule, "schedule_id", F("name")),
}


@dataclass(frozen=True, slots=True)
class Tab:
    """One state above the list."""

    label: Any
    query: str
    count: Tally | None
    kind: str
    glyph: str
    is_current: bool


class TaskChangeList(StoreChangeList):
    """Tasks that match, among those the list looks at."""

    landscape: Landscape
    reach: Reach
    selection: Selection
    searched_all: bool = True

    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        before = request.GET.get(BEFORE, "")
        self.before = int(before) if is_key(before) else None
        self.address = request.GET
        super().__init__(request, *args, **options)

    def get_filters_params(self, params: Any = None) -> Any:
        """Return the parameters that filters read: where the page begins is none."""
        found = super().get_filters_params(params)
        found.pop(BEFORE, None)
        return found

    def get_queryset(self, request: HttpRequest, *args: Any, **options: Any) -> QuerySet[Any]:
        """Return the rows that match, as far as the list looks, without their long columns."""
        term, self.query = self.query, ""
        everything = super().get_queryset(request, *args, **options).defer(*HEAVY)
        self.query = term
        self.selection = selection_of(request.GET)
        self.landscape = look(everything.db)
        self.reach = reach_of(self.landscape, self.selection, self.before, everything.db)
        listed: QuerySet[Any] = self.reach.narrow(self.selection.narrow(everything))
        if term:
            found = search(everything, listed, term, self.reach)
            listed, self.searched_all = found.rows, found.is_whole
        along: QuerySet[Any] = listed.annotate(**read_along(self.list_display))
        return along

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and what the last attempt of each of its tasks said."""
        super().get_results(request)
        if "outcome" in self.list_display:
            self._read_last_attempts()

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the newest first, whatever an address asks for: any other order reads all rows."""
        return ["-pk"]

    @property
    def older_url(self) -> str:
        """The address of the page with older tasks, or "" when there are none."""
        is_last = self.page_num >= self.paginator.num_pages
        if not is_last or (self.reach.is_whole and self.has_counted_all) or self.is_by_id:
            return ""
        page = list(self.result_list)
        is_full = len(page) == self.list_per_page
        before = next_before(self.reach, page[-1].pk if is_full else None, rows_database(self))
        if before is None:
            return ""
        return str(self.get_query_string({BEFORE: before}, ["p", "all"]))

    @property
    def has_counted_all(self) -> bool:
        """Whether the number of rows is exact."""
        return type(self.result_count) is int

    @property
    def is_by_id(self) -> bool:
        """Whether the search was for one id, which is found wherever it is."""
        return is_key(self.query.strip().removeprefix("id:").strip().removeprefix("#"))

    @property
    def note(self) -> str:
        """What the list did not look at, or ""."""
        if self.is_by_id:
            return ""
        if not self.searched_all:
            return _("The search looked at the newest 10,000 tasks of this list.")
        if self.reach.is_whole:
            return ""
        if self.reach.ids is not None:
            return _("Found by the latest 5,000 attempts; older ones are not shown here.")
        first, last = max(self.reach.bottom + 1, self.landscape.eldest), self.reach.top
        return _("Looked at the tasks #%(first)s to #%(last)s.") % {"first": first, "last": last}

    @property
    def chips(self) -> list[Chip]:
        """What the list is narrowed by."""
        return chips_of(self, self.address)

    @property
    def tabs(self) -> list[Tab]:
        """The states, each with its count under the other filters."""
        counts = {} if self.query else self._counts()
        current = self.selection.status
        tabs = [Tab(_("All"), self._tab_query(""), None, "", "", not current)]
        for status in Status:
            count = None if self.query else counts.get(status, Tally(0, self.landscape.fits))
            tabs.append(
                Tab(
                    status.label,
                    self._tab_query(status),
                    count,
                    status.value,
                    GLYPHS[status],
                    current == status,
                )
            )
        return tabs

    def _read_last_attempts(self) -> None:
        page = {task.pk: task for task in self.result_list}
        tried = [key for key, task in page.items() if task.status in SAY_WHY]
        last = TaskAttempt.objects.using(rows_database(self)).filter(
            queued_task__in=tried, claim_seq=F("queued_task__claim_seq")
        )
        for attempt in last.defer("traceback") if tried else ():
            page[attempt.queued_task_id].last_attempt = attempt

    def _reach_of(self, selection: Selection) -> Reach:
        return reach_of(self.landscape, selection, None, rows_database(self))

    def _tab_query(self, status: str) -> str:
        return str(self.get_query_string({"status": status or None}, ["p", BEFORE, "status"]))

    def _counts(self) -> dict[str, Tally]:
        """Count by status among the newest tasks; what has an index is counted wherever it is."""
        others = self.selection.without_status()
        newest = others.narrow(rows(rows_database(self)))
        if not self.landscape.fits:
            is_same = self.before is None and self.reach.ids is None
            reach = self.reach if is_same else self._reach_of(others)
            newest = reach.narrow(newest)
        numbers = newest.order_by().values_list("status").annotate(Count("pk"))
        counts = {status: Tally(n, self.landscape.fits) for status, n in numbers}
        return {**counts, **self.landscape.found} if others == Selection() else counts


def read_along(columns: Iterable[Any]) -> dict[str, Subquery]:
    """Return what is read with each row for some of the columns, by the column's name."""
    wanted = {name: READ_ALONG[name] for name in columns if name in READ_ALONG}
    return {
        f"read_{name}": Subquery(model._default_manager.filter(pk=OuterRef(key)).values_list(shown))
        for name, (model, key, shown) in wanted.items()
    }


def rows_database(changelist: TaskChangeList) -> str:
    """Return the database that the list reads."""
    return str(changelist.queryset.db)
