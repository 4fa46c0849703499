"""Doing a bulk operation where no worker serves its queue: a part of it in each request.

Owns `HerePage`. A part is chunks of `bulk`, which moves tasks and cursor in one transaction
under the operation's lock: a worker that comes meanwhile goes on behind what was done here.
"""

from __future__ import annotations

import time
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from django_taskstore import bulk
from django_taskstore.admin.live import LiveAdmin
from django_taskstore.admin.task_verbs import TASK_VERBS
from django_taskstore.models import BulkOperation, QueuedTask
from django_taskstore.statistics import live_workers_of
from django_taskstore.statuses import FINAL, WAITING

#: After this long a request begins no other chunk, and comes back.
HERE_SECONDS = 5.0
PERMISSIONS = {verb.name: verb.permission for verb in TASK_VERBS}
#: Verbs whose permission is Django's own for changing a row.
PERMISSIONS["move"] = "change"


class HerePage(LiveAdmin):
    """An admin of bulk operations that a request can do a part of."""

    def get_urls(self) -> list[Any]:
        """Add the address that does a part."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_here"
        view = self.admin_site.admin_view(require_POST(self.here_view))
        return [path("<int:key>/here/", view, name=name), *super().get_urls()]

    def has_here_permission(self, request: HttpRequest, obj: BulkOperation | None = None) -> bool:
        """Ask for what beginning the operation asks for: the verb's permission, and for many."""
        permission = None if obj is None else PERMISSIONS.get(obj.verb)
        may_use = obj is None or self.may(request, f"{permission}_queuedtask")
        return may_use and self.may(request, "add_bulkoperation")

    def here_context(self, request: HttpRequest, operation: BulkOperation) -> dict[str, Any]:
        """Return where the operation's page leads when nobody else does the work."""
        is_allowed = self.has_here_permission(request, operation)
        if not (is_allowed and is_left(operation, self.queue_database)):
            return {}
        return {"here_url": self.url("here", operation.pk), "here_operation": operation}

    def here_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Do a part of an operation and come back to its page.

        Raises:
            PermissionDenied: the user may not see it, or could not have begun it.
        """
        operation = self.visible(request, key)
        if not self.has_here_permission(request, operation):
            raise PermissionDenied
        if is_left(operation, self.queue_database):
            self.do_a_part(request, operation)
        else:
            text = _("Nothing was done here: it is over, or a worker does it.")
            self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.url("change", operation.pk))

    def do_a_part(self, request: HttpRequest, before: BulkOperation) -> None:
        """Do a part, and say in the history and on the page what came of it."""
        after = advance_for(before.pk, self.queue_database, seconds=HERE_SECONDS)
        text = _("Done here: %(changed)s changed, %(skipped)s skipped, %(refused)s refused.") % {
            name: f"{getattr(after, name) - getattr(before, name):,}"
            for name in ("changed", "skipped", "refused")
        }
        self.log_change(request, after, text)
        self.message_user(request, text, messages.SUCCESS)


def advance_for(key: int, using: str, *, seconds: float) -> BulkOperation:
    """Do chunks of an operation until it is over or the time is up; return how it stands.

    Args:
        key: the operation's primary key.
        using: the database's alias.
        seconds: when no other chunk is begun; one is done in any case.
    """
    until = time.monotonic() + seconds
    operation = bulk.advance(key, using)
    while not operation.is_over and time.monotonic() < until:
        operation = bulk.advance(key, using)
    if operation.is_over:
        # A worker that comes later would find nothing to do, and a backlog be warned of till then.
        task = QueuedTask.all_objects.using(using).filter(pk=operation.queued_task_id)
        task.filter(status__in=WAITING).cancel()
    return operation


def is_left(operation: BulkOperation, using: str) -> bool:
    """Tell whether an operation is not over and no worker is there to do it."""
    if operation.is_over:
        return False
    task = operation.task
    if task is None or task.status in FINAL:
        return True
    served = {name for worker in live_workers_of(using) for name in worker.queues}
    return not served & {task.queue_name, "*"}
