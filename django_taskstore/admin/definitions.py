"""The pages of task definitions.

Owns `TaskDefinitionAdmin`. A definition is never deleted for good; what its handler declares
is not edited here, since the next start would write it again.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_taskstore.admin.acting import VerbAdmin
from django_taskstore.admin.base import StoreChangeList
from django_taskstore.admin.dashboard import beside
from django_taskstore.admin.dashboard.chart_context import chart_context, spelled
from django_taskstore.admin.dashboard.overview import day_slots
from django_taskstore.admin.deactivating import Waiting, WaitingForm, move_waiting
from django_taskstore.admin.definition_verbs import DEFINITION_VERBS
from django_taskstore.admin.filters import DeletedFilter
from django_taskstore.admin.handler_facts import HANDLER_FIELDS, HandlerFacts
from django_taskstore.admin.rendering import exact, link, pills
from django_taskstore.admin.strips import recent_runs
from django_taskstore.admin.verbs import Tally, Verb
from django_taskstore.database.transactions import writing
from django_taskstore.models import QueuedTask, TaskDefinition, TaskStat
from django_taskstore.registry import RESERVED_ALIASES, registry
from django_taskstore.rollups import Counts, read, start_of
from django_taskstore.validation import LONGEST_ALIAS, is_name

TIMES = ("created_exact", "updated_exact", "deleted_exact")


class TaskDefinitionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A definition; a new one may precede its handler."""

    def clean_alias(self) -> str:
        """Return the alias, which must be a name that a handler could have."""
        alias: str = self.cleaned_data["alias"]
        if not is_name(alias, LONGEST_ALIAS) or alias in RESERVED_ALIASES:
            raise ValidationError(
                _("Use characters out of A-Z a-z 0-9 _ . : and -, and not the word “list”.")
            )
        return alias


class DefinitionChangeList(StoreChangeList):
    """Definitions that know what became of their tasks."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and the counts of the last 24 hours of all definitions."""
        super().get_results(request)
        day_ago = start_of(TaskStat.Span.HOUR, timezone.now()) - timedelta(hours=23)
        model_admin: Any = self.model_admin
        using = model_admin.queue_database
        counts = read(using, {TaskStat.Span.HOUR: day_ago}, "definition_id")
        for row in self.result_list:
            row.day = counts.get((row.pk,), Counts())


@admin.register(TaskDefinition)
class TaskDefinitionAdmin(HandlerFacts, VerbAdmin):
    """Task definitions."""

    form = TaskDefinitionForm
    verbs = DEFINITION_VERBS
    actions = [verb.as_action() for verb in DEFINITION_VERBS]
    list_display = ["name", "state", "has_handler", "succeeded", "failed", "run_time"]
    list_filter = ["status", DeletedFilter]
    search_fields = ["alias", "title"]
    ordering = ["alias"]
    empty_hint = gettext_lazy(
        "No task definition is here. They are made from the handlers in each app's tasks.py, by "
        "“migrate” or when a worker starts."
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the sections; a new definition has no state yet."""
        fields = ["alias", "title", "description", "memo"]
        if obj is None:
            return [(None, {"fields": fields})]
        note = (
            _("Title and description come from the handler's code.")
            if obj.alias in registry
            else _("No handler is registered under this alias here.")
        )
        declared = [(_("Handler"), {"fields": HANDLER_FIELDS})] if obj.alias in registry else []
        return [
            (None, {"fields": [*fields, "state"], "description": note}),
            *declared,
            (_("Times"), {"fields": list(TIMES)}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Return what may not be edited: of a definition with a handler, all but its memo."""
        fixed = ["state", *TIMES]
        if obj is None:
            return fixed
        from_code = ["title", "description"] if obj.alias in registry else []
        return ["alias", *from_code, *fixed, *HANDLER_FIELDS]

    def beside(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return links to the definition's tasks, and the charts of its day."""
        slots = day_slots(self.queue_database, definition_id=row.pk)
        found = {"links": self.links(request, row), **chart_context(slots, None)}
        user: Any = request.user
        if user.has_perm(f"{self.opts.app_label}.view_queuedtask"):
            address = partial(self.url, "change", model="queuedtask")
            found["strip"] = recent_runs(self.queue_database, address, definition_id=row.pk)
            found |= beside.failures(
                self.queue_database,
                self.address_for(request),
                may_requeue=self.may_requeue_all(request),
                definition_id=row.pk,
            )
        return found

    def form_of(self, request: HttpRequest, verb: Verb, rows: list[Any], data: Any) -> Any:
        """Return the form of a verb's page; of a cancel it offers what the user may do."""
        form = super().form_of(request, verb, rows, data)
        if isinstance(form, WaitingForm):
            form.allow(self.verbs_for_all(request))
        return form

    def verbs_for_all(self, request: HttpRequest) -> set[str]:
        """Return what the user may do with all tasks of a definition that wait."""
        has_pages = self.has_page("queuedtask") and self.has_page("bulkoperation")
        if not (has_pages and self.may(request, "add_bulkoperation")):
            return set()
        return {verb for verb in ("pause", "cancel") if self.may(request, f"{verb}_queuedtask")}

    def move(self, request: HttpRequest, verb: Verb, row: Any, data: dict[str, Any]) -> Any:
        """Use the verb on one row; of a cancel, have the waiting tasks moved as was chosen."""
        chosen = data.get("waiting", Waiting.KEEP)
        with writing(self.queue_database):
            result = super().move(request, verb, row, data)
            if result and chosen != Waiting.KEEP:
                tasks: Any = self.admin_site.get_model_admin(QueuedTask)
                for operation in move_waiting(
                    row,
                    chosen,
                    asked_by=request.user,
                    queue_name=tasks.queue_for_bulk(),
                    using=self.queue_database,
                ):
                    words = _("Asked for: %(verb)s.") % {"verb": operation.get_verb_display()}
                    self.log_addition(request, operation, words)
            return result

    def perform(
        self, request: HttpRequest, verb: Verb, rows: list[Any], data: dict[str, Any]
    ) -> Tally:
        """Use the verb on each row; say where it shows how far the waiting tasks are."""
        tally = super().perform(request, verb, rows, data)
        if tally.changed and data.get("waiting", Waiting.KEEP) != Waiting.KEEP:
            url = self.url("changelist", model="bulkoperation")
            text = _("A worker moves the waiting tasks: see {}.")
            self.message_user(request, format_html(text, link(url, _("bulk operations"))))
        return tally

    def links(self, request: HttpRequest, row: TaskDefinition) -> list[dict[str, Any]]:
        """Return where a definition's page leads, as far as the user may go."""
        user: Any = request.user
        found = []
        if row.takes_work and self.may(request, "enqueue_queuedtask"):
            url = f"{self.url('add', model='queuedtask')}?definition={row.pk}"
            found.append({"label": _("Enqueue"), "url": url})
        if user.has_perm(f"{self.opts.app_label}.view_queuedtask"):
            url = f"{self.url('changelist', model='queuedtask')}?definition={row.pk}"
            found.append({"label": _("Queued tasks"), "url": url})
        return found

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save a new row whole, and of an old one only what the form changed."""
        if not change:
            obj.save(using=self.queue_database)
        elif form.changed_data:
            obj.save(using=self.queue_database, update_fields=[*form.changed_data, "updated_at"])

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """Return the list whose rows know their last day."""
        return DefinitionChangeList

    created_exact = exact("created_at", gettext_lazy("created at"))
    updated_exact = exact("updated_at", gettext_lazy("updated at"))
    deleted_exact = exact("soft_deleted_at", gettext_lazy("deleted at"))

    @admin.display(description=gettext_lazy("definition"), ordering="alias")
    def name(self, row: TaskDefinition) -> SafeString:
        """Return the title, and the alias below where that is another word."""
        if row.title in ("", row.alias):
            return format_html("<code>{}</code>", row.alias)
        return format_html('{}<code class="ts-under">{}</code>', row.title, row.alias)

    @admin.display(description=gettext_lazy("succeeded, 24 h"))
    def succeeded(self, row: Any) -> Any:
        """Return how many of its tasks succeeded in 24 hours, as a link to them."""
        return self.day_link(row, row.day.succeeded, "success")

    @admin.display(description=gettext_lazy("failed, 24 h"))
    def failed(self, row: Any) -> Any:
        """Return how many of its tasks failed in 24 hours, as a link to them."""
        return self.day_link(row, row.day.failed, "failed")

    def day_link(self, row: TaskDefinition, number: int, status: str) -> Any:
        """Return a number as a link to the tasks it counts."""
        query = f"definition={row.pk}&status={status}&created=24h"
        return link(f"{self.url('changelist', model='queuedtask')}?{query}", f"{number:,}")

    @admin.display(description=gettext_lazy("ran, 95 % within"))
    def run_time(self, row: Any) -> str:
        """Return how long nearly all of its tasks ran at most, in 24 hours."""
        return spelled(row.day.run.quantile(0.95))

    @admin.display(description=gettext_lazy("status"))
    def state(self, row: TaskDefinition) -> SafeString:
        """Return the status, and whether the definition is deleted."""
        shown: list[tuple[str, Any]] = [(row.status, row.get_status_display())]
        if row.soft_deleted_at:
            shown.append(("deleted", _("Deleted")))
        return pills(shown)

    @admin.display(description=gettext_lazy("handler"))
    def has_handler(self, row: TaskDefinition) -> Any:
        """Return whether a handler is registered here."""
        if row.alias in registry:
            return _("registered")
        return format_html('<span class="ts-quiet">{}</span>', _("not registered here"))

    def described(self, row: Any) -> Any:
        """Return a definition's status."""
        return self.state(row)
