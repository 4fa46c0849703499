"""Searching tasks by id, arguments, error and worker.

Owns the search box. An id is found wherever it is; texts are looked for among the newest
tasks of the list only, since no index could serve them. A hidden value cannot be found by
searching for it: what the database finds in parameters is looked through again without
what is hidden.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet, Subquery, TextField
from django.db.models.functions import Cast

from django_taskstore.admin.filters import is_key
from django_taskstore.admin.reach import Reach
from django_taskstore.admin.redaction import redacted, sensitive_names
from django_taskstore.database.expressions import OneOf
from django_taskstore.models import TaskAttempt, Worker

#: Tasks of the list, newest first, among which texts are looked for.
AMONG = 10_000
#: Records of attempts, newest first, that are taken where more of them raised such an error.
MOST_RECORDS = 10_000
QUALIFIED = re.compile(r"(id|args|error|worker):\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        rows: the tasks.
        is_whole: whether the search looked at the whole list.
    """

    rows: Any
    is_whole: bool = True


def search(everything: QuerySet[Any], listed: QuerySet[Any], text: str, reach: Reach) -> Found:
    """Find tasks by what a person typed.

    Args:
        everything: the rows where an id is looked for.
        listed: the rows where texts are looked for.
        text: an id, with or without ``#``; ``args:``, ``error:`` or ``worker:`` and a text;
            or a text that any of the three may hold.
        reach: how far the list looks.
    """
    match = QUALIFIED.fullmatch(text.strip())
    kind, wanted = match.groups() if match else ("", text.strip())
    if kind in ("", "id") and is_key(wanted.removeprefix("#")):
        return Found(everything.filter(pk=int(wanted.removeprefix("#"))))
    if kind == "id" or not wanted:
        return Found(everything.none())
    newest, is_whole = newest_of(listed) if reach.at_most > AMONG else (listed, True)
    found, keys = Q(pk__in=()), set[int]()
    # PostgreSQL would look up each pair of two lists of keys.
    key = F("pk") + 0 if reach.ids is not None else F("pk")
    if kind in ("", "args"):
        keys.update(by_parameters(newest, wanted))
    if kind in ("", "error"):
        keys.update(by_error(newest, wanted))
    if keys:
        found |= Q(OneOf("sought", keys))
    if kind in ("", "worker"):
        found |= Q(claimed_by__in=workers_named(wanted))
    return Found(newest.alias(sought=key).filter(found), is_whole)


def newest_of(listed: QuerySet[Any]) -> tuple[QuerySet[Any], bool]:
    """Return the newest rows of a list, and whether they are all of it."""
    keys = listed.order_by("-pk").values_list("pk", flat=True)
    bottom = next(iter(keys[AMONG - 1 : AMONG]), None)
    return (listed, True) if bottom is None else (listed.filter(pk__gte=bottom), False)


def by_parameters(rows: QuerySet[Any], wanted: str) -> list[int]:
    """Return the ids of tasks whose parameters, without what is hidden, hold the text."""
    spellings = {wanted, json.dumps(wanted)[1:-1]}
    held = Q()
    for spelling in spellings:
        held |= Q(as_text__icontains=spelling)
    found = rows.order_by("-pk").annotate(as_text=Cast("parameters", TextField())).filter(held)
    return [
        key
        for key, parameters, alias in found.values_list("pk", "parameters", "definition__alias")
        if shows(redacted(parameters, sensitive_names(alias or "")), wanted)
    ]


def shows(value: Any, wanted: str) -> bool:
    """Tell whether a JSON value holds the text, as it is or as JSON spells it, in any case."""
    text = json.dumps(value, ensure_ascii=False).lower()
    spelled = json.dumps(wanted, ensure_ascii=False)[1:-1]
    return wanted.lower() in text or spelled.lower() in text


def by_error(rows: QuerySet[Any], wanted: str) -> list[int]:
    """Return the ids of tasks an attempt of which raised such an error."""
    eldest = Subquery(rows.order_by("pk").values("pk")[:1])
    raised = TaskAttempt.objects.using(rows.db).filter(queued_task_id__gte=eldest)
    said = raised.filter(Q(exception_class__icontains=wanted) | Q(message__icontains=wanted))
    keys = said.order_by("-queued_task_id").values_list("queued_task_id", flat=True)
    return list(dict.fromkeys(keys[:MOST_RECORDS]))


def workers_named(wanted: str) -> Any:
    """Return the ids of workers by their host, their host and process, or their id."""
    try:
        return [UUID(wanted)]
    except ValueError:
        pass
    host, _, pid = wanted.rpartition(":")
    if host and is_key(pid):
        named = Worker.objects.filter(host__iexact=host, pid=int(pid))
    else:
        named = Worker.objects.filter(host__icontains=wanted)
    return named.values("pk")
