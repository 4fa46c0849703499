"""A session that looks at the past for long: the database may not clean up behind the queue."""

from __future__ import annotations

import contextlib
import time

import pytest
from django.conf import settings
from django.db import connections

from django_taskstore import enqueue_many
from django_taskstore.models import QueuedTask
from tests.helpers import wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        settings.BACKEND == "sqlite",
        reason="SQLite keeps no old row versions but in its log, which grows meanwhile",
    ),
]

#: As many tasks as 200 a second leave behind in five minutes.
BURST, BURSTS = 1_000, 60


def test_a_forgotten_snapshot_slows_the_queue_only_while_it_lasts(case):
    """F24: idle in a transaction under churn: what the queue does at its end, and after it."""
    worker = case.start("--concurrency", "4")
    before = rate(4 * BURST)
    with snapshot():
        for _ in range(BURSTS):
            rate(BURST)
        under = rate(4 * BURST)
    rate(BURST)  # The first claims after it clear away what nobody sees any more.
    after = rate(4 * BURST)
    print(
        f"{settings.BACKEND}: {before:.0f} tasks/s before, {under:.0f} under a snapshot that is "
        f"{BURST * BURSTS} tasks old, {after:.0f} after it"
    )
    assert under >= before / 2
    assert after >= before / 3  # InnoDB is still clearing up behind it.
    case.acknowledged |= set(QueuedTask.objects.values_list("pk", flat=True))
    case.drained()
    assert worker.is_alive
    assert "Traceback" not in worker.output


@contextlib.contextmanager
def snapshot():
    """Stay in a transaction that has read the queue, as somebody's forgotten session does."""
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            for statement in SNAPSHOT[other.vendor]:
                cursor.execute(statement)
            cursor.execute("SELECT count(*) FROM django_taskstore_queuedtask")
        yield
    finally:
        other.close()


SNAPSHOT = {
    "postgresql": ["BEGIN ISOLATION LEVEL REPEATABLE READ"],
    "mysql": [
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    ],
}


def rate(count):
    """Have so many tasks worked off; return how many that were a second."""
    began = time.monotonic()
    enqueue_many("Noop", [{} for _ in range(count)])
    last = QueuedTask.objects.filter(pk=QueuedTask.objects.latest("pk").pk)
    wait_until(lambda: last.filter(status="success").exists(), seconds=60, what="the last task")
    return count / (time.monotonic() - began)
