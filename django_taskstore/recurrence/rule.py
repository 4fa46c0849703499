"""A recurrence rule: how often, on which days, at which times, from when until when.

Owns `RecurrenceRule`, the names of days and months, and the rule's JSON form. The fields are
the specification's, and after them what RFC 5545 has beyond them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.recurrence.bounds import FREQUENCIES, RANGES, check_rule, check_zone

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
DAY = re.compile(r"([+-]?\d{1,2})?\s*([A-Za-z]+)")
SHORTEST_NAME = 3
#: Times in these years stand for none in the Go library's rows.
YEARS_OF_NO_TIME = {"starts_at": 2, "ends_at": 9999}


@dataclass(frozen=True, slots=True)
class RecurrenceRule:
    """A rule in the words of the specification, with all parts of RFC 5545's RRULE.

    Attributes:
        frequency: none (once), secondly, minutely, hourly, daily, weekly, monthly or yearly.
        interval: every so many of them.
        days_of_week: names or codes, such as "monday" or "MO"; numbered in a month or year,
            such as "2MO" or "-1FR".
        days_of_month: 1 to 31, or -1 to -31 counted from the end.
        months_of_year: names, or 1 to 12.
        starts_at: the first moment, which also gives the parts that the rule leaves out.
        ends_at: the last moment that may be an occurrence.
        count: end after so many occurrences.
        hours, minutes, seconds: the times of a day.
        days_of_year: 1 to 366, or counted from the end.
        weeks_of_year: 1 to 53, or counted from the end.
        set_positions: which of a period's occurrences to keep: 1 the first, -1 the last.
        week_start: the weekday that weeks start on.
        time_zone: the zone of the wall clock where the rule itself says it; mostly empty.

    Raises:
        InvalidRecurrence: a word is unknown, a number out of range, or parts exclude each other.
    """

    frequency: str = "none"
    interval: int = 1
    days_of_week: tuple[str, ...] = ()
    days_of_month: tuple[int, ...] = ()
    months_of_year: tuple[int, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    count: int | None = None
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    days_of_year: tuple[int, ...] = ()
    weeks_of_year: tuple[int, ...] = ()
    set_positions: tuple[int, ...] = ()
    week_start: str = "MO"
    time_zone: str = ""

    def __post_init__(self) -> None:
        self._set("frequency", read_frequency(self.frequency))
        self._set("days_of_week", tuple(read_day(one) for one in listed(self.days_of_week)))
        self._set("months_of_year", [read_month(one) for one in listed(self.months_of_year)])
        self._set("week_start", read_day(self.week_start))
        for name in RANGES:
            self._set(name, tuple(sorted_once(listed(getattr(self, name)))))
        for name in ("starts_at", "ends_at"):
            moment = getattr(self, name)
            if isinstance(moment, datetime):
                self._set(name, moment.replace(microsecond=0))
        if self.time_zone:
            check_zone(self.time_zone)
        check_rule(self)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def by_parts(self) -> list[str]:
        """The names of the BY parts that the rule has."""
        return [name for name in ("days_of_week", *RANGES) if getattr(self, name)]

    @property
    def has_ordinals(self) -> bool:
        """Whether a weekday is numbered, such as 2MO."""
        return any(code not in CODES for code in self.days_of_week)

    @property
    def times_a_day(self) -> int:
        """How many times of day the BY parts name."""
        return max(1, len(self.hours)) * max(1, len(self.minutes)) * max(1, len(self.seconds))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RecurrenceRule:
        """Read the JSON form: an object with the fields in camel case.

        Args:
            value: such as ``{"frequency": "weekly", "daysOfWeek": ["monday"]}``; times are ISO
                texts, in UTC where they say no offset. Empty ones count as left out, and so do
                a start in the year 2 and an end in the year 9999, the Go library's for none.

        Raises:
            InvalidRecurrence: a key is unknown, or a value wrong.
        """
        if not isinstance(value, Mapping):
            raise InvalidRecurrence(f"A rule as JSON is an object, not {value!r:.40}.")
        names = {camel(field.name): field.name for field in fields(cls)}
        unknown = [str(key) for key in value if key not in names]
        if unknown:
            raise InvalidRecurrence(
                f"A rule as JSON has no {unknown[0]!r:.40}; it has {', '.join(names)}."
            )
        given = {names[key]: one for key, one in value.items() if one not in (None, "", [])}
        for name, year in YEARS_OF_NO_TIME.items():
            if name in given:
                moment = read_moment(camel(name), given[name])
                given[name] = None if moment.year == year else moment
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; what the rule leaves out is left out."""
        shown: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "frequency" and value == field.default:
                continue
            shown[camel(field.name)] = written(field.name, value)
        return shown


def written(name: str, value: Any) -> Any:
    """Return a field's value as JSON: names of days and months, ISO times, lists."""
    if name == "days_of_week":
        return [WEEKDAYS[CODES.index(code)] if code in CODES else code for code in value]
    if name == "months_of_year":
        return [MONTHS[month - 1] for month in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def camel(name: str) -> str:
    """Return a field's name as JSON has it: ``starts_at`` is ``startsAt``."""
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def listed(value: Any) -> list[Any]:
    """Return values as a list; one text or number is a list of one."""
    if isinstance(value, (str, int)) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def sorted_once(values: list[Any]) -> list[Any]:
    """Return numbers in order, each once; anything else as it is, for the checks to refuse."""
    if all(isinstance(one, int) for one in values):
        return sorted(set(values))
    return values


def read_frequency(word: object) -> str:
    """Return a frequency in lower case.

    Raises:
        InvalidRecurrence: there is no such frequency.
    """
    text = word.strip().lower() if isinstance(word, str) else ""
    if text not in FREQUENCIES:
        raise InvalidRecurrence(
            f"Frequency {word!r:.40} is not known; use one of {', '.join(FREQUENCIES)}."
        )
    return text


def read_day(word: object) -> str:
    """Return a weekday's code, with its number if it has one: "monday" is "MO".

    Raises:
        InvalidRecurrence: there is no such day, or its number is out of range.
    """
    match = DAY.fullmatch(word.strip()) if isinstance(word, str) else None
    code = None if match is None else day_code(match[2])
    number = 0 if match is None or match[1] is None else int(match[1])
    if code is None or abs(number) > 53 or (match is not None and match[1] and number == 0):
        raise InvalidRecurrence(
            f"Day {word!r:.40} is not known: use a name such as 'monday', a code such as 'MO', or "
            "a numbered one such as '2MO' or '-1FR'."
        )
    return f"{number}{code}" if number else code


def day_code(word: str) -> str | None:
    """Return the code of a weekday's name, its first letters or its code, in any case."""
    lower = word.lower()
    if lower.upper() in CODES:
        return lower.upper()
    names = [name for name in WEEKDAYS if name.startswith(lower)]
    return CODES[WEEKDAYS.index(names[0])] if names and len(lower) >= SHORTEST_NAME else None


def read_month(word: object) -> Any:
    """Return a month's number; a number is left for the checks.

    Raises:
        InvalidRecurrence: there is no month of this name.
    """
    if not isinstance(word, str):
        return word
    lower = word.strip().lower()
    names = [name for name in MONTHS if len(lower) >= SHORTEST_NAME and name.startswith(lower)]
    if not names:
        raise InvalidRecurrence(f"Month {word!r:.40} is not known; use one of {', '.join(MONTHS)}.")
    return MONTHS.index(names[0]) + 1


def read_moment(key: str, value: object) -> datetime:
    """Return an ISO text as an aware datetime, in UTC where it has no offset.

    Raises:
        InvalidRecurrence: it is no such text.
    """
    if isinstance(value, datetime):
        return value
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidRecurrence(
            f"{key} is {value!r:.60}, expected a time such as '2030-01-31T09:00:00+02:00', or in "
            "UTC '2030-01-31 07:00:00'."
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
