"""The life of one task as steps, from its creation to its end or to what comes next.

Owns `steps`. It reads the row, the records of its attempts and the names of workers that
are still there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from django_taskstore.admin.rendering import GLYPHS, lasted
from django_taskstore.models import QueuedTask, TaskAttempt, Worker
from django_taskstore.statuses import FINAL, Status

MOST_SHOWN = 20
#: What was meant to run at once was created in the same moment, but for the clock's grain.
AT_ONCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, happens or will happen.

    Attributes:
        kind: a status or an ending, which gives it its glyph and colour.
        title: what.
        at: when, where that is known.
        detail: how long, by whom, why.
        is_ahead: whether it has not happened yet.
    """

    kind: str
    title: str
    at: datetime | None = None
    detail: str = ""
    is_ahead: bool = False

    @property
    def glyph(self) -> str:
        """The sign of its kind."""
        return GLYPHS.get(self.kind, "•")


def steps(task: QueuedTask, now: datetime) -> list[Step]:
    """Return the life of a task, oldest first.

    Args:
        task: the row.
        now: an aware datetime.
    """
    records = TaskAttempt.objects.using(task._state.db).filter(queued_task=task.pk)
    attempts = list(records.defer("traceback").order_by("-claim_seq")[: MOST_SHOWN + 1])[::-1]
    names = worker_names({one.worker for one in attempts} | {task.claimed_by}, task._state.db)
    return [
        *beginning(task),
        *past(attempts, names),
        *present(task, attempts, names, now),
        *ahead(task, now),
    ]


def worker_names(ids: set[UUID | None], using: str | None) -> Mapping[UUID | None, str]:
    """Return the names of workers whose rows are still there."""
    known = {key for key in ids if key is not None}
    if not known:
        return {}
    return {row.pk: str(row) for row in Worker.objects.using(using).filter(pk__in=known)}


def beginning(task: QueuedTask) -> Iterator[Step]:
    """Yield how the task came to be."""
    source = task.requeued_from_id
    detail = _("requeued from #%(id)d") % {"id": source} if source else ""
    yield Step("created", _("Created"), task.created_at, detail)
    is_later = task.run_after - task.created_at > AT_ONCE
    if is_later and not task.attempts and task.status in (Status.SCHEDULED, Status.PAUSED):
        yield Step(Status.SCHEDULED, _("Scheduled"), task.run_after, is_ahead=True)


def past(attempts: list[TaskAttempt], names: Mapping[UUID | None, str]) -> Iterator[Step]:
    """Yield the attempts that did not simply succeed."""
    if len(attempts) > MOST_SHOWN:
        yield Step("", _("Earlier attempts are not shown"))
    for attempt in attempts[-MOST_SHOWN:]:
        facts = [names.get(attempt.worker, "")]
        if attempt.started_at is not None:
            took = lasted(attempt.started_at, attempt.finished_at)
            facts.append(_("after %(duration)s") % {"duration": took})
        facts.append(" ".join(filter(None, (attempt.exception_class, attempt.message[:200]))))
        title = _("Attempt %(number)d: %(outcome)s") % {
            "number": attempt.number,
            "outcome": attempt.get_outcome_display(),
        }
        yield Step(attempt.outcome, title, attempt.finished_at, ", ".join(filter(None, facts)))


def present(
    task: QueuedTask,
    attempts: list[TaskAttempt],
    names: Mapping[UUID | None, str],
    now: datetime,
) -> Iterator[Step]:
    """Yield the attempt that runs, and the end that left no record."""
    worker = names.get(task.claimed_by, "")
    if task.status == Status.RUNNING:
        title = _("Attempt %(number)d runs") % {"number": task.attempts}
        so_far = _("for %(duration)s") % {"duration": lasted(task.started_at, now)}
        yield Step(
            Status.RUNNING, title, task.started_at, ", ".join(filter(None, (worker, so_far)))
        )
        if task.cancel_requested_at:
            yield Step("asked", _("Asked to stop"), task.cancel_requested_at)
    has_record = bool(attempts) and attempts[-1].claim_seq == task.claim_seq
    if task.status in FINAL and not (has_record and task.claim_seq):
        took = lasted(task.started_at, task.completed_at) if task.started_at else ""
        after = _("after %(duration)s") % {"duration": took} if took else ""
        detail = ", ".join(filter(None, (worker, after)))
        yield Step(task.status, task.get_status_display(), task.completed_at, detail)
    if task.soft_deleted_at:
        yield Step("deleted", _("Deleted"), task.soft_deleted_at)


def ahead(task: QueuedTask, now: datetime) -> Iterator[Step]:
    """Yield what comes next."""
    if task.status == Status.QUEUED:
        waits = _("for %(duration)s") % {"duration": lasted(task.run_after, now)}
        yield Step(Status.QUEUED, _("Waits for a worker"), None, waits, is_ahead=True)
    elif task.status == Status.SCHEDULED and task.attempts:
        yield Step(Status.SCHEDULED, _("Next attempt"), task.run_after, is_ahead=True)
    elif task.status == Status.PAUSED:
        yield Step(Status.PAUSED, _("Paused until somebody resumes it"), is_ahead=True)
    elif task.status == Status.RUNNING and task.lease_expires_at:
        title = _("Lease ends unless its worker renews it")
        yield Step("lease", title, task.lease_expires_at, is_ahead=True)
