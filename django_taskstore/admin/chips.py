"""What the list of tasks is narrowed to, in words: one chip a filter, each with its way out.

Owns `Chip`. It reads the address and what the filters offer; it runs no statement of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from django_taskstore.admin.selecting import TASK_FILTERS
from django_taskstore.selection import Selection


@dataclass(frozen=True, slots=True)
class Chip:
    """One thing that the list is narrowed by.

    Attributes:
        title: the filter.
        value: what was chosen.
        query: the address of the list without it.
    """

    title: str
    value: str
    query: str


def chips_of(changelist: Any, address: QueryDict) -> list[Chip]:
    """Return a chip for each filter that narrows the list, for its search and its beginning.

    Args:
        changelist: the list, which has read its filters.
        address: the parameters of its page.
    """
    specs = {getattr(one, "parameter_name", ""): one for one in changelist.filter_specs}
    found = [
        (one.parameter_name, one.title, label_of(specs.get(one.parameter_name), value))
        for one in TASK_FILTERS
        if (value := address.get(one.parameter_name)) and narrows(one, value)
    ]
    if changelist.query:
        found.append(("q", _("search"), changelist.query))
    if changelist.before is not None:
        found.append(("before", _("older than"), f"#{changelist.before}"))
    return [
        Chip(str(capfirst(title)), value, changelist.get_query_string({name: None}))
        for name, title, value in found
    ]


def narrows(one: Any, value: str) -> bool:
    """Tell whether a filter's value leaves anything out: "attempts=few" does not."""
    try:
        return bool(one.meant(value) != getattr(Selection(), one.column))
    except ValueError:
        return True


def label_of(spec: Any, value: str) -> str:
    """Return what a filter calls a value; the value where it is none of its choices."""
    choices = () if spec is None else spec.lookup_choices
    return next((str(label) for key, label in choices if str(key) == value), value)
