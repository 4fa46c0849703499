"""A project that asks MySQL or MariaDB for REPEATABLE READ, against our warning."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection

from django_taskstore.models import QueuedTask
from tests.faults.harness.workers import surroundings
from tests.helpers import ROOT, wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        settings.BACKEND != "mysql", reason="the others lock no gaps at any isolation level"
    ),
]

LEVEL = {"TASKSTORE_TEST_ISOLATION": "repeatable read"}
ROUNDS = 4


@pytest.mark.long
def test_claims_promotion_and_cleanup_bear_repeatable_read(case):
    """F27: they meet in gaps that this level locks; deadlocks are retried, nothing is lost."""
    before = deadlocks()
    crew = [case.start("--concurrency", "4", environment=LEVEL) for _ in range(3)]
    assert all("REPEATABLE-READ" in worker.output for worker in crew), "each worker warns"
    for number in range(ROUNDS):
        delays = [timedelta(seconds=0.1 * step) for step in range(10)]
        for delay in delays:
            case.enqueue_many(15, "LedgerOutput", run_after=delay)
        case.enqueue_many(150, "LedgerRetry" if number % 2 else "LedgerOutput")
        with purging(old_tasks(case)):
            case.drained()
    assert all(worker.is_alive for worker in crew)
    ended = QueuedTask.objects.with_status("success")
    assert ended.count() == ROUNDS * 300
    assert set(ended.values_list("lost_count", flat=True)) == {0}
    assert "Traceback" not in case.output()
    print(f"deadlocks met and retried: {deadlocks() - before}")


def old_tasks(case):
    """Make finished tasks that nobody needs; return their ids."""
    fill = case.enqueue_many(200, "LedgerOutput", queue_name="nobody")
    case.acknowledged -= fill
    case.unknown |= fill
    assert QueuedTask.objects.filter(pk__in=fill).cancel() == len(fill)
    return fill


@contextlib.contextmanager
def purging(old):
    """Remove old tasks in another process, at the same level, while the block works."""
    arguments = ["--status", "canceled", "--older-than", "0s", "--batch", "20", "--no-input"]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.harness.entry", "taskqueue_purge", *arguments],
        cwd=ROOT,
        env={**os.environ, **surroundings_of_purge(), **LEVEL},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    left = QueuedTask.all_objects.filter(pk__in=old)
    wait_until(lambda: not left.exists(), what="the end of the old tasks")


def surroundings_of_purge():
    """Return the variables that lead a command to this database; it needs no ledger."""

    class NoLedger:
        path = os.devnull

    return surroundings(NoLedger, None)


def deadlocks():
    """Return how many deadlocks the server has counted, or 0 where it does not say."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
        row = cursor.fetchone()
    return int(row[1]) if row else 0
