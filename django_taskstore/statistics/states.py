"""What a look at the queues finds, as typed values.

Owns the dataclasses of a snapshot. Pure: nothing here asks a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django_taskstore.models import Queue

ALL_QUEUES = "*"


class AtLeast(int):
    """A count that was given up: it prints as ``10,000+``."""

    def __str__(self) -> str:
        return f"{int(self):,}+"

    def __format__(self, spec: str) -> str:
        return f"{int(self):{spec}}+"

    def __add__(self, other: int) -> AtLeast:
        return AtLeast(int(self) + int(other))

    __radd__ = __add__


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of rows.

    Attributes:
        n: the rows counted.
        exact: False when there may be more.
    """

    n: int = 0
    exact: bool = True

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.n + other.n, self.exact and other.exact)

    def __str__(self) -> str:
        return f"{self.n:,}{'' if self.exact else '+'}"


def tally_of(n: int | Tally) -> Tally:
    """Return a count as one that knows whether it is exact."""
    return n if isinstance(n, Tally) else Tally(int(n), not isinstance(n, AtLeast))


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker that said a moment ago that it lives."""

    name: str
    host: str
    pid: int
    queues: tuple[str, ...]
    concurrency: int
    running: int
    started_at: datetime
    heartbeat_age_seconds: float
    version: str = ""
    revision: str = ""
    succeeded: int = 0
    failed: int = 0
    memory_bytes: int | None = None
    id: UUID | None = None

    @property
    def code(self) -> str:
        """What it runs: the version of this package, and the project's revision if it has one."""
        return f"{self.version} {self.revision}".strip() or "?"

    def serves(self, queue: Queue) -> bool:
        """Tell whether it works a queue, and was not asked to leave it since it started."""
        if queue.name not in self.queues and ALL_QUEUES not in self.queues:
            return False
        return queue.stop_requested_at is None or queue.stop_requested_at <= self.started_at


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue.

    Attributes:
        queued: tasks that a worker may claim; `AtLeast` where they are too many to count.
        scheduled: tasks that wait for their time; likewise.
        due: scheduled tasks whose time has come; a worker queues them within a second.
        paused: tasks that are paused themselves.
        running: tasks that are claimed.
        expired: running tasks whose lease has run out; a worker rescues them.
        failed: tasks that have failed and are not deleted.
        oldest_since: since when the oldest queued or due task waits.
        oldest_wait_seconds: how long that is; None when none waits.
        workers: workers that serve it.
        id: the key of its row.
    """

    name: str
    paused_at: datetime | None
    paused_by: str
    pause_reason: str
    stop_requested_at: datetime | None
    queued: int
    scheduled: int
    due: int
    paused: Tally
    running: int
    expired: int
    failed: Tally
    oldest_since: datetime | None
    oldest_wait_seconds: float | None
    workers: int
    id: int = 0

    @property
    def is_paused(self) -> bool:
        """Whether claims are stopped."""
        return self.paused_at is not None

    @property
    def is_exact(self) -> bool:
        """Whether all that waits was counted."""
        return not any(isinstance(n, AtLeast) for n in (self.queued, self.scheduled))

    @property
    def backlog(self) -> int:
        """The tasks that would run now if somebody took them."""
        return self.queued + self.due


@dataclass(frozen=True, slots=True)
class StatusWarning:
    """Something an operator should look at.

    Attributes:
        code: no_worker, paused_with_backlog, queue_age, expired_leases, no_handler or
            version_skew.
        text: a sentence.
        queue: the queue, or None.
        since: since when, where that is known.
    """

    code: str
    text: str
    queue: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How the queues stand at one moment, by the database's clock."""

    time: datetime
    queues: tuple[QueueState, ...]
    workers: tuple[WorkerState, ...]
    strangers: Mapping[str, Tally]
    warnings: tuple[StatusWarning, ...] = field(default=())

    @property
    def totals(self) -> dict[str, Tally]:
        """The sums over all queues shown."""
        sums: dict[str, Tally] = {}
        for name in ("queued", "scheduled", "paused", "running", "failed"):
            counts = (getattr(queue, name) for queue in self.queues)
            sums[name] = sum(map(tally_of, counts), Tally())
        return sums
