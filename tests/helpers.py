"""Waiting for conditions, and looking at real worker processes from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import connection, connections
from django.utils import timezone

from django_taskstore import TaskQueueRunner
from django_taskstore.models import QueuedTask, TaskAttempt, TaskDefinition, Worker

ROOT = Path(__file__).resolve().parent.parent


def wait_until(condition, *, seconds=30.0, look_seconds=0.02, what="the condition"):
    """Return the condition's first true value; fail when it stays false for too long.

    Args:
        condition: called again and again.
        seconds: when to fail.
        look_seconds: the pause between two looks, longer where a look is dear.
        what: names the condition in the failure; a text, or a callable that gives one then.
    """
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            told = what() if callable(what) else what
            raise AssertionError(f"Waited {seconds} s in vain for {told}.")
        time.sleep(look_seconds)  # The pause between two looks, not a wait for a time.


@dataclass(frozen=True)
class Line:
    """One line of the ledger."""

    task_id: int
    claim_seq: int
    pid: int
    what: str
    at_ns: int


class Ledger:
    """What handlers wrote outside the database."""

    def __init__(self, path):
        self.path = Path(path)

    def lines(self):
        """Return all whole lines so far."""
        if not self.path.exists():
            return []
        rows = [line.split() for line in self.path.read_text().splitlines()]
        return [Line(int(a), int(b), int(c), d, int(e)) for a, b, c, d, e in rows]

    def starts(self):
        """Return how often each task started."""
        return self._count("start")

    def ends(self):
        """Return how often each task came to its end."""
        return self._count("end")

    def runs(self):
        """Return when each task started first and ended last, in nanoseconds."""
        runs = {}
        for line in self.lines():
            start, _ = runs.get(line.task_id, (line.at_ns, None))
            runs[line.task_id] = (start, line.at_ns)
        return runs

    def in_hand(self, pid):
        """Return the runs, by task and claim, that a process has started and not ended."""
        mine = {"start": set(), "end": set()}
        for line in self.lines():
            if line.pid == pid:
                mine[line.what].add((line.task_id, line.claim_seq))
        return mine["start"] - mine["end"]

    def interrupted(self):
        """Return how many starts came to no end."""
        return sum(self.starts().values()) - sum(self.ends().values())

    def _count(self, what):
        counts = defaultdict(int)
        for line in self.lines():
            if line.what == what:
                counts[line.task_id] += 1
        return dict(counts)


def environment_of_a_process(more):
    """Return the variables of a process that works on the test's database."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TASKSTORE_TEST_DB_NAME": str(connection.settings_dict["NAME"]),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


class WorkerProcess:
    """A real ``taskqueue_run`` on the test's database."""

    def __init__(self, *arguments, ledger=None, environment=None):
        variables = environment_of_a_process(environment or {})
        if ledger is not None:
            variables["TASKSTORE_TEST_LEDGER"] = str(ledger.path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "taskqueue_run", *arguments],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def pid(self):
        """The process's id."""
        return self.process.pid

    def send(self, number):
        """Send a signal."""
        os.kill(self.process.pid, number)

    def kill(self):
        """Kill the process, which cannot notice, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.process.wait(30)

    def stop(self, *, seconds=60.0):
        """Send SIGTERM; return the exit code and all output."""
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGTERM)
        return self.wait(seconds=seconds)

    def wait(self, *, seconds=60.0):
        """Wait for the end; return the exit code and all output."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output


@contextlib.contextmanager
def workers(count, *arguments, **options):
    """Start worker processes and make sure that none outlives the test."""
    started = [WorkerProcess(*arguments, **options) for _ in range(count)]
    try:
        yield started
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.communicate()


def add_task(alias="Noop", **columns):
    """Insert a row as it is told, past every rule of enqueue, in any status."""
    definition, _ = TaskDefinition.all_objects.get_or_create(alias=alias)
    return QueuedTask.objects.create(definition=definition, **columns)


def add_failed(queue_name="emails", **columns):
    """Insert a failed task with the record of its last attempt."""
    task = add_task(queue_name=queue_name, status="failed", claim_seq=1, **columns)
    TaskAttempt.objects.create(queued_task=task, claim_seq=1, number=1, outcome="failed")
    return task


def add_worker(*queues, age=timedelta(0), **columns):
    """Insert the row of a worker that started, and was heard of last, some time ago."""
    then = timezone.now() - age
    facts = {"host": "web01", "pid": 7, "concurrency": 8, "started_at": then, "heartbeat_at": then}
    return Worker.objects.create(queues=list(queues), **{**facts, **columns})


def fresh(task):
    """Read a task again, hidden or not."""
    return QueuedTask.all_objects.get(pk=getattr(task, "pk", task))


def row_of(task):
    """Return all columns of a task, to see whether anything changed."""
    return QueuedTask.all_objects.filter(pk=getattr(task, "pk", task)).values().get()


def expire(task):
    """Let the lease of a running task run out, as if its worker had died long ago."""
    past = timezone.now() - timedelta(hours=1)
    assert QueuedTask.all_objects.filter(pk=task.pk).update(lease_expires_at=past) == 1


@contextlib.contextmanager
def captured_sql():
    """Collect (sql, parameters) of every statement on the default connection."""
    statements = []

    def keep(execute, sql, params, many, context):
        statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(keep):
        yield statements


def in_threads(*works):
    """Run callables at the same moment, each on its own connection; return their results."""
    results, errors = [None] * len(works), []
    barrier = threading.Barrier(len(works))

    def run(place, work):
        try:
            barrier.wait(30)
            results[place] = work()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(i, one)) for i, one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if errors:
        raise errors[0]
    return results


def wait_for_threads(*kinds):
    """Wait until the threads of stopped runners, and with them their connections, are gone."""
    names = tuple(f"taskstore-{kind}" for kind in kinds or ("dispatcher", "heartbeat", "handler"))
    wait_until(
        lambda: not [one for one in threading.enumerate() if one.name.startswith(names)],
        what=f"the end of the threads {names}",
    )


@contextlib.contextmanager
def running(*queues, **options):
    """Start a runner in this process and stop it at the end of the block."""
    runner = TaskQueueRunner(*queues, **{"poll_seconds": 0.05, **options})
    runner.start()
    try:
        yield runner
    finally:
        runner.stop(timeout_seconds=10)
        wait_for_threads()


def work_until_empty(*queues, seconds=60.0, **options):
    """Run a runner's loop until nothing is due; return the runner."""
    runner = TaskQueueRunner(*queues, **{"poll_seconds": 0.05, **options})
    runner.start(until_empty=True)
    runner.join(seconds)
    stuck = runner.is_running
    runner.stop(timeout_seconds=0)
    wait_for_threads()
    assert not stuck, f"The runner did not come to an end within {seconds} s."
    return runner
