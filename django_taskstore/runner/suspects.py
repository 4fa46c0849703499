"""Tasks whose workers died: perhaps of them, and not to be taken for granted.

Owns `Suspects`. A task that was lost once starts at once or not at all here, since to be lost
while it waits would count against it. One that was lost twice runs alone, so that it can take
nobody along. Nothing here starts or ends a task.
"""

from __future__ import annotations

from collections.abc import Iterable

from django_taskstore.executor import Execution
from django_taskstore.runner.in_flight import InFlight

#: From so many losses on a task runs alone.
ALONE_AFTER = 2


class Suspects:
    """Says which of the claimed tasks start now, which wait, and which go back."""

    def __init__(self) -> None:
        self._loner: Execution | None = None
        self._has_started = False

    @property
    def wants_quiet(self) -> bool:
        """Whether a task waits to run alone, or does: nothing may be claimed."""
        return self._loner is not None

    def divide(
        self, executions: Iterable[Execution], *, free_slots: int
    ) -> tuple[list[Execution], list[Execution]]:
        """Divide new executions into those that start now, suspects first, and those that go back.

        Args:
            executions: in the order of their claims.
            free_slots: how many of them start at once.
        """
        calm: list[Execution] = []
        lost: list[Execution] = []
        back: list[Execution] = []
        for one in executions:
            if not one.claim.lost_count:
                calm.append(one)
            elif one.claim.lost_count < ALONE_AFTER and len(lost) < free_slots:
                lost.append(one)
            elif one.claim.lost_count >= ALONE_AFTER and self._loner is None:
                self._loner, self._has_started = one, False
            else:
                back.append(one)
        return lost + calm, back

    def next(self, in_flight: InFlight) -> list[Execution]:
        """Return the task that waits to run alone once it is; end the quiet once it has ended."""
        if self._loner is None:
            return []
        if self._has_started and self._loner not in in_flight.all():
            self._loner = None
        elif not self._has_started and len(in_flight) == 1:
            self._has_started = True
            return [self._loner]
        return []

    def take_back(self) -> list[Execution]:
        """Return the task that waits to run alone; it will not."""
        if self._loner is None or self._has_started:
            return []
        taken, self._loner = [self._loner], None
        return taken
