"""What a runner logs because no signal can tell it.

Owns the lines of single tasks, one that this process cannot run and an outcome that came too
late, and that of wake-ups that nobody brings. It changes nothing.
"""

from __future__ import annotations

import logging

from django_taskstore.claims import Claim
from django_taskstore.outcomes import Outcome
from django_taskstore.statuses import Ending

logger = logging.getLogger("django_taskstore.worker")


def say_left(claim: Claim, reason: str) -> None:
    """Log that tasks are left to other workers, once a definition: they only seem stuck."""
    logger.warning(
        "no_handler %s id=%s queue=%s: left to other workers. %s",
        claim.alias,
        claim.id,
        claim.queue_name,
        reason,
        extra={"event": "no_handler", "task_id": claim.id},
    )


def say_lost(outcome: Outcome) -> None:
    """Log that an outcome came too late: no signal can, since nothing happened to the task."""
    if outcome.ending is not Ending.RELEASED:
        logger.warning(
            "lease_lost %s id=%s claim=%s: the task ended, was rescued or was claimed again, so "
            "its outcome (%s) was not recorded.",
            outcome.claim.alias,
            outcome.claim.id,
            outcome.claim.claim_seq,
            outcome.ending,
            extra={"event": "lease_lost", "task_id": outcome.claim.id},
        )


def say_unheard() -> None:
    """Log that NOTIFY does not arrive, as behind a pooler: the worker polls, at a small cost."""
    logger.warning(
        "notify_unheard: the database takes LISTEN, but a NOTIFY does not come back, as behind a "
        'pooler in transaction mode. This worker polls instead. Set "NOTIFY": False in TASKSTORE '
        "to have it never listen.",
        extra={"event": "notify_unheard"},
    )
