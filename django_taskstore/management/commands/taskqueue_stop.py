"""``manage.py taskqueue_stop``: ask the runners of queues to leave them, and wait for their tasks.

Owns the request, the waiting and the exit codes. Leases alone say what still runs: a worker
that died holds none for longer than a lease.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q

from django_taskstore import claims
from django_taskstore.database.clock import DatabaseNow
from django_taskstore.database.expressions import Literal
from django_taskstore.management.arguments import (
    INTERRUPTED,
    TIMED_OUT,
    StoreCommand,
    delay_seconds,
    find_queues,
)
from django_taskstore.management.readiness import ready_database
from django_taskstore.models import Queue
from django_taskstore.models.querysets import QueuedTaskQuerySet
from django_taskstore.runner.exchange import SWITCHES_SECONDS
from django_taskstore.statuses import Status

#: A runner may claim for so long after the request: its look at the queues is a second old.
SETTLE_SECONDS = SWITCHES_SECONDS + 1.0
LOOK_SECONDS = 0.25
SHOWN_TASKS = 10


class Command(StoreCommand):
    """Ask the runners of queues to stop, on any machine, and wait for their tasks."""

    help = (
        "Ask every runner of these queues that has started before now, on any machine, to leave "
        "them, and wait until the tasks it runs have ended. A runner that has no queue left exits."
    )
    epilog = """\
examples:
  manage.py taskqueue_stop                        the queue "default"
  manage.py taskqueue_stop emails reports --timeout 5m
  manage.py taskqueue_stop '*' --no-wait          ask and return at once

Runners that start later work the queue as usual; taskqueue_pause keeps them off too.
The request stands when the waiting is cut short.

exit codes: 0 nothing runs any more (or --no-wait) · 2 wrong usage, or no such queue ·
3 database not ready · 4 tasks still run after --timeout · 130 interrupted
"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("queues", nargs="*", metavar="QUEUE", help="default: default; '*': all")
        waiting = parser.add_mutually_exclusive_group()
        waiting.add_argument(
            "--timeout", type=delay_seconds, metavar="SECONDS", help="wait no longer (no limit)"
        )
        waiting.add_argument("--no-wait", action="store_true", help="ask and return at once")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask, then wait.

        Raises:
            CommandError: with the exit code that says why.
        """
        self.verbosity = options["verbosity"]
        using = ready_database()
        queues = find_queues(options["queues"] or ["default"], using)
        if not queues:
            self._say("There is no queue yet, so no runner works one.")
            return
        for queue in queues:
            queue.request_stop()
        names = ", ".join(queue.name for queue in queues)
        self._say(f"Asked the runners of {names} to stop.")
        if options["no_wait"]:
            return
        try:
            self._wait(still_running(queues, using), options["timeout"])
        except KeyboardInterrupt:
            raise CommandError(
                "Waiting was interrupted; the request to stop stands.", returncode=INTERRUPTED
            ) from None
        self._say(self.style.SUCCESS("Stopped: none of their tasks runs any more."))

    def _wait(self, tasks: QueuedTaskQuerySet, timeout_seconds: float | None) -> None:
        """Wait until no task is left.

        Raises:
            CommandError: some are left after the timeout; exit code 4.
        """
        began, said = time.monotonic(), 0
        while True:
            waited_seconds = time.monotonic() - began
            left = tasks.count()
            if not left and waited_seconds >= SETTLE_SECONDS:
                return
            if timeout_seconds is not None and waited_seconds >= timeout_seconds:
                raise CommandError(timed_out(tasks, left, timeout_seconds), returncode=TIMED_OUT)
            if left != said and self.verbosity:
                self.stderr.write(f"Waiting for {left} running task(s).", lambda text: text)
            said = left
            time.sleep(LOOK_SECONDS)

    def _say(self, text: str) -> None:
        if self.verbosity:
            self.stdout.write(text)
            self.stdout.flush()


def still_running(queues: list[Queue], using: str) -> QueuedTaskQuerySet:
    """Return the tasks whose leases hold and that a runner from before the request started.

    A runner that was started again after the request may work on; waiting for it too would
    never end under a supervisor that restarts what stops.

    Args:
        queues: the queues, just asked.
        using: the database's alias.
    """
    settle = timedelta(seconds=SETTLE_SECONDS)
    theirs = [
        Q(queue_name=queue.name, started_at__lte=queue.stop_requested_at + settle)
        for queue in queues
        if queue.stop_requested_at is not None
    ]
    running = claims.rows(using).filter(status=Literal(Status.RUNNING))
    mine = running.filter(reduce(or_, theirs, Q(pk__in=[])))
    return mine.filter(lease_expires_at__gt=DatabaseNow())


def timed_out(tasks: QueuedTaskQuerySet, left: int, timeout_seconds: float) -> str:
    """Return the message that says what still runs."""
    if not left:
        return (
            f"After {timeout_seconds:g} s nothing runs, but runners may take {SETTLE_SECONDS:g} s "
            "to see the request: give --timeout more. The request stands."
        )
    ids = list(tasks.order_by("pk").values_list("pk", flat=True)[:SHOWN_TASKS])
    more = ", …" if left > len(ids) else ""
    return (
        f"After {timeout_seconds:g} s {left} task(s) still run: {', '.join(map(str, ids))}{more}. "
        "The request stands; run the command again to wait longer, or cancel them."
    )
