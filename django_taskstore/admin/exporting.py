"""Taking the tasks of a list along as a file.

Owns `Export`, which reads page after page by the key, and the address that streams it. What
the pages hide is hidden here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_taskstore.admin.acting_on_all import BulkVerbAdmin, Meant
from django_taskstore.admin.export_formats import FORMATS, Format, Record
from django_taskstore.admin.filters import is_key
from django_taskstore.admin.reach import REACH, look, reach_of
from django_taskstore.admin.redaction import redacted, sensitive_names
from django_taskstore.admin.task_search import AMONG
from django_taskstore.claims import rows
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.signals import export_started

#: Tasks of one file.
MOST_EXPORTED = 10_000
#: Tasks of one statement.
PAGE = 500
#: Ids that are looked through for them, newest first.
MOST_LOOKED = 20 * REACH
COLUMNS = (
    "id", "task", "queue", "status", "priority", "attempts", "max_attempts", "created_at",
    "run_after", "started_at", "completed_at", "deleted_at", "worker", "schedule",
    "requeued_from", "error", "parameters", "output",
)  # fmt: skip
#: What a row may hold much of, and no file has.
HEAVY = ("details", "progress", "metadata", "definition__description", "definition__memo")


@dataclass(frozen=True, slots=True)
class Export:
    """The newest tasks of a selection.

    Attributes:
        meant: all rows that match.
        ids: these only, newest first, or None for any.
        top: the highest id that is looked at.
        bottom: no id at or below it is looked at.
        is_whole: whether nothing is at or below the bottom.
        searched_all: whether the search that found the ids looked at the whole list.
    """

    meant: Any
    ids: tuple[int, ...] | None
    top: int
    bottom: int
    is_whole: bool
    searched_all: bool = True

    def pages(self) -> Iterator[list[QueuedTask]]:
        """Yield the tasks by falling ids, at most `MOST_EXPORTED`, one statement a page."""
        ids, top, left = self.ids, self.top, MOST_EXPORTED
        while left > 0 and (ids if ids is not None else top > self.bottom):
            floor = max(self.bottom, top - REACH)
            near = self.meant.filter(
                **{"pk__gt": floor, "pk__lte": top} if ids is None else {"pk__in": ids[:PAGE]}
            )
            page = list(near.order_by("-pk")[: min(PAGE, left)])
            left -= len(page)
            top = page[-1].pk - 1 if len(page) == PAGE else floor
            ids = None if ids is None else ids[PAGE:]
            if page:
                yield page

    def note(self, count: int) -> str:
        """Return what a person should know about a file of so many tasks, or ""."""
        if not self.searched_all:
            return _("The search looked at the newest 10,000 tasks of this list.")
        if count >= MOST_EXPORTED:
            return _("These are the newest 10,000 tasks that match. Older ones are left out.")
        if not self.is_whole:
            return _("Only tasks after #%(id)s were looked at.") % {"id": self.bottom}
        return ""

    def name(self, form: Format) -> str:
        """Return the name of a file that is made now."""
        searched = "" if self.searched_all else f"newest-{AMONG}-"
        return f"tasks-{searched}{timezone.localtime():%Y%m%d-%H%M%S}.{form.suffix}"

    def file(self, form: Format) -> Iterator[bytes]:
        """Yield the file, a page at a time."""
        count = 0
        yield encoded(form.head(COLUMNS))
        for page in self.pages():
            count += len(page)
            yield encoded(form.body(records(page)))
        if note := self.note(count):
            yield encoded(form.note(note))


def export_of(meant: Meant, before: int | None, using: str) -> Export:
    """Return the newest tasks that are meant.

    Args:
        meant: which tasks.
        before: look at ids below this one only, as a page that leads on to older tasks does.
        using: the database's alias.
    """
    landscape, selection = look(using), meant.selection
    reach = reach_of(landscape, selection, before, using)
    ids = selection.ids if selection.ids is not None or not reach.is_whole else reach.ids
    bottom = max(landscape.eldest - 1, reach.top - MOST_LOOKED)
    if ids is not None:
        ids = tuple(sorted((one for one in ids if one <= reach.top), reverse=True))
    everything = rows(using).select_related("definition").defer(*HEAVY)
    return Export(
        selection.narrow(everything),
        ids,
        reach.top,
        bottom,
        is_whole=ids is not None or bottom < landscape.eldest,
        searched_all=meant.searched_all,
    )


def records(page: list[QueuedTask]) -> list[Record]:
    """Return tasks as the columns of a file."""
    last = TaskAttempt.objects.using(page[0]._state.db).filter(
        queued_task__in=[task.pk for task in page], claim_seq=F("queued_task__claim_seq")
    )
    errors = {
        key: f"{error}: {message}".strip(": ")
        for key, error, message in last.values_list("queued_task", "exception_class", "message")
    }
    return [record(task, errors.get(task.pk, "")) for task in page]


def record(task: QueuedTask, error: str) -> Record:
    """Return one task as the columns of a file, without what is hidden."""
    alias = task.definition.alias
    hidden = sensitive_names(alias)
    values = (
        task.pk, alias, task.queue_name, task.status, task.priority, task.attempts,
        task.max_attempts, task.created_at, task.run_after, task.started_at, task.completed_at,
        task.soft_deleted_at, task.claimed_by, task.schedule_id, task.requeued_from_id, error,
        redacted(task.parameters, hidden), redacted(task.output, hidden),
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def encoded(text: str) -> bytes:
    """Return UTF-8; half of a surrogate pair, which JSON may hold, as JSON spells it."""
    return text.encode(errors="backslashreplace")


class ExportPage(BulkVerbAdmin):
    """An admin whose list can be taken along."""

    def get_urls(self) -> list[Any]:
        """Add the address of the files."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        view = self.admin_site.admin_view(never_cache(require_safe(self.export_view)))
        return [path("export/<slug:form>/", view, name=name), *super().get_urls()]

    def has_export_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission of the same name, which changes nothing."""
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.export_queuedtask"))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list with the ways to take it along."""
        context = {"exports": self.exports(request), **(extra_context or {})}
        return super().changelist_view(request, context)

    def exports(self, request: HttpRequest) -> list[dict[str, Any]]:
        """Return the links to the files with what the list shows, for who may have them."""
        if not self.has_export_permission(request):
            return []
        query = request.GET.copy()
        for name in ("p", "o", "all", "e"):
            query.pop(name, None)
        labels = {"csv": gettext_lazy("Export as CSV"), "json": gettext_lazy("Export as JSON")}
        end = f"?{query.urlencode()}" if query else ""
        return [{"url": self.url("export", one) + end, "label": labels[one]} for one in FORMATS]

    def export_view(self, request: HttpRequest, form: str) -> StreamingHttpResponse:
        """Stream the tasks that the list's address means.

        Raises:
            PermissionDenied: the user may not see tasks or not export them.
        """
        if not (self.has_view_permission(request) and self.has_export_permission(request)):
            raise PermissionDenied
        if form not in FORMATS:
            raise Http404
        given = request.GET.get("before", "")
        before = int(given) if is_key(given) else None
        meant = self.meant(request.GET.urlencode(), before)
        export, chosen = export_of(meant, before, self.queue_database), FORMATS[form]
        export_started.send_robust(
            QueuedTask, user=request.user, form=form, query=request.GET.urlencode()
        )
        return StreamingHttpResponse(
            export.file(chosen),
            content_type=chosen.content_type,
            headers={"Content-Disposition": f'attachment; filename="{export.name(chosen)}"'},
        )
