"""The dashboard's numbers with their words and links.

Owns tiles and rows. A number leads to the rows it counts, where the user may see them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

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
    hour_url: str
    day_url: str
    week_url: str


def failing_rows(groups: list[Failing], address: Address) -> list[FailingRow]:
    """Return a line for each definition and exception, its numbers leading to the tasks."""
    return [
        FailingRow(
            group,
            *(
                tasks_url(
                    address,
                    definition=group.definition_id,
                    created=created,
                    q=f"error:{group.exception_class}",
                )
                for created in ("1h", "24h", "7d")
            ),
        )
        for group in groups
    ]


@dataclass(frozen=True, slots=True)
class LongRow:
    """One line of what has run for long."""

    task: LongRunning
    url: str
    runs_for: str
    worker: str


def long_rows(seen: Overview, address: Address) -> list[LongRow]:
    """Return a line for each of the tasks that have run longest."""
    return [
        LongRow(
            task,
            address("change", task.id, model="queuedtask"),
            lasted(task.started_at, seen.snapshot.time),
            "" if task.worker is None else str(task.worker)[:8],
        )
        for task in seen.longest
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
