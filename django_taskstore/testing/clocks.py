"""Travel in time, so that a test need not wait for what is due tomorrow.

Owns `travel`, which moves the two clocks that decide what is due: the database's, where
due times are judged, and Django's, from which code reckons them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest import mock

from django.utils import timezone

from django_taskstore.database.clock import DueNow

#: SQLite's clock counts whole milliseconds (SQLite, Date And Time Functions: %f), and so is up to
#: one late; another for a clock that is not quite Python's.
TICK = timedelta(milliseconds=2)


@contextmanager
def travel(to: datetime | timedelta) -> Iterator[None]:
    """Let tasks and schedules be due as at another time, within the block.

    ``django.utils.timezone.now()`` says that time too, and both clocks go on from there.
    Journeys in one another add up.

    Args:
        to: an aware datetime, or a timedelta from now; the past is as good.
    """
    real_now = timezone.now
    distance = to if isinstance(to, timedelta) else to - real_now() + TICK
    earlier = DueNow.shift

    def now() -> datetime:
        return real_now() + distance

    DueNow.shift = earlier + distance
    try:
        with mock.patch.object(timezone, "now", now):
            yield
    finally:
        DueNow.shift = earlier
