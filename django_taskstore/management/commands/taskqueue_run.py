"""``manage.py taskqueue_run``: parse, say what starts, run, exit with a code that says how it went.

Owns the options, the signals of the operating system and the exit codes; the work is the
runner's and the supervisor's.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_taskstore.conf import settings
from django_taskstore.exceptions import InvalidQueueName
from django_taskstore.management.banner import banner
from django_taskstore.management.output import show_log
from django_taskstore.management.readiness import ready_database
from django_taskstore.runner import TaskQueueRunner
from django_taskstore.scheduler import ScheduleRunner
from django_taskstore.supervisor import Supervisor, watch_parent

RELEASED = 4
USAGE = 2
EPILOG = """\
examples:
  manage.py taskqueue_run                          work the queue "default"
  manage.py taskqueue_run emails reports           two queues, in turn
  manage.py taskqueue_run '*' --concurrency 20     all queues, 20 tasks at a time
  manage.py taskqueue_run emails --once            until nothing is due, then exit
  manage.py taskqueue_run --processes 4            four worker processes

SIGTERM or Ctrl-C stops claiming, waits for running tasks, and gives back what takes longer
than --shutdown-timeout; a second signal gives back at once.

exit codes: 0 all well · 2 wrong usage · 3 database not ready · 4 running tasks were given back
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
                runner, processes=options["processes"], shutdown_timeout_seconds=patience_seconds
            )
            self.stdout.write(text)
            self.stdout.flush()
        if options["processes"] > 1:
            self._end(supervise(options, patience_seconds))
        else:
            self._end(work(runner, options, patience_seconds))

    def _end(self, code: int) -> None:
        """Leave with an exit code; from a shell at once, whatever threads still hang."""
        if code == RELEASED and getattr(self, "_called_from_command_line", False):
            self.stderr.write(self.style.WARNING("Running tasks were given back to their queues."))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        if code:
            raise CommandError("Running tasks were given back to their queues.", returncode=code)


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


def work(runner: TaskQueueRunner, options: dict[str, Any], patience_seconds: float) -> int:
    """Run this process's loop until it ends; return the exit code."""
    schedules = ScheduleRunner(poll_seconds=options["interval"])
    signals_seen = 0

    def stop() -> None:
        nonlocal signals_seen
        signals_seen += 1
        schedules.request_stop()
        if signals_seen == 1:
            runner.request_stop(timeout_seconds=patience_seconds)
            say(f"Stopping: waiting up to {patience_seconds:g} s for running tasks (again: now).")
        else:
            runner.abandon()
            say("Stopping now: running tasks are given back.")

    with signals_to(stop):
        if not options["no_schedules"]:
            begin(schedules, once=options["once"])
        runner.start(until_empty=options["once"])
        if options["supervised"]:
            watch_parent(lambda: runner.request_stop(timeout_seconds=patience_seconds))
        while runner.is_running:
            runner.join(1.0)
        schedules.stop()
    return RELEASED if runner.released else 0


def begin(schedules: ScheduleRunner, *, once: bool) -> None:
    """Look after schedules: once here and now, or on a thread of their own."""
    if not once:
        schedules.start()
        return
    schedules.set_initial_runs()
    schedules.run_once()


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


class signals_to:  # noqa: N801 - read as a verb: with signals_to(stop)
    """Hand SIGTERM and SIGINT to a callable, and give them back afterwards.

    Args:
        stop: called on the main thread between two bytecodes; it may only set flags.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.stop = stop
        self.before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self.before[number] = signal.signal(number, lambda *_: self.stop())
            except ValueError:
                return  # Not the main thread: whoever runs this one stops it.

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Write a line from a signal handler: unbuffered, so never inside another write."""
    os.write(2, f"{text}\n".encode())


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
