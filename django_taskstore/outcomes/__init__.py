"""How a claimed task ends: `outcome` says what came of it, `landing` writes the row,
`recording` tells of it."""

from __future__ import annotations

from django_taskstore.outcomes.outcome import Outcome, failure
from django_taskstore.outcomes.recording import (
    LONGEST_MESSAGE,
    announce,
    attempt_record,
    end,
    fail,
    record,
    release,
    succeed,
)

__all__ = [
    "LONGEST_MESSAGE",
    "Outcome",
    "announce",
    "attempt_record",
    "end",
    "fail",
    "failure",
    "record",
    "release",
    "succeed",
]
