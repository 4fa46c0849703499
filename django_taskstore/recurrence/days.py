"""Which dates a recurrence rule lets through, and the periods it looks at them in.

Owns dates: no time of day and no zone. A part that the rule leaves out comes from the date
of its start, as RFC 5545 §3.3.10 has it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import isleap, monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from django_taskstore.recurrence.bounds import LAST_YEAR
from django_taskstore.recurrence.rule import CODES, RecurrenceRule

#: A rule that finds nothing for so long never will: 29 February returns within eight years, and
#: on the same weekday within forty.
HORIZON = timedelta(days=41 * 366)
ONE_DAY = timedelta(days=1)
#: After 28 years without a leap day left out, the calendar begins anew.
MOST_KINDS = 28


@dataclass(frozen=True, slots=True)
class DayFilter:
    """The dates that a rule's BY parts let through; an empty set lets all through.

    Attributes:
        months, month_days, year_days, weeks: numbers, those below zero counted from the end.
        weekdays: 0 for Monday to 6.
        numbered: weekdays with their number in the month or year.
        in_year: whether those numbers count in the year.
        week_start: the weekday that weeks start on.
    """

    months: frozenset[int]
    month_days: frozenset[int]
    year_days: frozenset[int]
    weeks: frozenset[int]
    weekdays: frozenset[int]
    numbered: frozenset[tuple[int, int]]
    in_year: bool
    week_start: int

    def matches(self, day: date) -> bool:
        """Tell whether a date is let through."""
        if self.months and day.month not in self.months:
            return False
        if self.month_days and not self._is_month_day(day):
            return False
        if (self.weekdays or self.numbered) and not self._is_weekday(day):
            return False
        if self.year_days and not self._is_year_day(day):
            return False
        return not self.weeks or self._is_week(day)

    def _is_month_day(self, day: date) -> bool:
        if day.day in self.month_days:
            return True
        return day.day - monthrange(day.year, day.month)[1] - 1 in self.month_days

    def _is_weekday(self, day: date) -> bool:
        weekday = day.weekday()
        if weekday in self.weekdays:
            return True
        if not self.numbered:
            return False
        if self.in_year:
            position, length = day.timetuple().tm_yday, year_length(day.year)
        else:
            position, length = day.day, monthrange(day.year, day.month)[1]
        forward, back = (position - 1) // 7 + 1, -((length - position) // 7 + 1)
        return (forward, weekday) in self.numbered or (back, weekday) in self.numbered

    def _is_year_day(self, day: date) -> bool:
        position = day.timetuple().tm_yday
        return position in self.year_days or position - year_length(day.year) - 1 in self.year_days

    def _is_week(self, day: date) -> bool:
        first_day = week_of(day, self.week_start)
        year = (first_day + 3 * ONE_DAY).year
        first = first_week(year, self.week_start)
        number = (first_day - first).days // 7 + 1
        weeks = (first_week(year + 1, self.week_start) - first).days // 7
        return number in self.weeks or number - weeks - 1 in self.weeks


def year_length(year: int) -> int:
    """Return the number of days of a year."""
    return date(year, 12, 31).timetuple().tm_yday


def week_of(day: date, week_start: int) -> date:
    """Return the first day of a date's week."""
    return day - (day.weekday() - week_start) % 7 * ONE_DAY


def first_week(year: int, week_start: int) -> date:
    """Return the first day of the first week that has four days in the year."""
    return week_of(date(year, 1, 4), week_start)


def day_filter(rule: RecurrenceRule, start: date) -> DayFilter:
    """Return the dates of a rule; what it leaves out comes from its first date."""
    months, month_days = set(rule.months_of_year), set(rule.days_of_month)
    plain = {CODES.index(code) for code in rule.days_of_week if code in CODES}
    numbered = {
        (int(code[:-2]), CODES.index(code[-2:])) for code in rule.days_of_week if code not in CODES
    }
    names_days = month_days or rule.days_of_week or rule.days_of_year
    if not names_days and (rule.frequency == "weekly" or rule.weeks_of_year):
        plain = {start.weekday()}
    elif not names_days and rule.frequency in ("monthly", "yearly"):
        month_days = {start.day}
        if rule.frequency == "yearly" and not months:
            months = {start.month}
    return DayFilter(
        months=frozenset(months),
        month_days=frozenset(month_days),
        year_days=frozenset(rule.days_of_year),
        weeks=frozenset(rule.weeks_of_year),
        weekdays=frozenset(plain),
        numbered=frozenset(numbered),
        in_year=rule.frequency == "yearly" and not rule.months_of_year,
        week_start=CODES.index(rule.week_start),
    )


def next_match(dates: DayFilter, after: date) -> date | None:
    """Return the first date after another that is let through, within the horizon."""
    day, last = after + ONE_DAY, after + HORIZON
    while day <= last:
        eve = date(day.year, 1, 1).toordinal() - 1
        numbers = days_of_year(dates, alike(day.year))
        place = bisect_left(numbers, day.toordinal() - eve)
        if place < len(numbers):
            return date.fromordinal(eve + numbers[place])
        day = date(day.year + 1, 1, 1)
    return None


def matching(dates: DayFilter, first: date, last: date) -> list[date]:
    """Return the dates from one to another that are let through."""
    if first == last:
        return [first] if dates.matches(first) else []
    found: list[date] = []
    for year in range(first.year, last.year + 1):
        eve = date(year, 1, 1).toordinal() - 1
        numbers = days_of_year(dates, alike(year))
        low = bisect_left(numbers, first.toordinal() - eve)
        high = bisect_right(numbers, last.toordinal() - eve)
        found += [date.fromordinal(eve + number) for number in numbers[low:high]]
    return found


@lru_cache(maxsize=4_096)
def days_of_year(dates: DayFilter, year: int) -> tuple[int, ...]:
    """Return the numbers of a year's days that are let through.

    There are but `MOST_KINDS` of years, so a walk over decades looks at each date of a few.
    """
    january = date(year, 1, 1)
    days = (january + number * ONE_DAY for number in range(year_length(year)))
    return tuple(number for number, day in enumerate(days, start=1) if dates.matches(day))


@lru_cache(maxsize=1_024)
def alike(year: int) -> int:
    """Return a year with the same dates on the same weekdays, in weeks of the same number."""
    kind = kind_of(year)
    return next(one for one in range(2001, 2001 + MOST_KINDS) if kind_of(one) == kind)


def kind_of(year: int) -> tuple[int, bool, bool, bool]:
    """Return what a year's calendar depends on; its first and last week, on its neighbours."""
    return date(year, 1, 1).weekday(), isleap(year - 1), isleap(year), isleap(year + 1)


def periods(rule: RecurrenceRule, start: date, since: date) -> Iterator[tuple[date, date]]:
    """Yield the first and last day of each of a rule's periods that ends at or after a date.

    Args:
        rule: daily or slower.
        start: the rule's first date, which fixes the phase.
        since: skip what ended before.
    """
    if rule.frequency in MONTHS_OF:
        yield from months_on(start, MONTHS_OF[rule.frequency], rule.interval, since)
        return
    size = 7 if rule.frequency == "weekly" else 1
    first = week_of(start, CODES.index(rule.week_start)) if size == 7 else start
    step = size * rule.interval
    ordinal = first.toordinal() + max(0, (since - first).days // step) * step
    while ordinal < LAST_ORDINAL:
        day = date.fromordinal(ordinal)
        last = day if size == 1 else day + 6 * ONE_DAY
        if last >= since:
            yield day, last
        ordinal += step


#: The months of a period.
MONTHS_OF = {"monthly": 1, "yearly": 12}
LAST_ORDINAL = date(LAST_YEAR, 1, 1).toordinal()


def months_on(start: date, size: int, interval: int, since: date) -> Iterator[tuple[date, date]]:
    """Yield periods of one or twelve months; see `periods`."""
    month = start.year * 12 + (start.month - 1 if size == 1 else 0)
    step = size * interval
    month += max(0, (since.year * 12 + since.month - 1 - month) // step) * step
    while month < LAST_YEAR * 12:
        last = date((month + size) // 12, (month + size) % 12 + 1, 1) - ONE_DAY
        if last >= since:
            yield date(month // 12, month % 12 + 1, 1), last
        month += step
