"""The dashboard's numbers with their words and links.

Owns tiles and rows. A number leads to the rows it counts, where the user may see them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_taskstore.admin.dashboard.charts import sparkline
from django_taskstore.admin.dashboard.overview import Overview
from django_taskstore.admin.rendering import NOTHING, duration, lasted, pill
from django_taskstore.rollups import Counts
from django_taskstore.statistics import QueueState
from django_taskstore.statistics.troubles import Failing, LongRunning, NextRun
from django_taskstore.statuses import DefinitionStatus, Status

#: Returns the address of a page, or "" where the user may not go: page, *args, model=…
Address = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the first row."""

    label: str
    value: Any
    detail: str = ""
    url: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class WarningLine:
    """What an operator should look at."""

    code: str
    text: SafeString


def warning_lines(seen: Overview) -> list[WarningLine]:
    """Return the warnings, what stands between backticks as code."""
    return [WarningLine(warning.code, marked_up(warning.text)) for warning in seen.warnings]


def marked_up(text: str) -> SafeString:
    """Return a text in which what stands between backticks is code."""
    parts = enumerate(text.split("`"))
    shown = ((format_html("<code>{}</code>", one) if place % 2 else one,) for place, one in parts)
    return format_html_join("", "{}", shown)


def tasks_url(address: Address, **query: Any) -> str:
    """Return the address of the list of tasks under a filter, or ""."""
    url = address("changelist", model="queuedtask")
    return f"{url}?{urlencode(query)}" if url else ""


def tiles(seen: Overview, address: Address) -> list[Tile]:
    """Return the seven numbers that say how it is."""
    totals, workers = seen.snapshot.totals, seen.snapshot.workers
    capacity = sum(worker.concurrency for worker in workers)
    return [
        Tile(
            _("Queued"),
            totals["queued"],
            _("and %(count)s scheduled") % {"count": totals["scheduled"]},
            tasks_url(address, status="queued"),
            "queued",
        ),
        Tile(
            _("Running"),
            totals["running"],
            _("of %(count)s places") % {"count": f"{capacity:,}"},
            tasks_url(address, status="running"),
            "running",
        ),
        failed_tile(seen, address),
        Tile(
            _("Succeeded in 24 h"),
            f"{seen.day.succeeded:,}",
            _("%(count)s retried") % {"count": f"{seen.day.retried:,}"},
            tasks_url(address, status="success", created="24h"),
            "success",
        ),
        Tile(_("Paused"), totals["paused"], "", tasks_url(address, status="paused"), "paused"),
        oldest_tile(seen, address),
        Tile(
            _("Workers"),
            f"{len(workers):,}",
            "" if workers else _("none has a heartbeat"),
            address("changelist", model="worker"),
            "" if workers else "failed",
        ),
    ]


def failed_tile(seen: Overview, address: Address) -> Tile:
    """Return how many tasks failed of late, and their share of what ended."""
    share = seen.day.failed_share
    return Tile(
        _("Failed in 24 h"),
        f"{seen.day.failed:,}",
        "" if share is None else _("%(percent)s %% of what ended") % {"percent": percent(share)},
        tasks_url(address, status="failed", created="24h"),
        "failed" if seen.day.failed else "",
    )


def oldest_tile(seen: Overview, address: Address) -> Tile:
    """Return the age of the task that has waited longest."""
    waiting = [state for state in seen.snapshot.queues if state.oldest_wait_seconds is not None]
    if not waiting:
        return Tile(_("Oldest waiting"), NOTHING, _("nothing is due"))
    oldest = max(waiting, key=lambda state: state.oldest_wait_seconds or 0.0)
    return Tile(
        _("Oldest waiting"),
        duration(oldest.oldest_wait_seconds or 0.0),
        _("on %(queue)s") % {"queue": oldest.name},
        tasks_url(address, status="queued", queue=oldest.name),
        "scheduled",
    )


def percent(share: float) -> str:
    """Return a share as a number of percent, precise where it is small."""
    value = 100 * share
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the table of queues."""

    state: QueueState
    pill: Any
    url: str
    waiting_url: str
    running_url: str
    oldest: str
    per_minute: str
    failed: str
    points: str
    switch_url: str
    switch_label: str


def queue_rows(seen: Overview, address: Address, *, may_switch: bool) -> list[QueueRow]:
    """Return a line for each queue."""
    return [
        queue_row(state, seen, address, may_switch=may_switch) for state in seen.snapshot.queues
    ]


def queue_row(state: QueueState, seen: Overview, address: Address, *, may_switch: bool) -> QueueRow:
    """Return one queue's line."""
    hour = seen.hour.get(state.name, Counts())
    share, wait = hour.failed_share, state.oldest_wait_seconds
    verb = "resume" if state.is_paused else "pause"
    switch = address("act", verb, model="queue") if may_switch else ""
    shown = (
        pill(Status.PAUSED, _("Paused"))
        if state.is_paused
        else pill(DefinitionStatus.ACTIVE, _("Active"))
    )
    return QueueRow(
        state=state,
        pill=shown,
        url=tasks_url(address, queue=state.name),
        waiting_url=tasks_url(address, queue=state.name, status="queued"),
        running_url=tasks_url(address, queue=state.name, status="running"),
        oldest=NOTHING if wait is None else duration(wait),
        per_minute=f"{hour.succeeded / 60:,.1f}",
        failed=NOTHING if share is None else f"{percent(share)} %",
        points=sparkline(seen.minutes.get(state.name) or [0, 0]),
        switch_url=f"{switch}?pk={state.id}" if switch else "",
        switch_label=_("Resume") if state.is_paused else _("Pause"),
    )


@dataclass(frozen=True, slots=True)
class FailingRow:
    """One line of what fails now."""

    group: Failing
    requeue_url: str
    hour_url: str
    day_url: str
    week_url: str


def failing_rows(
    groups: list[Failing], address: Address, *, may_requeue: bool, queue: str = ""
) -> list[FailingRow]:
    """Return a line for each definition and exception, its numbers leading to the tasks."""
    return [
        FailingRow(
            group,
            requeue_url(group, address, queue) if may_requeue else "",
            *(
                tasks_url(address, **alike(group, queue), created=created)
                for created in ("1h", "24h", "7d")
            ),
        )
        for group in groups
    ]


def alike(group: Failing, queue: str) -> dict[str, Any]:
    """Return the filter of a list for the tasks of a group, on one queue or on all."""
    search = {"q": f"error:{group.exception_class}"} if group.exception_class else {}
    where = {"queue": queue} if queue else {}
    return {"definition": group.definition_id, "error": "yes", **where, **search}


def requeue_url(group: Failing, address: Address, queue: str) -> str:
    """Return where all tasks of a group that have failed in a week are requeued, or ""."""
    page = address("act_on_all", "requeue", model="queuedtask")
    meant = urlencode({**alike(group, queue), "status": Status.FAILED, "created": "7d"})
    return f"{page}?{urlencode({'list_query': meant})}" if page else ""


@dataclass(frozen=True, slots=True)
class LongRow:
    """One line of what has run for long."""

    task: LongRunning
    url: str
    runs_for: str
    worker: str


def long_rows(tasks: list[LongRunning], now: datetime, address: Address) -> list[LongRow]:
    """Return a line for each of the tasks that have run longest."""
    return [
        LongRow(
            task,
            address("change", task.id, model="queuedtask"),
            lasted(task.started_at, now),
            "" if task.worker is None else str(task.worker)[:8],
        )
        for task in tasks
    ]


@dataclass(frozen=True, slots=True)
class NextRow:
    """One line of what comes next."""

    run: NextRun
    url: str


def next_rows(seen: Overview, address: Address) -> list[NextRow]:
    """Return a line for each of the schedules that are due first."""
    return [NextRow(run, address("change", run.id, model="schedule")) for run in seen.schedules]


def chart_summary(succeeded: int, failed: int) -> str:
    """Return what a chart says, in one sentence."""
    return ngettext(
        "%(succeeded)s succeeded and %(failed)s failed.",
        "%(succeeded)s succeeded and %(failed)s failed.",
        failed,
    ) % {"succeeded": f"{succeeded:,}", "failed": f"{failed:,}"}
