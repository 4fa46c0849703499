"""What becomes of the tasks that wait when their definition takes no more work.

Owns the question and its answers. Waiting tasks can be many, so a worker moves them, by
bulk operations that have pages of their own.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from django_taskstore import bulk
from django_taskstore.models import BulkOperation, TaskDefinition
from django_taskstore.selection import Selection
from django_taskstore.statuses import PAUSABLE, WAITING


class Waiting(TextChoices):
    """What becomes of waiting tasks; all but the first are verbs of a bulk operation."""

    KEEP = "keep", _("Leave them: each ends as canceled when a worker claims it")
    PAUSE = "pause", _("Pause them, to be resumed after the definition is active again")
    CANCEL = "cancel", _("Cancel them now")


#: The statuses in which a verb finds tasks that wait.
FOUND_IN = {Waiting.PAUSE: PAUSABLE, Waiting.CANCEL: WAITING}


class WaitingForm(forms.Form):
    """What becomes of the tasks that wait."""

    waiting = forms.ChoiceField(
        label=_("Waiting tasks"),
        choices=Waiting.choices,
        initial=Waiting.KEEP,
        required=False,
        widget=forms.RadioSelect,
        help_text=_("A worker does it in the background; running tasks are left alone."),
    )

    def clean_waiting(self) -> str:
        """Return the choice; whoever did not choose leaves them."""
        return self.cleaned_data["waiting"] or Waiting.KEEP.value

    def allow(self, verbs: set[str]) -> None:
        """Offer only what the user may do.

        Args:
            verbs: names of verbs that the user may use on all tasks that match.
        """
        allowed = {Waiting.KEEP.value, *verbs}
        field: Any = self.fields["waiting"]
        field.choices = [one for one in Waiting.choices if one[0] in allowed]


def move_waiting(
    definition: TaskDefinition, verb: str, *, asked_by: Any, queue_name: str, using: str
) -> list[BulkOperation]:
    """Ask a worker to move the tasks of a definition that wait.

    Args:
        definition: theirs.
        verb: "pause" or "cancel".
        asked_by: the user.
        queue_name: a queue that some worker serves.
        using: the database's alias.
    """
    return [
        bulk.start(
            verb,
            Selection(status=status, definition_id=definition.pk),
            last_id=bulk.newest_id(using),
            options={},
            asked_by=asked_by,
            queue_name=queue_name,
        )
        for status in FOUND_IN[Waiting(verb)]
    ]
