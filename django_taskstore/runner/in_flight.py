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
        self._executions: dict[tuple[int, int], Execution] = {}

    def add(self, execution: Execution) -> None:
        """Hold an execution."""
        with self._lock:
            self._executions[key(execution.claim)] = execution

    def remove(self, claim: Claim) -> None:
        """Let go of a claim whose outcome has landed or was rejected."""
        with self._lock:
            self._executions.pop(key(claim), None)

    def all(self) -> list[Execution]:
        """Return what is held now."""
        with self._lock:
            return list(self._executions.values())

    def count_without(self, claims: Iterable[Claim]) -> int:
        """Return how many executions are held beside these claims' ones."""
        left_out = {key(claim) for claim in claims}
        with self._lock:
            return sum(1 for held in self._executions if held not in left_out)

    def __len__(self) -> int:
        return len(self._executions)


def key(claim: Claim) -> tuple[int, int]:
    """Return what tells one claim from all others: the same task may be claimed twice."""
    return claim.id, claim.claim_seq
