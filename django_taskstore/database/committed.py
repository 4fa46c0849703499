"""Remembering facts about rows without remembering what a rollback undid.

Owns `CommittedCache`. Keys carry the database's alias first.
"""

from __future__ import annotations

import time
from typing import Generic, TypeVar

from django.db import transaction

Value = TypeVar("Value")


class CommittedCache(Generic[Value]):
    """Facts about committed rows, trusted for a few seconds.

    A row made in a transaction that rolls back never was: its id would be a ghost. A fact
    therefore enters when the transaction that learned it commits.

    Args:
        trusted_seconds: the age beyond which a fact is read again; 0 keeps nothing.
    """

    def __init__(self, trusted_seconds: float) -> None:
        self.trusted_seconds = trusted_seconds
        self._facts: dict[tuple[str, object], tuple[float, Value]] = {}

    def get(self, using: str, key: object) -> Value | None:
        """Return the fact, or None when it is unknown or too old."""
        known = self._facts.get((using, key))
        if known is None or time.monotonic() - known[0] > self.trusted_seconds:
            return None
        return known[1]

    def put(self, using: str, key: object, value: Value) -> None:
        """Remember the fact once the current transaction has committed, at once without one."""
        learned = (time.monotonic(), value)
        transaction.on_commit(
            lambda: self._facts.__setitem__((using, key), learned), using=using, robust=True
        )

    def clear(self) -> None:
        """Forget everything."""
        self._facts.clear()
