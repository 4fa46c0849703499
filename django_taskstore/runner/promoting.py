"""Queueing what has become due, between the rounds.

Owns `Promoter`: when to look at due times again, and whether the last look found anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from django_taskstore import maintenance
from django_taskstore.outcomes import Outcome
from django_taskstore.statuses import Ending

#: What sends a task back to wait for its time.
POSTPONED = frozenset({Ending.RETRIED, Ending.SNOOZED})


class Promoter:
    """Looks for scheduled tasks whose time has come.

    Args:
        using: the database's alias.
        nap_seconds: returns how long not to look, given the seconds until the next due time
            that is known, or None.
    """

    def __init__(self, using: str, nap_seconds: Callable[[float | None], float]) -> None:
        self.using = using
        self.nap_seconds = nap_seconds
        self.found = 0
        self._look_at = 0.0

    @property
    def left_seconds(self) -> float:
        """The time until the next look; 0 when it is due."""
        return max(0.0, self._look_at - time.monotonic())

    def look(self) -> None:
        """Queue what is due, and decide when to look again: at once if something was."""
        due_in = maintenance.due_in_seconds(self.using)
        is_due = due_in is not None and due_in <= 0
        self.found = maintenance.promote(self.using) if is_due else 0
        self._look_at = time.monotonic() + (0.0 if self.found else self.nap_seconds(due_in))

    def look_soon(self) -> None:
        """Look with the next round: anything may have changed."""
        self._look_at = 0.0

    def expect(self, ended: Iterable[Outcome]) -> None:
        """Look when the first of these tasks is due again."""
        waits = [one.wait_seconds for one in ended if one.ending in POSTPONED]
        if waits:
            self._look_at = min(self._look_at, time.monotonic() + min(waits))
