"""Panels of the dashboard on the page of one queue, definition or worker, narrowed to it.

Owns what the templates of those panels are told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from django_taskstore.admin.dashboard import panels
from django_taskstore.admin.rendering import duration
from django_taskstore.statistics import WorkerState
from django_taskstore.statistics.troubles import failing, longest_running

PANEL = "admin/django_taskstore/dashboard/{}.html"
#: Groups of failures that a page shows beside what it is about.
MOST_GROUPS = 5


def longest(using: str, address: panels.Address, **only: Any) -> dict[str, Any]:
    """Return what runs longest, as the panel of that name shows it.

    Args:
        using: the database's alias.
        address: gives addresses of what the user may see.
        **only: as of `longest_running`.
    """
    rows = panels.long_rows(longest_running(using, **only), timezone.now(), address)
    return {"longest": rows, "panels": [PANEL.format("longest")]}


def serving(workers: Iterable[WorkerState], address: panels.Address) -> dict[str, Any]:
    """Return which workers serve a queue, for the panel of that name.

    Args:
        workers: those that do.
        address: gives addresses of what the user may see.
    """
    rows = [
        (
            worker,
            address("change", worker.id, model="worker"),
            duration(worker.heartbeat_age_seconds),
        )
        for worker in workers
    ]
    return {"serving": rows, "panels": [PANEL.format("serving")]}


def together(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return several panels as one context, in the order given."""
    context: dict[str, Any] = {}
    for part in parts:
        context |= part
    return context | {"panels": [name for part in parts for name in part["panels"]]}


def failures(
    using: str, address: panels.Address, *, may_requeue: bool, **only: Any
) -> dict[str, Any]:
    """Return what fails now, as the panel of that name shows it.

    Args:
        using: the database's alias.
        address: gives addresses of what the user may see.
        may_requeue: whether the user may requeue all tasks of a group.
        **only: as of `failing`.
    """
    groups = failing(timezone.now(), using, most=MOST_GROUPS, **only)
    queue = only.get("queue_name", "")
    rows = panels.failing_rows(groups, address, may_requeue=may_requeue, queue=queue)
    return {"failing": rows, "panels": [PANEL.format("failing")]}
