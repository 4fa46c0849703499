"""Which tasks the address of a list means.

Owns the filters of the list of tasks, in their order, and how they become a `Selection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_taskstore.admin.created_filters import CreatedFilter, FromFilter, ToFilter
from django_taskstore.admin.filters import (
    AttemptsFilter,
    DefinitionFilter,
    DeletedTaskFilter,
    ErrorFilter,
    QueueFilter,
    ScheduleFilter,
    StatusFilter,
    WorkerFilter,
)
from django_taskstore.selection import Selection

TASK_FILTERS: tuple[Any, ...] = (
    StatusFilter,
    QueueFilter,
    DefinitionFilter,
    CreatedFilter,
    FromFilter,
    ToFilter,
    WorkerFilter,
    ScheduleFilter,
    AttemptsFilter,
    ErrorFilter,
    DeletedTaskFilter,
)


def selection_of(query: Mapping[str, Any]) -> Selection:
    """Return the tasks that a list's address means, its search left aside.

    Args:
        query: the address's parameters, such as ``request.GET``.
    """
    columns: dict[str, Any] = {}
    for one in TASK_FILTERS:
        value = query.get(one.parameter_name)
        if not value:
            continue
        try:
            meant = one.meant(str(value))
        except ValueError:
            columns["ids"] = ()
        else:
            # A preset and a day may both name a beginning: the later one holds.
            columns[one.column] = max(meant, columns.get(one.column, meant))
    return Selection(**columns)
