"""The forms of the admin: JSON that says where it is wrong, queues, priorities, times.

Owns fields and forms. What may be stored is decided by `validation` and by the handler's own
form; here their messages are put beside the right field.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.admin import helpers
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_taskstore.admin.redaction import redacted, restored, sensitive_names
from django_taskstore.conf import settings
from django_taskstore.exceptions import TaskStoreError
from django_taskstore.registry import registry
from django_taskstore.validation import (
    LONGEST_QUEUE_NAME,
    validate_parameters,
    validate_priority,
    validate_queue_name,
)


def fieldset_of(model_admin: Any, form: Any) -> Any:
    """Return the fields of a form in the admin's own layout, or None without a form."""
    if form is None:
        return None
    fieldsets = [(None, {"fields": list(form.fields)})]
    return helpers.AdminForm(form, fieldsets, {}, (), model_admin=model_admin)


class ObjectField(forms.CharField):
    """A JSON object as text; an error names its line and column.

    Args:
        rows: how many lines the input shows.
        **options: as for any field.
    """

    def __init__(self, *, rows: int = 12, **options: Any) -> None:
        attributes = {"class": "vLargeTextField ts-json", "rows": rows, "spellcheck": "false"}
        super().__init__(
            **{"strip": False, "widget": forms.Textarea(attributes), "required": False, **options}
        )

    def prepare_value(self, value: Any) -> Any:
        """Show a stored object indented, and what a person typed as it was typed."""
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        """Return the object; an empty text is an empty object."""
        text = value or ""
        return parse(text) if text.strip() else {}

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare objects, not spaces."""
        try:
            return bool((initial or {}) != self.to_python(data))
        except ValidationError:
            return True


def parse(text: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValidationError: it is none; the message says where the text is wrong.
    """
    try:
        value = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno, "problem": error.msg}
        raise ValidationError(
            _("Line %(line)d, column %(column)d: %(problem)s.") % place
        ) from error
    except (ValueError, RecursionError) as error:
        raise ValidationError(_("This is no JSON: %(problem)s.") % {"problem": error}) from error
    if not isinstance(value, dict):
        raise ValidationError(_('Expected a JSON object, such as {"name": "Tom"}.'))
    return value


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python reads and JSON does not know."""
    raise ValueError(_("%(name)s is not a JSON value") % {"name": name})


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says the same thing twice, since one of them would vanish."""
    found: dict[str, Any] = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _value in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(_("the key “%(key)s” appears twice") % {"key": twice})
    return found


def checked(check: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a check of the package and turn what it raises into a form's error."""
    try:
        return check(*args, **options)
    except TaskStoreError as error:
        raise ValidationError(str(error)) from error


def checked_parameters(alias: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as enqueue would store them.

    Raises:
        ValidationError: they cannot be stored, or the handler's form refuses them.
    """
    checked(validate_parameters, parameters, limit_bytes=settings.MAX_PARAMETERS_BYTES)
    if alias in registry:
        parameters = checked(registry.get(alias).clean_parameters, parameters)
    return parameters


class QueueNameField(forms.CharField):
    """The name of a queue, new or known."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{
                "label": gettext_lazy("Queue"),
                "max_length": LONGEST_QUEUE_NAME,
                "widget": forms.TextInput({"class": "vTextField"}),
                **options,
            }
        )

    def clean(self, value: Any) -> Any:
        """Return the name, or an empty text where none is required."""
        name = super().clean(value)
        return checked(validate_queue_name, name) if name else name


class PriorityField(forms.IntegerField):
    """A priority; out of range it says what the range is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{
                "label": gettext_lazy("Priority"),
                "help_text": gettext_lazy("From -100 to 100; the higher runs first."),
                **options,
            }
        )

    def clean(self, value: Any) -> Any:
        """Return the priority."""
        number = super().clean(value)
        return number if number is None else checked(validate_priority, number)


class ParametersEdit:
    """Parameters shown without what is hidden, and read back with it.

    Args:
        alias: of the task's definition.
        stored: the task's parameters.
    """

    def __init__(self, alias: str, stored: dict[str, Any]) -> None:
        self.alias = alias
        self.stored = stored
        self.names = sensitive_names(alias)
        self.shown = redacted(stored, self.names)

    def clean(self, edited: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters to store; see `restored` and `checked_parameters`."""
        return checked_parameters(self.alias, restored(edited, self.stored, self.names))


class RequeueForm(forms.Form):
    """What a requeued task should do differently: its parameters only when it is one task."""

    parameters = ObjectField(
        label=gettext_lazy("Parameters"),
        help_text=gettext_lazy("A JSON object. Hidden values are kept where you leave them."),
    )
    queue_name = QueueNameField(
        required=False, help_text=gettext_lazy("Leave it empty to keep each task's own queue.")
    )

    def __init__(self, tasks: list[Any], data: Any = None) -> None:
        super().__init__(data)
        self.edit: ParametersEdit | None = None
        if len(tasks) > 1:
            del self.fields["parameters"]
            return
        self.edit = ParametersEdit(tasks[0].definition.alias, tasks[0].parameters)
        self.initial = {"parameters": self.edit.shown, "queue_name": tasks[0].queue_name}
        self.fields["queue_name"].help_text = _("Leave it empty to keep the task's queue.")

    def clean_parameters(self) -> dict[str, Any] | None:
        """Return the new parameters, or None to keep the old ones."""
        edited = self.cleaned_data["parameters"]
        return None if self.edit is None else self.edit.clean(edited)

    @property
    def can_compare(self) -> bool:
        """Whether there is one task whose parameters may change."""
        return self.edit is not None

    def difference(self) -> list[tuple[str, str]]:
        """Return how the new parameters differ from the old ones, without what is hidden."""
        if self.edit is None or not self.is_bound or not self.is_valid():
            return []
        return differing_lines(
            self.edit.shown, redacted(self.cleaned_data["parameters"], self.edit.names)
        )


def differing_lines(old: Any, new: Any) -> list[tuple[str, str]]:
    """Return the lines of two JSON values as (kind, line): added, removed, or "" for the same."""
    before, after = (json.dumps(one, indent=2, ensure_ascii=False) for one in (old, new))
    kinds = {"+": "added", "-": "removed", " ": ""}
    compared = difflib.ndiff(before.splitlines(), after.splitlines())
    return [(kinds[line[0]], line) for line in compared if line[0] in kinds]


class PauseForm(forms.Form):
    """Why a queue is paused."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=255,
        help_text=gettext_lazy("For the next person who wonders why nothing runs."),
        widget=forms.TextInput({"class": "vTextField"}),
    )


class PlacementForm(forms.Form):
    """Where and when a new task should run."""

    queue_name = QueueNameField()
    priority = PriorityField(initial=0)
    run_after = forms.DateTimeField(
        label=gettext_lazy("Run after"),
        required=False,
        widget=forms.DateTimeInput(
            {"type": "datetime-local", "step": "1", "class": "ts-time"}, format="%Y-%m-%dT%H:%M:%S"
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["run_after"].help_text = _("Leave it empty to run as soon as a worker is free.")


class ParametersForm(forms.Form):
    """The parameters of a new task whose handler has no form of its own."""

    parameters = ObjectField(
        label=gettext_lazy("Parameters"),
        initial={},
        help_text=gettext_lazy('A JSON object, such as {"name": "Tom"}.'),
    )


def json_values(cleaned: dict[str, Any]) -> dict[str, Any]:
    """Return what a handler's form cleaned as parameters that the same form reads again."""
    plain = {name: json_value(value) for name, value in cleaned.items()}
    return {name: value for name, value in plain.items() if value is not None and value != ""}


def json_value(value: Any) -> Any:
    """Return one cleaned value as JSON: dates as text, rows as their keys."""
    if isinstance(value, Model):
        return json_value(value.pk)
    if isinstance(value, QuerySet):
        return [json_value(row.pk) for row in value]
    try:
        return json.loads(json.dumps(value, cls=DjangoJSONEncoder))
    except TypeError:
        return str(value)
