"""The instants of a recurrence rule, one after another.

Owns how wall time becomes UTC. Daily and slower rules keep the wall clock: a time in a gap
moves forward by the gap (RFC 5545 §3.3.5), an ambiguous one happens once, the first time.
Hourly and faster rules step in UTC, and their BY parts look at the wall clock. Every walk is
bounded: after `HORIZON` or `MOST_LOOKS` without an occurrence it ends.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import product
from zoneinfo import ZoneInfo

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.recurrence.bounds import FAST, LAST_YEAR
from django_taskstore.recurrence.days import (
    HORIZON,
    ONE_DAY,
    DayFilter,
    day_filter,
    matching,
    next_match,
    periods,
)
from django_taskstore.recurrence.fast import Looks, fast_instants
from django_taskstore.recurrence.rule import RecurrenceRule

#: Where a rule without a start is thought to start: a Monday, the first of a month and year.
ALIGNED = datetime(2001, 1, 1)  # noqa: DTZ001 - a wall time, in whichever zone
ONE_SECOND = timedelta(seconds=1)
#: A COUNT that is not reached within half a century counts as none.
COUNTED_WITHIN = timedelta(days=18_262)
#: What a rule that is faster than daily may look at between two occurrences, and what all
#: occurrences of a COUNT may take: some 15 and 20 ms.
MOST_LOOKS, LOOKS_OF_A_COUNT = 4_800, 6_000


def start_of(rule: RecurrenceRule, zone: ZoneInfo) -> datetime:
    """Return where a rule starts."""
    return ALIGNED.replace(tzinfo=zone) if rule.starts_at is None else rule.starts_at


def instants(rule: RecurrenceRule, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the rule's instants after another, in order, each once.

    Args:
        rule: a checked rule.
        after: an aware datetime.
        zone: the zone of the wall clock.

    Yields:
        Aware datetimes in UTC.
    """
    start = start_of(rule, zone).astimezone(UTC)
    last = rule.ends_at if rule.count is None else last_counted(rule, zone)
    since = max(after.astimezone(UTC), start - ONE_SECOND)
    if since.year >= LAST_YEAR or (last is not None and since >= last):
        return
    for instant in endless(rule, start, since, zone):
        if last is not None and instant > last:
            return
        yield instant


def endless(
    rule: RecurrenceRule,
    start: datetime,
    since: datetime,
    zone: ZoneInfo,
    looks: Looks | None = None,
) -> Iterator[datetime]:
    """Yield the rule's instants after ``since``, whatever its COUNT and UNTIL."""
    if rule.frequency == "none":
        return iter([start] if start > since else [])
    if rule.frequency in FAST:
        return fast_instants(rule, start, since, zone, looks or Looks(MOST_LOOKS))
    return slow_instants(rule, start, since, zone)


@lru_cache(maxsize=256)
def last_counted(rule: RecurrenceRule, zone: ZoneInfo) -> datetime | None:
    """Return the instant at which a rule's COUNT is reached, or None beyond `COUNTED_WITHIN`.

    A rule that never happens has reached it before its start.

    Raises:
        InvalidRecurrence: it takes too many looks to count so far.
    """
    start = start_of(rule, zone).astimezone(UTC)
    reached, number = start - ONE_SECOND, 0
    looks = Looks(LOOKS_OF_A_COUNT, refills=False)
    for instant in endless(rule, start, reached, zone, looks):
        reached, number = instant, number + 1
        if instant - start > COUNTED_WITHIN:
            return None
        if number == rule.count:
            return reached
    if number and looks.left < 0:
        raise InvalidRecurrence(
            f"COUNT is {rule.count}, and counting so far takes too long for this rule: give UNTIL, "
            "or the schedule's end or most runs."
        )
    return reached


def slow_instants(
    rule: RecurrenceRule, start: datetime, since: datetime, zone: ZoneInfo
) -> Iterator[datetime]:
    """Yield the instants of a daily or slower rule.

    Where the wall clock jumps, times in the gap wait in a heap until the clock has passed
    the moments they moved to: 02:45 becomes 03:45, and 03:00 comes first.
    """
    last, waiting = since, list[datetime]()
    for wall in wall_times(rule, start.astimezone(zone), since.astimezone(zone).date()):
        instant = wall.replace(tzinfo=zone).astimezone(UTC)
        heapq.heappush(waiting, instant)
        if instant.astimezone(zone).replace(tzinfo=None) != wall:
            continue
        while waiting and waiting[0] <= instant:
            earliest = heapq.heappop(waiting)
            if earliest > last:
                last = earliest
                yield last
    for instant in sorted(waiting):
        if instant > last:
            last = instant
            yield last


def wall_times(rule: RecurrenceRule, start: datetime, since: date) -> Iterator[datetime]:
    """Yield the naive wall times of a daily or slower rule, from about a date on.

    Args:
        rule: daily or slower.
        start: the rule's start on the wall clock.
        since: a date; two days before it are given too, since a clock may jump a day.
    """
    dates = day_filter(rule, start.date())
    times = times_of_day(rule, start)
    begin = max(start.date(), since) - 2 * ONE_DAY
    quiet_until = begin + HORIZON
    for first, last in periods_with_days(rule, dates, start.date(), begin):
        days = matching(dates, first if rule.set_positions else max(first, begin), last)
        for day, at in chosen(days, times, rule.set_positions):
            quiet_until = first + HORIZON
            if day >= begin:
                yield datetime.combine(day, at)
        if first > quiet_until:
            return


def periods_with_days(
    rule: RecurrenceRule, dates: DayFilter, start: date, begin: date
) -> Iterator[tuple[date, date]]:
    """Yield the rule's periods from a date on; of days, only those that are let through."""
    if rule.frequency != "daily" or rule.interval > 1:
        yield from periods(rule, start, begin)
        return
    if rule.set_positions and min(map(abs, rule.set_positions)) > rule.times_a_day:
        return
    day: date | None = max(start, begin) - ONE_DAY
    while day is not None and (day := next_match(dates, day)) is not None:
        yield day, day


def times_of_day(rule: RecurrenceRule, start: datetime) -> list[time]:
    """Return the times of day in order; what the rule leaves out comes from its start."""
    hours = rule.hours or (start.hour,)
    minutes = rule.minutes or (start.minute,)
    seconds = rule.seconds or (start.second,)
    return [time(*one) for one in product(hours, minutes, seconds)]


def chosen(
    days: list[date], times: list[time], positions: tuple[int, ...]
) -> Iterator[tuple[date, time]]:
    """Yield the days and times of one period: all, or those at the rule's positions."""
    if not positions:
        yield from product(days, times)
        return
    total = len(days) * len(times)
    places = {place - 1 if place > 0 else total + place for place in positions}
    for place in sorted(place for place in places if 0 <= place < total):
        yield days[place // len(times)], times[place % len(times)]
