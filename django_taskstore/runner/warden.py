"""What must happen even when the database says nothing: time-outs, and the end of trust.

Owns the warden. It has no connection and cannot be held up: it stops handlers that ran
too long or were told to stop, and tells them when their leases can no longer be trusted. It
may not record an outcome.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django_taskstore.context import Reason
from django_taskstore.executor import Execution
from django_taskstore.runner.in_flight import InFlight

logger = logging.getLogger("django_taskstore.worker")

LOOK_SECONDS = 0.2


class Warden(threading.Thread):
    """Looks at the clock until stopped; a fault is logged and the next look tries again.

    Args:
        in_flight: what the process holds.
        is_in_touch: tells whether the leases can still be trusted.
        held: called with an execution that ignores everything, until it is given up.
    """

    def __init__(
        self,
        in_flight: InFlight,
        *,
        is_in_touch: Callable[[], bool],
        held: Callable[[Execution], None],
    ) -> None:
        super().__init__(name="taskstore-warden", daemon=True)
        self.in_flight = in_flight
        self.is_in_touch = is_in_touch
        self.held = held
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                logger.exception("The warden failed; it looks again.")

    def look(self) -> None:
        """Do what the clock asks for."""
        is_in_touch = self.is_in_touch()
        for execution in self.in_flight.all():
            if not is_in_touch:
                execution.context.cancel(Reason.OUT_OF_TOUCH)
            if execution.is_overdue:
                execution.context.cancel(Reason.TIMEOUT)
            if not execution.is_given_up and execution.enforce():
                self.held(execution)
