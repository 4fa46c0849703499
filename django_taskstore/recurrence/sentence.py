"""A rule in words, for people: "Every weekday at 09:00, Europe/Sofia".

Owns the phrases, each of which can be translated. Names of days and months are Django's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, npgettext, pgettext

from django_taskstore.recurrence.bounds import FAST
from django_taskstore.recurrence.cron import CronLine
from django_taskstore.recurrence.rule import CODES, RecurrenceRule
from django_taskstore.recurrence.timetable import Timetable
from django_taskstore.recurrence.walk import start_of, times_of_day

MOST_TIMES_SHOWN = 6


def sentence(timetable: Timetable) -> str:
    """Return a timetable in words, in the active language."""
    rule, zone = timetable.parsed, timetable.zone
    if isinstance(rule, CronLine):
        as_rule = rule.as_rule()
        if as_rule is None:
            return joined([rule.explain(), zone.key])
        rule = as_rule
    start = start_of(rule, zone).astimezone(zone)
    if rule.frequency == "none":
        return joined([_("Once, on %(moment)s") % {"moment": shown(start)}, zone.key])
    rule = spelled(rule, start)
    phrases = [how_often(rule), *days(rule), *times(rule, start)]
    words = " ".join(phrase for phrase in phrases if phrase)
    return joined([words, *limits(rule, timetable, zone), zone.key])


def spelled(rule: RecurrenceRule, start: datetime) -> RecurrenceRule:
    """Return a rule that says the days which its start implies."""
    if rule.days_of_week or rule.days_of_month or rule.days_of_year:
        return rule
    if rule.frequency == "weekly" or rule.weeks_of_year:
        return replace(rule, days_of_week=(CODES[start.weekday()],))
    if rule.frequency == "monthly":
        return replace(rule, days_of_month=(start.day,))
    if rule.frequency == "yearly":
        months = rule.months_of_year or (start.month,)
        return replace(rule, days_of_month=(start.day,), months_of_year=months)
    return rule


def joined(parts: Sequence[Any]) -> str:
    """Return phrases with commas between them."""
    return ", ".join(str(part) for part in parts if part)


def listed(words: Sequence[Any]) -> str:
    """Return words as "a, b and c"."""
    return str(get_text_list([str(word) for word in words], _("and")))


def shown(moment: datetime) -> str:
    """Return a moment to the minute, or to the second where it has some."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment.second else f"{moment:%Y-%m-%d %H:%M}"


def names_its_days(rule: RecurrenceRule) -> bool:
    """Tell whether the weekdays say how often: "Every Monday", not "Every week on Monday"."""
    return bool(rule.days_of_week) and rule.interval == 1 and rule.frequency in ("daily", "weekly")


def how_often(rule: RecurrenceRule) -> str:
    """Return the frequency in words."""
    if names_its_days(rule):
        if set(rule.days_of_week) == set(CODES[:5]):
            return _("Every weekday")
        return _("Every %(days)s") % {"days": weekdays(rule)}
    number = rule.interval
    phrase = {
        "secondly": npgettext("how often", "Every second", "Every %(number)d seconds", number),
        "minutely": npgettext("how often", "Every minute", "Every %(number)d minutes", number),
        "hourly": npgettext("how often", "Every hour", "Every %(number)d hours", number),
        "daily": npgettext("how often", "Every day", "Every %(number)d days", number),
        "weekly": npgettext("how often", "Every week", "Every %(number)d weeks", number),
        "monthly": npgettext("how often", "Every month", "Every %(number)d months", number),
        "yearly": npgettext("how often", "Every year", "Every %(number)d years", number),
    }[rule.frequency]
    return str(phrase % {"number": number})


def weekdays(rule: RecurrenceRule) -> str:
    """Return the rule's weekdays in words."""
    return listed([weekday(code) for code in rule.days_of_week])


def weekday(code: str) -> str:
    """Return one weekday in words, with its number: "second Tuesday"."""
    name = str(WEEKDAYS[CODES.index(code[-2:])])
    number = code[:-2]
    return _("%(nth)s %(day)s") % {"nth": place(int(number)), "day": name} if number else name


def place(number: int) -> str:
    """Return a place in a row: first, last, number 6."""
    words = {
        1: pgettext("place in a row", "first"),
        2: pgettext("place in a row", "second"),
        3: pgettext("place in a row", "third"),
        4: pgettext("place in a row", "fourth"),
        5: pgettext("place in a row", "fifth"),
        -1: pgettext("place in a row", "last"),
    }
    if number in words:
        return words[number]
    if number < 0:
        return _("number %(number)d from the end") % {"number": -number}
    return _("number %(number)d") % {"number": number}


def numbers(values: Sequence[int]) -> str:
    """Return numbers in words; those below zero count from the end."""
    in_order = sorted(values, key=lambda one: (one < 0, abs(one)))
    return listed([str(one) if one > 0 else place(one) for one in in_order])


def days(rule: RecurrenceRule) -> Iterator[str]:
    """Yield the phrases that name days."""
    if rule.days_of_week and not names_its_days(rule):
        yield _("on %(days)s") % {"days": weekdays(rule)}
    if rule.days_of_month == (-1,):
        yield _("on the last day of the month")
    elif rule.days_of_month:
        yield _("on day %(days)s of the month") % {"days": numbers(rule.days_of_month)}
    if rule.days_of_year:
        yield _("on day %(days)s of the year") % {"days": numbers(rule.days_of_year)}
    if rule.weeks_of_year:
        yield _("in week %(weeks)s") % {"weeks": numbers(rule.weeks_of_year)}
    if rule.months_of_year:
        months = listed([MONTHS[month] for month in rule.months_of_year])
        yield _("in %(months)s") % {"months": months}


def times(rule: RecurrenceRule, start: datetime) -> Iterator[str]:
    """Yield the phrases that name times of day."""
    if rule.frequency not in FAST:
        clock = times_of_day(rule, start)
        if len(clock) > MOST_TIMES_SHOWN:
            yield _("at %(number)d times of the day") % {"number": len(clock)}
        else:
            yield _("at %(times)s") % {"times": listed([short(one) for one in clock])}
        return
    if rule.minutes or rule.frequency == "hourly":
        yield _("at minute %(minutes)s") % {"minutes": listed(rule.minutes or (start.minute,))}
    if rule.seconds:
        yield _("at second %(seconds)s") % {"seconds": listed(rule.seconds)}
    if rule.hours:
        yield _("in the hours %(hours)s") % {"hours": listed(rule.hours)}


def short(clock: time) -> str:
    """Return a time of day without seconds where it has none."""
    return clock.isoformat("seconds" if clock.second else "minutes")


def limits(rule: RecurrenceRule, timetable: Timetable, zone: ZoneInfo) -> Iterator[str]:
    """Yield what ends or thins out the rule."""
    if rule.set_positions:
        yield _("only the %(places)s") % {"places": listed([place(n) for n in rule.set_positions])}
    if rule.count is not None:
        yield ngettext("once", "%(number)d times", rule.count) % {"number": rule.count}
    ends = [end for end in (rule.ends_at, timetable.end_at) if end is not None]
    if ends:
        yield _("until %(moment)s") % {"moment": shown(min(ends).astimezone(zone))}
