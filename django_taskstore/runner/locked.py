"""Outcomes whose rows another session has locked.

Owns `Locked`: they are kept apart and tried again now and then, so that one locked row does
not hold up the outcomes of all the other tasks. It writes nothing itself.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection

from django_taskstore import claims
from django_taskstore.claims import Claim
from django_taskstore.outcomes import Outcome

logger = logging.getLogger("django_taskstore.worker")

AGAIN_SECONDS = 0.2
#: The try at which a lock is worth a line: a heartbeat, too, locks its rows for a moment.
TOLD_AT = 2


class Locked:
    """What waits for somebody else's transaction to end."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._again_at = math.inf
        self._tries: dict[Claim, int] = {}

    @property
    def pause_seconds(self) -> float:
        """The time until the next try; infinite when there is nothing to try."""
        return max(0.0, self._again_at - time.monotonic())

    def claims(self) -> list[Claim]:
        """Return the claims of what is kept."""
        return [outcome.claim for outcome in self._outcomes]

    def due(self) -> list[Outcome]:
        """Give back what is to be tried again now."""
        if self.pause_seconds:
            return []
        outcomes, self._outcomes, self._again_at = self._outcomes, [], math.inf
        return outcomes

    def keep(self, outcomes: Collection[Outcome]) -> None:
        """Set outcomes apart until the next try."""
        if outcomes:
            self._outcomes += outcomes
            self._again_at = time.monotonic() + AGAIN_SECONDS
        for outcome in outcomes:
            tries = self._tries[outcome.claim] = self._tries.get(outcome.claim, 0) + 1
            if tries == TOLD_AT:
                say_locked(outcome)
        self._tries = {claim: self._tries[claim] for claim in self.claims()}


def divide(outcomes: list[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Lock the rows of outcomes; tell those that can be written from those locked by others."""
    locked = set(claims.lock([one.claim for one in outcomes])) if outcomes else set()
    free = [outcome for outcome in outcomes if outcome.claim not in locked]
    return free, [outcome for outcome in outcomes if outcome.claim in locked]


def say_locked(outcome: Outcome) -> None:
    """Log that a task's end waits for a lock, once a task: it only seems to run on."""
    logger.warning(
        "row_locked %s id=%s: another session has locked the task's row. Its outcome (%s) is "
        "kept and recorded once the lock is gone; other tasks go on.",
        outcome.claim.alias,
        outcome.claim.id,
        outcome.ending,
        extra={"event": "row_locked", "task_id": outcome.claim.id},
    )
