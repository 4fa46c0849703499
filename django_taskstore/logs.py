"""What people read of a running worker: one line a task, from the signals; and of exports.

Owns the lines of the logger ``django_taskstore.worker`` about tasks and the setting
ERROR_HANDLER. Every record carries ``event``, ``task_id``, ``alias``, ``queue`` and ``attempt``
as extras. Who exports tasks is said by ``django_taskstore.admin``.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import receiver
from django.http import QueryDict
from django.utils.module_loading import import_string

from django_taskstore import signals
from django_taskstore.conf import settings

logger = logging.getLogger("django_taskstore.worker")
admin_logger = logging.getLogger("django_taskstore.admin")

LINE = "%s %s id=%s queue=%s attempt=%s%s"


def say(level: int, event: str, kwargs: dict[str, Any], more: str = "") -> None:
    """Log one line about one task."""
    if not logger.isEnabledFor(level):
        return
    facts = {
        "event": event,
        "task_id": kwargs["task_id"],
        "alias": kwargs["alias"],
        "queue": kwargs["queue_name"],
        "attempt": kwargs["attempt"],
    }
    words = (event, facts["alias"], facts["task_id"], facts["queue"], facts["attempt"], more)
    logger.log(level, LINE, *words, extra=facts)


def because(exception: BaseException | None) -> str:
    """Return the end of a line that names an exception, on one line."""
    if exception is None:
        return ""
    try:
        text = printable(" ".join(str(exception).split()))
    except Exception:
        text = "(its text fails)"
    return f" error={type(exception).__name__}: {text:.300}"


def printable(text: str) -> str:
    """Return a text without what a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def ran(kwargs: dict[str, Any]) -> str:
    """Return the part of a line that says how long the handler ran, if it did."""
    outcome = kwargs.get("outcome")
    if outcome is None or outcome.started_at is None:
        return ""
    return f" run={outcome.run_seconds:.3f}s"


@receiver(signals.worker_started, dispatch_uid="django_taskstore.logs.follow")
def follow(**_: Any) -> None:
    """Listen to starts and successes while their lines are wanted, and only then.

    Every task sends both, and a receiver that has nothing to say costs as much as a short
    task's recording. The logger's level is read when a runner starts.
    """
    for signal, line, level in (
        (signals.task_started, started, logging.DEBUG),
        (signals.task_succeeded, succeeded, logging.INFO),
    ):
        if logger.isEnabledFor(level):
            signal.connect(line, dispatch_uid=f"django_taskstore.logs.{line.__name__}")
        else:
            signal.disconnect(dispatch_uid=f"django_taskstore.logs.{line.__name__}")


def started(**kwargs: Any) -> None:
    """Log a start."""
    say(logging.DEBUG, "started", kwargs)


def succeeded(**kwargs: Any) -> None:
    """Log a success."""
    say(logging.INFO, "success", kwargs, ran(kwargs))


@receiver(signals.task_retried, dispatch_uid="django_taskstore.logs.retried")
def retried(**kwargs: Any) -> None:
    """Log a retry or a snooze."""
    outcome = kwargs.get("outcome")
    wait = f" retry_in={outcome.wait_seconds:.1f}s" if outcome else ""
    say(logging.WARNING, "retry", kwargs, wait + because(kwargs.get("exception")))


@receiver(signals.task_failed, dispatch_uid="django_taskstore.logs.failed")
def failed(**kwargs: Any) -> None:
    """Log a failure."""
    say(logging.ERROR, "failed", kwargs, ran(kwargs) + because(kwargs.get("exception")))


@receiver(signals.task_canceled, dispatch_uid="django_taskstore.logs.canceled")
def canceled(**kwargs: Any) -> None:
    """Log a cancel."""
    say(logging.WARNING, "canceled", kwargs)


@receiver(signals.task_released, dispatch_uid="django_taskstore.logs.released")
def released(**kwargs: Any) -> None:
    """Log a task given back."""
    say(logging.INFO, "released", kwargs)


@receiver(signals.task_rescued, dispatch_uid="django_taskstore.logs.rescued")
def rescued(**kwargs: Any) -> None:
    """Log a task taken back from a dead worker."""
    say(logging.WARNING, "rescued", kwargs, because(kwargs.get("exception")))


@receiver(signals.schedule_failed, dispatch_uid="django_taskstore.logs.schedule_failed")
def schedule_failed(**kwargs: Any) -> None:
    """Log a schedule that could not do what was due."""
    schedule_id, name = kwargs["schedule_id"], printable(kwargs["name"])
    facts = {"event": "schedule_failed", "schedule_id": schedule_id, "schedule": name}
    why = because(kwargs["exception"])
    logger.error("schedule_failed %s id=%s%s", name, schedule_id, why, extra=facts)


@receiver(signals.export_started, dispatch_uid="django_taskstore.logs.export_started")
def export_started(**kwargs: Any) -> None:
    """Log who takes which tasks along as a file."""
    user, form, filters = kwargs["user"], kwargs["form"], without_search(kwargs["query"])
    name = printable(user.get_username())
    facts = {
        "event": "export_started",
        "user": name,
        "user_id": str(user.pk),
        "form": form,
        "filters": filters,
    }
    words = (form, name, user.pk, filters or "none")
    admin_logger.info("export_started %s user=%s id=%s filters=%s", *words, extra=facts)


def without_search(query: str) -> str:
    """Return a list's address without what was searched for, which may be a person's name."""
    filters = QueryDict(query, mutable=True)
    if "q" in filters:
        filters["q"] = "***"
    return filters.urlencode(safe="*")


@receiver(
    [signals.task_retried, signals.task_failed, signals.task_rescued],
    dispatch_uid="django_taskstore.logs.error_handler",
)
def call_error_handler(*, signal: Any, **kwargs: Any) -> None:
    """Call the project's ERROR_HANDLER for each attempt that failed or lost its worker.

    A rescue that ends a task sends `task_failed` too; the hook hears of it once.
    """
    exception, outcome = kwargs.get("exception"), kwargs.get("outcome")
    if settings.ERROR_HANDLER is None or exception is None:
        return
    if signal is not signals.task_rescued and not (outcome and outcome.is_error):
        return
    import_string(settings.ERROR_HANDLER)(kwargs["queue_name"], kwargs["task_id"], exception)
