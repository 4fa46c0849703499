"""When something happens again: rules as text, and the instants they name.

`rule` is a recurrence rule with RFC 5545's parts, `text` reads and writes its lines, `bounds`
refuses what is out of range, `days` knows which dates a rule lets through, `walk` turns a
rule into instants, `cron` does the same for a cron line, `timetable` puts rule, zone and
window together, and `sentence` says a rule in words. Pure: no clock, no setting, no model.
"""

from __future__ import annotations

from django_taskstore.recurrence.cron import CronLine
from django_taskstore.recurrence.rule import RecurrenceRule
from django_taskstore.recurrence.sentence import sentence
from django_taskstore.recurrence.timetable import (
    Timetable,
    next_run_at,
    occurrences,
    parse,
)

__all__ = [
    "CronLine",
    "RecurrenceRule",
    "Timetable",
    "next_run_at",
    "occurrences",
    "parse",
    "sentence",
]
