"""What operators asked of queues: which exist, which are paused, which should be left.

Owns reads and writes of `Queue` rows for enqueue and the runner. A pause is seen within a
second; claims never join this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.db import IntegrityError, transaction

from django_taskstore.database.clock import moment
from django_taskstore.database.committed import CommittedCache
from django_taskstore.database.statements import Prepared, Statement
from django_taskstore.database.transactions import will_write
from django_taskstore.models import Queue

known_queues: CommittedCache[str] = CommittedCache(60.0)


def ensure(name: str, using: str) -> None:
    """Make the queue's row if this process has not seen it."""
    if known_queues.get(using, name):
        return
    will_write(using)
    if not Queue.objects.using(using).filter(name=name).exists():
        try:
            with transaction.atomic(using=using):
                Queue.objects.using(using).create(name=name)
        except IntegrityError:
            pass  # Another process made it between the look and the insert.
    known_queues.put(using, name, name)


@dataclass(frozen=True, slots=True)
class Switches:
    """What the queue table says at one moment.

    Attributes:
        names: all queues, sorted.
        paused: those that are paused.
        stop_requested_at: when runners were last asked to leave a queue, by its name.
    """

    names: list[str]
    paused: frozenset[str]
    stop_requested_at: dict[str, datetime]

    def left_by(self, started_at: datetime | None) -> set[str]:
        """Return the queues that a runner started at this database time should leave."""
        if started_at is None:
            return set()
        asked = self.stop_requested_at.items()
        return {name for name, requested_at in asked if requested_at > started_at}


def read(using: str) -> Switches:
    """Read all queues in one statement."""
    rows = all_queues(using).fetch()
    return Switches(
        names=[name for name, _, _ in rows],
        paused=frozenset(name for name, paused_at, _ in rows if paused_at),
        stop_requested_at={name: moment(asked) for name, _, asked in rows if asked},
    )


@lru_cache(maxsize=100)
def all_queues(using: str) -> Statement:
    """Compile the SELECT of the queues: a worker reads them before it claims, once a second."""
    columns = ("name", "paused_at", "stop_requested_at")
    return Prepared(Queue, using=using).order_by("name").select(*columns)
