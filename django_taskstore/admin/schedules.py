"""The pages of schedules.

Owns `ScheduleAdmin`: the list with readable rules, the form with its preview, and what came of
the last occurrences. What is defined in code is only looked at, run, paused and skipped.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from django_taskstore.admin.acting import VerbAdmin
from django_taskstore.admin.redaction import redacted, sensitive_names
from django_taskstore.admin.rendering import NOTHING, link, moment, pill, pretty
from django_taskstore.admin.schedule_forms import ScheduleForm
from django_taskstore.admin.schedule_timing import FREQUENCY_FIELDS, TimingForm
from django_taskstore.admin.schedule_verbs import DELETE, SCHEDULE_VERBS
from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.models import QueuedTask, Schedule, ScheduleRun
from django_taskstore.statuses import RunResult, ScheduleStatus, Status

LAST_RUNS = 20
ABOUT = ("name", "description", "definition", "queue_name", "parameters")
WINDOW = ("time_zone", "start_at", "end_at", "max_execution_count")
POLICIES = ("misfire_policy", "overlap_policy")
STATE = ("state", "error", "runs", "next_run", "last_runs")
PREVIEW = "admin/django_taskstore/schedule/preview.html"


@admin.register(Schedule)
class ScheduleAdmin(VerbAdmin):
    """Schedules."""

    form = ScheduleForm
    verbs = SCHEDULE_VERBS
    actions = [verb.as_action() for verb in SCHEDULE_VERBS]
    list_display = ["name", "task", "when", "state", "next_run", "last_run", "runs", "queue_name"]
    list_filter = ["status"]
    search_fields = ["name", "definition__alias"]
    ordering = ["name"]
    list_select_related = ["definition"]
    acting_related = ("definition",)
    empty_hint = gettext_lazy(
        'No schedule is here. Add one, or declare it in code: @register(schedule="0 9 * * 1-5").'
    )

    class Media:
        js = ["django_taskstore/schedule_preview.js"]

    def get_urls(self) -> list[Any]:
        """Add the preview of a form that is not saved."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_preview"
        view = self.admin_site.admin_view(require_POST(self.preview_view))
        return [path("preview/", view, name=name), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the schedules with the last task of each and its status."""
        runs = ScheduleRun.objects.filter(schedule=OuterRef("pk"), queued_task__isnull=False)
        last_task = Subquery(runs.order_by("-occurrence_at").values("queued_task")[:1])
        tasks = QueuedTask.all_objects.filter(pk=OuterRef("last_task_id"))
        rows: Any = super().get_queryset(request).annotate(last_task_id=last_task)
        found: QuerySet[Any] = rows.annotate(last_status=Subquery(tasks.values("status")[:1]))
        return found

    # Who may do what.

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the user's permission; what code says is changed in code."""
        return super().has_change_permission(request, obj) and not (obj and obj.declared_by)

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission to run schedules."""
        return self.may(request, "run_schedule")

    def has_pause_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Follow the permission to pause schedules."""
        return self.may(request, "pause_schedule")

    # The form.

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the sections: the form, or for those who only look what it came to."""
        if obj is not None and not self.has_change_permission(request, obj):
            note = _("Defined in code by %(alias)s: a change here would be overwritten.")
            return [
                (
                    None,
                    {
                        "fields": [
                            "name",
                            "description",
                            "task",
                            "queue_name",
                            "hidden_parameters",
                        ],
                        "description": note % {"alias": obj.declared_by} if obj.declared_by else "",
                    },
                ),
                (_("When"), {"fields": ["when", "recurrence_rule", *WINDOW, *POLICIES]}),
                (_("State"), {"fields": STATE}),
            ]
        return [
            (None, {"fields": [*ABOUT, *(["starts_now"] if obj is None else [])]}),
            (_("When"), {"fields": [*FREQUENCY_FIELDS, "recurrence_rule", *WINDOW]}),
            (_("When something is in the way"), {"fields": POLICIES}),
            *([] if obj is None else [(_("State"), {"fields": STATE})]),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what no form changes."""
        return [*STATE, "task", "when", "hidden_parameters"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save a new schedule whole, and of an old one only what the form changed."""
        if not change:
            starts = form.cleaned_data.get("starts_now")
            obj.status = ScheduleStatus.ACTIVE if starts else ScheduleStatus.DRAFT
            obj.save(using=self.queue_database)
            return
        changed = {name for name in form.changed_data if name in ScheduleForm.Meta.fields}
        obj.save(using=self.queue_database, update_fields={*changed, "recurrence_rule"})

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Return what an unsaved form would come to, as a part of its page."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        return render(request, PREVIEW, {"preview": TimingForm(request.POST).preview})

    def page_after(self, request: HttpRequest, row: Any, tally: Any) -> str:
        """Return where to go after a verb: a deleted schedule has no page."""
        if tally.verb is DELETE and tally.changed:
            return self.url("changelist")
        return super().page_after(request, row, tally)

    # What the pages show.

    @admin.display(description=gettext_lazy("task"), ordering="definition__alias")
    def task(self, schedule: Schedule) -> SafeString:
        """Return a link to the definition."""
        url = self.url("change", schedule.definition_id, model="taskdefinition")
        return link(url, schedule.definition)

    @admin.display(description=gettext_lazy("when"))
    def when(self, schedule: Schedule) -> SafeString:
        """Return the rule in words, the rule itself in the title."""
        try:
            words = schedule.sentence
        except InvalidRecurrence as error:
            words = str(error)
        return format_html('<span title="{}">{}</span>', schedule.recurrence_rule, words)

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def state(self, schedule: Schedule) -> SafeString:
        """Return the status, whether it cannot run, and whether code defines it."""
        shown = [pill(schedule.status, schedule.get_status_display())]
        if schedule.error:
            shown.append(pill(Status.FAILED, _("Cannot run")))
        if schedule.declared_by:
            shown.append(pill("declared", _("In code")))
        return format_html_join(" ", "{}", ((one,) for one in shown))

    @admin.display(description=gettext_lazy("next run"), ordering="next_run_at")
    def next_run(self, schedule: Schedule) -> Any:
        """Return when it runs next, and whether that is overdue."""
        at = schedule.next_run_at
        if at is None or schedule.status != ScheduleStatus.ACTIVE:
            return NOTHING
        late = timezone.now() - at
        if late.total_seconds() < 60:
            return moment(at)
        return format_html('<span class="ts-late">{} {}</span>', moment(at), _("late"))

    @admin.display(description=gettext_lazy("last run"), ordering="last_run_at")
    def last_run(self, schedule: Any) -> Any:
        """Return when it ran last, with what came of the task."""
        if schedule.last_run_at is None:
            return NOTHING
        at = moment(schedule.last_run_at)
        if schedule.last_status is None:
            return format_html("{} {}", at, _("task purged") if schedule.last_task_id else "")
        url = self.url("change", schedule.last_task_id, model="queuedtask")
        status = Status(schedule.last_status)
        return format_html("{} {}", at, link(url, pill(status, status.label)))

    @admin.display(description=gettext_lazy("runs"), ordering="execution_count")
    def runs(self, schedule: Schedule) -> str:
        """Return how often it ran, out of how often it may."""
        if not schedule.max_execution_count:
            return f"{schedule.execution_count:,}"
        return f"{schedule.execution_count:,}/{schedule.max_execution_count:,}"

    @admin.display(description=gettext_lazy("parameters"))
    def hidden_parameters(self, schedule: Schedule) -> Any:
        """Return the parameters without what is hidden."""
        names = sensitive_names(schedule.definition.alias)
        return pretty(redacted(schedule.parameters, names))

    @admin.display(description=gettext_lazy("last occurrences"))
    def last_runs(self, schedule: Schedule) -> Any:
        """Return what came of the last occurrences."""
        runs = list(schedule.runs.order_by("-occurrence_at")[:LAST_RUNS])
        if not runs:
            return NOTHING
        return format_html(
            '<ul class="ts-runs">{}</ul>',
            format_html_join("", "<li>{} {} {}</li>", map(self.run, runs)),
        )

    def run(self, run: ScheduleRun) -> tuple[Any, Any, Any]:
        """Return one occurrence: when, what came of it, and its task or why there is none."""
        kind = {RunResult.ENQUEUED: Status.SUCCESS, RunResult.FAILED: Status.FAILED}
        result = pill(kind.get(RunResult(run.result), Status.CANCELED), run.get_result_display())
        more: Any = run.note
        if run.queued_task_id is not None:
            url = self.url("change", run.queued_task_id, model="queuedtask")
            more = format_html("{} {}", link(url, f"#{run.queued_task_id}"), run.note)
        return moment(run.occurrence_at), result, more

    def described(self, row: Any) -> Any:
        """Return a schedule's status and rule."""
        return format_html("{} {}", self.state(row), self.when(row))
