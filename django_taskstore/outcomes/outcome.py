"""What came of one claim, before it is recorded.

Owns `Outcome` and the rule that a failed attempt is retried while attempts are left. Pure:
it writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django_taskstore.backoff import Backoff, delay_seconds
from django_taskstore.claims import Claim
from django_taskstore.exceptions import Retry, Snooze
from django_taskstore.statuses import Ending


@dataclass(slots=True)
class Outcome:
    """What came of one claim, not yet recorded.

    Attributes:
        claim: the claim it ends.
        ending: how.
        output: the handler's JSON output.
        output_text: the same as text, where that is known.
        details: the whole log of the task, or None when there is nothing new.
        progress: the last progress, or None.
        wait_seconds: the delay of a retry or snooze.
        exception: what the handler raised, or what stands for it.
        started_at: when the handler was called, an aware datetime; None if it never was.
        run_seconds: how long the handler ran.
        landed: whether it is already recorded, as an atomic handler's is.
    """

    claim: Claim
    ending: Ending
    output: Any = None
    output_text: str | None = None
    details: str | None = None
    progress: dict[str, Any] | None = None
    wait_seconds: float = 0.0
    exception: BaseException | None = None
    started_at: datetime | None = None
    run_seconds: float = 0.0
    landed: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to say but how it ended, which one UPDATE can say for many."""
        return self.output is None and self.details is None and self.progress is None

    @property
    def is_error(self) -> bool:
        """Whether the attempt failed, rather than asked for more time."""
        if self.exception is None or isinstance(self.exception, Snooze):
            return False
        wanted = isinstance(self.exception, Retry) and self.ending is Ending.RETRIED
        return self.ending in (Ending.FAILED, Ending.RETRIED) and not wanted

    def columns(self) -> dict[str, Any]:
        """Return the columns that hold something new."""
        texts = {"output": self.output, "details": self.details, "progress": self.progress}
        return {name: value for name, value in texts.items() if value is not None}


def failure(
    claim: Claim,
    exception: BaseException,
    *,
    backoff: Backoff | None = None,
    wait_seconds: float | None = None,
    **texts: Any,
) -> Outcome:
    """Return the outcome of a failed attempt: a retry while attempts are left, else a failure.

    Args:
        claim: the claim.
        exception: why it failed.
        backoff: the handler's, when ``wait_seconds`` does not say.
        wait_seconds: the delay of a retry.
        **texts: other fields of `Outcome`.
    """
    if claim.attempts >= claim.max_attempts:
        return Outcome(claim, Ending.FAILED, exception=exception, **texts)
    if wait_seconds is None:
        wait_seconds = delay_seconds(backoff, claim.attempts)
    return Outcome(claim, Ending.RETRIED, exception=exception, wait_seconds=wait_seconds, **texts)
