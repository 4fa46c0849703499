"""The number that somebody types before a bulk operation on many tasks begins.

Owns `Shown`, which a confirmation page signs, and the form that asks for its number. What was
shown counts, not what is there when the form comes back: tasks end and begin meanwhile, and
the operation stops at the newest task that the page knew.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from typing import Any

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

#: Above this many tasks a click is not enough.
MOST_UNTYPED = 1_000
#: After this long a page may be about other tasks than it said.
VALID_SECONDS = 3_600
SALT = "django_taskstore.admin.typed"
#: What languages, and our own pages, put between digits and behind a bound.
SEPARATORS = re.compile(r"[\s.,'\u2019_+]")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page that confirms a bulk operation said.

    Attributes:
        verb: what would be done.
        list_query: the address of the list, which names the tasks.
        last_id: the newest task that was there.
        count: how many tasks match, or the bound at which counting stopped.
    """

    verb: str
    list_query: str
    last_id: int
    count: int

    def signed(self) -> str:
        """Return a text that `read` takes back."""
        return signing.dumps(astuple(self), salt=SALT)

    @classmethod
    def read(cls, text: str, *, verb: str, list_query: str) -> Shown | None:
        """Return what a page showed; None where it is too old, or was about something else."""
        try:
            shown = cls(*signing.loads(text, salt=SALT, max_age=VALID_SECONDS))
        except signing.BadSignature:
            return None
        return shown if (shown.verb, shown.list_query) == (verb, list_query) else None


class NumberForm(forms.Form):
    """Asks for the number that the page shows.

    Args:
        count: that number.
        data: what was posted.
    """

    number = forms.CharField(
        label=gettext_lazy("Number of tasks"),
        max_length=40,
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
    )

    def __init__(self, count: int, data: Any = None) -> None:
        super().__init__(data)
        self.count = count

    def clean_number(self) -> str:
        """Return what was typed, if it is the number."""
        typed: str = self.cleaned_data["number"]
        digits = SEPARATORS.sub("", typed)
        if not (digits.isdecimal() and int(digits) == self.count):
            text = _("Nothing was started: “%(typed)s” is not the number that the page showed.")
            raise ValidationError(text % {"typed": typed})
        return typed


def number_form(count: int, data: Any = None) -> NumberForm | None:
    """Return the form that asks for a number, or None where a click is enough."""
    return NumberForm(int(count), data) if count > MOST_UNTYPED else None
