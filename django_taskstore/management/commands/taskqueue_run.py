"""``manage.py taskqueue_run``: parse, say what starts, run, exit with a code that says how it went.

Owns the options and what they mean; `working` runs the process.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_taskstore.conf import settings
from django_taskstore.database.hygiene import part
from django_taskstore.exceptions import InvalidQueueName
from django_taskstore.management.banner import banner
from django_taskstore.management.output import show_log
from django_taskstore.management.readiness import ready_database
from django_taskstore.management.working import HELD_UP, RELEASED, Work, signals_to
from django_taskstore.runner import TaskQueueRunner
from django_taskstore.scheduler import ScheduleRunner
from django_taskstore.supervisor import Leash, Supervisor

USAGE = 2
WHY = {
    RELEASED: "Running tasks were given back to their queues.",
    HELD_UP: "Tasks that ignore their timeout or cancel held threads; start it again.",
}
EPILOG = """\
examples:
  manage.py taskqueue_run                          work the queue "default"
  manage.py taskqueue_run emails reports           two queues, in turn
  manage.py taskqueue_run '*' --concurrency 20     all queues, 20 tasks at a time
  manage.py taskqueue_run emails --once            until nothing is due, then exit
  manage.py taskqueue_run --processes 4            four worker processes

SIGTERM or Ctrl-C stops claiming, waits for running tasks, and gives back what takes longer
than --shutdown-timeout; a second signal gives back at once.

exit codes: 0 all well · 2 wrong usage · 3 database not ready · 4 running tasks were given back ·
6 threads were held by tasks that ignore their timeout or cancel: start it again
"""


class Command(BaseCommand):
    """Work one or more queues until told to stop."""

    help = "Work one or more queues until told to stop."
    requires_system_checks = ["django_taskstore"]

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Return a parser that shows examples and accepts no abbreviations."""
        return super().create_parser(
            prog_name,
            subcommand,
            epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **options,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("queues", nargs="*", metavar="QUEUE", help="default: default; '*': all")
        pace = parser.add_mutually_exclusive_group()
        pace.add_argument("--concurrency", type=whole, help="tasks at a time (MAX_CONCURRENCY)")
        pace.add_argument("--serial", action="store_true", help="one task at a time")
        parser.add_argument("--processes", type=whole, default=1, help="worker processes (1)")
        parser.add_argument(
            "--interval", type=duration, metavar="SECONDS", help="longest idle sleep (POLL_SECONDS)"
        )
        parser.add_argument(
            "--unstuck-minutes",
            type=duration,
            metavar="MINUTES",
            help="a task whose worker is silent this long is rescued (LEASE_SECONDS)",
        )
        parser.add_argument("--once", action="store_true", help="exit when nothing is due")
        parser.add_argument("--max-tasks", type=whole, help="exit after so many tasks")
        parser.add_argument(
            "--shutdown-timeout",
            type=patience,
            metavar="SECONDS",
            help="how long a stop waits for running tasks (SHUTDOWN_TIMEOUT_SECONDS)",
        )
        parser.add_argument(
            "--no-schedules", action="store_true", help="leave schedules to other processes"
        )
        parser.add_argument("--log-format", choices=["text", "json"], default="text")
        parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped.

        Raises:
            CommandError: with the exit code that says why.
        """
        show_log(log_format=options["log_format"], verbosity=options["verbosity"])
        ready_database()
        runner, patience_seconds = make_runner(options), shutdown_timeout_seconds(options)
        if options["verbosity"] and not options["supervised"]:
            text = banner(
                runner,
                processes=options["processes"],
                shutdown_timeout_seconds=patience_seconds,
                with_schedules=not options["no_schedules"],
            )
            self.stdout.write(text)
            self.stdout.flush()
        # This thread only waits from here on, and a session a process is what servers run out of.
        part(runner.identity.using)
        if options["processes"] > 1:
            self._end(supervise(options, patience_seconds))
        else:
            self._end(work(runner, options, patience_seconds).run(until_empty=options["once"]))

    def _end(self, code: int) -> None:
        """Leave with an exit code; from a shell at once, whatever threads still hang."""
        if code in WHY and getattr(self, "_called_from_command_line", False):
            self.stderr.write(self.style.WARNING(WHY[code]))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        if code:
            raise CommandError(WHY.get(code, "It ended too early."), returncode=code)


def make_runner(options: dict[str, Any]) -> TaskQueueRunner:
    """Return the runner that the options describe.

    Raises:
        CommandError: a queue's name is not valid; exit code 2.
    """
    minutes = options["unstuck_minutes"]
    try:
        return TaskQueueRunner(
            *options["queues"],
            concurrency=1 if options["serial"] else options["concurrency"],
            poll_seconds=options["interval"],
            lease_seconds=None if minutes is None else minutes * 60,
            max_tasks=options["max_tasks"],
        )
    except InvalidQueueName as error:
        raise CommandError(str(error), returncode=USAGE) from error


def shutdown_timeout_seconds(options: dict[str, Any]) -> float:
    """Return how long a stop waits for running tasks."""
    given = options["shutdown_timeout"]
    return float(settings.SHUTDOWN_TIMEOUT_SECONDS if given is None else given)


def work(runner: TaskQueueRunner, options: dict[str, Any], patience_seconds: float) -> Work:
    """Return this process's work."""
    return Work(
        runner,
        None if options["no_schedules"] else ScheduleRunner(poll_seconds=options["interval"]),
        patience_seconds=patience_seconds,
        leash=Leash() if options["supervised"] else None,
    )


def supervise(options: dict[str, Any], patience_seconds: float) -> int:
    """Run several worker processes until they end; return the exit code."""
    supervisor = Supervisor(
        child_arguments(options),
        processes=options["processes"],
        shutdown_timeout_seconds=patience_seconds,
        recycles=options["max_tasks"] is not None and not options["once"],
    )
    with signals_to(supervisor.request_stop):
        return supervisor.run()


def child_arguments(options: dict[str, Any]) -> list[str]:
    """Return the command line of one child: the same options, without the processes."""
    arguments = [*options["queues"], f"--settings={django_settings.SETTINGS_MODULE}"]
    arguments += [f"--verbosity={options['verbosity']}", f"--log-format={options['log_format']}"]
    valued = ("concurrency", "interval", "unstuck_minutes", "max_tasks", "shutdown_timeout")
    for name in valued:
        if options[name] is not None:
            arguments.append(f"--{name.replace('_', '-')}={options[name]}")
    flags = ("serial", "once", "no_schedules")
    return arguments + [f"--{name.replace('_', '-')}" for name in flags if options[name]]


def whole(text: str) -> int:
    """Parse a whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def duration(text: str) -> float:
    """Parse a number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def patience(text: str) -> float:
    """Parse a number from 0."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number
