"""Small pictures of time: how one task waited and ran, and how the last ones of its kind ended.

Owns `wait_and_run` and `recent_runs`. Both say in words what they show.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_taskstore.admin import reach
from django_taskstore.admin.rendering import GLYPHS, duration, lasted
from django_taskstore.claims import rows
from django_taskstore.models import QueuedTask
from django_taskstore.statuses import Status

MOST_RUNS = 60
#: What is shorter would not be seen, in hundredths of the bar.
LEAST_SHARE = 1.0


def wait_and_run(task: QueuedTask, now: datetime) -> SafeString | str:
    """Return the shares of waiting and running in a task's last attempt, or "" before both.

    Args:
        task: the row.
        now: an aware datetime.
    """
    waited, ran = spans(task, now)
    if waited is None:
        return ""
    words = [_("waited %(duration)s") % {"duration": duration(waited.total_seconds())}]
    if ran is not None:
        words.append(_("ran %(duration)s") % {"duration": duration(ran.total_seconds())})
    return format_html(
        '<svg class="ts-share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="ts-bar ts-run-50" width="100" height="8"/>'
        '<rect class="ts-bar ts-wait-50" width="{}" height="8"/></svg> '
        '<span class="ts-quiet">{}</span>',
        f"{share(waited, ran):.1f}",
        ", ".join(words),
    )


def spans(task: QueuedTask, now: datetime) -> tuple[timedelta | None, timedelta | None]:
    """Return how long the last attempt waited and ran so far; None for what has not begun."""
    nothing = timedelta(0)
    if task.status == Status.QUEUED:
        return max(nothing, now - task.run_after), None
    if task.started_at is None:
        return None, None
    end = now if task.status == Status.RUNNING else task.completed_at
    ran = None if end is None else max(nothing, end - task.started_at)
    return max(nothing, task.started_at - task.run_after), ran


def share(waited: timedelta, ran: timedelta | None) -> float:
    """Return the share of waiting in hundredths, so that neither part is too small to be seen."""
    if ran is None or waited + ran == timedelta(0):
        return 100.0
    return min(100 - LEAST_SHARE, max(LEAST_SHARE, 100 * (waited / (waited + ran))))


@dataclass(frozen=True, slots=True)
class Run:
    """One task of a strip."""

    id: int
    kind: str
    glyph: str
    words: str
    url: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The last tasks of one definition or worker, the newest last.

    Attributes:
        runs: the tasks.
        summary: what they come to.
    """

    runs: list[Run]
    summary: str


def recent_runs(using: str, address: Any, **only: Any) -> Strip | None:
    """Return how the last tasks of a definition or of a worker ended, or None without any.

    No index leads by either, so they are looked for among the newest tasks only.

    Args:
        using: the database's alias.
        address: returns the address of a task's page by its key, or "".
        **only: ``definition_id``, or ``claimed_by``, the worker that claimed last.
    """
    newest = rows(using).order_by("-pk").values_list("pk", flat=True).first() or 0
    # A number of its own: by a subquery MariaDB does not know where to stop, and reads all.
    near = rows(using).filter(pk__gt=newest - reach.REACH, soft_deleted_at=None, **only)
    columns = near.order_by("-pk").values_list("pk", "status", "started_at", "completed_at")
    found = list(columns[:MOST_RUNS])[::-1]
    if not found:
        return None
    return Strip(
        [
            Run(key, status, GLYPHS[status], words_of(key, status, start, end), address(key))
            for key, status, start, end in found
        ],
        summary_of(found),
    )


def words_of(key: int, status: str, start: datetime | None, end: datetime | None) -> str:
    """Return what a strip says about one task."""
    said = f"#{key}: {Status(status).label}"
    if start is None or end is None:
        return said
    return f"{said}, {_('ran %(duration)s') % {'duration': lasted(start, end)}}"


def summary_of(found: list[tuple[Any, ...]]) -> str:
    """Return what a strip comes to: how many failed, and how long half of them ran at most."""
    failed = sum(status == Status.FAILED for _key, status, _start, _end in found)
    said = ngettext(
        "%(failed)d of the last %(count)d failed.",
        "%(failed)d of the last %(count)d failed.",
        failed,
    ) % {"failed": failed, "count": len(found)}
    ran = [(end - start).total_seconds() for _k, _s, start, end in found if start and end]
    if not ran:
        return said
    half = _("Half of them ran within %(duration)s.")
    return f"{said} {half % {'duration': duration(statistics.median(ran))}}"
