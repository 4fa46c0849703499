"""Keeping what this process holds, and hearing what became of it.

Owns the heartbeat thread and its database connection: it renews leases, saves progress and
logs of running tasks, tells them to stop when they were canceled, and rescues other workers'
tasks. It may not claim or record an outcome.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connections
from django.db.models import Exists
from django.utils import timezone

from django_taskstore import __version__, claims, maintenance, purging, rollups, transitions
from django_taskstore.conf import settings
from django_taskstore.context import Reason
from django_taskstore.database.clock import DatabaseNow, read_now
from django_taskstore.database.errors import is_conflict, is_outage
from django_taskstore.database.hygiene import drop
from django_taskstore.database.limits import Limits
from django_taskstore.database.transactions import writing
from django_taskstore.executor import Execution
from django_taskstore.models import Worker
from django_taskstore.rollups import Recorder
from django_taskstore.runner.identity import Identity, facts, memory_bytes, revision
from django_taskstore.runner.in_flight import InFlight
from django_taskstore.statuses import FAILURES, Ending

logger = logging.getLogger("django_taskstore.worker")

TICK_SECONDS = 1.0
PURGE_SECONDS = 600.0
#: The rest of a lease is for clocks that run apart and for telling the handlers.
TRUSTED_PART = 0.9


class Heartbeat(threading.Thread):
    """Renews leases until stopped; a fault is logged and a later beat tries again.

    Args:
        identity: the worker.
        in_flight: what it holds.
        lease_seconds: the length of a renewed lease.
        limits: how long it waits for the database.
        wake: called when a rescue has put tasks back on queues.
        obey: called with what operators asked of this worker, at each beat.
        recorder: what counts outcomes, to be added to the database now and then.
    """

    def __init__(
        self,
        identity: Identity,
        in_flight: InFlight,
        *,
        lease_seconds: float,
        limits: Limits,
        wake: Callable[[], None],
        obey: Callable[[Orders], None],
        recorder: Recorder,
    ) -> None:
        super().__init__(name="taskstore-heartbeat", daemon=True)
        self.identity = identity
        self.in_flight = in_flight
        self.lease_seconds = lease_seconds
        self.limits = limits
        self.wake = wake
        self.obey = obey
        self.recorder = recorder
        self.beat_seconds = min(settings.HEARTBEAT_SECONDS, lease_seconds / 3)
        self._tick_seconds = min(TICK_SECONDS, self.beat_seconds / 2)
        self._faults = 0
        self._stopping = threading.Event()
        # At once: a worker that does not live as long as a beat would never rescue anything.
        self._beat_at = time.monotonic()
        self._purge_at = time.monotonic() + PURGE_SECONDS
        self._trusted_until = time.monotonic() + lease_seconds

    @property
    def is_in_touch(self) -> bool:
        """Whether the leases can still be trusted, by the monotonic clock of this process."""
        return time.monotonic() < self._trusted_until

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()

    def run(self) -> None:
        """Beat until stopped."""
        try:
            with self.limits.applied():
                while not self._stopping.wait(self._pause_seconds()):
                    self._tick_on()
        finally:
            connections.close_all()

    def tick(self) -> None:
        """Do what is due: the beat each few seconds, and first; the small things each second."""
        if time.monotonic() >= self._beat_at:
            self.beat()
            self._beat_at = time.monotonic() + self.beat_seconds
        started = [one for one in self.in_flight.all() if one.started_at is not None]
        running = settled(started)
        tell_canceled(running, claims.canceled([one.claim for one in running]))
        self._report(started)
        self.recorder.flush_when_due()

    def _tick_on(self) -> None:
        """Tick; after a fault wait a little longer each time instead of ending."""
        try:
            with self.limits.waiting():
                self.tick()
            self._faults = 0
        except Exception as error:
            self._faults += 1
            explain(error)
            drop(connections[self.identity.using])

    def _pause_seconds(self) -> float:
        """Return how long to sleep: a tick, and longer while the database is away."""
        return min(self.beat_seconds, self._tick_seconds * 2.0 ** min(self._faults, 10))

    def beat(self) -> None:
        """Renew leases, rescue, say that this worker lives, and purge now and then."""
        asked_at = time.monotonic()
        self._renew()
        # Counted from before the question: the database's lease began no earlier.
        self._trusted_until = asked_at + self.lease_seconds * TRUSTED_PART
        load = Load(len(self.in_flight), self.recorder.ended)
        news = announce(self.identity, load)
        if news.has_expired and maintenance.rescue(self.identity.using):
            self.wake()
        self.obey(news.orders)
        if time.monotonic() >= self._purge_at:
            self._purge_at = time.monotonic() + PURGE_SECONDS
            purging.tidy_up(self.identity.using, budget_seconds=2.0)
            rollups.purge(self.identity.using)

    def _renew(self) -> None:
        held = self.in_flight.all()
        renewal = claims.renew([one.claim for one in held], lease_seconds=self.lease_seconds)
        tell_canceled(held, renewal.canceled)
        for execution in held:
            if execution.claim.id in renewal.lost:
                execution.context.cancel(Reason.LEASE_LOST)

    def _report(self, started: list[Execution]) -> None:
        for execution in started:
            details = execution.log.unsaved()
            progress = execution.context.unsaved_progress()
            try:
                claims.report(execution.claim, details=details, progress=progress)
            except DatabaseError as error:
                # Somebody has locked the row: its news come with the next, or with the outcome.
                if not is_conflict(error):
                    raise


def explain(error: Exception) -> None:
    """Log a failed beat: one line while the database is away, a traceback for anything else."""
    if is_outage(error):
        reason = str(error).strip().partition("\n")[0]
        logger.warning("Heartbeat failed (%s); the next one tries again.", reason)
    else:
        logger.error("Heartbeat failed; the next one tries again.", exc_info=error)


def settled(started: list[Execution]) -> list[Execution]:
    """Return what has run for a second: shorter tasks end before an answer could reach them."""
    now = timezone.now()
    return [
        one
        for one in started
        if one.started_at is not None and (now - one.started_at).total_seconds() >= TICK_SECONDS
    ]


def tell_canceled(executions: list[Execution], ids: frozenset[int]) -> None:
    """Tell those executions to stop whose tasks somebody asked to cancel."""
    for execution in executions:
        if execution.claim.id in ids:
            execution.context.cancel(Reason.CANCELED)


@dataclass(frozen=True, slots=True)
class Orders:
    """What operators asked of a worker."""

    be_quiet: bool = False
    stop: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What a worker hears when it says that it lives.

    Attributes:
        orders: what operators asked of it.
        has_expired: whether a lease ran out, so that there is something to rescue.
    """

    orders: Orders
    has_expired: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker has to do, and has done.

    Attributes:
        running: the tasks it holds.
        ended: how many attempts ended since it started, by ending.
    """

    running: int = 0
    ended: Counter[str] = field(default_factory=Counter)

    def columns(self) -> dict[str, int | None]:
        """Return what a beat writes into the worker's row."""
        return {
            "running": self.running,
            "succeeded": self.ended[Ending.SUCCEEDED],
            "failed": sum(self.ended[ending] for ending in FAILURES),
            "memory_bytes": memory_bytes(),
        }


def announce(identity: Identity, load: Load) -> News:
    """Write the worker's row, which people read; return what they wrote into it, and news."""
    workers = Worker.objects.using(identity.using)
    mine = workers.filter(pk=identity.id)
    columns: Any = load.columns()
    if not mine.update(heartbeat_at=DatabaseNow(), **columns):
        now = read_now(identity.using)
        row = Worker(
            id=identity.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=list(identity.queues),
            concurrency=identity.concurrency,
            started_at=now,
            heartbeat_at=now,
            version=__version__,
            revision=revision(),
            facts=facts(identity),
            **columns,
        )
        # The dispatcher and the heartbeat both say that a worker begins.
        workers.bulk_create([row], ignore_conflicts=True)
    expired = Exists(transitions.expired(claims.rows(identity.using)))
    asked = mine.values_list("quiet_requested_at", "stop_requested_at", expired).first()
    quiet, stop, has_expired = asked or (None, None, False)
    return News(Orders(be_quiet=quiet is not None, stop=stop is not None), bool(has_expired))


def appear(identity: Identity) -> None:
    """Write the row of a worker that begins, in its turn where others write all the time."""
    with writing(identity.using):
        announce(identity, Load())


def withdraw(identity: Identity) -> None:
    """Remove the worker's row: it has stopped in order."""
    Worker.objects.using(identity.using).filter(pk=identity.id).delete()
