"""The Django admin of the task store: look at everything, repair what is allowed.

Owns pages only. It decides nothing about statuses: every change is a verb of a model, whose
UPDATE carries its own guard, so a stale page cannot move a task that has gone on.
"""

from __future__ import annotations

from django_taskstore.admin.bulk_operations import BulkOperationAdmin
from django_taskstore.admin.dashboard.page import DashboardAdmin
from django_taskstore.admin.definitions import TaskDefinitionAdmin
from django_taskstore.admin.queued_tasks import QueuedTaskAdmin
from django_taskstore.admin.queues import QueueAdmin
from django_taskstore.admin.schedules import ScheduleAdmin
from django_taskstore.admin.workers import WorkerAdmin

__all__ = [
    "BulkOperationAdmin",
    "DashboardAdmin",
    "QueueAdmin",
    "QueuedTaskAdmin",
    "ScheduleAdmin",
    "TaskDefinitionAdmin",
    "WorkerAdmin",
]
