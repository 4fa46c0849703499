"""The tasks API that is installed: Django's since 6.0, else the backport ``django-tasks``.

Owns the choice, so that no other module has to know there are two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_taskstore.conf import tasks_api

if TYPE_CHECKING or tasks_api() == "django.tasks":
    from django.tasks import signals, task_backends
    from django.tasks.backends import dummy, immediate
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task, TaskContext, TaskError, TaskResult, TaskResultStatus
    from django.tasks.exceptions import (
        InvalidTask,
        InvalidTaskBackend,
        TaskResultDoesNotExist,
        TaskResultMismatch,
    )
    from django.utils.json import normalize_json
else:
    from django_tasks import signals, task_backends
    from django_tasks.backends import dummy, immediate
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task, TaskContext, TaskError, TaskResult, TaskResultStatus
    from django_tasks.exceptions import InvalidTaskBackendError as InvalidTaskBackend
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
    from django_tasks.utils import normalize_json

__all__ = [
    "BaseTaskBackend",
    "InvalidTask",
    "InvalidTaskBackend",
    "Task",
    "TaskContext",
    "TaskError",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultMismatch",
    "TaskResultStatus",
    "dummy",
    "immediate",
    "normalize_json",
    "signals",
    "task_backends",
]
