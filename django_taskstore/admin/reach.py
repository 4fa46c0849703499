"""How far a list of tasks looks, so that no filter reads the whole table.

Owns `Landscape`, one cheap look at the table, and `Reach`, the rows that a list considers.
No index serves the admin's filters, and none may be added to the hot table for them. So a
list looks at the newest ids only, leads on to older ones, and says so. What an index of the
queue itself finds (queued, scheduled, running), or the records of attempts (failed), is
found however old it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Subquery

from django_taskstore.claims import rows
from django_taskstore.database.expressions import Literal, RowCount
from django_taskstore.models import TaskAttempt, TaskDefinition
from django_taskstore.selection import Selection
from django_taskstore.statistics import Tally
from django_taskstore.statuses import Status

#: Ids that one statement looks through.
REACH = 50_000
#: Rows of one status that are counted, and that are listed wherever they are.
MOST_FOUND = 5_000
#: Ids that one statement asks for their times.
PROBES = 16
INDEXED = (Status.QUEUED, Status.SCHEDULED, Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Landscape:
    """What one statement says about the whole table.

    Attributes:
        newest: the highest id, 0 in an empty table.
        eldest: the lowest.
        found: the rows of each status that has an index of its own.
    """

    newest: int
    eldest: int
    found: dict[str, Tally]

    @property
    def fits(self) -> bool:
        """Whether the newest ids are all there are."""
        return self.eldest > self.newest - REACH


def look(using: str) -> Landscape:
    """Ask once for both ends of the table and the sizes of its active parts.

    The scalars hang on one row of the small table of definitions, without which there is
    no task.
    """
    all_rows = rows(using).order_by()
    ends = {
        "newest": Subquery(all_rows.order_by("-pk").values("pk")[:1]),
        "eldest": Subquery(all_rows.order_by("pk").values("pk")[:1]),
    }
    counts = {
        f"n_{status}": RowCount(
            all_rows.filter(status=Literal(status), soft_deleted_at=None).values("pk")[
                : MOST_FOUND + 1
            ]
        )
        for status in INDEXED
    }
    one = TaskDefinition.all_objects.using(using).order_by("pk")
    found = one.annotate(**ends, **counts).values_list(*ends, *counts)[:1]
    newest, eldest, *sizes = next(iter(found), (0, 0, 0, 0, 0))
    return Landscape(
        newest or 0,
        eldest or 0,
        {
            status: Tally(min(n, MOST_FOUND), exact=n <= MOST_FOUND)
            for status, n in zip(INDEXED, sizes, strict=True)
        },
    )


@dataclass(frozen=True, slots=True)
class Reach:
    """The rows that a list considers.

    Attributes:
        top: the highest id, inclusive.
        bottom: no id at or below it is considered.
        is_whole: whether nothing that matches is left out.
        ids: exactly these, found by an index.
    """

    top: int
    bottom: int
    is_whole: bool
    ids: tuple[int, ...] | None = None

    @property
    def at_most(self) -> int:
        """How many rows there can be."""
        return self.top - self.bottom if self.ids is None else len(self.ids)

    def narrow(self, tasks: Any) -> Any:
        """Narrow a queryset to these rows."""
        if self.ids is not None:
            return tasks.filter(pk__in=self.ids)
        if self.is_whole:
            return tasks
        return tasks.filter(pk__gt=self.bottom, pk__lte=self.top)


def reach_of(landscape: Landscape, selection: Selection, before: int | None, using: str) -> Reach:
    """Return how far a list looks.

    Args:
        landscape: what `look` found.
        selection: what the list is narrowed to.
        before: look at ids below this one, where a page leads on from another.
        using: the database's alias.
    """
    if before is not None:
        top = min(before - 1, landscape.newest)
        return Reach(top, top - REACH, is_whole=False)
    if landscape.fits:
        return Reach(landscape.newest, landscape.eldest - 1, is_whole=True)
    status = selection.status
    if status in landscape.found and landscape.found[status].exact:
        active = rows(using).filter(status=Literal(status)).order_by()
        ids = tuple(active.values_list("pk", flat=True)[: MOST_FOUND + 1])
        return Reach(landscape.newest, 0, is_whole=len(ids) <= MOST_FOUND, ids=ids)
    if status == Status.FAILED or selection.has_error:
        records = TaskAttempt.objects.using(using).order_by("-pk")
        tried = list(records.values_list("queued_task_id", flat=True)[: MOST_FOUND + 1])
        is_whole = len(tried) <= MOST_FOUND
        if is_whole or selection.created_before is None:
            return Reach(landscape.newest, 0, is_whole=is_whole, ids=tuple(set(tried)))
    top = landscape.newest
    if selection.created_before is not None:
        top = top_before(selection.created_before, landscape, using)
    return Reach(top, top - REACH, is_whole=False)


def top_before(moment: datetime, landscape: Landscape, using: str) -> int:
    """Return an id at which a list may begin that shows what was created before a moment.

    No index has the times. Ids grow with them, but for tasks whose transactions were long or
    whose clocks differ, so the list begins a tenth of its reach later than it would have to.

    Args:
        moment: an aware datetime.
        landscape: what `look` found.
        using: the database's alias.
    """
    bottom, top = landscape.eldest, landscape.newest
    while top - bottom > max(REACH // 2, PROBES):
        marks = [bottom + (top - bottom) * n // PROBES for n in range(1, PROBES)]
        later = [at is not None and at >= moment for at in created_at(marks, using)]
        place = later.index(True) if any(later) else len(marks)
        bounds = [bottom, *marks, top]
        bottom, top = bounds[place], bounds[place + 1]
    return min(top + REACH // 10, landscape.newest)


def created_at(marks: list[int], using: str) -> Any:
    """Return when the first task at or behind each id was created, in one statement."""
    all_rows = rows(using).order_by("pk")
    times = {
        f"at_{mark}": Subquery(all_rows.filter(pk__gte=mark).values("created_at")[:1])
        for mark in marks
    }
    one = TaskDefinition.all_objects.using(using).order_by("pk").annotate(**times)
    return next(iter(one.values_list(*times)[:1]), ())


def next_before(reach: Reach, last_shown: int | None, using: str) -> int | None:
    """Return where a list leads on to older tasks, or None at the end of the table.

    Args:
        reach: what this page looked at.
        last_shown: the last id of a full page; None when the page is not full.
        using: the database's alias.
    """
    if reach.ids is not None:
        return reach.top + 1
    if last_shown is not None:
        return last_shown
    older = rows(using).filter(pk__lte=reach.bottom).order_by("-pk")
    highest = older.values_list("pk", flat=True).first()
    return None if highest is None else highest + 1
