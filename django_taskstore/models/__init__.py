"""The tables: definitions, queued tasks, attempts, schedules, queues, workers and counts.

Owns columns, indexes and the verbs of rows, which call `transitions`. No module here knows
a handler, a setting or a clock of its own.
"""

from __future__ import annotations

from django_taskstore.models.bulk_operations import BulkOperation
from django_taskstore.models.definitions import TaskDefinition
from django_taskstore.models.queued_tasks import QueuedTask, TaskAttempt
from django_taskstore.models.queues import Queue, Worker
from django_taskstore.models.schedules import Schedule, ScheduleRun
from django_taskstore.models.stats import Dashboard, TaskStat

__all__ = [
    "BulkOperation",
    "Dashboard",
    "Queue",
    "QueuedTask",
    "Schedule",
    "ScheduleRun",
    "TaskAttempt",
    "TaskDefinition",
    "TaskStat",
    "Worker",
]
