"""``manage.py taskqueue_pause``: stop claims from queues until somebody resumes them.

Owns the options and the words; the pause is a column of the queue's row.
"""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_taskstore.management.arguments import USAGE, StoreCommand, find_queues
from django_taskstore.management.readiness import ready_database
from django_taskstore.models import Queue

LONGEST_TEXT = 255


class Command(StoreCommand):
    """Stop claims from queues."""

    help = (
        "Pause queues: workers claim nothing more from them, what runs runs on, and tasks may "
        "still be enqueued."
    )
    epilog = """\
examples:
  manage.py taskqueue_pause emails --reason "SMTP outage"
  manage.py taskqueue_pause '*' --by ana          all queues there are
  manage.py taskqueue_resume emails

A queue that is paused already keeps its reason.

exit codes: 0 paused · 2 wrong usage, or no such queue · 3 database not ready
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("queues", nargs="+", metavar="QUEUE", help="a name; '*': all")
        parser.add_argument("--reason", default="", help="why, for the next person who wonders")
        parser.add_argument("--by", metavar="NAME", help="who asks (the login name)")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Pause each queue, and say which were paused before.

        Raises:
            CommandError: with the exit code that says why.
        """
        by = login_name() if options["by"] is None else options["by"]
        for option, text in (("--reason", options["reason"]), ("--by", by)):
            if len(text) > LONGEST_TEXT:
                raise CommandError(
                    f"{option} has {len(text)} characters, at most {LONGEST_TEXT} fit.",
                    returncode=USAGE,
                )
        using = ready_database()
        for queue in find_queues(options["queues"], using):
            changed = queue.pause(by=by, reason=options["reason"])
            if options["verbosity"]:
                self.stdout.write(self._line(queue, changed=changed))

    def _line(self, queue: Queue, *, changed: bool) -> str:
        if changed:
            return self.style.SUCCESS(f"Paused {queue.name}.")
        by = f" by {queue.paused_by}" if queue.paused_by else ""
        reason = f": {queue.pause_reason}" if queue.pause_reason else ""
        since = f" since {queue.paused_at:%Y-%m-%d %H:%M} UTC" if queue.paused_at else ""
        return self.style.WARNING(f"{queue.name} is paused already{by}{since}{reason}.")


def login_name() -> str:
    """Return who is logged in, or nothing where the system does not say."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
