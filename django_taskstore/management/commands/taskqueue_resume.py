"""``manage.py taskqueue_resume``: allow claims from paused queues again.

Owns the options and the words; the pause is a column of the queue's row.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from django_taskstore.management.arguments import StoreCommand, find_queues
from django_taskstore.management.readiness import ready_database


class Command(StoreCommand):
    """Allow claims from paused queues again."""

    help = "Resume paused queues: workers claim from them again within about a second."
    epilog = """\
examples:
  manage.py taskqueue_resume emails
  manage.py taskqueue_resume '*'                  all queues there are

exit codes: 0 resumed · 2 wrong usage, or no such queue · 3 database not ready
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("queues", nargs="+", metavar="QUEUE", help="a name; '*': all")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Resume each queue, and say which were not paused.

        Raises:
            CommandError: with the exit code that says why.
        """
        using = ready_database()
        for queue in find_queues(options["queues"], using):
            changed = queue.resume()
            if options["verbosity"]:
                text = f"Resumed {queue.name}." if changed else f"{queue.name} was not paused."
                self.stdout.write(self.style.SUCCESS(text) if changed else text)
