"""Which tasks a person means on the command line: ids, spans of ids, and filters.

Owns the reading of those words. It may not change a row.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q

from django_taskstore.claims import rows
from django_taskstore.database.clock import after
from django_taskstore.management.arguments import USAGE, add_many, delay, find_queues
from django_taskstore.models import TaskDefinition
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.registry import loose

SPAN = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
FILTERS = ("queues", "definitions", "statuses", "older_than", "newer_than")


@dataclass(frozen=True, slots=True)
class Span:
    """Ids from one to another, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def between(self, after_id: int, last_id: int) -> Span:
        """Return the part after an id and up to another; empty when its last is below its first."""
        return Span(max(self.first, after_id + 1), min(self.last, last_id))


def span(text: str) -> Span:
    """Read an id, such as 7, or a span, such as 7-90."""
    match = SPAN.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither an id, such as 7, nor a span: 7-90")
    found = Span(int(match[1]), int(match[2] or match[1]))
    if found.last < found.first:
        raise argparse.ArgumentTypeError(f"{text!r} ends before it begins")
    return found


def add_selecting_arguments(
    parser: CommandParser, *, statuses: Iterable[str], default: str, age_of: str
) -> None:
    """Declare the words that name tasks.

    Args:
        parser: the command's.
        statuses: those that the verb fits.
        default: in words, which statuses are meant when none is named.
        age_of: in words, what an age counts from.
    """
    parser.add_argument("ids", nargs="*", type=span, metavar="ID", help="such as 7, or 7-90")
    add_many(parser, "queue", metavar="QUEUE", meaning="only tasks of this one")
    add_many(parser, "definition", metavar="ALIAS", meaning="only tasks of this kind")
    parser.add_argument(
        "--status",
        action="append",
        default=[],
        choices=[str(status) for status in statuses],
        dest="statuses",
        help=f"may be repeated ({default})",
    )
    for option in ("older", "newer"):
        help_text = f"such as 30m, 12h, 7d, since {age_of}"
        parser.add_argument(f"--{option}-than", type=delay, metavar="AGE", help=help_text)
    parser.add_argument("--all", action="store_true", help="every task that the verb fits")


def check_something_is_meant(options: dict[str, Any]) -> None:
    """Refuse to mean everything by saying nothing.

    Raises:
        CommandError: exit code 2.
    """
    if not (options["ids"] or has_filter(options) or options["all"]):
        raise CommandError(
            "Which tasks? Name ids, or filters such as --queue emails; --all means every one.",
            returncode=USAGE,
        )


def has_filter(options: dict[str, Any]) -> bool:
    """Tell whether anything but ids narrows what is meant."""
    return any(options[name] not in (None, []) for name in FILTERS)


def meant(
    using: str, options: dict[str, Any], *, statuses: Collection[str], age_column: str
) -> QueuedTaskQuerySet:
    """Return the tasks that a person means, hidden ones left out.

    Args:
        using: the database's alias.
        options: the command's.
        statuses: the tasks' statuses.
        age_column: what an age counts from, by the database's clock.

    Raises:
        CommandError: a queue or definition does not exist; exit code 2.
    """
    found = rows(using).filter(within(options["ids"]), soft_deleted_at=None)
    found = found.with_status(*statuses)
    if options["queues"]:
        found = found.on_queue(*(queue.name for queue in find_queues(options["queues"], using)))
    if options["definitions"]:
        found = found.filter(definition_id__in=find_definitions(options["definitions"], using))
    for option, lookup in (("older_than", "lt"), ("newer_than", "gte")):
        if options[option] is not None:
            found = found.filter(**{f"{age_column}__{lookup}": after(-options[option])})
    return found


def within(spans: Collection[Span]) -> Q:
    """Return the condition that an id is in one of the spans; without spans any id is."""
    single = [one.first for one in spans if one.first == one.last]
    wide = [Q(pk__range=(one.first, one.last)) for one in spans if one.first != one.last]
    return reduce(or_, wide, Q(pk__in=single)) if spans else Q()


def find_definitions(aliases: Iterable[str], using: str) -> list[int]:
    """Return the ids of the definitions that a person means: case, ``-`` and ``_`` do not matter.

    Raises:
        CommandError: one does not exist, or several could be meant.
    """
    known = dict(TaskDefinition.all_objects.using(using).values_list("alias", "pk"))
    return [known[find_alias(alias, known)] for alias in aliases]


def find_alias(text: str, known: Collection[str]) -> str:
    """Return the alias that was meant.

    Raises:
        CommandError: exit code 2; the message names near ones.
    """
    fitting = [text] if text in known else [one for one in known if loose(one) == loose(text)]
    if len(fitting) == 1:
        return fitting[0]
    near = fitting or difflib.get_close_matches(text, known, n=3)
    hint = f"; did you mean {' or '.join(sorted(near))}?" if near else "."
    raise CommandError(f"No definition is called {text!r}{hint}", returncode=USAGE)
