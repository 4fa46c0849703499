"""The runner of schedules as its users see it: start, stop, is_running, run_once.

Owns `ScheduleRunner` and its thread, which has a database connection of its own. A fault of
the database is waited out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import connections

from django_taskstore.conf import settings
from django_taskstore.database.errors import is_conflict, is_outage
from django_taskstore.database.hygiene import drop
from django_taskstore.database.limits import Limits
from django_taskstore.definitions import queue_database
from django_taskstore.scheduler import declared, passes

logger = logging.getLogger("django_taskstore.worker")

#: How often rows that were written past `Schedule.save` are looked for.
UNPLANNED_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 5.0
#: After a pass, and while another runner is at what is due.
SHORTEST_NAP_SECONDS = 0.05


class ScheduleRunner:
    """Puts the tasks of due schedules on their queues; any number may run at once.

    Args:
        poll_seconds: the longest time between two looks; POLL_SECONDS by default. It sleeps
            no longer than until the next schedule that it knows is due.

    Raises:
        ValueError: poll_seconds is not above 0.
    """

    def __init__(self, *, poll_seconds: float | None = None) -> None:
        self.poll_seconds = settings.POLL_SECONDS if poll_seconds is None else poll_seconds
        if self.poll_seconds <= 0:
            raise ValueError(f"poll_seconds is {poll_seconds!r}, expected a number above 0.")
        self.using = queue_database()
        self._limits = Limits(self.using)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._prepared = False
        self._unplanned_at = 0.0
        self._pause_seconds = 0.0
        self._nap_seconds = self.poll_seconds

    @property
    def is_running(self) -> bool:
        """Whether the loop runs, also while it stops."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the loop on a thread of its own and return.

        Raises:
            RuntimeError: it runs already.
        """
        if self.is_running:
            raise RuntimeError("This runner runs already; stop() it first, or make another one.")
        self._stopping.clear()
        self._prepared = False
        self._thread = threading.Thread(target=self._run, name="taskstore-scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the schedule at hand, and return once the loop has ended."""
        self.request_stop()
        self.join()

    def request_stop(self) -> None:
        """Ask the loop to stop and return at once; safe in a signal handler."""
        self._stopping.set()

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait for the loop's end."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def run_once(self) -> int:
        """Do what is due now, on this thread; return how many tasks were enqueued."""
        return passes.run_due(self.using)

    def set_initial_runs(self) -> int:
        """Work out the next run of active schedules that have none; return how many got one."""
        return passes.set_initial_runs(self.using)

    def _run(self) -> None:
        try:
            with self._limits.applied():
                while not self._stopping.is_set():
                    well = self._guarded(self._look)
                    self._stopping.wait(self._nap_seconds if well else self._pause_seconds)
        finally:
            connections.close_all()

    def _look(self) -> None:
        if not self._prepared:
            declared.mirror(self.using)
            self._prepared = True
        if time.monotonic() >= self._unplanned_at:
            self._unplanned_at = time.monotonic() + UNPLANNED_SECONDS
            self.set_initial_runs()
        due_in = passes.due_in_seconds(self.using)
        if due_in is not None and due_in <= 0:
            passes.run_due(self.using, should_stop=self._stopping.is_set)
            due_in = 0.0
        due_in = self.poll_seconds if due_in is None else max(due_in, SHORTEST_NAP_SECONDS)
        self._nap_seconds = min(self.poll_seconds, due_in)

    def _guarded(self, work: Callable[[], object]) -> bool:
        """Do some work; after a fault wait longer each time instead of ending."""
        try:
            with self._limits.waiting():
                work()
        except Exception as error:
            self._pause_seconds = min(LONGEST_PAUSE_SECONDS, self._pause_seconds * 2 or 0.1)
            explain(error, self._pause_seconds)
            drop(connections[self.using])
            return False
        self._pause_seconds = 0.0
        return True


def explain(error: Exception, pause_seconds: float) -> None:
    """Log a failed look: one line while the database is away, a traceback for anything else."""
    if is_outage(error) or is_conflict(error):
        reason = str(error).strip().partition("\n")[0]
        text = "The database does not answer (%s); schedules are looked at again in %.1f s."
        logger.warning(text, reason, pause_seconds)
    else:
        text = "A look at the schedules failed; the next one follows in %.1f s."
        logger.error(text, pause_seconds, exc_info=error)
