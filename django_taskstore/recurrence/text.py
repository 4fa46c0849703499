"""Recurrence rules as RFC 5545 writes them: a DTSTART line, an RRULE line, or both.

Owns reading and writing of the text. ``FREQ=DAILY`` alone is a rule; ``DTSTART:…`` alone
happens once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.recurrence.bounds import check_text, check_zone
from django_taskstore.recurrence.rule import RecurrenceRule

#: RFC 5545's names of the parts that hold numbers, and our fields.
LISTS = {
    "BYSECOND": "seconds",
    "BYMINUTE": "minutes",
    "BYHOUR": "hours",
    "BYMONTHDAY": "days_of_month",
    "BYYEARDAY": "days_of_year",
    "BYWEEKNO": "weeks_of_year",
    "BYMONTH": "months_of_year",
    "BYSETPOS": "set_positions",
}
NUMBERS = {"INTERVAL": "interval", "COUNT": "count"}
WHOLE = re.compile(r"[+-]?\d{1,9}")
START = re.compile(
    r"DTSTART(?:;VALUE=DATE(?:-TIME)?|;TZID=(?P<zone>[^:;]+))*:(?P<moment>\S+)", re.IGNORECASE
)
MOMENT = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.IGNORECASE)
MIDNIGHT, END_OF_DAY = time(0), time(23, 59, 59)


def read(text: str, time_zone: str = "UTC") -> RecurrenceRule:
    """Read a rule.

    Args:
        text: such as ``DTSTART:20300101T090000`` and ``RRULE:FREQ=DAILY`` on two lines, or
            ``FREQ=DAILY;BYHOUR=9`` alone. An empty text happens once, at its start.
        time_zone: the zone of times that say none.

    Raises:
        InvalidRecurrence: the text is no rule; the message names the part.
    """
    start, parts = split(check_text(text))
    found: dict[str, Any] = {}
    if start:
        found["time_zone"], found["starts_at"] = read_start(start, time_zone)
    for name, value in parts.items():
        field, reader = READERS[name]
        found[field] = reader(name, value, found.get("time_zone") or time_zone)
    return RecurrenceRule(**found)


def split(text: str) -> tuple[str, dict[str, str]]:
    """Return the DTSTART line, or an empty text, and the parts of the RRULE line.

    Raises:
        InvalidRecurrence: a line or a part is not understood, or is there twice.
    """
    lines: dict[str, str] = {}
    for line in text.split():
        name = "DTSTART" if line.upper().startswith("DTSTART") else "RRULE"
        if name in lines:
            raise InvalidRecurrence(f"A rule has two {name} lines; one is expected.")
        lines[name] = line
    rule = re.sub("^RRULE:", "", lines.get("RRULE", ""), flags=re.IGNORECASE)
    parts: dict[str, str] = {}
    for part in rule.strip(";").split(";") if rule else ():
        name, _, value = part.upper().partition("=")
        if name not in READERS or not value:
            raise InvalidRecurrence(
                f"{part!r:.60} is not understood: expected parts such as FREQ=WEEKLY;BYDAY=MO, or "
                "a cron line of five fields."
            )
        if name in parts:
            raise InvalidRecurrence(f"A rule has {name} twice; one is expected.")
        parts[name] = value
    if parts and "FREQ" not in parts:
        raise InvalidRecurrence("A rule has no FREQ; add one such as FREQ=DAILY.")
    return lines.get("DTSTART", ""), parts


def read_start(line: str, time_zone: str) -> tuple[str, datetime]:
    """Return the zone that a DTSTART line names, or an empty text, and its moment.

    Raises:
        InvalidRecurrence: the line is not understood.
    """
    match = START.fullmatch(line)
    if match is None:
        raise InvalidRecurrence(
            f"{line!r:.80} is not understood: expected DTSTART:20300131T090000, with Z for UTC, or "
            "with ;TZID=Europe/Sofia."
        )
    zone = match["zone"] or ""
    return zone, read_moment("DTSTART", match["moment"], zone or time_zone)


def read_moment(name: str, text: str, time_zone: str, *, of_a_date: time = MIDNIGHT) -> datetime:
    """Return a moment as an aware datetime.

    Args:
        name: the part, for the message.
        text: ``20300131T090000``, with ``Z`` for UTC, or a date alone.
        time_zone: the zone of a moment without ``Z``.
        of_a_date: the time that a date alone stands for.

    Raises:
        InvalidRecurrence: it is no moment.
    """
    zone = check_zone(time_zone)
    match = MOMENT.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        day = datetime.strptime(match[1], "%Y%m%d").date()  # noqa: DTZ007 - combined below
        clock = of_a_date if match[2] is None else time.fromisoformat(match[2])
    except ValueError:
        raise InvalidRecurrence(
            f"{name} is {text!r:.40}, expected such as 20300131T090000, 20300131T090000Z or "
            "20300131."
        ) from None
    return datetime.combine(day, clock, UTC if match[3] else zone)


def read_until(name: str, text: str, time_zone: str) -> datetime:
    """Return the last moment; a date alone means the end of that day."""
    return read_moment(name, text, time_zone, of_a_date=END_OF_DAY)


def read_words(_name: str, text: str, _time_zone: str) -> tuple[str, ...]:
    """Return words with commas between them, for the rule to check."""
    return tuple(text.split(","))


def read_word(_name: str, text: str, _time_zone: str) -> str:
    """Return a word, for the rule to check."""
    return text


def read_number(name: str, text: str, _time_zone: str) -> int:
    """Return a whole number.

    Raises:
        InvalidRecurrence: it is none.
    """
    if WHOLE.fullmatch(text) is None:
        raise InvalidRecurrence(f"{name} has {text!r:.40}, expected whole numbers.")
    return int(text)


def read_numbers(name: str, text: str, time_zone: str) -> tuple[int, ...]:
    """Return whole numbers with commas between them."""
    return tuple(read_number(name, one, time_zone) for one in text.split(","))


READERS: dict[str, tuple[str, Callable[[str, str, str], Any]]] = {
    "FREQ": ("frequency", read_word),
    "UNTIL": ("ends_at", read_until),
    "WKST": ("week_start", read_word),
    "BYDAY": ("days_of_week", read_words),
    **{name: (field, read_number) for name, field in NUMBERS.items()},
    **{name: (field, read_numbers) for name, field in LISTS.items()},
}


def write(rule: RecurrenceRule) -> str:
    """Return a rule as text that `read` reads again; moments are in UTC unless it has a zone."""
    lines = []
    if rule.starts_at is not None and rule.time_zone:
        local = rule.starts_at.astimezone(check_zone(rule.time_zone))
        lines.append(f"DTSTART;TZID={rule.time_zone}:{local:%Y%m%dT%H%M%S}")
    elif rule.starts_at is not None:
        lines.append(f"DTSTART:{stamp(rule.starts_at)}")
    if rule.frequency != "none":
        lines.append(f"RRULE:{';'.join(written_parts(rule))}")
    return "\n".join(lines)


def written_parts(rule: RecurrenceRule) -> list[str]:
    """Return the parts of the RRULE line."""
    parts = [f"FREQ={rule.frequency.upper()}"]
    if rule.interval != 1:
        parts.append(f"INTERVAL={rule.interval}")
    if rule.count is not None:
        parts.append(f"COUNT={rule.count}")
    if rule.ends_at is not None:
        parts.append(f"UNTIL={stamp(rule.ends_at)}")
    for name, field in {**LISTS, "BYDAY": "days_of_week"}.items():
        if values := getattr(rule, field):
            parts.append(f"{name}={','.join(map(str, values))}")
    if rule.week_start != "MO":
        parts.append(f"WKST={rule.week_start}")
    return parts


def stamp(moment: datetime) -> str:
    """Return a moment in UTC as RFC 5545 writes it."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
