"""The examples of RFC 5545 §3.8.5.3, each with the occurrences that it lists.

All start in New York; where the RFC writes "…" only the occurrences it shows are compared.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from django_taskstore.recurrence import occurrences

NEW_YORK = ZoneInfo("America/New_York")


def on(year, month, *days, at="09:00"):
    """Return the wall times of some days of one month."""
    return [f"{year}-{month:02}-{day:02} {at}" for day in days]


def at(day, *times):
    """Return the wall times of one day."""
    return [f"{day} {one}" for one in times]


def span(first, last):
    """Return each day from one to another at nine."""
    day, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
    days = []
    while day <= end:
        days.append(f"{day:%Y-%m-%d} 09:00")
        day += timedelta(days=1)
    return days


SEPTEMBER_2 = "19970902T090000"
JANUARIES = (
    span("1998-01-01", "1998-01-31")
    + span("1999-01-01", "1999-01-31")
    + span("2000-01-01", "2000-01-31")
)
EVERY_20_MINUTES = [
    f"1997-09-0{day} {hour:02}:{minute:02}"
    for day in (2, 3)
    for hour in range(9, 17)
    for minute in (0, 20, 40)
]
WEEKDAYS = "MO,TU,WE,TH,FR"

#: Title, DTSTART, RRULE, the wall times listed, and whether there are no others.
EXAMPLES = [
    ("daily for 10", SEPTEMBER_2, "FREQ=DAILY;COUNT=10", span("1997-09-02", "1997-09-11"), True),
    (
        "daily until 24 December",
        SEPTEMBER_2,
        "FREQ=DAILY;UNTIL=19971224T000000Z",
        span("1997-09-02", "1997-12-23"),
        True,
    ),
    (
        "every other day",
        SEPTEMBER_2,
        "FREQ=DAILY;INTERVAL=2",
        on(1997, 9, *range(2, 31, 2)) + on(1997, 10, 2, 4, 6),
        False,
    ),
    (
        "every 10 days, 5 times",
        SEPTEMBER_2,
        "FREQ=DAILY;INTERVAL=10;COUNT=5",
        on(1997, 9, 2, 12, 22) + on(1997, 10, 2, 12),
        True,
    ),
    (
        "every day in January, yearly",
        "19980101T090000",
        "FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
        JANUARIES,
        True,
    ),
    (
        "every day in January, daily",
        "19980101T090000",
        "FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1",
        JANUARIES,
        True,
    ),
    (
        "weekly for 10",
        SEPTEMBER_2,
        "FREQ=WEEKLY;COUNT=10",
        on(1997, 9, 2, 9, 16, 23, 30) + on(1997, 10, 7, 14, 21, 28) + on(1997, 11, 4),
        True,
    ),
    (
        "weekly until 24 December",
        SEPTEMBER_2,
        "FREQ=WEEKLY;UNTIL=19971224T000000Z",
        on(1997, 9, 2, 9, 16, 23, 30)
        + on(1997, 10, 7, 14, 21, 28)
        + on(1997, 11, 4, 11, 18, 25)
        + on(1997, 12, 2, 9, 16, 23),
        True,
    ),
    (
        "every other week",
        SEPTEMBER_2,
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
        on(1997, 9, 2, 16, 30)
        + on(1997, 10, 14, 28)
        + on(1997, 11, 11, 25)
        + on(1997, 12, 9, 23)
        + on(1998, 1, 6, 20)
        + on(1998, 2, 3, 17),
        False,
    ),
    (
        "Tuesday and Thursday for five weeks, by UNTIL",
        SEPTEMBER_2,
        "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        on(1997, 9, 2, 4, 9, 11, 16, 18, 23, 25, 30) + on(1997, 10, 2),
        True,
    ),
    (
        "Tuesday and Thursday for five weeks, by COUNT",
        SEPTEMBER_2,
        "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
        on(1997, 9, 2, 4, 9, 11, 16, 18, 23, 25, 30) + on(1997, 10, 2),
        True,
    ),
    (
        "every other week on Monday, Wednesday, Friday",
        "19970901T090000",
        "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
        on(1997, 9, 1, 3, 5, 15, 17, 19, 29)
        + on(1997, 10, 1, 3, 13, 15, 17, 27, 29, 31)
        + on(1997, 11, 10, 12, 14, 24, 26, 28)
        + on(1997, 12, 8, 10, 12, 22),
        True,
    ),
    (
        "every other week on Tuesday and Thursday, 8 times",
        SEPTEMBER_2,
        "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
        on(1997, 9, 2, 4, 16, 18, 30) + on(1997, 10, 2, 14, 16),
        True,
    ),
    (
        "monthly on the first Friday for 10",
        "19970905T090000",
        "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
        on(1997, 9, 5)
        + on(1997, 10, 3)
        + on(1997, 11, 7)
        + on(1997, 12, 5)
        + on(1998, 1, 2)
        + on(1998, 2, 6)
        + on(1998, 3, 6)
        + on(1998, 4, 3)
        + on(1998, 5, 1)
        + on(1998, 6, 5),
        True,
    ),
    (
        "monthly on the first Friday until 24 December",
        "19970905T090000",
        "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR",
        on(1997, 9, 5) + on(1997, 10, 3) + on(1997, 11, 7) + on(1997, 12, 5),
        True,
    ),
    (
        "every other month on the first and last Sunday",
        "19970907T090000",
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        on(1997, 9, 7, 28)
        + on(1997, 11, 2, 30)
        + on(1998, 1, 4, 25)
        + on(1998, 3, 1, 29)
        + on(1998, 5, 3, 31),
        True,
    ),
    (
        "monthly on the second-to-last Monday",
        "19970922T090000",
        "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
        on(1997, 9, 22)
        + on(1997, 10, 20)
        + on(1997, 11, 17)
        + on(1997, 12, 22)
        + on(1998, 1, 19)
        + on(1998, 2, 16),
        True,
    ),
    (
        "monthly on the third-to-last day",
        "19970928T090000",
        "FREQ=MONTHLY;BYMONTHDAY=-3",
        on(1997, 9, 28)
        + on(1997, 10, 29)
        + on(1997, 11, 28)
        + on(1997, 12, 29)
        + on(1998, 1, 29)
        + on(1998, 2, 26),
        False,
    ),
    (
        "monthly on the 2nd and 15th",
        SEPTEMBER_2,
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
        on(1997, 9, 2, 15)
        + on(1997, 10, 2, 15)
        + on(1997, 11, 2, 15)
        + on(1997, 12, 2, 15)
        + on(1998, 1, 2, 15),
        True,
    ),
    (
        "monthly on the first and last day",
        "19970930T090000",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        on(1997, 9, 30)
        + on(1997, 10, 1, 31)
        + on(1997, 11, 1, 30)
        + on(1997, 12, 1, 31)
        + on(1998, 1, 1, 31)
        + on(1998, 2, 1),
        True,
    ),
    (
        "every 18 months on the 10th to 15th",
        "19970910T090000",
        "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        on(1997, 9, *range(10, 16)) + on(1999, 3, 10, 11, 12, 13),
        True,
    ),
    (
        "every Tuesday, every other month",
        SEPTEMBER_2,
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
        on(1997, 9, 2, 9, 16, 23, 30)
        + on(1997, 11, 4, 11, 18, 25)
        + on(1998, 1, 6, 13, 20, 27)
        + on(1998, 3, 3, 10, 17, 24, 31),
        False,
    ),
    (
        "yearly in June and July",
        "19970610T090000",
        "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
        [one for year in range(1997, 2002) for month in (6, 7) for one in on(year, month, 10)],
        True,
    ),
    (
        "every other year in January, February and March",
        "19970310T090000",
        "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
        on(1997, 3, 10)
        + [
            one for year in (1999, 2001, 2003) for month in (1, 2, 3) for one in on(year, month, 10)
        ],
        True,
    ),
    (
        "every third year on the 1st, 100th and 200th day",
        "19970101T090000",
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        on(1997, 1, 1)
        + on(1997, 4, 10)
        + on(1997, 7, 19)
        + on(2000, 1, 1)
        + on(2000, 4, 9)
        + on(2000, 7, 18)
        + on(2003, 1, 1)
        + on(2003, 4, 10)
        + on(2003, 7, 19)
        + on(2006, 1, 1),
        True,
    ),
    (
        "every 20th Monday of the year",
        "19970519T090000",
        "FREQ=YEARLY;BYDAY=20MO",
        on(1997, 5, 19) + on(1998, 5, 18) + on(1999, 5, 17),
        False,
    ),
    (
        "Monday of week 20",
        "19970512T090000",
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        on(1997, 5, 12) + on(1998, 5, 11) + on(1999, 5, 17),
        False,
    ),
    (
        "every Thursday in March",
        "19970313T090000",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
        on(1997, 3, 13, 20, 27) + on(1998, 3, 5, 12, 19, 26) + on(1999, 3, 4, 11, 18, 25),
        False,
    ),
    (
        "every Thursday in summer",
        "19970605T090000",
        "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
        on(1997, 6, 5, 12, 19, 26)
        + on(1997, 7, 3, 10, 17, 24, 31)
        + on(1997, 8, 7, 14, 21, 28)
        + on(1998, 6, 4, 11, 18, 25)
        + on(1998, 7, 2, 9, 16, 23, 30)
        + on(1998, 8, 6, 13, 20, 27),
        False,
    ),
    (
        "every Friday the 13th",  # The RFC excludes the start by EXDATE; here it does not fit.
        SEPTEMBER_2,
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
        on(1998, 2, 13) + on(1998, 3, 13) + on(1998, 11, 13) + on(1999, 8, 13) + on(2000, 10, 13),
        False,
    ),
    (
        "the Saturday after the first Sunday",
        "19970913T090000",
        "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        on(1997, 9, 13)
        + on(1997, 10, 11)
        + on(1997, 11, 8)
        + on(1997, 12, 13)
        + on(1998, 1, 10)
        + on(1998, 2, 7)
        + on(1998, 3, 7)
        + on(1998, 4, 11)
        + on(1998, 5, 9)
        + on(1998, 6, 13),
        False,
    ),
    (
        "election day",
        "19961105T090000",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        on(1996, 11, 5) + on(2000, 11, 7) + on(2004, 11, 2),
        False,
    ),
    (
        "the third of Tuesday, Wednesday, Thursday in a month",
        "19970904T090000",
        "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
        on(1997, 9, 4) + on(1997, 10, 7) + on(1997, 11, 6),
        True,
    ),
    (
        "the second-to-last weekday of a month",
        "19970929T090000",
        f"FREQ=MONTHLY;BYDAY={WEEKDAYS};BYSETPOS=-2",
        on(1997, 9, 29)
        + on(1997, 10, 30)
        + on(1997, 11, 27)
        + on(1997, 12, 30)
        + on(1998, 1, 29)
        + on(1998, 2, 26)
        + on(1998, 3, 30),
        False,
    ),
    (
        # The RFC writes 17:00 UTC, which is 13:00 in New York and would leave out its own 15:00.
        "every 3 hours from nine to five",
        SEPTEMBER_2,
        "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z",
        at("1997-09-02", "09:00", "12:00", "15:00"),
        True,
    ),
    (
        "every 15 minutes, 6 times",
        SEPTEMBER_2,
        "FREQ=MINUTELY;INTERVAL=15;COUNT=6",
        at("1997-09-02", "09:00", "09:15", "09:30", "09:45", "10:00", "10:15"),
        True,
    ),
    (
        "every hour and a half, 4 times",
        SEPTEMBER_2,
        "FREQ=MINUTELY;INTERVAL=90;COUNT=4",
        at("1997-09-02", "09:00", "10:30", "12:00", "13:30"),
        True,
    ),
    (
        "every 20 minutes of a working day, daily",
        SEPTEMBER_2,
        "FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40",
        EVERY_20_MINUTES,
        False,
    ),
    (
        "every 20 minutes of a working day, minutely",
        SEPTEMBER_2,
        "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16",
        EVERY_20_MINUTES,
        False,
    ),
    (
        "weeks that start on Monday",
        "19970805T090000",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
        on(1997, 8, 5, 10, 19, 24),
        True,
    ),
    (
        "weeks that start on Sunday",
        "19970805T090000",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
        on(1997, 8, 5, 17, 19, 31),
        True,
    ),
    (
        "a day that February lacks",
        "20070115T090000",
        "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
        on(2007, 1, 15, 30) + on(2007, 2, 15) + on(2007, 3, 15, 30),
        True,
    ),
]


@pytest.mark.parametrize(
    ("start", "rule", "expected", "is_all"),
    [example[1:] for example in EXAMPLES],
    ids=[example[0] for example in EXAMPLES],
)
def test_an_example_of_the_rfc(start, rule, expected, is_all):
    text = f"DTSTART;TZID=America/New_York:{start}\nRRULE:{rule}"
    before = datetime(1990, 1, 1, tzinfo=NEW_YORK)

    found = occurrences(text, before, len(expected) + is_all)

    assert [f"{one.astimezone(NEW_YORK):%Y-%m-%d %H:%M}" for one in found] == expected
