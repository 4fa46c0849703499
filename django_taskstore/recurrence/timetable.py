"""A rule with its zone and window: the instants at which something really happens.

Owns `Timetable`, the parsing of whatever text a rule comes as, and the two questions asked of
it: what comes next, and what came last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.recurrence.bounds import check_moment, check_text, check_zone
from django_taskstore.recurrence.cron import CronLine
from django_taskstore.recurrence.rule import RecurrenceRule
from django_taskstore.recurrence.text import read, write
from django_taskstore.recurrence.walk import ONE_SECOND, instants, start_of

MOST_ASKED = 100_000


@lru_cache(maxsize=1024)
def parse(text: str, time_zone: str = "UTC") -> RecurrenceRule | CronLine:
    """Read a rule in any of its forms: RFC 5545 text, a cron line, or the JSON object.

    Args:
        text: the rule; an empty one happens once, at its start.
        time_zone: the zone of times that say none.

    Raises:
        InvalidRecurrence: the text is none of them.
    """
    stripped = check_text(text).strip()
    if stripped.startswith("{"):
        try:
            return RecurrenceRule.from_json(json.loads(stripped))
        except (json.JSONDecodeError, RecursionError) as error:
            raise InvalidRecurrence(f"The rule is no JSON: {error}.") from error
    if not stripped or "=" in stripped or ":" in stripped:
        return read(stripped, time_zone)
    return CronLine(stripped)


@dataclass(frozen=True, slots=True)
class Timetable:
    """When something happens.

    Attributes:
        rule: a rule, its text, or a cron line's.
        time_zone: the zone of the wall clock, unless the rule names its own.
        start_at: nothing happens before; a rule without a start of its own starts there.
        end_at: nothing happens after.

    Raises:
        InvalidRecurrence: the rule or the zone is not valid, the rule needs a start, or the end
            comes before the start.
    """

    rule: str | RecurrenceRule
    time_zone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None

    #: The rule, which starts with the window unless it says its own start.
    parsed: RecurrenceRule | CronLine = field(init=False, repr=False, compare=False)
    #: The zone of the wall clock.
    zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        zone = check_zone(self.time_zone)
        for name, moment in (("start_at", self.start_at), ("end_at", self.end_at)):
            if moment is not None:
                check_moment(name, moment)
        if self.start_at and self.end_at and self.end_at < self.start_at:
            raise InvalidRecurrence(
                f"The end, {self.end_at.isoformat()}, comes before the start, "
                f"{self.start_at.isoformat()}."
            )
        rule = anchored(self.rule, self.time_zone, self.start_at)
        if isinstance(rule, RecurrenceRule) and rule.starts_at is None and needs_start(rule):
            raise InvalidRecurrence(
                "A rule that happens once, or a number of times, needs a start: give start_at, or "
                "DTSTART in the rule."
            )
        own = rule.time_zone if isinstance(rule, RecurrenceRule) else ""
        object.__setattr__(self, "parsed", rule)
        object.__setattr__(self, "zone", check_zone(own) if own else zone)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the occurrences after a moment: aware datetimes in UTC, in order, each once."""
        rule, zone, since = self.parsed, self.zone, moment
        if self.start_at is not None:
            since = max(moment, self.start_at.replace(microsecond=0) - ONE_SECOND)
        found = (
            instants(rule, since, zone)
            if isinstance(rule, RecurrenceRule)
            else rule.instants(since, zone)
        )
        for instant in found:
            if self.end_at is not None and instant > self.end_at:
                return
            yield instant

    def next(self, moment: datetime) -> datetime | None:
        """Return the first occurrence after a moment, or None when there is none left."""
        return next(self.after(moment), None)

    def latest(self, moment: datetime, *, since: datetime) -> datetime | None:
        """Return the last occurrence at or before a moment, or None.

        It is found by halves, so a rule of every second costs some thirty looks in years.

        Args:
            moment: an aware datetime.
            since: do not look for what was at or before this.
        """
        last, end = since, moment
        while end - last >= ONE_SECOND:
            middle = last + (end - last) // 2
            found = self.next(middle)
            if found is not None and found <= moment:
                last = found
            else:
                end = middle
        following = self.next(last)
        if following is not None and following <= moment:
            last = following
        return None if last == since else last

    def check(self) -> Timetable:
        """Return the timetable once it is known to happen at all.

        Raises:
            InvalidRecurrence: it never happens.
        """
        rule = self.parsed
        start = self.start_at or ALIGNED_START
        if isinstance(rule, RecurrenceRule):
            start = start_of(rule, self.zone)
        if self.next(start - ONE_SECOND) is None:
            raise InvalidRecurrence(
                "This rule never happens: no moment within forty years of its start fits all of "
                "its parts, its end included."
            )
        return self

    def __str__(self) -> str:
        rule = self.parsed
        return write(rule) if isinstance(rule, RecurrenceRule) else rule.text


ALIGNED_START = datetime(2001, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
def anchored(
    rule: str | RecurrenceRule, time_zone: str, start_at: datetime | None
) -> RecurrenceRule | CronLine:
    """Return a rule, read if it is text, with a start if it says none and there is one."""
    parsed = rule if isinstance(rule, RecurrenceRule) else parse(rule, time_zone)
    if isinstance(parsed, RecurrenceRule) and parsed.starts_at is None and start_at is not None:
        return replace(parsed, starts_at=start_at)
    return parsed


def needs_start(rule: RecurrenceRule) -> bool:
    """Tell whether a rule means nothing without a start."""
    return rule.frequency == "none" or rule.count is not None


def next_run_at(
    rule: str | RecurrenceRule, now: datetime, *, time_zone: str = "UTC"
) -> datetime | None:
    """Return the first occurrence after a moment, or None when there is none left.

    Args:
        rule: a rule, its text, or a cron line.
        now: an aware datetime.
        time_zone: the IANA zone of the wall clock, unless the rule names its own.

    Returns:
        An aware datetime in UTC.

    Raises:
        InvalidRecurrence: the rule or the zone is not valid.
    """
    check_moment("now", now)
    return Timetable(rule, time_zone).next(now)


def occurrences(
    rule: str | RecurrenceRule, after: datetime, limit: int, *, time_zone: str = "UTC"
) -> list[datetime]:
    """Return the first occurrences after a moment.

    Args:
        rule: a rule, its text, or a cron line.
        after: an aware datetime.
        limit: how many at most, up to 100,000.
        time_zone: the IANA zone of the wall clock, unless the rule names its own.

    Returns:
        Aware datetimes in UTC, in order, each once.

    Raises:
        InvalidRecurrence: the rule or the zone is not valid.
    """
    check_moment("after", after)
    return list(islice(Timetable(rule, time_zone).after(after), max(0, min(limit, MOST_ASKED))))
