"""Cron lines of five fields, as Debian's cron reads them.

Owns `CronLine`. What a field may hold, and when a job fires around a change of the clock, is
cronsim's: a time in the gap fires once when the gap is over, an ambiguous time fires at the
first of both, and jobs of every minute or hour follow elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.recurrence.bounds import LAST_YEAR, check_text
from django_taskstore.recurrence.rule import CODES, RecurrenceRule

FIELDS = 5
SOME_DAY = datetime(2001, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CronLine:
    """A cron line.

    Attributes:
        text: minute, hour, day of the month, month, day of the week.

    Raises:
        InvalidRecurrence: it is no such line, or never fires.
    """

    text: str

    def __post_init__(self) -> None:
        parts = check_text(self.text).split()
        if len(parts) != FIELDS:
            raise InvalidRecurrence(
                f"{self.text!r:.60} has {len(parts)} fields; a cron line has five: minute, hour, "
                "day of the month, month and day of the week, such as '0 9 * * 1-5'."
            )
        object.__setattr__(self, "text", " ".join(parts))
        self._walker(SOME_DAY)

    def _walker(self, after: datetime) -> CronSim:
        try:
            return CronSim(self.text, after)
        except (CronSimError, ValueError, TypeError, AssertionError) as error:
            raise InvalidRecurrence(
                f"Cron line {self.text!r:.80} is not valid: {error or 'a field is not understood'}."
            ) from error

    def instants(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield the line's instants after another, in order, each once.

        Args:
            after: an aware datetime.
            zone: the zone of the wall clock.

        Yields:
            Aware datetimes in UTC.
        """
        last = after.astimezone(UTC)
        for local in self._walker(after.astimezone(zone)):
            instant = local.astimezone(UTC)
            if instant.year >= LAST_YEAR:
                return
            if instant > last:
                last = instant
                yield instant

    def explain(self) -> str:
        """Return the line in English words."""
        return str(self._walker(SOME_DAY).explain())

    def as_rule(self) -> RecurrenceRule | None:
        """Return a rule whose sentence says the same; None where no rule does."""
        walker = self._walker(SOME_DAY)
        weekdays = {one for one in walker.weekdays if isinstance(one, int)}
        any_day, any_weekday = (
            len(walker.days) == 31,
            {one % 7 for one in weekdays} == set(range(7)),
        )
        if len(weekdays) < len(walker.weekdays) or min(walker.days) < 1:
            return None
        if not (any_day or any_weekday):
            return None
        days = () if any_day else tuple(walker.days)
        frequency, times = pace(walker)
        return RecurrenceRule(
            "monthly" if frequency == "daily" and days else frequency,
            days_of_week=() if any_weekday else named(weekdays),
            days_of_month=days,
            months_of_year=() if len(walker.months) == 12 else tuple(walker.months),
            **times,
        )


def named(weekdays: set[int]) -> tuple[str, ...]:
    """Return the codes of cron's weekdays, where 0 and 7 are Sunday, from Monday on."""
    return tuple(CODES[place] for place in sorted({(one - 1) % 7 for one in weekdays}))


def pace(walker: CronSim) -> tuple[str, dict[str, Any]]:
    """Return the frequency of a line's hours and minutes, and the parts that say when."""
    minutes, every_hour = tuple(sorted(walker.minutes)), len(walker.hours) == 24
    if not every_hour:
        return "daily", {"hours": tuple(walker.hours), "minutes": minutes}
    step = 60 // len(minutes)
    if minutes == tuple(range(0, 60, step)) and len(minutes) > 1:
        return "minutely", {"interval": step}
    return "hourly", {"minutes": minutes}
