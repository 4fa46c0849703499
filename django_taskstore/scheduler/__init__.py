"""Schedules at work: what is due is put on its queue, once, by whichever runner comes first.

`decision` says which of the passed occurrences run, `firing` does that to one schedule in one
transaction, `passes` to all that are due, `declared` mirrors the schedules of handlers to
rows, and `runner` repeats it. Any number of processes may do this at once, without a leader.
"""

from __future__ import annotations

from django_taskstore.scheduler.declared import mirror, mirror_after_migrate
from django_taskstore.scheduler.firing import run_now
from django_taskstore.scheduler.passes import run_due, set_initial_runs
from django_taskstore.scheduler.runner import ScheduleRunner

__all__ = [
    "ScheduleRunner",
    "mirror",
    "mirror_after_migrate",
    "run_due",
    "run_now",
    "set_initial_runs",
]
