"""``manage.py schedule_list``: the schedules, when they run next, and what is wrong with them.

Owns the text and JSON forms; it changes nothing.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from django_taskstore.exceptions import InvalidRecurrence
from django_taskstore.management.arguments import StoreCommand, count, table
from django_taskstore.management.readiness import ready_database
from django_taskstore.models import Schedule
from django_taskstore.statistics.json_form import iso

NEXT_RUNS = 5


class Command(StoreCommand):
    """List the schedules."""

    help = "List the schedules, their next runs and their errors."
    epilog = """\
examples:
  manage.py schedule_list                     a table
  manage.py schedule_list --json              for programs, with the next five runs of each
  manage.py schedule_list --json --next 20    with the next twenty

exit codes: 0 all well · 2 wrong usage · 3 database not ready
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="one JSON object")
        parser.add_argument(
            "--next", type=count, default=NEXT_RUNS, metavar="N", help="next runs in JSON (5)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the schedules by name."""
        using = ready_database()
        found = list(Schedule.objects.using(using).select_related("definition").order_by("name"))
        if options["json"]:
            shown = {"version": 1, "schedules": [as_json(one, options["next"]) for one in found]}
            self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))
        elif found:
            heads = ("NAME", "STATUS", "NEXT RUN", "WHEN")
            self.stdout.write(table([heads, *map(as_row, found)]))
        else:
            self.stdout.write("No schedule is here. Make one in the admin, or declare it in code.")


def as_row(schedule: Schedule) -> tuple[str, str, str, str]:
    """Return one line of the table."""
    at = schedule.next_run_at
    shown = f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S %Z}" if at else "-"
    return schedule.name, schedule.status, shown, schedule.error or words(schedule)


def words(schedule: Schedule) -> str:
    """Return when it happens in words, or what is wrong with the rule."""
    try:
        return schedule.sentence
    except InvalidRecurrence as error:
        return str(error)


def as_json(schedule: Schedule, next_runs: int) -> dict[str, Any]:
    """Return one schedule with its next runs."""
    try:
        following = schedule.next_occurrences(next_runs)
    except InvalidRecurrence:
        following = []
    return {
        "name": schedule.name,
        "definition": schedule.definition.alias,
        "queue": schedule.queue_name or None,
        "status": schedule.status,
        "rule": schedule.recurrence_rule,
        "time_zone": schedule.time_zone,
        "sentence": words(schedule),
        "declared_by": schedule.declared_by or None,
        "runs": schedule.execution_count,
        "most_runs": schedule.max_execution_count or None,
        "last_run": iso(schedule.last_run_at),
        "next_runs": [iso(moment) for moment in following],
        "error": schedule.error or None,
    }
