"""Django's ``task_finished``, sent when the store has recorded how a task ended.

Owns the receiver of our own signals, which come after the commit: whoever hears of an end can
read it. A retry is no end. ``task_enqueued`` is sent by the backend, ``task_started`` by the
handler.
"""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver
from django.utils import timezone

from django_taskstore.backends import results
from django_taskstore.backends.api import TaskResultStatus
from django_taskstore.backends.api import signals as django_signals
from django_taskstore.backends.functions import TaskFunction, registered
from django_taskstore.backends.reading import read
from django_taskstore.signals import task_canceled, task_failed, task_succeeded
from django_taskstore.statuses import Ending


@receiver(
    [task_succeeded, task_failed, task_canceled],
    dispatch_uid="django_taskstore.backends.finished",
)
def finished(
    *,
    task_id: int,
    alias: str,
    claim: Any = None,
    outcome: Any = None,
    exception: BaseException | None = None,
    **_: Any,
) -> None:
    """Send ``task_finished`` for a task function, in an except block when it did not succeed.

    Django's receiver logs the exception that is being handled there.
    """
    handler = registered(alias)
    if handler is None:
        return
    result = read(task_id) if outcome is None else ended(claim, outcome, handler)
    if exception is None:
        send(result)
        return
    try:
        raise exception
    except BaseException:
        send(result)


def send(result: Any) -> None:
    """Send the signal; a receiver that raises is logged and changes nothing."""
    django_signals.task_finished.send_robust(results.sender(result), task_result=result)


def ended(claim: Any, outcome: Any, handler: type[TaskFunction]) -> Any:
    """Return the result of a recorded outcome, read again only when it was not the first try."""
    row = claim.queued_task
    if results.has_history(row):
        return read(row.pk)
    result = results.running(row, handler.declared)
    has_succeeded = outcome.ending is Ending.SUCCEEDED
    status = TaskResultStatus.SUCCESSFUL if has_succeeded else TaskResultStatus.FAILED
    changes = {
        "status": status,
        "started_at": outcome.started_at,
        "last_attempted_at": outcome.started_at,
        "finished_at": timezone.now(),
        "_return_value": outcome.output,
        "errors": [] if outcome.exception is None else [results.error(outcome.exception)],
    }
    for name, value in changes.items():
        object.__setattr__(result, name, value)
    return result
