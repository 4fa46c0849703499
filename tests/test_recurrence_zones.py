"""Rules against an oracle that looks at each day or minute, where clocks do odd things.

No instant comes twice, none is skipped, and what `next_run_at` says one by one is what
`occurrences` says at once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from django_taskstore.recurrence import CronLine, next_run_at, occurrences
from tests import recurrence_oracle as oracle

#: A zone, and a day shortly before its clock does something odd.
ODD = [
    ("America/New_York", "2026-03-07"),
    ("America/New_York", "2026-10-31"),
    ("Australia/Lord_Howe", "2026-04-03"),
    ("Australia/Lord_Howe", "2026-10-02"),
    ("Pacific/Apia", "2011-12-28"),
    ("Europe/Dublin", "2026-03-27"),
    ("Europe/Dublin", "2026-10-24"),
    ("Africa/Casablanca", "2026-02-13"),
    ("Africa/Casablanca", "2026-03-20"),
    ("Asia/Kathmandu", "1985-12-30"),
    ("America/St_Johns", "2006-04-01"),
    ("America/Sao_Paulo", "2018-11-03"),
    ("UTC", "2026-02-27"),
]
PROFILE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def some(values, most=3):
    """Return up to so many of the values, in order."""
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(sorted)


@st.composite
def starts(draw):
    """Return a zone and an instant near one of its odd moments."""
    name, day = draw(st.sampled_from(ODD))
    zone = ZoneInfo(name)
    minutes = draw(st.integers(0, 4 * 24 * 12)) * 5
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(UTC)
    return zone, midnight + timedelta(minutes=minutes)


@st.composite
def slow_rules(draw):
    """Return the parts of a daily or slower rule."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    numbered = ["1MO", "2SU", "-1FR", "5TH", "-2TU"] if frequency == "MONTHLY" else []
    parts = {
        "FREQ": [frequency],
        "INTERVAL": [draw(st.integers(1, 3))],
        "BYHOUR": draw(some([0, 1, 2, 3, 9, 23])),
        "BYMINUTE": draw(some([0, 15, 30, 59])),
        "BYDAY": draw(some([*oracle.CODES, *numbered])),
        "BYMONTH": draw(some([1, 2, 3, 4, 10, 11, 12])),
    }
    if frequency != "WEEKLY":
        parts["BYMONTHDAY"] = draw(some([1, 2, 8, 29, 30, 31, -1, -2]))
    return parts


@st.composite
def fast_rules(draw):
    """Return the parts of an hourly or minutely rule."""
    frequency = draw(st.sampled_from(["HOURLY", "MINUTELY"]))
    return {
        "FREQ": [frequency],
        "INTERVAL": [draw(st.integers(1, 5) if frequency == "HOURLY" else st.integers(1, 100))],
        "BYHOUR": draw(some([0, 1, 2, 3, 4, 12])),
        "BYMINUTE": draw(some([0, 1, 15, 30, 45, 59])),
        "BYDAY": draw(some(oracle.CODES)),
    }


def rule_text(parts, start):
    """Return the rule with its start."""
    return f"DTSTART:{start:%Y%m%dT%H%M%SZ}\nRRULE:{oracle.text_of(parts)}"


@PROFILE
@given(starts(), slow_rules())
def test_a_daily_or_slower_rule_is_what_each_day_says(where, parts):
    zone, start = where
    expected = oracle.slow(parts, start, zone, days=500)
    text = rule_text(parts, start)

    found = occurrences(text, start - timedelta(days=1), len(expected), time_zone=zone.key)

    # The last day of the range may move an instant past an expected one that lies beyond it.
    assert found[: max(0, len(expected) - 16)] == expected[: max(0, len(expected) - 16)]
    assert all(earlier < later for earlier, later in pairwise(found))


@PROFILE
@given(starts(), fast_rules())
def test_an_hourly_or_minutely_rule_is_what_each_minute_says(where, parts):
    zone, start = where
    expected = oracle.fast(parts, start, zone, minutes=6 * 24 * 60)
    text = rule_text(parts, start)

    found = occurrences(text, start - timedelta(days=1), len(expected), time_zone=zone.key)

    assert found == expected


@PROFILE
@given(starts(), st.one_of(slow_rules(), fast_rules()), st.integers(0, 3_000))
def test_one_by_one_is_the_same_as_at_once(where, parts, minutes):
    zone, start = where
    text, after = rule_text(parts, start), start + timedelta(minutes=minutes, seconds=1)
    at_once = occurrences(text, after, 8, time_zone=zone.key)

    one_by_one, moment = [], after
    for _ in range(len(at_once)):
        moment = next_run_at(text, moment, time_zone=zone.key)
        one_by_one.append(moment)

    assert one_by_one == at_once


@st.composite
def any_rules(draw):
    """Return the parts of a rule of any kind that RFC 5545 has."""
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"]))
    parts = {
        "FREQ": [frequency],
        "INTERVAL": [draw(st.integers(1, 3))],
        "BYMONTH": draw(some([1, 2, 6, 12])),
        "BYHOUR": draw(some([0, 9, 23])),
        "BYMINUTE": draw(some([0, 30])),
    }
    numbered = {"YEARLY": ["1MO", "-1FR", "10TU"], "MONTHLY": ["1MO", "-1FR", "3TU"]}
    # Not both: dateutil takes 1MO,MO for the Mondays that are both, the RFC for either.
    names = numbered.get(frequency, oracle.CODES) if draw(st.booleans()) else oracle.CODES
    if frequency == "YEARLY" and draw(st.booleans()):
        parts["BYWEEKNO"] = draw(some([1, 2, 20, 52, 53, -1]))
        names = oracle.CODES
    parts["BYDAY"] = draw(some(names))
    if parts.get("BYWEEKNO") and not parts["BYDAY"]:
        parts["BYDAY"] = ["MO"]  # dateutil takes the whole week, the RFC the start's weekday.
    if frequency in ("YEARLY", "HOURLY"):
        parts["BYYEARDAY"] = draw(some([1, 60, 100, 366, -1, -60], most=2))
    if frequency != "WEEKLY":
        parts["BYMONTHDAY"] = draw(some([1, 13, 29, 31, -1], most=2))
    chosen = any(parts.get(name) for name in ("BYDAY", "BYMONTHDAY", "BYHOUR", "BYMINUTE"))
    if chosen and draw(st.booleans()):
        parts["BYSETPOS"] = draw(some([1, 2, -1], most=2))
    parts["WKST"] = [draw(st.sampled_from(["MO", "SU", "WE"]))]
    return parts


@PROFILE
@given(any_rules(), st.integers(0, 3 * 365))
def test_dateutil_says_the_same_where_no_clock_jumps(parts, days):
    start = datetime(2026, 1, 1, 9, 30, tzinfo=UTC) + timedelta(days=days)
    found = occurrences(rule_text(parts, start), start - timedelta(days=1), 20)
    found = [one for one in found if one < start + timedelta(days=800)]
    assume(found)
    theirs = rrulestr(f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{oracle.text_of(parts)}")

    first = [moment.replace(tzinfo=UTC) for _, moment in zip(found, theirs, strict=False)]

    assert found == first


FIELDS = st.tuples(
    st.sampled_from(["0", "30", "*/15", "*", "5,35"]),
    st.sampled_from(["*", "1", "2", "0", "1-3", "*/2"]),
    st.sampled_from(["*", "1", "29", "L"]),
    st.sampled_from(["*", "3,10"]),
    st.sampled_from(["*", "0", "1-5", "6#1"]),
)


@PROFILE
@given(starts(), FIELDS)
def test_a_cron_line_goes_forward_and_does_not_depend_on_where_one_starts(where, fields):
    zone, start = where
    line = CronLine(" ".join(fields))
    found = [moment for _, moment in zip(range(12), line.instants(start, zone), strict=False)]

    assert all(earlier < later for earlier, later in pairwise([start, *found]))
    for earlier, later in pairwise([start, *found]):
        assert next_run_at(line.text, earlier, time_zone=zone.key) == later


WALLS = [
    # New York, 8 March 2026: 02:00 to 03:00 is missing.
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "America/New_York", "2026-03-08T00:00", "03:30 -0400"),
    ("30 2 * * *", "America/New_York", "2026-03-08T00:00", "03:00 -0400"),
    # 1 November 2026: 01:00 to 02:00 comes twice.
    ("FREQ=DAILY;BYHOUR=1;BYMINUTE=30", "America/New_York", "2026-11-01T00:00", "01:30 -0400"),
    ("30 1 * * *", "America/New_York", "2026-11-01T00:00", "01:30 -0400"),
    # Lord Howe jumps by half an hour, Kathmandu lies a quarter off.
    ("FREQ=DAILY;BYHOUR=2;BYMINUTE=15", "Australia/Lord_Howe", "2026-10-04T00:00", "02:45 +1100"),
    ("FREQ=DAILY;BYHOUR=9", "Asia/Kathmandu", "2026-10-04T00:00", "09:00 +0545"),
]


@pytest.mark.parametrize(("rule", "zone", "after", "expected"), WALLS)
def test_a_gap_moves_a_time_forward_and_an_ambiguous_one_happens_first(rule, zone, after, expected):
    moment = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))

    found = next_run_at(rule, moment, time_zone=zone).astimezone(ZoneInfo(zone))

    assert f"{found:%H:%M %z}" == expected


def local(rule, zone, after, limit):
    """Return the first wall times after a naive one."""
    place = ZoneInfo(zone)
    moment = datetime.fromisoformat(after).replace(tzinfo=place)
    found = occurrences(rule, moment, limit, time_zone=zone)
    return [f"{one.astimezone(place):%d %H:%M %z}" for one in found]


def test_an_hourly_rule_fires_in_both_of_two_equal_hours_and_not_in_the_missing_one():
    for rule in ("FREQ=HOURLY", "0 * * * *"):
        assert local(rule, "America/New_York", "2026-11-01T00:30", 3) == [
            "01 01:00 -0400",
            "01 01:00 -0500",
            "01 02:00 -0500",
        ]
        assert local(rule, "America/New_York", "2026-03-08T00:30", 2) == [
            "08 01:00 -0500",
            "08 03:00 -0400",
        ]


def test_the_day_that_samoa_left_out_is_neither_lost_nor_doubled():
    days = local("FREQ=DAILY;BYHOUR=9", "Pacific/Apia", "2011-12-29T00:00", 3)
    assert days == ["29 09:00 -1000", "31 09:00 +1400", "01 09:00 +1400"]


def test_times_in_a_gap_come_in_the_order_of_their_instants():
    rule = "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,45"
    assert local(rule, "America/New_York", "2026-03-08T00:00", 3) == [
        "08 03:00 -0400",
        "08 03:45 -0400",
        "09 02:00 -0400",
    ]
