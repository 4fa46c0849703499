"""``manage.py taskqueue_requeue``: queue the work of finished tasks again, as new tasks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_taskstore.exceptions import InvalidQueueName
from django_taskstore.management.acting import ActingCommand
from django_taskstore.management.arguments import USAGE
from django_taskstore.management.selecting import has_filter
from django_taskstore.statuses import FINAL, Status
from django_taskstore.validation import validate_queue_name


class Command(ActingCommand):
    """Requeue tasks."""

    help = (
        "Queue the work of finished tasks again, as new tasks that point back to the old ones. "
        "Everything the work does is done once more."
    )
    epilog = """\
examples:
  manage.py taskqueue_requeue 7 12 40-90
  manage.py taskqueue_requeue --queue emails --newer-than 2h --dry-run
  manage.py taskqueue_requeue --definition SendInvoice --status canceled --to slow --yes

An age counts from a task's end. Ids alone mean tasks however they ended; with a filter only
failed ones are meant unless --status says otherwise. Doing it twice queues the work twice:
Ctrl-C stops after the current batch and names the ids that are left.

exit codes: 0 done · 1 not confirmed, or a task was refused, or one that was named by its id
could not be requeued · 2 wrong usage · 3 database not ready · 130 interrupted
"""
    verb = "requeue"
    infinitive, doing, done = "Requeue", "Requeuing", "Requeued"
    fits = FINAL
    default = "failed; any with ids alone"
    age_column, age_of = "completed_at", "a task's end"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        super().add_arguments(parser)
        parser.add_argument("--to", metavar="QUEUE", help="another queue (each task's own)")

    def statuses(self, options: dict[str, Any]) -> Collection[str]:
        """Return the statuses that are meant."""
        if not options["statuses"] and (options["all"] or has_filter(options)):
            return (Status.FAILED,)
        return super().statuses(options)

    def verb_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what the verb takes.

        Raises:
            CommandError: no queue can be called so; exit code 2.
        """
        if options["to"] is None:
            return {}
        try:
            return {"queue_name": validate_queue_name(options["to"])}
        except InvalidQueueName as error:
            raise CommandError(str(error), returncode=USAGE) from None
