"""Counts per minute, hour and day, written by workers and read by charts.

`buckets` holds the fixed bounds of times, `recording` adds what ended, `reading` sums it up.
Charts never touch the table of tasks.
"""

from __future__ import annotations

from django_taskstore.rollups.buckets import BOUNDS_SECONDS, Histogram
from django_taskstore.rollups.reading import Counts, read
from django_taskstore.rollups.recording import Recorder, purge, start_of

__all__ = [
    "BOUNDS_SECONDS",
    "Counts",
    "Histogram",
    "Recorder",
    "purge",
    "read",
    "start_of",
]
