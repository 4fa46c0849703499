"""What a recurrence rule may hold: ranges, lengths, and parts that go together.

Owns the limits and their messages. Whatever passes here is walked in bounded time, so a rule
from a form, from code or from a row that somebody edited is checked by the same code.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django_taskstore.exceptions import InvalidRecurrence

if TYPE_CHECKING:
    from django_taskstore.recurrence.rule import RecurrenceRule

LONGEST_TEXT = 500
LONGEST_ZONE = 64
LONGEST_INTERVAL = 100_000
#: A counted rule is walked from its start, so its length is bounded.
MOST_COUNTED = 2_000
#: Once a minute; more belongs to FREQ=MINUTELY or SECONDLY.
MOST_TIMES_A_DAY = 1_440
FIRST_YEAR, LAST_YEAR = 1970, 9_000

FREQUENCIES = ("none", "secondly", "minutely", "hourly", "daily", "weekly", "monthly", "yearly")
#: In UTC steps; the slower ones keep the wall clock.
FAST = frozenset({"secondly", "minutely", "hourly"})

#: Each part's RFC 5545 name, its smallest and largest value, and whether it may be negative.
RANGES: dict[str, tuple[str, int, int, bool]] = {
    "days_of_month": ("BYMONTHDAY", 1, 31, True),
    "months_of_year": ("BYMONTH", 1, 12, False),
    "hours": ("BYHOUR", 0, 23, False),
    "minutes": ("BYMINUTE", 0, 59, False),
    "seconds": ("BYSECOND", 0, 59, False),
    "days_of_year": ("BYYEARDAY", 1, 366, True),
    "weeks_of_year": ("BYWEEKNO", 1, 53, True),
    "set_positions": ("BYSETPOS", 1, 366, True),
}


def check_text(text: object) -> str:
    """Return a rule's text.

    Raises:
        InvalidRecurrence: it is no text, or too long.
    """
    if not isinstance(text, str):
        raise InvalidRecurrence(
            f"A recurrence rule is a {type(text).__name__}, expected text such as "
            "'FREQ=DAILY;BYHOUR=9' or '0 9 * * 1-5'."
        )
    if len(text) > LONGEST_TEXT:
        raise InvalidRecurrence(
            f"A recurrence rule is {len(text):,} characters long, expected at most {LONGEST_TEXT}."
        )
    return text


def check_zone(name: object) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises:
        InvalidRecurrence: there is no such zone.
    """
    if isinstance(name, str) and 0 < len(name) <= LONGEST_ZONE:
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            pass
    raise InvalidRecurrence(
        f"Time zone {name!r:.80} is not known: use an IANA name such as 'Europe/Sofia' or 'UTC'."
    )


def check_rule(rule: RecurrenceRule) -> None:
    """Check a rule whose words have been read.

    Raises:
        InvalidRecurrence: a number is out of range, or two parts do not go together.
    """
    check_number("INTERVAL", rule.interval, range(1, LONGEST_INTERVAL + 1))
    if rule.count is not None:
        check_number("COUNT", rule.count, range(1, MOST_COUNTED + 1))
    for name, (part, low, high, signed) in RANGES.items():
        check_values(part, getattr(rule, name), low=low, high=high, signed=signed)
    check_moments(rule)
    check_combination(rule)


def check_number(part: str, value: Any, allowed: range) -> None:
    """Check one whole number.

    Raises:
        InvalidRecurrence: it is none, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise InvalidRecurrence(
            f"{part} is {value!r:.40}, expected a whole number from {allowed[0]} to "
            f"{allowed[-1]:,}."
        )


def check_values(part: str, values: Iterable[Any], *, low: int, high: int, signed: bool) -> None:
    """Check the numbers of a BY part.

    Raises:
        InvalidRecurrence: one is no number, or out of range.
    """
    for value in values:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not low <= (abs(value) if signed else value) <= high:
            counted_back = f", or -{high} to -{low} counted from the end" if signed else ""
            raise InvalidRecurrence(
                f"{part} has {value!r:.40}, expected numbers from {low} to {high}{counted_back}."
            )


def check_moments(rule: RecurrenceRule) -> None:
    """Check where a rule starts and ends.

    Raises:
        InvalidRecurrence: a time is naive or far away, or the end comes before the start.
    """
    for name, moment in (("starts_at", rule.starts_at), ("ends_at", rule.ends_at)):
        if moment is not None:
            check_moment(name, moment)
    if rule.starts_at and rule.ends_at and rule.ends_at < rule.starts_at:
        raise InvalidRecurrence(
            f"The rule ends at {rule.ends_at.isoformat()}, before it starts at "
            f"{rule.starts_at.isoformat()}."
        )


def check_moment(name: str, moment: object) -> None:
    """Check one time.

    Raises:
        InvalidRecurrence: it is no aware datetime, or far away.
    """
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidRecurrence(f"{name} is {moment!r:.80}, expected an aware datetime.")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InvalidRecurrence(
            f"{name} is in the year {moment.year}, expected {FIRST_YEAR} to {LAST_YEAR}."
        )


def check_combination(rule: RecurrenceRule) -> None:
    """Check which parts stand beside which, as RFC 5545 §3.3.10 has them.

    Raises:
        InvalidRecurrence: two of them do not go together.
    """
    frequency = rule.frequency
    for problem in combination_problems(rule):
        raise InvalidRecurrence(f"With FREQ={frequency.upper()} {problem}.")


def combination_problems(rule: RecurrenceRule) -> Iterable[str]:
    """Yield what does not go together."""
    frequency, parts = rule.frequency, rule.by_parts
    if frequency == "none" and (parts or rule.interval != 1 or rule.count):
        yield "a rule happens once, so INTERVAL, COUNT and the BY parts have nothing to say"
    if rule.count is not None and rule.ends_at is not None:
        yield "COUNT and UNTIL exclude each other: give one of them"
    if rule.weeks_of_year and frequency != "yearly":
        yield "BYWEEKNO has no meaning; it goes with YEARLY"
    if rule.days_of_year and frequency in ("daily", "weekly", "monthly"):
        yield "BYYEARDAY has no meaning; it goes with YEARLY, or HOURLY and faster"
    if rule.days_of_month and frequency == "weekly":
        yield "BYMONTHDAY has no meaning; use MONTHLY"
    if rule.has_ordinals and (frequency not in ("monthly", "yearly") or rule.weeks_of_year):
        yield "a numbered weekday such as 1MO has no meaning; it goes with MONTHLY or YEARLY"
    if rule.set_positions and set(parts) == {"set_positions"}:
        yield "BYSETPOS needs another BY part to choose from"
    if frequency not in FAST and rule.times_a_day > MOST_TIMES_A_DAY:
        yield f"a day has {rule.times_a_day:,} times, more than {MOST_TIMES_A_DAY:,}; use MINUTELY"
