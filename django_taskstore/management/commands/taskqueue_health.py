"""``manage.py taskqueue_health``: whether queues are worked, for probes and alerts.

Owns the options and the exit codes; the judgement is `statistics`'.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from django_taskstore.conf import settings
from django_taskstore.exceptions import InvalidQueueName
from django_taskstore.management.arguments import (
    UNHEALTHY,
    USAGE,
    StoreCommand,
    add_many,
    delay_seconds,
    delay_words,
    table,
)
from django_taskstore.management.readiness import NOT_READY, ready_database, silence
from django_taskstore.statistics import Demands, Health, health
from django_taskstore.validation import validate_queue_name

HEAD = ("QUEUE", "WORKERS", "HEARTBEAT", "OLDEST")


class Command(StoreCommand):
    """Tell whether queues are worked."""

    help = "Tell by the exit code whether workers live and tasks do not wait too long."
    epilog = """\
examples:
  manage.py taskqueue_health                          a worker lives, and one where tasks wait
  manage.py taskqueue_health --queue emails --queue reports
  manage.py taskqueue_health --max-queue-age 10m      and no task has waited for longer
  manage.py taskqueue_health --here --queue emails    in a container: its own worker lives

A paused queue may keep its tasks waiting. --max-age is by default a minute, or two heartbeats.

exit codes: 0 well · 2 wrong usage · 3 database not ready · 5 unhealthy
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        add_many(parser, "queue", metavar="QUEUE", meaning="must have a worker (where tasks wait)")
        parser.add_argument(
            "--max-age", type=delay_seconds, metavar="AGE", help="of a worker's last heartbeat"
        )
        scope = parser.add_mutually_exclusive_group()
        scope.add_argument(
            "--max-queue-age", type=delay_seconds, metavar="AGE", help="of the oldest waiting task"
        )
        scope.add_argument(
            "--here", action="store_true", help="count only workers of this machine or container"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Look, say what was seen, and complain.

        Raises:
            CommandError: with the exit code that says why.
        """
        demands, using = read_demands(options), ready_database()
        try:
            found = health(using, demands)
        except DatabaseError as error:
            # It went away, or a lock held the look up: no worker is to blame for that.
            raise CommandError(silence(using, error), returncode=NOT_READY) from error
        if options["json"]:
            self.stdout.write(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
        elif options["verbosity"]:
            self.stdout.write(as_text(found))
        if not found.is_well:
            raise CommandError("\n".join(one.text for one in found.problems), returncode=UNHEALTHY)


def read_demands(options: dict[str, Any]) -> Demands:
    """Return what the options ask for.

    Raises:
        CommandError: no queue can be called so, or live workers would look dead.
    """
    try:
        names = tuple(dict.fromkeys(map(validate_queue_name, options["queues"])))
    except InvalidQueueName as error:
        raise CommandError(str(error), returncode=USAGE) from None
    max_age_seconds = options["max_age"]
    if max_age_seconds is not None and max_age_seconds <= settings.HEARTBEAT_SECONDS:
        raise CommandError(
            f"--max-age of {max_age_seconds:g} s is within HEARTBEAT_SECONDS "
            f"({settings.HEARTBEAT_SECONDS:g}): workers would look dead between two heartbeats.",
            returncode=USAGE,
        )
    return Demands(
        names=names,
        host=socket.gethostname() if options["here"] else "",
        max_age_seconds=max_age_seconds,
        max_queue_age_seconds=options["max_queue_age"],
    )


def as_text(found: Health) -> str:
    """Return what was seen for people."""
    rows = [
        (
            one.name,
            str(one.workers),
            ago(one.heartbeat_age_seconds),
            "paused" if one.is_paused else ago(one.oldest_wait_seconds),
        )
        for one in found.queues
    ]
    verdict = "Healthy" if found.is_well else "Unhealthy"
    workers = f"{found.workers} worker{'' if found.workers == 1 else 's'}"
    return "\n".join([*([table([HEAD, *rows])] if rows else []), f"{verdict}: {workers} alive."])


def ago(seconds: float | None) -> str:
    """Return an age in words."""
    return "-" if seconds is None else delay_words(seconds)
