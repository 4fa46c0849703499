"""``manage.py taskqueue_status``: how the queues stand, for people or as JSON.

Owns the table; the numbers and the shape of the JSON are `statistics`'.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from django_taskstore.management.arguments import StoreCommand, delay_words, find_queues, table
from django_taskstore.management.readiness import ready_database
from django_taskstore.runner.exchange import ALL_QUEUES
from django_taskstore.statistics import QueueState, Snapshot, Tally, as_json, snapshot

HEAD = ("QUEUE", "QUEUED", "SCHEDULED", "PAUSED", "RUNNING", "FAILED", "OLDEST", "WORKERS", "STATE")

WORKER_HEAD = (
    *("WORKER", "RUNNING", "SUCCEEDED", "FAILED", "MEMORY", "HEARTBEAT"),
    *("VERSION", "QUEUES"),
)


class Command(StoreCommand):
    """Show how the queues stand."""

    help = "Show what waits, runs and has failed on each queue, and what needs a look."
    epilog = """\
examples:
  manage.py taskqueue_status
  manage.py taskqueue_status emails reports
  manage.py taskqueue_status --json | jq .ok
  manage.py taskqueue_status -v 2                 the workers too

QUEUED may be claimed now, SCHEDULED waits for its time, PAUSED is paused one by one, OLDEST
is the age of the longest waiting task. A number with + is a lower bound: failed tasks are
counted among the 10,000 newest attempt records, paused ones among the 100,000 newest tasks.
Of a worker, SUCCEEDED and FAILED count attempts since it started, and VERSION is that of this
package with the setting REVISION.

exit codes: 0 shown, whatever it shows · 2 wrong usage, or no such queue · 3 database not ready
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("queues", nargs="*", metavar="QUEUE", help="all queues by default")
        parser.add_argument("--json", action="store_true", help="one JSON object, for programs")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Read and print.

        Raises:
            CommandError: with the exit code that says why.
        """
        using = ready_database()
        names = [queue.name for queue in find_queues(options["queues"] or [ALL_QUEUES], using)]
        seen = snapshot(using, names)
        if options["json"]:
            self.stdout.write(json.dumps(as_json(seen), ensure_ascii=False, indent=2))
            return
        self.stdout.write(as_table(seen) if seen.queues else "There is no queue yet.")
        if options["verbosity"] > 1:
            self.stdout.write("\n".join(["", *worker_lines(seen)]))
        if seen.warnings and options["verbosity"]:
            self.stdout.write("")
            for warning in seen.warnings:
                self.stdout.write(self.style.WARNING(f"! {warning.text}"))


def as_table(seen: Snapshot) -> str:
    """Return a line for each queue, and one for all when there are several."""
    rows = [HEAD, *(queue_cells(state) for state in seen.queues)]
    if len(seen.queues) > 1:
        totals = [str(tally) for tally in seen.totals.values()]
        rows.append(("total", *totals, "", str(len(seen.workers)), ""))
    return table(rows)


def queue_cells(state: QueueState) -> tuple[str, ...]:
    """Return one queue's line."""
    numbers = (state.queued, state.scheduled, state.paused, state.running, state.failed)
    cells = (str(n) if isinstance(n, Tally) else f"{n:,}" for n in numbers)
    wait = state.oldest_wait_seconds
    oldest = "-" if wait is None else delay_words(wait)
    return (state.name, *cells, oldest, str(state.workers), state_words(state))


def state_words(state: QueueState) -> str:
    """Return whether a queue is open, and who paused it when and why."""
    if state.paused_at is None:
        return "open"
    by = f" by {state.paused_by}" if state.paused_by else ""
    reason = f": {state.pause_reason}" if state.pause_reason else ""
    return f"paused{by} since {state.paused_at:%Y-%m-%d %H:%M} UTC{reason}"


def worker_lines(seen: Snapshot) -> Iterator[str]:
    """Yield a line for each worker."""
    if not seen.workers:
        yield "No worker has said within the last minute that it lives."
        return
    rows = [
        (
            worker.name,
            f"{worker.running}/{worker.concurrency}",
            f"{worker.succeeded:,}",
            f"{worker.failed:,}",
            memory_words(worker.memory_bytes),
            f"{delay_words(worker.heartbeat_age_seconds)} ago",
            worker.code,
            " ".join(worker.queues),
        )
        for worker in seen.workers
    ]
    yield table([WORKER_HEAD, *rows])


def memory_words(size: int | None) -> str:
    """Return a worker's memory in MiB, or a dash where its system did not say."""
    return "-" if size is None else f"{size / 2**20:,.0f} MiB"
