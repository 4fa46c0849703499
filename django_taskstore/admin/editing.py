"""Changing a task that still waits.

Owns the forms that edit a queued task or move it to another queue, and how their columns
reach a row that a worker might claim at the same moment.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_taskstore import switchboard
from django_taskstore.admin.forms import ObjectField, ParametersEdit, PriorityField, QueueNameField
from django_taskstore.database.transactions import writing
from django_taskstore.models import QueuedTask
from django_taskstore.statuses import WAITING, Status

EDITABLE = ("queue_name", "priority", "run_after", "parameters")


class TaskMovedError(Exception):
    """The task no longer waits, so nothing was changed."""


def is_editable(task: QueuedTask) -> bool:
    """Tell whether the task still waits."""
    return task.status in WAITING and task.soft_deleted_at is None


class QueuedTaskForm(forms.ModelForm):  # type: ignore[type-arg]
    """A waiting task's queue, priority, time and parameters."""

    queue_name = QueueNameField()
    priority = PriorityField()
    parameters = ObjectField(
        label=_("Parameters"),
        help_text=_("A JSON object. Hidden values are kept where you leave them."),
    )

    class Meta:
        model = QueuedTask
        fields = EDITABLE

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        task = self.instance
        if task.pk is not None:
            self.edit = ParametersEdit(task.definition.alias, task.parameters)
            self.initial["parameters"] = self.edit.shown

    def clean_parameters(self) -> dict[str, Any]:
        """Return the parameters with their hidden values, as enqueue would store them."""
        return self.edit.clean(self.cleaned_data["parameters"])


class MoveForm(forms.Form):
    """Another queue, another priority, or both."""

    queue_name = QueueNameField(
        required=False, help_text=_("Leave it empty to keep each task's own queue.")
    )
    priority = PriorityField(
        required=False,
        help_text=_("From -100 to 100; the higher runs first. Empty: each task's own."),
    )

    def __init__(self, tasks: list[Any], data: Any = None) -> None:
        super().__init__(data)
        if len(tasks) == 1:
            self.initial = {"queue_name": tasks[0].queue_name, "priority": tasks[0].priority}

    def clean(self) -> dict[str, Any]:
        """Return both, one of which says something."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and not given["queue_name"] and given["priority"] is None:
            raise ValidationError(gettext("Give a queue, a priority, or both."))
        return given


def save_waiting(task: QueuedTask, columns: dict[str, Any], using: str) -> None:
    """Write new columns into a waiting task.

    The task is paused meanwhile, all in one transaction: no worker can claim it between the
    look and the write, and resuming it decides by the database's clock whether it is queued
    or, with a later ``run_after``, scheduled.

    Args:
        task: the row to change.
        columns: their new values.
        using: the database's alias.

    Raises:
        TaskMovedError: a worker was faster, or somebody ended the task.
    """
    row = QueuedTask.all_objects.using(using).filter(pk=task.pk)
    with writing(using):
        was_pausable = row.pause()
        if not row.filter(status=Status.PAUSED, soft_deleted_at=None).update(**columns):
            raise TaskMovedError
        if "queue_name" in columns:
            switchboard.ensure(columns["queue_name"], using)
        if was_pausable:
            row.resume()
