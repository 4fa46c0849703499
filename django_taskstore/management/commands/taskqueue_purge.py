"""``manage.py taskqueue_purge``: remove finished tasks for good, in small transactions.

Owns the options and the words; the removing is `purging`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_taskstore import purging
from django_taskstore.management.arguments import (
    INTERRUPTED,
    StoreCommand,
    add_many,
    duration,
    find_queues,
)
from django_taskstore.management.batches import (
    JSON_VERSION,
    Progress,
    add_batch_arguments,
    check_nobody_is_asked,
    confirm,
    tasks_in_words,
    work_off,
)
from django_taskstore.management.readiness import ready_database
from django_taskstore.statuses import FINAL, Status


class Command(StoreCommand):
    """Remove finished tasks for good."""

    help = "Remove finished tasks, their logs and their attempts for good, oldest first."
    epilog = """\
examples:
  manage.py taskqueue_purge --older-than 7d
  manage.py taskqueue_purge --older-than 30d --status failed --status canceled --dry-run
  manage.py taskqueue_purge --older-than 1d --queue pings --queue emails
  manage.py taskqueue_purge --older-than 12h --yes --batch 1000 --sleep 0.5

The age counts from a task's end. Records of schedules' runs of this age whose task is gone
are removed too, unless queues are named. Units: s m h d w. Ctrl-C stops after the current batch, a
second one at once; what was removed stays removed.

exit codes: 0 done · 1 not confirmed · 2 wrong usage · 3 database not ready · 130 interrupted
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--older-than", type=duration, required=True, metavar="AGE", help="such as 12h, 7d, 4w"
        )
        parser.add_argument(
            "--status",
            action="append",
            choices=[str(status) for status in FINAL],
            dest="statuses",
            help="may be repeated (success)",
        )
        add_many(parser, "queue", metavar="QUEUE", meaning="only tasks of this one (all)")
        add_batch_arguments(parser, batch=purging.PURGE_LIMIT)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, ask, remove.

        Raises:
            CommandError: with the exit code that says why.
        """
        check_nobody_is_asked(options)
        if isinstance(options["older_than"], str):  # call_command hands keywords on unread.
            options["older_than"] = duration(options["older_than"])
        meant = Meant(ready_database(), options)
        if options["dry_run"]:
            found = meant.counts()
            self._say(options, found, f"Would remove {tasks_in_words(found)}. Nothing was removed.")
            return
        expected = None if options["no_input"] else ask(meant)
        self._purge(meant, expected, options)

    def _purge(self, meant: Meant, expected: int | None, options: dict[str, Any]) -> None:
        """Remove batch after batch, and say what was done also when interrupted.

        Raises:
            CommandError: Ctrl-C stopped it; exit code 130.
        """
        progress = Progress(self.stderr, "Purging", expected=expected, options=options)
        removed = dict.fromkeys(meant.statuses, 0)
        was_cut_short = work_off(
            meant.remove(removed, options["batch"]), progress, sleep_seconds=options["sleep"]
        )
        records = f" and {meant.runs:,} record(s) of runs of schedules" if meant.runs else ""
        done = f"Removed {tasks_in_words(removed)}{records} in {progress.seconds:.1f} s."
        if was_cut_short:
            self._say({**options, "verbosity": 1}, removed, done, runs=meant.runs)
            raise CommandError(
                "Interrupted; run the command again for the rest.", returncode=INTERRUPTED
            )
        self._say(options, removed, self.style.SUCCESS(done), runs=meant.runs)

    def _say(
        self, options: dict[str, Any], found: dict[str, int], text: str, *, runs: int = 0
    ) -> None:
        """Say how it ended, to programs or to people."""
        if options["json"]:
            facts = {"dry_run": options["dry_run"], "tasks": found, "schedule_runs": runs}
            self.stdout.write(json.dumps({"version": JSON_VERSION, "verb": "purge", **facts}))
        elif options["verbosity"] or options["dry_run"]:
            self.stdout.write(text)


class Meant:
    """The tasks that a person wants removed.

    Args:
        using: the database's alias.
        options: the command's.

    Attributes:
        runs: how many records of schedules' runs went with them.

    Raises:
        CommandError: a queue does not exist.
    """

    def __init__(self, using: str, options: dict[str, Any]) -> None:
        self.statuses = list(dict.fromkeys(options["statuses"] or [str(Status.SUCCESS)]))
        self.older_than = options["older_than"]
        self.queue_names = [queue.name for queue in find_queues(options["queues"], using)]
        self.using = using
        self.runs = 0

    def counts(self) -> dict[str, int]:
        """Count what would be removed, by status."""
        return {
            status: purging.purgeable(
                self.using,
                status=status,
                older_than=self.older_than,
                queue_names=self.queue_names,
            ).count()
            for status in self.statuses
        }

    def remove(self, removed: dict[str, int], batch: int) -> Iterator[int]:
        """Remove batch after batch, add it to the counts, and yield how many tasks each was.

        The records of schedules' runs follow; a queue says nothing of those without a task.
        """
        for status in self.statuses:
            for rows in purging.purge(
                self.using,
                status=status,
                older_than=self.older_than,
                queue_names=self.queue_names,
                batch=batch,
            ):
                removed[status] += rows
                yield rows
        if self.queue_names:
            return
        for rows in purging.purge_runs(self.using, older_than=self.older_than, batch=batch):
            self.runs += rows
            yield 0


def ask(meant: Meant) -> int:
    """Ask whether to go on; return how many tasks there are, 0 without a question.

    Raises:
        CommandError: the answer is not yes, or nobody can answer.
    """
    found = meant.counts()
    if any(found.values()):
        age = str(meant.older_than).removesuffix(", 0:00:00")
        queues = f" of {', '.join(meant.queue_names)}" if meant.queue_names else ""
        question = f"Remove {tasks_in_words(found)}{queues} that ended more than {age} ago"
        confirm(f"{question}, for good?", otherwise="nothing was removed")
    return sum(found.values())
