"""What commands share that work batch after batch: options, the question, progress, Ctrl-C.

Owns the waiting and the words. What a batch does is the command's.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper

from django_taskstore.management.arguments import FAILED, INTERRUPTED, USAGE, count, delay_seconds

LINE_SECONDS = 10.0
TERMINAL_SECONDS = 0.2
LOOK_SECONDS = 0.1
#: The version of the JSON that these commands write.
JSON_VERSION = 1


def add_batch_arguments(parser: CommandParser, *, batch: int) -> None:
    """Declare the options that these commands share.

    Args:
        parser: the command's.
        batch: tasks a transaction by default.
    """
    parser.add_argument("--batch", type=count, default=batch, help=f"tasks a transaction ({batch})")
    parser.add_argument(
        "--sleep", type=delay_seconds, default=0.0, metavar="SECONDS", help="between batches (0)"
    )
    parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
    parser.add_argument("--no-input", "--noinput", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")


def check_nobody_is_asked(options: dict[str, Any]) -> None:
    """Refuse a question amid JSON.

    Raises:
        CommandError: exit code 2.
    """
    if options["json"] and not (options["no_input"] or options["dry_run"]):
        raise CommandError(
            "--json is for programs, which answer no question: add --yes or --dry-run.",
            returncode=USAGE,
        )


def confirm(question: str, *, otherwise: str) -> None:
    """Ask whether to go on.

    Args:
        question: ends with a question mark.
        otherwise: what is true when the answer is not yes, such as "nothing was removed".

    Raises:
        CommandError: the answer is not yes, or nobody can answer.
    """
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        raise CommandError(
            f"Nobody answered, so {otherwise}; --yes (or --no-input) goes on without asking.",
            returncode=USAGE,
        ) from None
    except KeyboardInterrupt:
        raise CommandError(f"Interrupted: {otherwise}.", returncode=INTERRUPTED) from None
    if answer.strip().lower() not in ("y", "yes"):
        raise CommandError(f"Not confirmed: {otherwise}.", returncode=FAILED)


def tasks_in_words(found: dict[str, int]) -> str:
    """Return counts by status in words: ``12 success and 3 failed tasks``."""
    parts = [f"{rows:,} {status}" for status, rows in found.items()] or ["0"]
    return f"{' and '.join(parts)} task{'' if sum(found.values()) == 1 else 's'}"


class Progress:
    """How far the work is: one updated line on a terminal, a line now and then elsewhere.

    Args:
        out: the standard error.
        doing: what is done, such as "Purging".
        expected: how many tasks there are, or None when nobody counted.
        options: the command's; verbosity 0 writes nothing, JSON writes an object a line.
    """

    def __init__(
        self, out: OutputWrapper, doing: str, *, expected: int | None, options: dict[str, Any]
    ) -> None:
        self.out = out
        self.doing = doing
        self.expected = expected
        self.is_shown = options["verbosity"] > 0
        self.is_json = options["json"]
        self.is_terminal = out.isatty() and not self.is_json
        self.every_seconds = TERMINAL_SECONDS if self.is_terminal else LINE_SECONDS
        self.done = 0
        self._began = self._said = time.monotonic()
        self._has_line = False

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def add(self, tasks: int) -> None:
        """Count what is done, and say it when it is time to say something."""
        self.done += tasks
        if not self.is_shown or time.monotonic() - self._said < self.every_seconds:
            return
        self._said, self._has_line = time.monotonic(), True
        line = self.json_line() if self.is_json else self.line()
        self.out.write(f"\r{line}\x1b[K" if self.is_terminal else line, plain, self._ending)
        self.out.flush()

    def line(self) -> str:
        """Return what to say to people."""
        rate = self.done / max(self.seconds, 0.001)
        if not self.expected:
            return f"{self.doing}: {self.done:,} done, {rate:,.0f}/s"
        left_seconds = max(0, self.expected - self.done) / max(rate, 0.001)
        part = min(1.0, self.done / self.expected)
        return (
            f"{self.doing}: {self.done:,} of {self.expected:,} ({part:.0%}), {rate:,.0f}/s, "
            f"{left_seconds:.0f} s left"
        )

    def json_line(self) -> str:
        """Return what to say to programs."""
        facts = {"event": "progress", "done": self.done, "expected": self.expected}
        return json.dumps({**facts, "seconds": round(self.seconds, 3)})

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


def work_off(batches: Iterator[int], progress: Progress, *, sleep_seconds: float) -> bool:
    """Do batch after batch; return whether Ctrl-C cut that short.

    Args:
        batches: does the next one when it is asked for, and tells how many tasks it was.
        progress: is told of each.
        sleep_seconds: between two.
    """
    with interruptible() as interrupt:
        try:
            for tasks in batches:
                progress.add(tasks)
                interrupt.sleep(sleep_seconds)
        except KeyboardInterrupt:
            interrupt.came = True
    progress.end()
    return interrupt.came


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
