"""What the filters of the task list offer, out of small tables and in one statement.

Owns `names`. None of it asks the table of tasks what values it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.db.models import CharField, QuerySet, Value
from django.db.models.functions import Cast
from django.http import HttpRequest

from django_taskstore.models import Queue, Schedule, TaskDefinition

#: A longer list helps nobody; the address takes any value.
MOST_CHOICES = 200
#: Rows of all kinds together that are read for the choices.
MOST_READ = 5 * MOST_CHOICES

Choices = list[tuple[str, str]]


def names(request: HttpRequest, kind: str) -> Choices:
    """Return the choices of one filter as (value, name), by name.

    Args:
        request: keeps what was read for the other filters of its page.
        kind: "queue", "definition" or "schedule".
    """
    read: Mapping[str, Choices] | None = getattr(request, "_taskstore_names", None)
    if read is None:
        read = read_names()
        request._taskstore_names = read  # type: ignore[attr-defined]
    return read.get(kind, [])[:MOST_CHOICES]


def read_names() -> Mapping[str, Choices]:
    """Read the names of queues, definitions and schedules."""
    queues = arm(Queue.objects.all(), "queue", "name", "name")
    definitions = arm(TaskDefinition.all_objects.all(), "definition", "pk", "alias")
    schedules = arm(Schedule.objects.all(), "schedule", "pk", "name")
    found: dict[str, Choices] = defaultdict(list)
    # No order: since Django 6.1 the model's own would name a column that the union lacks.
    union = queues.union(definitions, schedules, all=True).order_by()
    for kind, value, name in union[:MOST_READ]:
        found[kind].append((value, name))
    return {kind: sorted(pairs, key=lambda pair: pair[1]) for kind, pairs in found.items()}


def arm(rows: QuerySet[Any], kind: str, value: str, name: str) -> Any:
    """Return the rows of one table in the columns that all arms of the union have."""
    text = CharField(max_length=255)
    return (
        rows.order_by()
        .annotate(kind=Value(kind, text), as_value=Cast(value, text), as_name=Cast(name, text))
        .values_list("kind", "as_value", "as_name")
    )
