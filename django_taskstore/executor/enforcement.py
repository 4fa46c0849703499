"""Making a handler stop that was told to: first its context, then an exception, then giving up.

Owns `Enforcement`, the road that a timeout, a cancel and a lost lease take alike. The warden
walks it step by step; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable

from django_taskstore.context import Reason, TaskContext

#: What a handler that takes the context may need to stop by itself.
POLITE_SECONDS = 1.0
#: A handler that still runs so long after it was told ignores everything.
GRACE_SECONDS = 2.0
#: A worker that is out of touch only asks: the lease may still be its own.
ENFORCED = (Reason.CANCELED, Reason.TIMEOUT, Reason.SHUTDOWN, Reason.LEASE_LOST)


class Enforcement:
    """One handler's way to its end.

    Args:
        context: through which it was told to stop.
        polite_seconds: how long to wait for it before it is made to.
    """

    def __init__(self, context: TaskContext, *, polite_seconds: float) -> None:
        self.context = context
        self.polite_seconds = polite_seconds
        self._was_stopped = False

    def press(self, stop: Callable[[], bool]) -> bool:
        """Take the step that is due; return whether the handler ignores everything.

        Args:
            stop: makes it stop; returns whether that could be tried yet.
        """
        told_seconds = self.context.told_seconds
        if told_seconds is None or self.context.reason not in ENFORCED:
            return False
        # Once: a handler that cleans up must not be interrupted in that too.
        if told_seconds >= self.polite_seconds and not self._was_stopped:
            self._was_stopped = stop()
        return told_seconds >= GRACE_SECONDS
