"""What a recurrence rule costs, counted in calls of functions.

Owns the counting, which happens in a process of its own: a profiler that was turned on in the
process of the tests, after the browser's and the event loops' tests, never returned (CPython
3.11). A child that hangs is a failure after a minute; a rule that hangs is one too.
"""

from __future__ import annotations

import contextlib
import cProfile
import multiprocessing
import pstats
from concurrent.futures import ProcessPoolExecutor

import django

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.recurrence import Timetable, parse
from django_taskstore.recurrence.days import days_of_year
from django_taskstore.recurrence.timetable import anchored
from django_taskstore.recurrence.walk import last_counted

#: Longer is a hang.
LONGEST_SECONDS = 60


def forget_rules():
    """Let the next rule cost what it costs the first time."""
    for function in (parse, anchored, last_counted, days_of_year):
        function.cache_clear()


def calls_of(text, time_zone, now):
    """Return how many functions a check calls and, with ``now``, a look for what is next."""
    forget_rules()
    with cProfile.Profile() as profile, contextlib.suppress(InvalidRecurrence):
        timetable = Timetable(text, time_zone).check()
        if now is not None:
            timetable.next(now)
    return pstats.Stats(profile).total_calls


class Counter:
    """Counts in one child, which lives until `close`."""

    def __init__(self):
        self._child = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=django.setup
        )

    def calls(self, text, *, time_zone="UTC", now=None):
        """Return what `calls_of` finds."""
        return self._child.submit(calls_of, text, time_zone, now).result(LONGEST_SECONDS)

    def close(self):
        """End the child."""
        self._child.shutdown(wait=False, cancel_futures=True)
