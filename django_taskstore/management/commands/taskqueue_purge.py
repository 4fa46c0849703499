"""``manage.py taskqueue_purge``: remove finished tasks for good, in small transactions.

Owns the options, the question, the progress and the exit codes; the removing is
`maintenance`'s.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper

from django_taskstore import maintenance
from django_taskstore.management.arguments import (
    FAILED,
    INTERRUPTED,
    USAGE,
    StoreCommand,
    count,
    delay_seconds,
    duration,
)
from django_taskstore.management.readiness import ready_database
from django_taskstore.statuses import FINAL, Status

LINE_SECONDS = 10.0
TERMINAL_SECONDS = 0.2
LOOK_SECONDS = 0.1


class Command(StoreCommand):
    """Remove finished tasks for good."""

    help = "Remove finished tasks, their logs and their attempts for good, oldest first."
    epilog = """\
examples:
  manage.py taskqueue_purge --older-than 7d
  manage.py taskqueue_purge --older-than 30d --status failed --status canceled --dry-run
  manage.py taskqueue_purge --older-than 12h --no-input --batch 1000 --sleep 0.5

The age counts from a task's end. Units: s m h d w. Ctrl-C stops after the current batch, a
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
        parser.add_argument(
            "--batch",
            type=count,
            default=maintenance.PURGE_LIMIT,
            help="tasks a transaction (5000)",
        )
        parser.add_argument(
            "--sleep",
            type=delay_seconds,
            default=0.0,
            metavar="SECONDS",
            help="between batches (0)",
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and remove nothing")
        parser.add_argument("--no-input", "--noinput", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, ask, remove.

        Raises:
            CommandError: with the exit code that says why.
        """
        using = ready_database()
        statuses = list(dict.fromkeys(options["statuses"] or [str(Status.SUCCESS)]))
        if isinstance(options["older_than"], str):  # call_command hands keywords on unread.
            options["older_than"] = duration(options["older_than"])
        if options["dry_run"]:
            found = counts(using, statuses, options["older_than"])
            self.stdout.write(f"Would remove {sentence(found)}. Nothing was removed.")
            return
        expected = None if options["no_input"] else self._ask(using, statuses, options)
        self._purge(using, statuses, expected, options)

    def _ask(self, using: str, statuses: list[str], options: dict[str, Any]) -> int:
        """Ask whether to go on; return how many tasks there are, 0 without a question.

        Raises:
            CommandError: the answer is not yes, or nobody can answer.
        """
        found = counts(using, statuses, options["older_than"])
        if not any(found.values()):
            return 0
        age = str(options["older_than"]).removesuffix(", 0:00:00")
        question = f"Remove {sentence(found)} that ended more than {age} ago, for good? [y/N] "
        try:
            answer = input(question)
        except EOFError:
            raise CommandError(
                "Nobody answered, so nothing was removed; --no-input removes without asking.",
                returncode=USAGE,
            ) from None
        except KeyboardInterrupt:
            raise CommandError("Nothing was removed.", returncode=INTERRUPTED) from None
        if answer.strip().lower() not in ("y", "yes"):
            raise CommandError("Not confirmed: nothing was removed.", returncode=FAILED)
        return sum(found.values())

    def _purge(
        self, using: str, statuses: list[str], expected: int | None, options: dict[str, Any]
    ) -> None:
        """Remove batch after batch, and say what was done also when interrupted.

        Raises:
            CommandError: Ctrl-C stopped it; exit code 130.
        """
        removed = dict.fromkeys(statuses, 0)
        progress = Progress(self.stderr, expected=expected, is_shown=options["verbosity"] > 0)
        with interruptible() as interrupt:
            try:
                for status, rows in batches(using, statuses, options):
                    removed[status] += rows
                    progress.show(sum(removed.values()))
                    interrupt.sleep(options["sleep"])
            except KeyboardInterrupt:
                interrupt.came = True
        progress.end()
        done = f"{sentence(removed)} in {progress.seconds:.1f} s."
        if interrupt.came:
            self.stdout.write(f"Removed {done}")
            raise CommandError(
                "Interrupted; run the command again for the rest.", returncode=INTERRUPTED
            )
        if options["verbosity"]:
            self.stdout.write(self.style.SUCCESS(f"Removed {done}"))


def counts(using: str, statuses: list[str], older_than: timedelta) -> dict[str, int]:
    """Count what would be removed, by status."""
    return {
        status: maintenance.purgeable(using, status=status, older_than=older_than).count()
        for status in statuses
    }


def batches(using: str, statuses: list[str], options: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Remove batch after batch; yield the status and how many tasks each removed."""
    for status in statuses:
        removing = maintenance.purge(
            using, status=status, older_than=options["older_than"], batch=options["batch"]
        )
        for rows in removing:
            yield status, rows


def sentence(found: dict[str, int]) -> str:
    """Return counts by status in words: ``12 success and 3 failed tasks``."""
    parts = [f"{rows:,} {status}" for status, rows in found.items()]
    return f"{' and '.join(parts)} task{'' if sum(found.values()) == 1 else 's'}"


class Interrupt:
    """Whether Ctrl-C was pressed.

    Attributes:
        came: True once it was.
    """

    def __init__(self) -> None:
        self.came = False

    def sleep(self, seconds: float) -> None:
        """Sleep between two batches.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; the batch before is committed.
        """
        until = time.monotonic() + seconds
        while not self.came and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
        if self.came:
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Note the first Ctrl-C instead of breaking off a batch; the second one breaks it off."""
    interrupt = Interrupt()

    def note(_number: int, _frame: object) -> None:
        if interrupt.came:
            raise KeyboardInterrupt
        interrupt.came = True

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # Not the main thread, which alone hears of signals.
        yield interrupt
        return
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


class Progress:
    """How far the removing is: one updated line on a terminal, a line now and then elsewhere.

    Args:
        out: the standard error.
        expected: how many tasks there are, or None when nobody counted.
        is_shown: False writes nothing.
    """

    def __init__(self, out: OutputWrapper, *, expected: int | None, is_shown: bool) -> None:
        self.out = out
        self.expected = expected
        self.is_shown = is_shown
        self.is_terminal = out.isatty()
        self.every_seconds = TERMINAL_SECONDS if self.is_terminal else LINE_SECONDS
        self._began = self._said = time.monotonic()
        self._has_line = False

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def show(self, removed: int) -> None:
        """Say how many are removed, when it is time to say something."""
        if not self.is_shown or time.monotonic() - self._said < self.every_seconds:
            return
        self._said, self._has_line = time.monotonic(), True
        line = self.line(removed)
        self.out.write(f"\r{line}\x1b[K" if self.is_terminal else line, plain, self._ending)
        self.out.flush()

    def line(self, removed: int) -> str:
        """Return what to say."""
        rate = removed / max(self.seconds, 0.001)
        if not self.expected:
            return f"Purging: {removed:,} removed, {rate:,.0f}/s"
        left_seconds = max(0, self.expected - removed) / max(rate, 0.001)
        part = min(1.0, removed / self.expected)
        return (
            f"Purging: {removed:,} of {self.expected:,} ({part:.0%}), {rate:,.0f}/s, "
            f"{left_seconds:.0f} s left"
        )

    def end(self) -> None:
        """Leave the updated line."""
        if self.is_terminal and self._has_line:
            self.out.write("\n", plain, "")

    @property
    def _ending(self) -> str:
        return "" if self.is_terminal else "\n"


def plain(text: str) -> str:
    """Return the text as it is: progress is no error, so it is not red."""
    return text
