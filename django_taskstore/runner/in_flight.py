"""The table of what this process has claimed and not yet ended.

Owns `InFlight`, which the dispatcher writes and the heartbeat reads. A task stays in it, and
its slot stays taken, until its outcome has landed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from django_taskstore.claims import Claim
from django_taskstore.executor import Execution


class InFlight:
    """Executions by claim; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executions: dict[Claim, Execution] = {}

    def add(self, executions: Iterable[Execution]) -> None:
        """Hold executions."""
        with self._lock:
            self._executions.update((one.claim, one) for one in executions)

    def remove(self, claims: Iterable[Claim]) -> None:
        """Let go of claims whose outcomes have landed or were rejected."""
        with self._lock:
            for claim in claims:
                self._executions.pop(claim, None)

    def all(self) -> list[Execution]:
        """Return what is held now."""
        with self._lock:
            return list(self._executions.values())

    def keys(self) -> set[tuple[int, int]]:
        """Return id and claim number of what is held now."""
        with self._lock:
            return {(claim.id, claim.claim_seq) for claim in self._executions}

    def count(self, claims: Iterable[Claim]) -> int:
        """Return how many of these claims are held."""
        with self._lock:
            return sum(claim in self._executions for claim in claims)

    def __len__(self) -> int:
        return len(self._executions)
