"""Schedules that a handler declares in code.

Owns `DeclaredSchedule` and the reading of what a handler says: a rule alone, or a dict. Pure:
`scheduler` mirrors declarations to rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from django_taskstore.exceptions import InvalidHandler, InvalidRecurrence
from django_taskstore.recurrence import RecurrenceRule, Timetable
from django_taskstore.recurrence.text import write
from django_taskstore.statuses import MisfirePolicy, OverlapPolicy


@dataclass(frozen=True, slots=True)
class DeclaredSchedule:
    """One schedule of a handler.

    Attributes:
        rule: RFC 5545 text, a cron line, or a `RecurrenceRule`.
        name: of the row, unique among all schedules; the handler's alias by default.
        description: for people.
        time_zone: an IANA name; empty for the project's TIME_ZONE.
        queue_name: empty for the handler's.
        parameters: a JSON object for each task.
        start_at, end_at: aware datetimes, or None.
        max_execution_count: end after so many runs; 0 for no limit.
        misfire_policy: coalesce, skip or all.
        overlap_policy: allow or skip.
    """

    rule: str | RecurrenceRule
    name: str = ""
    description: str = ""
    time_zone: str = ""
    queue_name: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    start_at: datetime | None = None
    end_at: datetime | None = None
    max_execution_count: int = 0
    misfire_policy: str = MisfirePolicy.COALESCE.value
    overlap_policy: str = OverlapPolicy.ALLOW.value

    @property
    def rule_text(self) -> str:
        """The rule as a row stores it."""
        return write(self.rule) if isinstance(self.rule, RecurrenceRule) else self.rule


KEYS = [one.name for one in fields(DeclaredSchedule)]


def declared(handler: Any, given: Iterable[Any]) -> tuple[DeclaredSchedule, ...]:
    """Return the schedules that a handler declares, checked.

    Args:
        handler: the class; its ``schedules`` come first.
        given: what ``register`` was given beside them.

    Raises:
        InvalidHandler: one of them is not valid; the message says which and why.
    """
    source = f"{handler.__module__}.{handler.__qualname__}"
    schedules = []
    for one in (*getattr(handler, "schedules", ()), *given):
        try:
            schedules.append(read(one, handler.alias))
        except (InvalidRecurrence, TypeError, ValueError) as error:
            raise InvalidHandler(f"{source} declares the schedule {one!r:.100}: {error}") from error
    twice = list(repeated(schedule.name for schedule in schedules))
    if twice:
        raise InvalidHandler(
            f"{source} declares several schedules called {twice[0]!r}: give each a name of its "
            'own, as in {"rule": "0 9 * * *", "name": "Morning report"}.'
        )
    return tuple(schedules)


def read(value: Any, alias: str) -> DeclaredSchedule:
    """Return one declaration, checked.

    Raises:
        InvalidRecurrence: its rule is not valid, or never happens.
        TypeError, ValueError: it is no declaration, or a word in it is unknown.
    """
    given = value if isinstance(value, dict) else {"rule": value}
    unknown = [key for key in given if key not in KEYS]
    if unknown or "rule" not in given:
        raise ValueError(f"expected a rule, or a dict with 'rule' and any of {', '.join(KEYS[1:])}")
    schedule = DeclaredSchedule(**{"name": alias, **given})
    Timetable(
        schedule.rule, schedule.time_zone or "UTC", schedule.start_at, schedule.end_at
    ).check()
    MisfirePolicy(schedule.misfire_policy)
    OverlapPolicy(schedule.overlap_policy)
    return schedule


def repeated(names: Iterable[str]) -> Iterator[str]:
    """Yield the names that come a second time."""
    seen = set[str]()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)
