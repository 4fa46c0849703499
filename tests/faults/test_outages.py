"""A database that stops, dies, is locked, is full or is slow to let go."""

from __future__ import annotations

import time

import pytest
from django.conf import settings
from django.db import connection

from django_taskstore.models import QueuedTask
from django_taskstore.statuses import FINAL
from tests.faults.harness.servers import lock
from tests.faults.harness.workers import LEASE_SECONDS, MARGIN_SECONDS
from tests.helpers import wait_until

pytestmark = [pytest.mark.faults]

is_sqlite = settings.BACKEND == "sqlite"
locks_rows = pytest.mark.skipif(is_sqlite, reason="SQLite locks the file: see the busy writer")
locks_the_file = pytest.mark.skipif(not is_sqlite, reason="only SQLite has one writer")

#: How long a worker may take to come back once its database has.
BACK_SECONDS = 10.0


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_workers_outlive_the_restart_of_their_database(own_case, server, how):
    """F18, F19: nothing that was committed is lost, and no worker ends."""
    own_case.enqueue_many(150, "LedgerOutput", {"seconds": 0.05})
    crew = [own_case.start("--concurrency", "4") for _ in range(2)]
    wait_until(lambda: len(own_case.ledger.ends()) > 10, seconds=60)
    connection.close()
    getattr(server, how)()
    server.start()
    own_case.drained(seconds=60)
    assert all(worker.is_alive for worker in crew)
    assert QueuedTask.objects.with_status("success").count() == 150
    assert "Traceback" not in own_case.output()
    duplicates = sum(own_case.ledger.starts().values()) - 150
    assert duplicates <= 2 * 4


@pytest.mark.long
def test_outcomes_are_kept_while_the_database_is_away(own_case, server):
    """F20: away for two leases; what ended in that time is recorded when it is back."""
    tasks = [own_case.enqueue("LedgerOutput", {"seconds": 1}) for _ in range(4)]
    worker = own_case.start("--concurrency", "4")
    for task in tasks:
        own_case.started(task)
    connection.close()
    server.stop()
    gone_at = time.monotonic()
    wait_until(lambda: len(own_case.ledger.ends()) == 4, what="the ends during the outage")
    passes(2 * LEASE_SECONDS)
    lines = len(worker.output.splitlines())
    server.start()
    own_case.drained(seconds=BACK_SECONDS + MARGIN_SECONDS)
    assert worker.is_alive
    assert lines < 5 * (time.monotonic() - gone_at), worker.output
    assert set(own_case.ledger.starts().values()) == {1}
    assert set(QueuedTask.objects.values_list("status", "claim_seq")) == {("success", 1)}


def test_a_worker_outlives_a_server_that_is_read_only(own_case, server):
    """F28: as after a failover to a replica that is not yet the new primary."""
    own_case.start("--concurrency", "2", environment=server.plain_user())
    own_case.enqueue_many(100, "LedgerOutput", {"seconds": 0.05})
    wait_until(own_case.ledger.ends, what="the first end")
    set_read_only(is_on=True)
    passes(LEASE_SECONDS)
    set_read_only(is_on=False)
    own_case.drained(seconds=60)
    assert set(QueuedTask.objects.values_list("status", "claim_seq")) == {("success", 1)}


@locks_rows
def test_a_locked_table_only_delays(case):
    """F22: nobody gets at the table for longer than a lease."""
    tasks = [case.enqueue("LedgerOutput", {"seconds": 0.5}) for _ in range(3)]
    worker = case.start("--concurrency", "3")
    for task in tasks:
        case.started(task)
    with lock(LOCK_TABLE[connection.vendor]):
        passes(1.5 * LEASE_SECONDS)
    case.drained()
    assert worker.is_alive
    assert QueuedTask.objects.with_status("success").count() == 3


@locks_rows
def test_a_locked_row_holds_up_nobody_else(case):
    """F23: claims step over a row that somebody has locked, and so does the rescue."""
    held = case.enqueue("LedgerOutput", priority=100)
    others = case.enqueue_many(5, "LedgerOutput")
    statement = f"SELECT id FROM django_taskstore_queuedtask WHERE id = {held.pk} FOR UPDATE"
    with lock(statement) as let_go:
        case.start()
        wait_until(lambda: others <= set(case.ledger.ends()), seconds=20, what="the others")
        assert held.pk not in case.ledger.starts()
        let_go()
    assert case.ended(held).status == "success"


@locks_rows
@pytest.mark.long
def test_an_outcome_waits_for_a_locked_row(case):
    """F23: the row of a running task is locked for longer than its lease."""
    task = case.enqueue("LedgerOutput", {"seconds": 0.5})
    case.start()
    case.started(task)
    statement = f"SELECT id FROM django_taskstore_queuedtask WHERE id = {task.pk} FOR UPDATE"
    with lock(statement):
        passes(1.5 * LEASE_SECONDS)
    row = case.ended(task)
    assert (row.status, row.claim_seq) == ("success", 1)


@locks_rows
def test_one_locked_row_holds_up_no_other_outcome(case):
    """F23: fifty tasks end and land while somebody holds the row of one that has ended."""
    held = case.enqueue("LedgerOutput", {"seconds": 0.5})
    worker = case.start("--concurrency", "3")
    case.started(held)
    statement = f"SELECT id FROM django_taskstore_queuedtask WHERE id = {held.pk} FOR UPDATE"
    with lock(statement):
        case.start("elsewhere")  # It rescues, but does not claim.
        locked_at = time.monotonic()
        wait_until(lambda: held.pk in case.ledger.ends(), what="the end of the locked task")
        others = [case.enqueue("LedgerOutput", {"seconds": 0.05}) for _ in range(50)]
        slow = case.enqueue("LedgerOutput", {"seconds": 2 * LEASE_SECONDS})
        for task in others:
            row = case.ended(task, seconds=LEASE_SECONDS + MARGIN_SECONDS)
            assert (row.status, row.claim_seq, row.lost_count) == ("success", 1, 0)
        wait_until(
            lambda: time.monotonic() > locked_at + 2 * LEASE_SECONDS, what="two leases to pass"
        )
        assert QueuedTask.objects.get(pk=held.pk).status == "running"
        case.crew[1].stop()
    row = case.ended(held, seconds=MARGIN_SECONDS)
    assert (row.status, row.claim_seq, row.lost_count) == ("success", 1, 0)
    # Its lease was renewed all the while: the locked row costs no other its heartbeat.
    row = case.ended(slow)
    assert (row.status, row.claim_seq, row.lost_count) == ("success", 1, 0)
    assert worker.output.count("row_locked") == 1
    assert "lease_lost" not in worker.output
    assert "Traceback" not in worker.output


@locks_the_file
def test_a_busy_writer_only_delays(case):
    """F26: another process holds SQLite's one write lock again and again."""
    case.enqueue_many(100, "LedgerOutput")
    crew = [case.start("--concurrency", "2") for _ in range(3)]
    while QueuedTask.objects.exclude(status__in=FINAL).exists():
        with lock("BEGIN IMMEDIATE"):
            passes(0.5)
    assert all(worker.is_alive for worker in crew)
    assert set(QueuedTask.objects.values_list("status", "attempts")) == {("success", 1)}


LOCK_TABLE = {
    "postgresql": "LOCK TABLE django_taskstore_queuedtask IN ACCESS EXCLUSIVE MODE",
    "mysql": "LOCK TABLES django_taskstore_queuedtask WRITE",
}


def passes(seconds):
    """Let a fault last."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, seconds=seconds + 10)


def set_read_only(*, is_on):
    """Let the server refuse, or take, writes from every session that begins from now on."""
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"SET GLOBAL read_only = {int(is_on)}")
            return
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute(
            f"ALTER SYSTEM SET default_transaction_read_only = {'on' if is_on else 'off'}"
        )
        cursor.execute("SELECT pg_reload_conf()")
