"""Slots whose handlers ignore everything, while their tasks have ended without them.

Owns `Held`, which the warden fills and the handlers' threads empty.
"""

from __future__ import annotations

from django_taskstore.executor import Execution
from django_taskstore.outcomes import Outcome


class Held:
    """The handlers that still run although nobody waits for them."""

    def __init__(self) -> None:
        self._executions: set[Execution] = set()

    def hold(self, execution: Execution) -> Outcome | None:
        """Give a handler up; return what its task came to, None if the handler has just ended."""
        self._executions.add(execution)  # First: its thread may be back at any moment.
        outcome = execution.give_up()
        if outcome is None:
            self._executions.discard(execution)
        return outcome

    def let_go(self, execution: Execution) -> bool:
        """Hear that a handler has returned; tell whether it had been given up."""
        self._executions.discard(execution)
        return execution.is_given_up

    def __len__(self) -> int:
        return len(self._executions)
