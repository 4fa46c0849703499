"""Changing a task that still waits.

Owns the edit form of a queued task and how its columns reach a row that a worker might
claim at the same moment.
"""

from __future__ import annotations

from typing import Any

from django import forms
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
