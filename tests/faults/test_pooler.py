"""A pooler in transaction mode between workers and PostgreSQL: they poll, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import time

import pytest
from django.conf import settings
from django.db import connection

from django_taskstore.models import QueuedTask
from tests.faults.harness.pooler import PROGRAM, Pooler
from tests.faults.harness.servers import connected_through
from tests.faults.harness.workers import LEASE_SECONDS, MARGIN_SECONDS
from tests.helpers import wait_until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(settings.BACKEND != "postgresql", reason="PgBouncer is PostgreSQL's"),
]

#: The longest sleep of these workers: who is not woken and does not know it sleeps so long.
POLL = ("--unstuck-minutes", "0.05", "--interval", "30")


@pytest.fixture
def pooler(case, tmp_path):
    """PgBouncer before the test's database."""
    if not Pooler.is_installed():
        if os.environ.get("CI"):
            pytest.fail(f"{PROGRAM} is not installed")
        pytest.skip(f"{PROGRAM} is not installed")
    one = Pooler(tmp_path, connection.settings_dict)
    yield one
    case.stop()
    case.end()
    one.stop()


def test_a_worker_behind_a_pooler_notices_and_polls(case, pooler):
    """F50: LISTEN is accepted there and nothing is ever heard; the worker finds out."""
    worker = case.start("--concurrency", "2", port=pooler.port, lease=POLL)
    wait_until(lambda: "notify_unheard" in worker.output, what="the word about the pooler")
    case.ended(case.enqueue("LedgerOutput"))
    with connected_through(pooler):
        for _ in range(3):
            asked_at = time.monotonic()
            assert case.ended(case.enqueue("LedgerOutput")).status == "success"
            assert time.monotonic() - asked_at < MARGIN_SECONDS
    assert worker.output.count("notify_unheard") == 1
    assert worker.stop() == 0


def test_a_worker_without_a_pooler_hears_itself(case):
    worker = case.start()
    case.ended(case.enqueue("LedgerOutput"))
    assert worker.stop() == 0
    assert "notify_unheard" not in worker.output


def test_a_workers_limits_do_not_leak_into_the_pool(case, pooler):
    """F50: a SET of one session would stay with the server's connection, for anybody."""
    case.start("--concurrency", "2", port=pooler.port)
    case.enqueue_many(20, "LedgerOutput")
    case.drained()
    import psycopg

    place = {"host": "127.0.0.1", "user": "postgres", "dbname": connection.settings_dict["NAME"]}
    with contextlib.ExitStack() as stack:
        for _ in range(8):  # Each in a transaction, so that each has another of the pool.
            one = stack.enter_context(psycopg.connect(port=pooler.port, **place))
            assert one.execute("SHOW lock_timeout").fetchone() == ("0",)
            assert one.execute("SHOW statement_timeout").fetchone() == ("0",)


@pytest.mark.long
def test_workers_behind_a_pooler_may_die_anywhere(case, pooler):
    """F1, F3 to F5, F50: at the claim, at the outcome, in the middle."""
    points = ["claim.after", "outcome.before", "outcome.after"]
    tasks = {point: case.enqueue("LedgerOutput", queue_name=point) for point in points}
    doomed = [case.launch(point, failpoint=point, port=pooler.port) for point in points]
    for worker in doomed:
        assert worker.wait(seconds=60) == -9, worker.output
    killed = case.enqueue("LedgerOutput", {"seconds": 2})
    victim = case.start(port=pooler.port)
    case.started(killed)
    victim.kill()
    case.start("*", "--concurrency", "4", port=pooler.port)
    assert case.ended(killed, seconds=2 * LEASE_SECONDS + 2 * MARGIN_SECONDS).attempts == 1
    case.drained()
    assert set(QueuedTask.objects.values_list("status", flat=True)) == {"success"}
    starts = case.ledger.starts()
    assert {point: starts[task.pk] for point, task in tasks.items()} == {
        "claim.after": 1,
        "outcome.before": 2,
        "outcome.after": 1,
    }
