"""A durable task queue in the database a Django project already has.

The public names are handed out lazily: importing the package touches no model, so it may
stand in INSTALLED_APPS and in any app's ``tasks.py``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_taskstore.exceptions import Cancel as Cancel
    from django_taskstore.exceptions import Retry as Retry
    from django_taskstore.exceptions import Snooze as Snooze
    from django_taskstore.handlers import TaskHandler as TaskHandler
    from django_taskstore.queue import aenqueue as aenqueue
    from django_taskstore.queue import enqueue as enqueue
    from django_taskstore.queue import enqueue_many as enqueue_many
    from django_taskstore.recurrence import RecurrenceRule as RecurrenceRule
    from django_taskstore.registry import register as register
    from django_taskstore.runner import TaskQueueRunner as TaskQueueRunner
    from django_taskstore.scheduler import ScheduleRunner as ScheduleRunner

__version__ = "0.1.0"

HOMES = {
    "Cancel": "exceptions",
    "RecurrenceRule": "recurrence",
    "Retry": "exceptions",
    "ScheduleRunner": "scheduler",
    "Snooze": "exceptions",
    "TaskHandler": "handlers",
    "TaskQueueRunner": "runner",
    "aenqueue": "queue",
    "claim_next": "claims",
    "enqueue": "queue",
    "enqueue_many": "queue",
    "fail": "outcomes",
    "register": "registry",
    "release": "outcomes",
    "requeue": "queue",
    "succeed": "outcomes",
}

__all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
