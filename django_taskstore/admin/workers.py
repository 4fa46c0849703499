"""The pages of workers, for reading.

Owns `WorkerAdmin`. A worker's row is what it last said of itself; nothing here judges
whether it lives.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_taskstore.admin.base import StoreAdmin
from django_taskstore.admin.rendering import NOTHING
from django_taskstore.models import Worker

FIELDS = (
    "id",
    "host",
    "pid",
    "queue_names",
    "concurrency",
    "running",
    "started_at",
    "heartbeat_at",
)


@admin.register(Worker)
class WorkerAdmin(StoreAdmin):
    """Workers."""

    list_display = ["name", "queue_names", "running", "concurrency", "started_at", "heartbeat_at"]
    search_fields = ["host"]
    ordering = ["-heartbeat_at"]
    fields = FIELDS
    readonly_fields = FIELDS
    empty_hint = _(
        "No worker is here. Start one with “manage.py taskqueue_run”; it appears with its first "
        "heartbeat."
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: workers write their own rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: workers write their own rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: workers write their own rows."""
        return False

    @admin.display(description=_("worker"), ordering="host")
    def name(self, worker: Worker) -> str:
        """Return host and process."""
        return str(worker)

    @admin.display(description=_("queues"))
    def queue_names(self, worker: Worker) -> str:
        """Return the queues' names."""
        return ", ".join(map(str, worker.queues)) or NOTHING
