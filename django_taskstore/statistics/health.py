"""Whether queues are worked as they should be, for probes of orchestrators and for alerts.

Owns the questions and their answers. A probe asks every few seconds, so nothing here counts
tasks. It judges workers by the rows they write for people; what becomes of a task is never
decided by that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Min
from django.utils.translation import gettext as _

from django_taskstore.claims import rows
from django_taskstore.database.clock import read_now
from django_taskstore.database.expressions import Literal
from django_taskstore.models import Queue
from django_taskstore.statistics.json_form import JSON_VERSION, iso
from django_taskstore.statistics.snapshot import (
    age_seconds,
    alive_seconds,
    earliest,
    workers_since,
)
from django_taskstore.statistics.states import WorkerState
from django_taskstore.statuses import Status

#: How far back the last heartbeat of a dead worker is looked for: its row is kept so long.
REMEMBERED_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Demands:
    """What a probe asks for.

    Attributes:
        names: queues that must have a worker; none: those where tasks wait, and one at least.
        host: only workers of this machine count, or "" for all.
        max_age_seconds: how old the last heartbeat of a worker may be; None: as for the status.
        max_queue_age_seconds: how long a task may have waited; None: any time. A paused queue
            waits on purpose.
    """

    names: tuple[str, ...] = ()
    host: str = ""
    max_age_seconds: float | None = None
    max_queue_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is not as it should be.

    Attributes:
        code: no_worker or queue_age.
        text: a sentence.
        queue: the queue, or None.
    """

    code: str
    text: str
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class QueueHealth:
    """One queue.

    Attributes:
        name: its name; a queue on which nothing was enqueued yet may be asked for too.
        is_paused: whether claims are stopped, so that waiting is what somebody wants.
        workers: workers that live and serve it.
        heartbeat_age_seconds: the age of the last heartbeat for it; None when none is known.
        oldest_wait_seconds: how long a task has waited; None when none waits.
    """

    name: str
    is_paused: bool
    workers: int
    heartbeat_age_seconds: float | None
    oldest_wait_seconds: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """What a probe is told."""

    time: datetime | None
    workers: int
    queues: tuple[QueueHealth, ...]
    problems: tuple[Problem, ...]

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to complain of."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the stable form for programs."""
        return {
            "version": JSON_VERSION,
            "time": iso(self.time),
            "ok": self.is_well,
            "problems": [
                {"code": one.code, "queue": one.queue, "text": one.text} for one in self.problems
            ],
            "workers": self.workers,
            "queues": [
                {
                    "name": one.name,
                    "paused": one.is_paused,
                    "workers": one.workers,
                    "heartbeat_age_s": rounded(one.heartbeat_age_seconds),
                    "oldest_wait_s": rounded(one.oldest_wait_seconds),
                }
                for one in self.queues
            ],
        }


def health(using: str, demands: Demands) -> Health:
    """Look whether queues are worked as a probe demands, in four short statements.

    Whether one machine's workers live says nothing of backlogs: with a host, nobody asks
    how long tasks wait.

    Args:
        using: the database's alias.
        demands: what must hold.
    """
    now = read_now(using)
    patience_seconds = demands.max_age_seconds or alive_seconds()
    seen = [
        worker
        for worker in workers_since(using, now, seconds=max(REMEMBERED_SECONDS, patience_seconds))
        if demands.host in ("", worker.host)
    ]
    alive = [one for one in seen if one.heartbeat_age_seconds <= patience_seconds]
    known = {queue.name: queue for queue in Queue.objects.using(using).order_by("name")}
    names = demands.names or tuple(known)
    waiting = {} if demands.host else oldest_waits(known.keys() & names, now, using)
    queues = tuple(
        queue_health(known.get(name) or Queue(name=name), seen, alive, waiting.get(name))
        for name in names
    )
    problems = (*worker_problems(queues, alive, demands), *age_problems(queues, demands))
    return Health(now, len(alive), queues, problems)


def oldest_waits(names: Collection[str], now: datetime, using: str) -> Mapping[str, float]:
    """Return how long the oldest task has waited by the names of queues where one waits."""
    if not names:
        return {}
    mine = rows(using).filter(queue_name__in=names).order_by()
    queued = mine.filter(status=Literal(Status.QUEUED))
    due = mine.filter(status=Literal(Status.SCHEDULED), run_after__lte=now)
    arms = [one.values("queue_name").annotate(since=Min("run_after")) for one in (queued, due)]
    found: dict[str, datetime] = {}
    union = arms[0].union(arms[1], all=True).order_by()
    for name, since in union.values_list("queue_name", "since"):
        found[name] = earliest(since, found.get(name)) or since
    return {name: age_seconds(since, now) for name, since in found.items()}


def queue_health(
    queue: Queue,
    seen: Collection[WorkerState],
    alive: Collection[WorkerState],
    wait_seconds: float | None,
) -> QueueHealth:
    """Return how one queue is worked."""
    ages = (one.heartbeat_age_seconds for one in seen if one.serves(queue))
    return QueueHealth(
        name=queue.name,
        is_paused=queue.paused_at is not None,
        workers=sum(one.serves(queue) for one in alive),
        heartbeat_age_seconds=min(ages, default=None),
        oldest_wait_seconds=wait_seconds,
    )


def worker_problems(
    queues: Collection[QueueHealth], alive: Collection[WorkerState], demands: Demands
) -> Iterator[Problem]:
    """Yield which queues have no worker: those asked for, else those where tasks wait."""
    where = _(" on %(host)s") % {"host": demands.host} if demands.host else ""
    for queue in queues:
        is_wanted = demands.names or queue.oldest_wait_seconds is not None
        if is_wanted and not queue.workers:
            facts = {"queue": queue.name, "where": where, "heard": heard(queue)}
            text = _("No worker%(where)s serves %(queue)s: %(heard)s.") % facts
            yield Problem("no_worker", text, queue.name)
    if not alive and not demands.names:
        yield Problem("no_worker", _("No worker%(where)s is alive.") % {"where": where})


def heard(queue: QueueHealth) -> str:
    """Return in words when a worker of a queue was last heard of."""
    if queue.heartbeat_age_seconds is None:
        return _("none was heard of within a day")
    return _("the last heartbeat was %(seconds)s s ago") % {
        "seconds": f"{queue.heartbeat_age_seconds:,.0f}"
    }


def age_problems(queues: Collection[QueueHealth], demands: Demands) -> Iterator[Problem]:
    """Yield which queues have kept a task waiting for too long."""
    most = demands.max_queue_age_seconds
    for queue in queues:
        wait = queue.oldest_wait_seconds
        if most is None or wait is None or wait <= most or queue.is_paused:
            continue
        facts = {"queue": queue.name, "seconds": f"{wait:,.0f}", "most": f"{most:,.0f}"}
        text = _("The oldest task on %(queue)s has waited %(seconds)s s; %(most)s s are allowed.")
        yield Problem("queue_age", text % facts, queue.name)


def rounded(seconds: float | None) -> float | None:
    """Return seconds to the millisecond."""
    return None if seconds is None else round(seconds, 3)
