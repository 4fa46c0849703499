"""What a rule means, found by looking at each day and each minute: slow, and easy to believe.

Shares no code with the package. It knows a plain dict of parts, and tries every date of a
range (daily and slower) or every minute of it (hourly and faster).
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time, timedelta

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
CODES = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def text_of(parts):
    """Return the parts as an RRULE."""
    lists = {name: ",".join(map(str, value)) for name, value in parts.items() if value}
    return ";".join(f"{name}={value}" for name, value in lists.items())


def slow(parts, start, zone, days):
    """Return all instants of a daily or slower rule within so many days of its start."""
    found = set()
    first = start.astimezone(zone)
    for number in range(days):
        day = first.date() + number * DAY
        if in_period(parts, first.date(), day) and fits(parts, first.date(), day):
            for clock in clocks(parts, first):
                found.add(instant_of(datetime.combine(day, clock), zone))
    return sorted(one for one in found if one >= start)


def in_period(parts, first, day):
    """Whether the day's period is one of every INTERVAL."""
    interval = parts.get("INTERVAL", [1])[0]
    frequency = parts["FREQ"][0]
    if frequency == "DAILY":
        return (day - first).days % interval == 0
    if frequency == "WEEKLY":
        monday = first - first.weekday() * DAY
        return (day - monday).days // 7 % interval == 0
    months = (day.year - first.year) * 12 + day.month - first.month
    if frequency == "MONTHLY":
        return months % interval == 0
    return (day.year - first.year) % interval == 0


def fits(parts, first, day):
    """Whether the day has what the BY parts ask for, those that the start implies included."""
    last = calendar.monthrange(day.year, day.month)[1]
    month_days = parts.get("BYMONTHDAY", [])
    months = parts.get("BYMONTH", [])
    weekdays = parts.get("BYDAY", [])
    if not month_days and not weekdays:
        if parts["FREQ"][0] == "WEEKLY":
            weekdays = [CODES[first.weekday()]]
        if parts["FREQ"][0] in ("MONTHLY", "YEARLY"):
            month_days = [first.day]
        if parts["FREQ"][0] == "YEARLY" and not months:
            months = [first.month]
    return (
        (not months or day.month in months)
        and (not month_days or day.day in [d if d > 0 else last + 1 + d for d in month_days])
        and (not weekdays or any(is_weekday(code, day, last) for code in weekdays))
    )


def is_weekday(code, day, last):
    """Whether the day is the weekday, and the numbered one of its month where it is numbered."""
    if CODES[day.weekday()] != code[-2:]:
        return False
    if len(code) == 2:
        return True
    same = [
        d for d in range(1, last + 1) if date(day.year, day.month, d).weekday() == day.weekday()
    ]
    number = int(code[:-2])
    place = number - 1 if number > 0 else len(same) + number
    return 0 <= place < len(same) and same[place] == day.day


def clocks(parts, first):
    """Return the times of day."""
    return [
        time(hour, minute, first.second)
        for hour in parts.get("BYHOUR") or [first.hour]
        for minute in parts.get("BYMINUTE") or [first.minute]
    ]


def instant_of(wall, zone):
    """Return the first instant that shows a wall time; in a gap, the wall time moved past it."""
    around = [wall.replace(tzinfo=UTC) + number * timedelta(hours=1) for number in range(-30, 31)]
    offsets = {moment.astimezone(zone).utcoffset() for moment in around}
    candidates = [(wall - offset).replace(tzinfo=UTC) for offset in offsets]
    shown = [one for one in candidates if one.astimezone(zone).replace(tzinfo=None) == wall]
    if shown:
        return min(shown)
    return (wall - offset_before(wall, zone)).replace(tzinfo=UTC)


def offset_before(wall, zone):
    """Return the offset in force just before the gap that a wall time falls into."""
    low, high = (wall.replace(tzinfo=UTC) + hours * timedelta(hours=1) for hours in (-40, 40))
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return low.astimezone(zone).utcoffset()


def fast(parts, start, zone, minutes):
    """Return all instants of an hourly or minutely rule within so many minutes of its start."""
    first = start.astimezone(zone)
    hourly = parts["FREQ"][0] == "HOURLY"
    origin = start - timedelta(minutes=first.minute if hourly else 0)
    size = 60 if hourly else 1
    found = []
    for number in range(minutes):
        moment = origin + number * MINUTE
        wall = moment.astimezone(zone)
        if number // size % parts.get("INTERVAL", [1])[0]:
            continue
        if hourly and not parts.get("BYMINUTE") and number % 60 != first.minute:
            continue
        if parts.get("BYMINUTE") and wall.minute not in parts["BYMINUTE"]:
            continue
        if parts.get("BYHOUR") and wall.hour not in parts["BYHOUR"]:
            continue
        if parts.get("BYDAY") and CODES[wall.weekday()] not in parts["BYDAY"]:
            continue
        if moment >= start:
            found.append(moment)
    return found
