"""The instants of hourly, minutely and secondly rules.

Owns stepping in UTC: between two steps lies the same time whatever the wall clock does, so no
instant comes twice in autumn and none is missed in spring. BY parts look at the wall clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django_taskstore.recurrence.bounds import LAST_YEAR
from django_taskstore.recurrence.days import (
    HORIZON,
    ONE_DAY,
    DayFilter,
    day_filter,
    next_match,
)
from django_taskstore.recurrence.rule import RecurrenceRule

UNIT_SECONDS = {"hourly": 3_600, "minutely": 60, "secondly": 1}
#: What one step costs; a moment that could be an occurrence costs 1.
LOOKS_A_STEP = 4


class Looks:
    """How much a walk may look at before it counts as never finding anything again.

    Args:
        most: so much.
        refills: whether each occurrence gives back what was spent before it.
    """

    def __init__(self, most: int, *, refills: bool = True) -> None:
        self.most = self.left = most
        self.refills = refills

    def spend(self, looks: int) -> bool:
        """Take some away; return whether there were so many."""
        self.left -= looks
        return self.left >= 0

    def found(self) -> None:
        """Note an occurrence."""
        if self.refills:
            self.left = self.most


def fast_instants(
    rule: RecurrenceRule, start: datetime, since: datetime, zone: ZoneInfo, looks: Looks
) -> Iterator[datetime]:
    """Yield the instants of a rule that is faster than daily, after ``since``."""
    clock = Clock.of(rule, start, zone)
    step: int | None = clock.step_at(max(start, since))
    quiet_until = max(start, since) + HORIZON
    while step is not None and looks.spend(LOOKS_A_STEP):
        begin = clock.begin(step)
        if begin.year >= LAST_YEAR or begin > quiet_until:
            return
        later = clock.skip(begin) if rule.by_parts else None
        if later is not None:
            step = None if later == NEVER else max(step + 1, clock.step_from(later))
            continue
        if not looks.spend(clock.candidates_a_step):
            return
        for instant in clock.chosen(begin):
            if instant > since and instant >= start:
                looks.found()
                quiet_until = begin + HORIZON
                yield instant
        step += 1


NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """One rule's steps in UTC, and what the wall clock must show at them.

    Attributes:
        rule: the rule.
        zone: the zone of the wall clock.
        origin: where the rule's first hour, minute or second begins, in UTC.
        offset: from there to the rule's start.
        dates: the dates that are let through.
    """

    rule: RecurrenceRule
    zone: ZoneInfo
    origin: datetime
    offset: timedelta
    dates: DayFilter

    @classmethod
    def of(cls, rule: RecurrenceRule, start: datetime, zone: ZoneInfo) -> Clock:
        """Return the clock of a rule that starts at an instant."""
        wall = start.astimezone(zone)
        into = (wall.minute * 60 + wall.second) % UNIT_SECONDS[rule.frequency]
        offset = timedelta(seconds=into)
        return cls(rule, zone, start - offset, offset, day_filter(rule, wall.date()))

    @property
    def unit(self) -> int:
        """The seconds of one period."""
        return UNIT_SECONDS[self.rule.frequency]

    @property
    def step_seconds(self) -> int:
        """The seconds from one step to the next."""
        return self.unit * self.rule.interval

    def begin(self, step: int) -> datetime:
        """Return where a step's period begins."""
        return self.origin + timedelta(seconds=step * self.step_seconds)

    def step_at(self, instant: datetime) -> int:
        """Return the last step that begins at or before an instant."""
        return int((instant - self.origin).total_seconds() // self.step_seconds)

    def step_from(self, instant: datetime) -> int:
        """Return the first step that begins at or after an instant."""
        return -int(-(instant - self.origin).total_seconds() // self.step_seconds)

    @property
    def candidates_a_step(self) -> int:
        """How many moments of a period are looked at."""
        minutes = len(self.rule.minutes) if self.unit == UNIT_SECONDS["hourly"] else 1
        return max(1, minutes) * max(1, len(self.rule.seconds))

    def skip(self, begin: datetime) -> datetime | None:
        """Return where to look next when a period cannot hold an occurrence, else None."""
        wall, end = begin.astimezone(self.zone), self._wall(begin, self.unit - 1)
        if not any(self.dates.matches(day) for day in {wall.date(), end.date()}):
            return self._next_date(begin, wall.date())
        rule = self.rule
        if rule.hours and wall.hour not in rule.hours and end.hour not in rule.hours:
            hours = least_ahead(wall.hour, rule.hours, 24)
            return self._ahead(begin, hours * 3_600 - into_hour(wall), 3_600)
        if self.unit < 3_600 and rule.minutes and wall.minute not in rule.minutes:
            minutes = least_ahead(wall.minute, rule.minutes, 60)
            return self._ahead(begin, minutes * 60 - wall.second, 60)
        if self.unit == 1 and rule.seconds and wall.second not in rule.seconds:
            return self._ahead(begin, least_ahead(wall.second, rule.seconds, 60), 1)
        return None

    def _next_date(self, begin: datetime, day: date) -> datetime:
        """Return a moment before the next date that is let through, or NEVER."""
        found = next_match(self.dates, day)
        if found is None:
            return NEVER
        midnight = datetime.combine(found, time(0), self.zone).astimezone(UTC)
        # A day early: where the clock jumps, dates may come sooner than midnight says.
        early = midnight - ONE_DAY
        return early if early > begin else self._boundary(begin, 3_600)

    def _ahead(self, begin: datetime, seconds: int, size: int) -> datetime:
        """Return where a period begins that reaches a later wall time, unless the clock jumps.

        Args:
            begin: where the period at hand begins.
            seconds: how far the wall time is ahead.
            size: the seconds of an hour or a minute, of which the next one is near enough.
        """
        far = seconds - self.unit + 1
        if far > size and self._wall(begin, far).utcoffset() == self._wall(begin, 0).utcoffset():
            return begin + timedelta(seconds=far)
        return self._boundary(begin, size)

    def _boundary(self, begin: datetime, size: int) -> datetime:
        """Return the next full hour or minute of the wall clock, unless it jumps before that."""
        wall = begin.astimezone(self.zone)
        ahead = size - into_hour(wall) % size
        there = self._wall(begin, ahead)
        same = there.utcoffset() == wall.utcoffset()
        return begin + timedelta(seconds=ahead if same else self.step_seconds)

    def _wall(self, begin: datetime, seconds: int) -> datetime:
        return (begin + timedelta(seconds=seconds)).astimezone(self.zone)

    def chosen(self, begin: datetime) -> Iterable[datetime]:
        """Return the occurrences of one period, or those at the rule's positions."""
        if not self.rule.by_parts:
            return [begin + self.offset]
        found = (one for one in self._candidates(begin) if self._shows(one))
        return found if not self.rule.set_positions else self._positioned(list(found))

    def _positioned(self, found: list[datetime]) -> list[datetime]:
        total = len(found)
        places = {one - 1 if one > 0 else total + one for one in self.rule.set_positions}
        return [found[place] for place in sorted(places) if 0 <= place < total]

    def _candidates(self, begin: datetime) -> Iterator[datetime]:
        """Yield the moments of a period that could be occurrences, in order."""
        into = int(self.offset.total_seconds()) % 60
        seconds = (0,) if self.unit == 1 else self.rule.seconds or (into,)
        for minute in self._minutes(begin):
            for second in seconds:
                yield begin + timedelta(seconds=minute * 60 + second)

    def _minutes(self, begin: datetime) -> Sequence[int]:
        """Return how many minutes into a period an occurrence could be."""
        if self.unit < 3_600:
            return (0,)
        if not self.rule.minutes:
            return (int(self.offset.total_seconds()) // 60,)
        wall, end = begin.astimezone(self.zone), self._wall(begin, self.unit)
        if wall.utcoffset() != end.utcoffset():
            return range(60)
        return sorted((minute - wall.minute) % 60 for minute in self.rule.minutes)

    def _shows(self, instant: datetime) -> bool:
        """Tell whether the wall clock shows what the BY parts ask for."""
        wall, rule = instant.astimezone(self.zone), self.rule
        return (
            (not rule.hours or wall.hour in rule.hours)
            and (not rule.minutes or wall.minute in rule.minutes)
            and (not rule.seconds or wall.second in rule.seconds)
            and self.dates.matches(wall.date())
        )


def into_hour(wall: datetime) -> int:
    """Return how many seconds of its hour have passed on a wall clock."""
    return wall.minute * 60 + wall.second


def least_ahead(shown: int, wanted: Sequence[int], size: int) -> int:
    """Return how far the next of the wanted numbers is ahead, on a dial of this size."""
    return min((one - shown) % size or size for one in wanted)
