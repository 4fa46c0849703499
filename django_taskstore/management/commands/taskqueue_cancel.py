"""``manage.py taskqueue_cancel``: cancel tasks by their ids or by what they have in common."""

from __future__ import annotations

from django_taskstore.management.acting import ActingCommand
from django_taskstore.statuses import UNFINISHED


class Command(ActingCommand):
    """Cancel tasks."""

    help = "Cancel tasks that wait at once, and ask those that run to stop."
    epilog = """\
examples:
  manage.py taskqueue_cancel 7 12 40-90
  manage.py taskqueue_cancel --queue emails --older-than 2d --dry-run
  manage.py taskqueue_cancel --definition SendNewsletter --status scheduled --yes

An age counts from a task's creation. A running task ends when its handler hears of it. Ctrl-C
stops after the current batch, a second one at once; what was canceled stays canceled.

exit codes: 0 done · 1 not confirmed, or a task that was named by its id could not be canceled ·
2 wrong usage · 3 database not ready · 130 interrupted
"""
    verb = "cancel"
    infinitive, doing, done = "Cancel", "Canceling", "Canceled"
    fits = UNFINISHED
    default = "all of them"
    age_column, age_of = "created_at", "a task's creation"
