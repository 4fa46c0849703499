"""``manage.py schedule_run``: look after schedules in a process of its own.

Owns the options. Every ``taskqueue_run`` does the same beside its queues; this is for a site
whose workers run with ``--no-schedules``, or elsewhere.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from django_taskstore.management.arguments import StoreCommand
from django_taskstore.management.banner import schedules_line
from django_taskstore.management.commands.taskqueue_run import duration
from django_taskstore.management.output import show_log
from django_taskstore.management.readiness import ready_database
from django_taskstore.management.working import say, signals_to
from django_taskstore.scheduler import ScheduleRunner, mirror


class Command(StoreCommand):
    """Put the tasks of due schedules on their queues until told to stop."""

    help = "Put the tasks of due schedules on their queues until told to stop."
    epilog = """\
examples:
  manage.py schedule_run            until SIGTERM or Ctrl-C
  manage.py schedule_run --once     what is due now, then exit

exit codes: 0 all well · 2 wrong usage · 3 database not ready
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--once", action="store_true", help="do what is due now and exit")
        parser.add_argument(
            "--interval", type=duration, metavar="SECONDS", help="between two looks (POLL_SECONDS)"
        )
        parser.add_argument("--log-format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped, or once."""
        show_log(log_format=options["log_format"], verbosity=options["verbosity"])
        using = ready_database()
        runner = ScheduleRunner(poll_seconds=options["interval"])
        if options["once"]:
            mirror(using)
            runner.set_initial_runs()
            enqueued = runner.run_once()
            self.stdout.write(f"{enqueued} task(s) enqueued.")
            return
        with signals_to(lambda: stop(runner)):
            runner.start()
            if options["verbosity"]:
                every = f"every {runner.poll_seconds:g} s"
                self.stdout.write(f"Looking at schedules {every}: {schedules_line(using)}.")
                self.stdout.flush()
            while runner.is_running:
                runner.join(1.0)


def stop(runner: ScheduleRunner) -> None:
    """Ask the runner to stop, from a signal handler."""
    runner.request_stop()
    say("Stopping.")
