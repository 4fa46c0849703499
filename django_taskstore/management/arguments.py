"""What the commands share: exit codes, help with examples, durations, and names of queues.

Owns the reading of words that people type. It may not change a row.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)

from django_taskstore.models import Queue
from django_taskstore.runner.exchange import ALL_QUEUES

#: Exit codes; `readiness` owns 3, the database that is not ready.
FAILED, USAGE, TIMED_OUT, UNHEALTHY, INTERRUPTED = 1, 2, 4, 5, 130
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
LONGEST_SECONDS = 100 * 365 * 86_400


class ExampleFormatter(DjangoHelpFormatter):
    """Wraps a description, and leaves examples as they are written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class StoreCommand(BaseCommand):
    """A command that takes no abbreviated option and ends its help with examples.

    Attributes:
        epilog: examples and exit codes.
    """

    epilog: ClassVar[str] = ""
    #: Django's own checks of models may connect, before a command can say what is wrong.
    requires_system_checks = ["django_taskstore"]

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Return the parser; see `BaseCommand.create_parser`."""
        shown = {"formatter_class": ExampleFormatter, "epilog": self.epilog}
        return super().create_parser(
            prog_name, subcommand, **{**shown, "allow_abbrev": False, **options}
        )


def add_many(parser: CommandParser, option: str, *, metavar: str, meaning: str) -> None:
    """Declare an option that may be repeated; nothing said is an empty list.

    Args:
        parser: the command's.
        option: in the singular, without dashes; its values are under the plural.
        metavar, meaning: for people.
    """
    parser.add_argument(
        f"--{option}",
        action="append",
        default=[],
        dest=f"{option}s",
        metavar=metavar,
        help=f"{meaning}; may be repeated",
    )


def duration(text: str) -> timedelta:
    """Read a duration with its unit: 30s, 5m, 12h, 7d, 2w."""
    match = DURATION.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration: write a number and one of s m h d w, such as 7d"
        )
    return within_reason(float(match[1]) * UNIT_SECONDS[match[2]])


def delay(text: str) -> timedelta:
    """Read a duration; a number without a unit counts seconds."""
    try:
        seconds = float(text)
    except ValueError:
        return duration(text)
    return within_reason(seconds)


def delay_seconds(text: str) -> float:
    """Read a duration as `delay` does, in seconds."""
    return delay(text).total_seconds()


def within_reason(seconds: float) -> timedelta:
    """Return seconds as a timedelta; refuse what is negative, no number, or above a century."""
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError("expected a time from 0 seconds to 100 years")
    return timedelta(seconds=seconds)


def moment(text: str) -> datetime | timedelta:
    """Read a time: a delay such as 300 or 5m, or an ISO date and time with its time zone."""
    try:
        return delay(text)
    except argparse.ArgumentTypeError as error:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is neither a delay such as 300 or 5m, nor a time such as "
                "2030-01-31T09:00+02:00"
            ) from error
    if when.utcoffset() is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone: add Z, or such as +02:00")
    return when


def count(text: str) -> int:
    """Read a whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def find_queues(names: Sequence[str], using: str) -> list[Queue]:
    """Return the queues that a person named, each once; '*' means all.

    Args:
        names: what was typed.
        using: the database's alias.

    Raises:
        CommandError: one does not exist; exit code 2, and the message names those that do.
    """
    known = {queue.name: queue for queue in Queue.objects.using(using).order_by("name")}
    if ALL_QUEUES in names:
        return list(known.values())
    for name in names:
        if name not in known:
            raise CommandError(unknown_queue(name, known), returncode=USAGE)
    return [known[name] for name in dict.fromkeys(names)]


def unknown_queue(name: str, known: Iterable[str]) -> str:
    """Return the message for a queue that does not exist."""
    names = ", ".join(known)
    hint = f"the queues are: {names}." if names else "there is no queue yet."
    return f"No queue is called {name!r}; {hint} A queue exists once a task was enqueued on it."


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns; the last one keeps its own width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def delay_words(seconds: float) -> str:
    """Return a time in words of at most two units: ``45s``, ``4m 12s``, ``3d 2h``."""
    units = [(letter, size) for letter, size in UNIT_SECONDS.items() if letter != "w"]
    left, parts = int(seconds), list[str]()
    for letter, size in reversed(units):
        if left >= size or (letter == "s" and not parts):
            parts.append(f"{left // size}{letter}")
            left %= size
    return " ".join(parts[:2])
