"""Django's backends for tests and development, which take the extra options as well.

Owns the two of Django's that projects swap in, so that ``@task(max_attempts=5)`` keeps its
meaning there: the options are known and, since nothing is queued, have no effect.
"""

from __future__ import annotations

from django_taskstore.backends.api import dummy, immediate
from django_taskstore.backends.tasks import TaskStoreTask


class ImmediateBackend(immediate.ImmediateBackend):
    """Runs each task at once, in the caller's thread."""

    task_class = TaskStoreTask


class DummyBackend(dummy.DummyBackend):
    """Keeps results and runs nothing."""

    task_class = TaskStoreTask
