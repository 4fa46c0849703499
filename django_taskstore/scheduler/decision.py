"""Which of a schedule's occurrences run, once their time has come.

Owns the policies for what was missed. Pure: rule, times and policy in, decision out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice, takewhile

from django_taskstore.recurrence import Timetable
from django_taskstore.statuses import MisfirePolicy

#: Occurrences of one schedule in one transaction.
MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the occurrences up to now.

    Attributes:
        run: those that get a task, oldest first.
        missed: the last one that gets none, for the record; None when all run.
        next_run_at: the next one, or None when there is none left.
    """

    run: tuple[datetime, ...]
    missed: datetime | None
    next_run_at: datetime | None


def decide(
    timetable: Timetable,
    first: datetime,
    now: datetime,
    *,
    misfire_policy: str,
    grace: timedelta,
) -> Decision:
    """Say which occurrences run.

    An occurrence that is later than the grace was missed. Those within it always run, except
    that a coalescing schedule that missed some runs only the last one.

    Args:
        timetable: when the schedule happens.
        first: the occurrence that was planned.
        now: the database's time.
        misfire_policy: coalesce, skip or all.
        grace: how late an occurrence may be.
    """
    in_time = first >= now - grace
    if not in_time and misfire_policy != MisfirePolicy.ALL:
        run, missed = after_an_outage(timetable, first, now, misfire_policy, grace)
        return Decision(tuple(run), missed, timetable.next(now))
    due, following = passed(timetable, first, now)
    run, missed = due[:MOST_AT_ONCE], None
    if len(due) > MOST_AT_ONCE and in_time:
        following = due[MOST_AT_ONCE]
    elif len(due) > MOST_AT_ONCE:
        following = timetable.next(now)
        missed = timetable.latest(now, since=run[-1])
    return Decision(tuple(run), missed, following)


def passed(
    timetable: Timetable, first: datetime, now: datetime
) -> tuple[list[datetime], datetime | None]:
    """Return the occurrences from the planned one up to now, and the one behind them.

    One more than run at once is enough; the one behind them is then not looked for.
    """
    due: list[datetime] = []
    for moment in chain([first], timetable.after(first)):
        if moment > now or len(due) > MOST_AT_ONCE:
            return due, moment
        due.append(moment)
    return due, None


def after_an_outage(
    timetable: Timetable, first: datetime, now: datetime, policy: str, grace: timedelta
) -> tuple[list[datetime], datetime | None]:
    """Return what runs when the first occurrence was missed, and the last that does not."""
    in_time = list(
        islice(takewhile(lambda moment: moment <= now, timetable.after(now - grace)), MOST_AT_ONCE)
    )
    missed = timetable.latest(now - grace, since=first) or first
    if policy == MisfirePolicy.SKIP:
        return in_time, missed
    return [in_time[-1] if in_time else missed], None
