"""One fault case: what it enqueued, whom it started, and the judgement of it all.

Owns `Case`, which the fixture ``case`` makes and judges after the test, and the counting of
connections. The producer's acknowledgements, the ledger and the audit together are the facts
that `invariants` reads.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from functools import cached_property

from django.db import connection

from django_taskstore import enqueue, enqueue_many
from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL, Status
from tests.faults.harness import invariants
from tests.faults.harness.proxy import Proxy
from tests.faults.harness.workers import MARGIN_SECONDS, SHORT_LEASE, Worker
from tests.helpers import wait_until

#: Well; tasks were given back; threads were held.
STOP_CODES = (0, 4, 6)
#: The promise is two seconds after the deadline; a busy machine needs a moment to keep it.
LATE_SECONDS = 2.0 + MARGIN_SECONDS / 3


class Facts:
    """What is known of a case from outside the system under test."""

    def __init__(self, case):
        self.acknowledged, self.unknown = case.acknowledged, case.unknown
        self.may_wait, self.may_overlap = case.may_wait, case.may_overlap
        self.changes = case.read_changes()
        lines = case.ledger.lines()
        self.starts = [line for line in lines if line.what == "start"]
        self.ends = [line for line in lines if line.what == "end"]

    @cached_property
    def rescues(self):
        """The changes by which a task was taken from a dead worker: its losses rose."""
        losses, found = Counter(), []
        for change in self.changes:
            if change.was == Status.RUNNING and change.losses > losses[change.task_id]:
                found.append(change)
            losses[change.task_id] = change.losses
        return found


class Case:
    """A producer, its workers and their judge.

    Args:
        ledger: what the handlers write.
        folder: where the workers' output goes.
        read_changes: reads the audit.
    """

    def __init__(self, ledger, folder, read_changes):
        self.ledger, self.folder, self.read_changes = ledger, folder, read_changes
        self.acknowledged, self.unknown, self.may_wait = set(), set(), set()
        self.may_overlap = False
        self.crew, self.proxies, self.stopped = [], [], []
        self.baseline = connections_to_here()

    def enqueue(self, alias="Ledger", parameters=None, **options):
        """Put a task on its queue and note that its commit was answered."""
        task = enqueue(alias, parameters or {}, **options)
        self.acknowledged.add(task.pk)
        return task

    def enqueue_many(self, count, alias="Ledger", parameters=None, **options):
        """Put many equal tasks on a queue; return their ids."""
        before = set(QueuedTask.all_objects.values_list("pk", flat=True))
        enqueue_many(alias, [dict(parameters or {}) for _ in range(count)], **options)
        added = set(QueuedTask.all_objects.values_list("pk", flat=True)) - before
        self.acknowledged |= added
        return added

    def start(self, *arguments, lease=SHORT_LEASE, **options):
        """Start a worker and wait until it works."""
        return self.launch(*arguments, lease=lease, **options).ready()

    def launch(self, *arguments, lease=SHORT_LEASE, **options):
        """Start a worker."""
        worker = Worker(*lease, *arguments, folder=self.folder, ledger=self.ledger, **options)
        self.crew.append(worker)
        return worker

    def proxy(self):
        """Return a new proxy before the database's server."""
        self.proxies.append(Proxy(int(connection.settings_dict["PORT"])))
        return self.proxies[-1]

    def started(self, task, times=1):
        """Wait until a task has started so often."""
        wait_until(
            lambda: self.ledger.starts().get(task.pk, 0) >= times,
            seconds=60,
            what=f"start {times} of task {task.pk}",
        )

    def pid_of(self, task):
        """Return the process that started a task last."""
        return [line.pid for line in self.ledger.lines() if line.task_id == task.pk][-1]

    def ended(self, task, *, seconds=60.0):
        """Wait until a task is final; return its row."""
        return wait_until(
            lambda: QueuedTask.all_objects.filter(pk=task.pk, status__in=FINAL).first(),
            seconds=seconds,
            what=f"the end of task {task.pk}",
        )

    def drained(self, *, seconds=120.0):
        """Wait until nothing waits and nothing runs."""
        unfinished = QueuedTask.all_objects.exclude(status__in=FINAL)
        wait_until(lambda: not unfinished.exists(), seconds=seconds, what="all tasks to end")

    def stop(self, *, seconds=60.0):
        """Stop all workers that still run; return their exit codes."""
        alive = [worker for worker in self.crew if worker.is_alive]
        for worker in alive:
            asked_at = time.monotonic()
            worker.stop(seconds=seconds)
            self.stopped.append((worker, time.monotonic() - asked_at))
        return [worker.process.returncode for worker in alive]

    def output(self):
        """Return all that the workers have said."""
        return "".join(worker.output for worker in self.crew)

    def end(self):
        """Kill what the case has left running."""
        for worker in self.crew:
            if worker.is_alive:
                worker.kill()
        for proxy in self.proxies:
            proxy.close()
        self.proxies = []

    def judge(self):
        """Fail if any invariant is violated or a connection is left behind."""
        wrong = [*invariants.violations(Facts(self)), *self.late_or_unwell()]
        assert not wrong, "\n".join(wrong[:20])
        wait_until(
            lambda: connections_to_here() <= self.baseline,
            what="I11 the workers' connections to go away",
        )

    def late_or_unwell(self):
        """I12: who was asked to stop did so in time, and with a code of the documentation."""
        for worker, took_seconds in self.stopped:
            code, most_seconds = worker.process.returncode, worker.stop_seconds + LATE_SECONDS
            # Without a word it had not begun: Python was still starting and had no handler.
            had_begun = worker.output != ""
            if code not in STOP_CODES and (had_begun or code != -signal.SIGTERM):
                yield f"I12 a stopped worker ended with {code}: {worker.output[-1000:]}"
            if took_seconds > most_seconds:
                yield f"I12 a worker took {took_seconds:.1f} s to stop, of {most_seconds:.1f} s"


CONNECTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid()",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() "
    "AND id <> CONNECTION_ID()",
}


def connections_to_here():
    """Return how many other connections the database has; 0 where it is a file."""
    if connection.vendor not in CONNECTIONS:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(CONNECTIONS[connection.vendor])
        return cursor.fetchone()[0]
