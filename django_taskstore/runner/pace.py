"""How many tasks to claim ahead of the free slots, and how long a task usually runs.

Owns `Pace`. Pure but for what it is told: it reads no clock.
"""

from __future__ import annotations

#: What is claimed ahead should start within this time, or another worker could have it.
AHEAD_SECONDS = 0.1
MOST_AHEAD = 1_000
#: Longer tasks are not claimed ahead. A slot is then free once the last outcome in it has been
#: recorded, so a worker that is killed leaves no more to be done again than it has slots; the
#: round trip that this costs is a small part of such a task.
SHORT_SECONDS = 0.02
#: How much of the past a new measurement leaves standing.
MEMORY = 0.7


class Pace:
    """The rate at which tasks end of late, and what it allows.

    The rate decides, not the run times: with ten threads in one interpreter a task that
    waits for its turn looks slow by the clock, too little would be claimed ahead, and the
    many small rounds that follow would slow everything down for good.
    """

    def __init__(self) -> None:
        self._tasks = 0.0
        self._seconds = 0.0
        self._usual_seconds: float | None = None

    def ran(self, run_seconds: float) -> None:
        """Learn how long one task ran: the usual time follows the median, not the mean."""
        usual = self._usual_seconds
        if usual is None:
            self._usual_seconds = run_seconds
        elif run_seconds > usual:
            self._usual_seconds = min(run_seconds, usual * 1.5 + 1e-6)
        else:
            self._usual_seconds = max(run_seconds, usual / 2)

    def ended(self, tasks: int, *, seconds: float) -> None:
        """Learn how many tasks ended in a stretch of time in which some were running."""
        self._tasks = MEMORY * self._tasks + tasks
        self._seconds = MEMORY * self._seconds + seconds

    def stalled(self) -> None:
        """Learn that what was claimed ahead did not start in time."""
        self._tasks = self._seconds = 0.0

    @property
    def usual_seconds(self) -> float | None:
        """How long a task usually runs; None until one has."""
        return self._usual_seconds

    @property
    def ahead(self) -> int:
        """How many tasks to claim beyond the free slots; 0 until they are known to be short."""
        usual = self._usual_seconds
        if not self._seconds or usual is None or usual >= SHORT_SECONDS:
            return 0
        return min(MOST_AHEAD, int(AHEAD_SECONDS * self._tasks / self._seconds))
