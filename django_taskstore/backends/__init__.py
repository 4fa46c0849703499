"""The backend for Django's own tasks, and for their backport on Django 5.2.

Owns everything between a function decorated with ``@task`` and the queue: `TaskStoreBackend`
enqueues it, a generated handler runs it, results are read from its row, and Django's
signals are sent. It is a client of the queue and may be left out without trace. Tasks are
declared before apps are ready, so nothing here imports a model at the top.
"""

from __future__ import annotations

from django_taskstore.backends import announcing as announcing
from django_taskstore.backends.backend import TaskStoreBackend
from django_taskstore.backends.substitutes import DummyBackend, ImmediateBackend
from django_taskstore.backends.tasks import TaskStoreTask, task

__all__ = ["DummyBackend", "ImmediateBackend", "TaskStoreBackend", "TaskStoreTask", "task"]
