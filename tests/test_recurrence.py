"""Recurrence rules: their text and JSON, what is refused and how fast, and their sentences."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.recurrence import (
    RecurrenceRule,
    Timetable,
    next_run_at,
    occurrences,
    parse,
    sentence,
)
from django_taskstore.recurrence.bounds import FREQUENCIES
from django_taskstore.recurrence.text import read, write
from tests.rule_costs import Counter, forget_rules

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SOFIA = ZoneInfo("Europe/Sofia")

#: Only a hang comes near it, on whichever machine.
SECONDS_FOR_A_HANG = 1.0
#: So many calls of functions are some 50 ms.
CALLS_FOR_50_MS = 200_000


def test_a_rule_is_built_from_names_in_any_case():
    rule = RecurrenceRule(
        "Weekly",
        interval=2,
        days_of_week=["Monday", "thu", "FR"],
        months_of_year=["january", "DEC", 6],
        starts_at=datetime(2026, 1, 5, 9, tzinfo=SOFIA),
        ends_at=datetime(2026, 12, 31, tzinfo=UTC),
    )
    assert rule.days_of_week == ("MO", "TH", "FR")
    assert rule.months_of_year == (1, 6, 12)
    assert write(rule) == (
        "DTSTART:20260105T070000Z\n"
        "RRULE:FREQ=WEEKLY;INTERVAL=2;UNTIL=20261231T000000Z;BYMONTH=1,6,12;BYDAY=MO,TH,FR"
    )


TEXTS = [
    "RRULE:FREQ=DAILY",
    "DTSTART:20300101T090000Z",
    "DTSTART;TZID=America/New_York:19970902T090000\nRRULE:FREQ=DAILY;COUNT=10",
    "RRULE:FREQ=YEARLY;BYMONTHDAY=-1;BYYEARDAY=-366,1;BYWEEKNO=53;BYDAY=MO,SU;WKST=SU",
    "RRULE:FREQ=MONTHLY;BYSETPOS=-1,1;BYDAY=1MO,-1FR",
    "RRULE:FREQ=SECONDLY;INTERVAL=7;BYSECOND=0,59;BYMINUTE=3;BYHOUR=0,23",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_written_reads_the_same(text):
    rule = read(text)
    assert read(write(rule)) == rule
    assert RecurrenceRule.from_json(rule.to_json()) == rule


def test_the_text_is_read_loosely():
    strict = read("RRULE:FREQ=WEEKLY;BYDAY=MO,-1FR".replace("WEEKLY", "MONTHLY"))
    assert read(" rrule:freq=monthly;byday=mo,-1fr; ") == strict
    assert read("FREQ=MONTHLY;BYDAY=MO,-1FR") == strict


def test_times_without_a_zone_are_of_the_schedules_zone():
    rule = read("DTSTART:20260701T090000\nRRULE:FREQ=DAILY;UNTIL=20260703", "Europe/Sofia")
    assert rule.starts_at == datetime(2026, 7, 1, 6, tzinfo=UTC)
    assert rule.ends_at == datetime(2026, 7, 3, 20, 59, 59, tzinfo=UTC)


def test_the_rules_own_zone_wins():
    text = "DTSTART;TZID=America/New_York:20260701T090000\nRRULE:FREQ=DAILY"
    assert next_run_at(text, NOON, time_zone="Europe/Sofia").hour == 14


def test_the_specifications_json_form():
    value = {
        "frequency": "weekly",
        "interval": 1,
        "daysOfWeek": ["monday", "FRIDAY"],
        "daysOfMonth": [],
        "monthsOfYear": ["December"],
        "startsAt": "2026-01-01T09:30:00+02:00",
        "endsAt": "",
    }
    rule = RecurrenceRule.from_json(value)
    assert rule.to_json() == {
        "frequency": "weekly",
        "daysOfWeek": ["monday", "friday"],
        "monthsOfYear": ["december"],
        "startsAt": "2026-01-01T09:30:00+02:00",
    }
    text = '{"frequency": "daily", "startsAt": "2026-01-01T09:30:00Z"}'
    assert next_run_at(text, NOON) == datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


def test_the_json_that_the_go_library_writes():
    text = (
        '{"frequency":"daily","startsAt":"2026-01-01 09:30:00","endsAt":"9999-12-31 23:59:59",'
        '"interval":1,"daysOfWeek":null,"daysOfMonth":null,"monthsOfYear":["JANUARY"]}'
    )
    rule = parse(text, "America/New_York")
    assert (rule.starts_at, rule.ends_at) == (datetime(2026, 1, 1, 9, 30, tzinfo=UTC), None)
    assert rule.months_of_year == (1,)
    ends = RecurrenceRule.from_json({"frequency": "daily", "endsAt": "2026-11-25 09:30:00"})
    assert ends.ends_at == datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
    none = RecurrenceRule.from_json({"frequency": "daily", "startsAt": "0002-01-01 00:00:00"})
    assert none == RecurrenceRule("daily")
    assert occurrences('{"frequency":"none","startsAt":"2026-12-01 09:00:00"}', NOON, 3) == [
        datetime(2026, 12, 1, 9, tzinfo=UTC)
    ]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "is an object"),
        ({"frequency": "fortnightly"}, "fortnightly"),
        ({"frequenzy": "daily"}, "frequenzy"),
        ({"frequency": "weekly", "daysOfWeek": ["someday"]}, "someday"),
        ({"frequency": "weekly", "daysOfWeek": ["mo", 3]}, "3"),
        ({"frequency": "yearly", "monthsOfYear": ["ju"]}, "ju"),
        ({"frequency": "yearly", "monthsOfYear": [13]}, "13"),
        ({"frequency": "daily", "startsAt": "2026-02-30T09:30:00Z"}, "expected a time"),
        ({"frequency": "daily", "startsAt": "9999-12-31 23:59:59"}, "year 9999"),
        ({"frequency": "daily", "endsAt": "9998-12-31 23:59:59"}, "year 9998"),
        ({"frequency": "daily", "startsAt": 7}, "startsAt"),
        ({"frequency": 7}, "7"),
        ({"frequency": "daily", "interval": "2"}, "INTERVAL"),
        ({"frequency": "daily", "interval": True}, "INTERVAL"),
        ({"frequency": "daily", "daysOfMonth": [1.5]}, "1.5"),
        ({"frequency": "daily", "daysOfMonth": ["x"]}, "'x'"),
    ],
)
def test_wrong_json_says_what_is_wrong(value, says):
    with pytest.raises(InvalidRecurrence, match=says):
        RecurrenceRule.from_json(value)


HOSTILE = [
    ("FREQ=DAILY;INTERVAL=0", "INTERVAL is 0"),
    ("FREQ=DAILY;INTERVAL=-1", "INTERVAL is -1"),
    ("FREQ=DAILY;INTERVAL=999999999", "INTERVAL is 999999999"),
    ("FREQ=DAILY;INTERVAL=99999999999999999999", "whole numbers"),
    ("FREQ=DAILY;COUNT=999999999", "COUNT is 999999999"),
    ("FREQ=DAILY;COUNT=0", "COUNT is 0"),
    ("FREQ=DAILY;COUNT=1e9", "whole numbers"),
    ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
    ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
    ("FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6", "never happens"),
    ("FREQ=YEARLY;INTERVAL=4;BYYEARDAY=366", "never happens"),
    ("FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1", "never happens"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6", "never happens"),
    ("FREQ=YEARLY;BYDAY=MO;BYSETPOS=60", "never happens"),
    ("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYSETPOS=-2", "never happens"),
    ("FREQ=DAILY;BYHOUR=9;BYSETPOS=2", "never happens"),
    ("FREQ=HOURLY;BYMINUTE=0;BYSETPOS=2", "never happens"),
    ("FREQ=SECONDLY;BYHOUR=9;BYSETPOS=2", "never happens"),
    ("FREQ=HOURLY;INTERVAL=24;BYHOUR=5", "never happens"),
    ("FREQ=MINUTELY;INTERVAL=60;BYMINUTE=31", "never happens"),
    ("FREQ=SECONDLY;INTERVAL=60;BYSECOND=31", "never happens"),
    ("FREQ=SECONDLY;INTERVAL=100000;BYSECOND=31;BYMINUTE=7;BYHOUR=3", "never happens"),
    ("FREQ=SECONDLY;INTERVAL=24;BYHOUR=23;BYMINUTE=3,51;BYSECOND=1;BYDAY=MO,TU", "never happens"),
    ("FREQ=HOURLY;INTERVAL=24;BYMONTHDAY=-1,13;BYYEARDAY=-366,60;BYHOUR=18", "never happens"),
    ("FREQ=MINUTELY;INTERVAL=99991;BYYEARDAY=60,365;BYHOUR=19;BYMINUTE=51", "never happens"),
    ("DTSTART:19700101T000000Z FREQ=HOURLY;INTERVAL=24;BYHOUR=5;COUNT=2000", "never happens"),
    ("DTSTART:19700101T000000Z FREQ=SECONDLY;INTERVAL=7;BYMINUTE=23;BYSECOND=17,39;COUNT=2000",
     "takes too long"),
    ("DTSTART:20240229T030405Z FREQ=HOURLY;BYMONTHDAY=1;BYHOUR=13;COUNT=2000", "takes too long"),
    ("DTSTART:20300101T000000Z\nRRULE:FREQ=DAILY;UNTIL=20290101T000000Z", "before it starts"),
    ("FREQ=DAILY;UNTIL=19990101", "never happens"),
    ("FREQ=DAILY;BYHOUR=25", "BYHOUR has 25"),
    ("FREQ=DAILY;BYSECOND=60", "BYSECOND has 60"),
    ("FREQ=DAILY;BYMONTH=-1", "BYMONTH has -1"),
    ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY has 0"),
    ("FREQ=MONTHLY;BYDAY=0MO", "0MO"),
    ("FREQ=MONTHLY;BYDAY=54MO", "54MO"),
    ("FREQ=WEEKLY;BYDAY=1MO", "numbered weekday"),
    ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY has no meaning"),
    ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY has no meaning"),
    ("FREQ=DAILY;BYWEEKNO=1", "BYWEEKNO has no meaning"),
    ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS needs another"),
    ("FREQ=DAILY;COUNT=3;UNTIL=20300101", "exclude each other"),
    ("FREQ=DAILY;COUNT=3", "needs a start"),
    ("", "needs a start"),
    ("FREQ=DAILY;BYHOUR=1;BYHOUR=2", "BYHOUR twice"),
    ("FREQ=DAILY;BYEASTER=1", "BYEASTER=1"),
    ("FREQ=", "not understood"),
    ("BYHOUR=9", "no FREQ"),
    ("FREQ=SOMETIMES", "sometimes|SOMETIMES"),
    ("DTSTART:20301301T000000Z", "DTSTART"),
    ("DTSTART:99991231T000000Z", "year 9999"),
    ("DTSTART;TZID=Mars/Olympus:20300101T000000\nRRULE:FREQ=DAILY", "Mars/Olympus"),
    ("DTSTART;TZID=../../etc/passwd:20300101T000000\nRRULE:FREQ=DAILY", "not known"),
    ("RRULE:FREQ=DAILY RRULE:FREQ=WEEKLY", "two RRULE"),
    ("EXDATE:20300101T000000Z", "not understood"),
    ("FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60))) + ";BYSECOND=0,30;BYHOUR="
     + ",".join(map(str, range(24))), "2,880 times"),
    ("FREQ=DAILY;BYMONTHDAY=" + "1," * 400, "characters long"),
    ("x" * 100_000, "characters long"),
    ("{" * 400, "no JSON"),
    ("[1]", "fields"),
    ("0 9 * *", "4 fields"),
    ("0 0 9 * * 1", "6 fields"),
    ("@daily", "1 fields"),
    ("60 9 * * *", "not valid"),
    ("0 0 30 2 *", "not valid"),
    ("*/0 * * * *", "not valid"),
    ("0 9 * * mon-sun-fri", "not valid"),
    ("0 9 L/2 * #", "not valid"),
    ("99999999999999999999 * * * *", "not valid"),
    ("0 0 L-1 * *", "not valid"),
    ("\x00 * * * *", "not valid"),
]  # fmt: skip


@pytest.fixture(scope="module")
def counter():
    counter = Counter()
    yield counter
    counter.close()


@pytest.mark.parametrize(("text", "says"), HOSTILE, ids=lambda value: repr(value)[:50])
def test_a_hostile_or_impossible_rule_is_a_clear_error_and_no_hang(text, says, counter):
    forget_rules()
    began = time.thread_time()
    with pytest.raises(InvalidRecurrence, match=says):
        Timetable(text).check()
    assert time.thread_time() - began < SECONDS_FOR_A_HANG
    assert counter.calls(text) < CALLS_FOR_50_MS


def some_of(values, most=3):
    """Return numbers with commas between them."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(
        lambda chosen: ",".join(map(str, chosen))
    )


#: What somebody who means harm would write: rare days, odd steps, far positions.
RARE = st.fixed_dictionaries(
    {"FREQ": st.sampled_from([one.upper() for one in FREQUENCIES[1:]])},
    optional={
        "INTERVAL": st.sampled_from([2, 7, 24, 60, 97, 1_000, 3_600, 86_400, 99_991, 100_000]),
        "COUNT": st.just(2_000),
        "BYMONTH": some_of([1, 2, 6, 12]),
        "BYMONTHDAY": some_of([1, 13, 29, 30, 31, -1, -31]),
        "BYYEARDAY": some_of([1, 60, 365, 366, -366]),
        "BYWEEKNO": some_of([1, 20, 53, -53]),
        "BYDAY": some_of(["MO", "TU", "SU", "5MO", "-5FR"]),
        "BYHOUR": some_of(range(24), 24),
        "BYMINUTE": some_of(range(60), 60),
        "BYSECOND": some_of(range(60), 60),
        "BYSETPOS": some_of([1, 2, 5, 60, 366, -366]),
    },
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(RARE, st.sampled_from(["1970-01-01T00:00:00", "2024-02-29T03:04:05"]), st.booleans())
def test_no_rule_whatever_costs_more(counter, parts, start, has_start):
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    begin = f"DTSTART:{start.translate({45: None, 58: None})}Z " if has_start else ""
    calls = counter.calls(begin + text, time_zone="America/New_York", now=NOON)
    assert calls < 2 * CALLS_FOR_50_MS


def test_a_rule_that_pauses_for_a_summer_goes_on():
    # Each second hour is an odd one in New York's winter, and an even one in its summer.
    found = occurrences(
        "DTSTART:19700101T000000Z FREQ=HOURLY;INTERVAL=2;BYHOUR=17",
        datetime(2026, 3, 7, 12, tzinfo=UTC),
        2,
        time_zone="America/New_York",
    )
    assert found == [
        datetime(2026, 3, 7, 22, tzinfo=UTC),
        datetime(2026, 11, 1, 22, tzinfo=UTC),
    ]


@pytest.mark.parametrize("text", [text for text, says in HOSTILE if says == "never happens"])
def test_a_rule_that_never_happens_has_no_next_run(text):
    assert next_run_at(text, NOON) is None
    assert occurrences(text, NOON, 5) == []


@pytest.mark.parametrize("text", [None, 7, b"FREQ=DAILY", ["FREQ=DAILY"]])
def test_a_rule_is_text(text):
    with pytest.raises((InvalidRecurrence, TypeError)):
        next_run_at(text, NOON)


@pytest.mark.parametrize("zone", ["", "Sofia", "Europe", "../UTC", "x" * 200, None, "\x00"])
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(InvalidRecurrence, match="Time zone"):
        next_run_at("FREQ=DAILY", NOON, time_zone=zone)


def test_a_naive_time_is_refused():
    with pytest.raises(InvalidRecurrence, match="aware"):
        next_run_at("FREQ=DAILY", datetime(2026, 1, 1))  # noqa: DTZ001 - the point
    with pytest.raises(InvalidRecurrence, match="aware"):
        RecurrenceRule("daily", starts_at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_rule_without_a_start_is_aligned_and_does_not_drift():
    for minutes in (0, 7, 61):
        now = NOON + timedelta(minutes=minutes)
        assert next_run_at("FREQ=HOURLY", now).minute == 0
        assert next_run_at("FREQ=WEEKLY", now) == datetime(2026, 11, 30, tzinfo=UTC)
        assert next_run_at("FREQ=MONTHLY;INTERVAL=3", now) == datetime(2027, 1, 1, tzinfo=UTC)


def test_the_next_run_comes_after_the_moment_itself():
    nine = datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert next_run_at("FREQ=DAILY;BYHOUR=9", nine) == nine + timedelta(days=1)
    assert next_run_at("FREQ=DAILY;BYHOUR=9", nine - timedelta(microseconds=1)) == nine


def test_a_minutely_rule_is_right_at_its_101st_and_10001st_occurrence():
    start = datetime(2026, 1, 1, 9, tzinfo=UTC)
    text = f"DTSTART:{start:%Y%m%dT%H%M%SZ}\nRRULE:FREQ=MINUTELY"
    for number in (101, 10_001):
        this = start + timedelta(minutes=number - 1)
        assert next_run_at(text, this - timedelta(seconds=1)) == this
    assert occurrences(text, start - timedelta(seconds=1), 10_001)[-1] == start + timedelta(
        minutes=10_000
    )


def test_frequency_none_happens_once():
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    rule = RecurrenceRule("none", starts_at=start)
    assert next_run_at(rule, NOON) == start
    assert next_run_at(rule, start) is None
    assert occurrences(rule, NOON, 5) == [start]


def test_count_and_until_end_a_rule():
    text = "DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY;COUNT=3"
    january = [datetime(2026, 1, day, 9, tzinfo=UTC) for day in (1, 2, 3)]
    assert occurrences(text, january[0] - timedelta(days=1), 9) == january
    assert occurrences(text, january[1], 9) == january[2:]
    assert next_run_at(text, january[2]) is None
    until = "DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY;UNTIL=20260103T090000Z"
    assert occurrences(until, january[0] - timedelta(days=1), 9) == january


def test_a_count_that_takes_more_than_half_a_century_is_no_limit():
    text = "DTSTART:20260101T090000Z\nRRULE:FREQ=YEARLY;COUNT=2000;BYYEARDAY=366;BYDAY=MO"
    began = time.thread_time()
    assert next_run_at(text, NOON).year == 2040
    assert time.thread_time() - began < SECONDS_FOR_A_HANG


def test_the_window_of_a_timetable():
    start, end = NOON + timedelta(days=2, minutes=5), NOON + timedelta(days=4)
    cron = Timetable("0 9 * * *", "UTC", start, end)
    assert [one.day for one in cron.after(NOON)] == [27, 28]
    rule = Timetable("FREQ=DAILY", "UTC", start, end)
    assert list(rule.after(NOON)) == [start, start + timedelta(days=1)]
    own_start = Timetable("DTSTART:20260101T090000Z RRULE:FREQ=DAILY", "UTC", start, end)
    assert [one.day for one in own_start.after(NOON)] == [27, 28]
    with pytest.raises(InvalidRecurrence, match="comes before the start"):
        Timetable("FREQ=DAILY", "UTC", end, start)


@pytest.mark.parametrize(
    "rule",
    ["FREQ=SECONDLY", "*/10 * * * *", "FREQ=DAILY", "FREQ=YEARLY", "FREQ=SECONDLY;BYMONTH=2"],
)
def test_the_latest_occurrence_is_found_without_walking_all_of_them(rule):
    timetable, long_ago = Timetable(rule), NOON - timedelta(days=20 * 365)
    began = time.thread_time()
    latest = timetable.latest(NOON, since=long_ago)
    assert time.thread_time() - began < SECONDS_FOR_A_HANG
    assert latest <= NOON < timetable.next(latest)
    assert timetable.latest(NOON, since=NOON) is None


SENTENCES = [
    ("0 9 * * 1-5", "Every weekday at 09:00, Europe/Sofia"),
    ("FREQ=DAILY;BYHOUR=9;BYDAY=MO,TU,WE,TH,FR", "Every weekday at 09:00, Europe/Sofia"),
    ("30 2 * * *", "Every day at 02:30, Europe/Sofia"),
    ("*/5 * * * *", "Every 5 minutes, Europe/Sofia"),
    ("* * * * *", "Every minute, Europe/Sofia"),
    ("0,30 * * * *", "Every 30 minutes, Europe/Sofia"),
    ("10,50 * * * *", "Every hour at minute 10 and 50, Europe/Sofia"),
    ("0 9,17 * * 6,0", "Every Saturday and Sunday at 09:00 and 17:00, Europe/Sofia"),
    ("0 0 1 1,7 *", "Every month on day 1 of the month in January and July at 00:00, Europe/Sofia"),
    ("0 9 * * 5L", "At 09:00 on the last Friday of the month, Europe/Sofia"),
    ("0 0 13 * 5", "At 00:00 on the 13th day of month and on Friday, Europe/Sofia"),
    ("FREQ=WEEKLY", "Every Monday at 00:00, Europe/Sofia"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "Every 2 weeks on Tuesday at 00:00, Europe/Sofia"),
    ("FREQ=MONTHLY;BYDAY=2TU,-1FR;BYHOUR=9",
     "Every month on second Tuesday and last Friday at 09:00, Europe/Sofia"),
    ("FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=18",
     "Every month on the last day of the month at 18:00, Europe/Sofia"),
    ("FREQ=MONTHLY;BYMONTHDAY=1,-2",
     "Every month on day 1 and number 2 from the end of the month at 00:00, Europe/Sofia"),
    ("FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1",
     "Every month on Monday and Tuesday at 00:00, only the last, Europe/Sofia"),
    ("FREQ=YEARLY;BYYEARDAY=100", "Every year on day 100 of the year at 00:00, Europe/Sofia"),
    ("FREQ=YEARLY;BYWEEKNO=20", "Every year on Monday in week 20 at 00:00, Europe/Sofia"),
    ("FREQ=YEARLY", "Every year on day 1 of the month in January at 00:00, Europe/Sofia"),
    ("FREQ=SECONDLY;INTERVAL=30", "Every 30 seconds, Europe/Sofia"),
    ("FREQ=MINUTELY;BYHOUR=9;BYSECOND=5",
     "Every minute at second 5 in the hours 9, Europe/Sofia"),
    ("FREQ=DAILY;BYHOUR=1,2,3,4,5,6,7", "Every day at 7 times of the day, Europe/Sofia"),
    ("FREQ=DAILY;BYHOUR=9;BYSECOND=30", "Every day at 09:00:30, Europe/Sofia"),
    ("FREQ=DAILY;UNTIL=20300131T090000Z",
     "Every day at 00:00, until 2030-01-31 11:00, Europe/Sofia"),
    ("DTSTART:20300101T090000Z RRULE:FREQ=DAILY;COUNT=3",
     "Every day at 11:00, 3 times, Europe/Sofia"),
    ("DTSTART:20300101T090000Z", "Once, on 2030-01-01 11:00, Europe/Sofia"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "expected"), SENTENCES)
def test_a_rule_in_words(rule, expected):
    with translation.override("en"):
        assert sentence(Timetable(rule, "Europe/Sofia")) == expected


def test_the_words_are_translated():
    with translation.override("de"):
        assert "Montag" in sentence(Timetable("FREQ=WEEKLY", "Europe/Berlin"))


def test_a_cron_line_keeps_its_text():
    assert str(Timetable(" 0  9 * *   1-5 ")) == "0 9 * * 1-5"
    assert str(Timetable("freq=daily")) == "RRULE:FREQ=DAILY"
    assert parse("FREQ=DAILY").frequency == "daily"
