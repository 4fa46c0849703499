"""What became of a task, as Django's `TaskResult` says it.

Owns the mapping from a row and its attempts: statuses, one worker an attempt, errors with
their tracebacks. It reads attempts, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils import timezone

from django_taskstore.backends.api import (
    BaseTaskBackend,
    InvalidTaskBackend,
    TaskError,
    TaskResult,
    TaskResultStatus,
    task_backends,
)
from django_taskstore.backends.arguments import read_arguments
from django_taskstore.exceptions import Cancel
from django_taskstore.statuses import WAITING, Ending, Status
from django_taskstore.tracebacks import exception_name, str_of, traceback_of

if TYPE_CHECKING:
    from django_taskstore.models import QueuedTask, TaskAttempt

#: Keys of a row's metadata: the backend it was enqueued with, and the time that was asked for,
#: since a retry moves the row's own.
BACKEND, RUN_AFTER = "backend", "run_after"
#: Waiting, paused and between two attempts all mean ready, or ready to be executed again.
STATUSES = {
    Status.QUEUED: TaskResultStatus.READY,
    Status.SCHEDULED: TaskResultStatus.READY,
    Status.PAUSED: TaskResultStatus.READY,
    Status.RUNNING: TaskResultStatus.RUNNING,
    Status.SUCCESS: TaskResultStatus.SUCCESSFUL,
    Status.FAILED: TaskResultStatus.FAILED,
    Status.CANCELED: TaskResultStatus.FAILED,
}
#: Endings that a row's ``attempts`` counts; a loss, a snooze and a release give theirs back.
COUNTED = (Ending.RETRIED, Ending.FAILED, Ending.CANCELED)


def sender(result: Any) -> type[Any]:
    """Return the class of a result's backend: the sender of Django's signals."""
    return backend_class(result.backend)


@cache
def backend_class(alias: str) -> type[Any]:
    """Return the class that TASKS has under an alias.

    Remembered, since Django makes a backend anew in each context, and each task has its own.
    """
    try:
        return type(task_backends[alias])
    except InvalidTaskBackend:  # TASKS no longer names it.
        return BaseTaskBackend


@receiver(setting_changed, dispatch_uid="django_taskstore.backends.results")
def forget(*, setting: str, **_: Any) -> None:
    """Read TASKS again after a test has changed it."""
    if setting == "TASKS":
        backend_class.cache_clear()


def metadata(declared: Any, backend: str) -> dict[str, str]:
    """Return what a row must carry for its result, beside its columns."""
    run_after = declared.run_after
    asked = {} if run_after is None else {RUN_AFTER: run_after.isoformat()}
    return {BACKEND: backend, **asked}


def of_row(row: QueuedTask, declared: Any) -> Any:
    """Return the result of a row as it stands.

    Args:
        row: a whole row.
        declared: its task.
    """
    started = row.started_at if row.attempts or row.status not in WAITING else None
    return build(row, declared, started_at=started, finished_at=row.completed_at, output=row.output)


def running(row: QueuedTask, declared: Any) -> Any:
    """Return the result of a task that starts now.

    Args:
        row: the row as it was claimed, whose other columns are not read.
        declared: its task.
    """
    return build(row, declared, started_at=timezone.now(), finished_at=None, output=None)


def without_row(declared: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return the result of a task that runs on the command line, which has no row."""
    return TaskResult(
        task=declared,
        id="",
        status=TaskResultStatus.RUNNING,
        enqueued_at=None,
        started_at=timezone.now(),
        last_attempted_at=timezone.now(),
        finished_at=None,
        args=list(args),
        kwargs=kwargs,
        backend=declared.backend,
        errors=[],
        worker_ids=[""],
    )


def build(
    row: QueuedTask,
    declared: Any,
    *,
    started_at: datetime | None,
    finished_at: datetime | None,
    output: Any,
) -> Any:
    """Return a result of columns that every claim reads, and of these three."""
    args, kwargs = read_arguments(row.parameters)
    backend = row.metadata.get(BACKEND, declared.backend)
    counted, lost = attempts(row)
    current = [str(row.claimed_by)] if is_unrecorded(row) else []
    first = counted[0].started_at if row.attempts > 1 and counted else None
    result: Any = TaskResult(
        task=variant(declared, row, backend),
        id=str(row.pk),
        status=STATUSES[Status(row.status)],
        enqueued_at=row.created_at,
        started_at=first or started_at,
        last_attempted_at=started_at,
        finished_at=finished_at,
        args=args,
        kwargs=kwargs,
        backend=backend,
        errors=errors(row, counted, lost),
        worker_ids=[str(record.worker or "") for record in counted] + current,
    )
    object.__setattr__(result, "_return_value", output)
    return result


def is_unrecorded(row: QueuedTask) -> bool:
    """Tell whether the last counted attempt has no record: it runs, or succeeded."""
    return row.status in (Status.RUNNING, Status.SUCCESS)


def has_history(row: QueuedTask) -> bool:
    """Tell whether there are records to read."""
    return row.attempts > is_unrecorded(row) or row.lost_count > 0


def attempts(row: QueuedTask) -> tuple[list[TaskAttempt], list[TaskAttempt]]:
    """Return the records of counted attempts and of losses, those before a restart left out."""
    if not has_history(row):
        return [], []
    records = list(row.attempt_records.order_by("claim_seq"))
    counted = [record for record in records if record.outcome in COUNTED]
    lost = [record for record in records if record.outcome == Ending.LOST]
    return newest(counted, row.attempts - is_unrecorded(row)), newest(lost, row.lost_count)


def newest(records: list[TaskAttempt], count: int) -> list[TaskAttempt]:
    """Return the last so many records."""
    return records[max(0, len(records) - count) :]


def errors(row: QueuedTask, counted: list[TaskAttempt], lost: list[TaskAttempt]) -> list[Any]:
    """Return an error for each failed attempt, each lost worker, and a cancel."""
    records = sorted([*counted, *lost], key=lambda record: record.claim_seq)
    found = [recorded_error(record) for record in records]
    if row.status == Status.CANCELED and not any(
        record.outcome == Ending.CANCELED for record in records
    ):
        found.append(error(Cancel()))
    return found


def recorded_error(record: TaskAttempt) -> Any:
    """Return what an attempt's record says went wrong."""
    return told(record.exception_class, record.message, record.traceback)


def error(exception: BaseException) -> Any:
    """Return an exception as an error of a result."""
    return told(exception_name(exception), str_of(exception), traceback_of(exception))


def told(name: str, message: str, traceback: str) -> Any:
    """Return an error; our records name a builtin exception without its module."""
    return TaskError(
        exception_class_path=name if "." in name else f"builtins.{name}",
        traceback=traceback or f"{name}: {message}\n",
    )


def variant(declared: Any, row: QueuedTask, backend: str) -> Any:
    """Return a task as it was enqueued.

    Past `Task.__post_init__`: somebody may have moved the row to a queue that TASKS does not
    name, and its result can be read all the same.
    """
    asked = row.metadata.get(RUN_AFTER)
    enqueued = {
        "priority": row.priority,
        "queue_name": row.queue_name,
        "run_after": asked and datetime.fromisoformat(asked),
        "backend": backend,
    }
    copy = object.__new__(type(declared))
    for name in declared.__dataclass_fields__:
        value = enqueued[name] if name in enqueued else getattr(declared, name)
        object.__setattr__(copy, name, value)
    return copy
