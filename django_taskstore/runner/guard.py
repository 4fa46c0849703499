"""Doing the dispatcher's work so that no fault ends its loop.

Owns `Guard`: what is waited out, what is logged, and how long until the next try. It knows no
task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import DatabaseError, connections

from django_taskstore.database.errors import is_conflict, is_outage
from django_taskstore.database.hygiene import drop
from django_taskstore.database.limits import Limits

logger = logging.getLogger("django_taskstore.worker")

LONGEST_PAUSE_SECONDS = 5.0


class Guard:
    """Runs work that may fail; after a fault the pause is longer each time.

    Args:
        limits: how long the work waits for the database.
        failed: called after each fault; True when one thing of many may be to blame.
    """

    def __init__(self, limits: Limits, failed: Callable[[bool], None]) -> None:
        self.limits = limits
        self.failed = failed
        self.pause_seconds = 0.0

    def run(self, work: Callable[[], object]) -> bool:
        """Do the work; return whether it was done."""
        try:
            with self.limits.waiting():
                work()
        except Exception as error:
            self.pause_seconds = min(LONGEST_PAUSE_SECONDS, self.pause_seconds * 2 or 0.1)
            is_away = is_outage(error) or is_conflict(error)
            self._explain(error, is_away=is_away)
            self.failed(isinstance(error, DatabaseError) and not is_away)
            drop(connections[self.limits.using])
            return False
        self.pause_seconds = 0.0
        return True

    def _explain(self, error: Exception, *, is_away: bool) -> None:
        if is_away:
            logger.warning(
                "The database does not answer (%s); trying again in %.1f s. Outcomes are kept.",
                str(error).strip().partition("\n")[0],
                self.pause_seconds,
            )
        else:
            text = "A round failed; the next one follows in %.1f s."
            logger.error(text, self.pause_seconds, exc_info=error)
