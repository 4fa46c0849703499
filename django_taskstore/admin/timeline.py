"""The life of one task as steps, from its creation to its end or to what comes next.

Owns `steps`. It reads the row, the records of its attempts, the names of workers that are
still there, and who created it in the admin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
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
    known = records_of(task)
    return [
        *beginning(task),
        *past(known.attempts, known.workers),
        *present(task, known.attempts, known.workers, now),
        *ahead(task, now),
    ]


@dataclass(frozen=True, slots=True)
class Records:
    """What is recorded of a task beside its row.

    Attributes:
        attempts: the latest that did not simply succeed, oldest first, without tracebacks.
        workers: the names of workers that are still there.
    """

    attempts: list[TaskAttempt]
    workers: Mapping[UUID | None, str]


def records_of(task: QueuedTask) -> Records:
    """Return what is recorded of a task, read once for all parts of its page."""
    known: Records | None = task.__dict__.get("_records")
    if known is None:
        using = task._state.db
        latest = TaskAttempt.objects.using(using).filter(queued_task=task.pk)
        attempts = list(latest.defer("traceback").order_by("-claim_seq")[: MOST_SHOWN + 1])[::-1]
        ids = {one.worker for one in attempts} | {task.claimed_by}
        known = task.__dict__["_records"] = Records(attempts, worker_names(ids, using))
    return known


def worker_names(ids: set[UUID | None], using: str | None) -> Mapping[UUID | None, str]:
    """Return the names of workers whose rows are still there."""
    known = {key for key in ids if key is not None}
    if not known:
        return {}
    return {row.pk: str(row) for row in Worker.objects.using(using).filter(pk__in=known)}


def beginning(task: QueuedTask) -> Iterator[Step]:
    """Yield how the task came to be."""
    yield Step("created", _("Created"), task.created_at, ", ".join(origin(task)))
    is_later = task.run_after - task.created_at > AT_ONCE
    if is_later and not task.attempts and task.status in (Status.SCHEDULED, Status.PAUSED):
        yield Step(Status.SCHEDULED, _("Scheduled"), task.run_after, is_ahead=True)


def origin(task: QueuedTask) -> Iterator[str]:
    """Yield from where a task came, as far as its row and the admin's history know.

    Code and commands leave no trace: a column for them would cost every enqueue.
    """
    if task.requeued_from_id:
        yield _("requeued from #%(id)d") % {"id": task.requeued_from_id}
    if task.schedule_id:
        yield _("by its schedule") if task.occurrence_at else _("by hand, from its schedule")
        return
    username = f"user__{get_user_model().USERNAME_FIELD}"
    added = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(QueuedTask),
        object_id=str(task.pk),
        action_flag=ADDITION,
    )
    for who in added.order_by("pk").values_list(username, flat=True)[:1]:
        yield _("by %(who)s in the admin") % {"who": who}


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
