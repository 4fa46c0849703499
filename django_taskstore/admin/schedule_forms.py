"""The form of a schedule: what it enqueues, beside when.

Owns the fields of the row and its parameters. When it runs is `schedule_timing`'s.
"""

from __future__ import annotations

import contextlib
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_taskstore.admin.forms import ObjectField, ParametersEdit, QueueNameField
from django_taskstore.admin.schedule_timing import TimingForm, fields_of
from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.models import Schedule, TaskDefinition
from django_taskstore.recurrence import parse


class ScheduleForm(TimingForm, forms.ModelForm):  # type: ignore[type-arg]
    """A schedule."""

    queue_name = QueueNameField(
        required=False, help_text=gettext_lazy("Leave it empty for the handler's queue.")
    )
    parameters = ObjectField(
        label=gettext_lazy("Parameters"),
        help_text=gettext_lazy("A JSON object. Hidden values are kept where you leave them."),
        rows=5,
    )
    starts_now = forms.BooleanField(
        label=gettext_lazy("Active"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Otherwise it is a draft, to be activated later."),
    )

    class Meta:
        model = Schedule
        fields = (
            "name",
            "description",
            "definition",
            "queue_name",
            "parameters",
            "recurrence_rule",
            "time_zone",
            "start_at",
            "end_at",
            "max_execution_count",
            "misfire_policy",
            "overlap_policy",
        )
        widgets = {"description": AdminTextareaWidget({"rows": 2})}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        schedule = self.instance
        definitions: Any = self.fields.get("definition")
        if definitions is not None:
            known = TaskDefinition.all_objects
            definitions.queryset = known.active() | known.filter(pk=schedule.definition_id)
        if schedule.pk is None:
            return
        self.fields.pop("starts_now", None)
        edit = ParametersEdit(schedule.definition.alias, schedule.parameters)
        self.initial["parameters"] = edit.shown
        with contextlib.suppress(InvalidRecurrence):
            self.initial.update(fields_of(schedule.recurrence_rule, schedule.time_zone))

    def is_valid(self) -> bool:
        """Tell whether to save: a preview only looks."""
        return super().is_valid() and "_preview" not in self.data

    def clean(self) -> dict[str, Any]:
        """Check the parameters as enqueue would, and keep a rule's text that says the same."""
        cleaned = super().clean()
        schedule, definition = self.instance, cleaned.get("definition")
        if definition is not None and "parameters" in cleaned:
            edit = ParametersEdit(definition.alias, schedule.parameters)
            try:
                cleaned["parameters"] = edit.clean(cleaned["parameters"])
            except ValidationError as error:
                self.add_error("parameters", error)
        if self.timetable is None:
            return cleaned
        if schedule.pk is not None:
            cleaned["recurrence_rule"] = same_text(schedule, cleaned)
        elif cleaned.get("starts_now") and self.timetable.next(timezone.now()) is None:
            self.add_error("starts_now", _("All occurrences of this schedule are over."))
        return cleaned


def same_text(schedule: Schedule, cleaned: dict[str, Any]) -> str:
    """Return the stored text of a rule where it means what was entered, else that."""
    entered, zone = cleaned["recurrence_rule"], cleaned["time_zone"]
    with contextlib.suppress(InvalidRecurrence):
        if parse(schedule.recurrence_rule, zone) == parse(entered, zone):
            return str(schedule.recurrence_rule)
    return str(entered)
