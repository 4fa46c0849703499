"""What a handler leaves behind does not reach the task after it."""

from __future__ import annotations

import time

import pytest
from django.conf import settings
from django.db import connection

from tests.helpers import wait_until

pytestmark = [pytest.mark.faults]

WAYS = ["atomic", "set", "zone", "autocommit"]


@pytest.mark.parametrize("in_order", [WAYS, WAYS[::-1]], ids=["forth", "back"])
def test_the_next_task_on_the_thread_finds_it_clean(case, in_order):
    """F45: one thread, so that each task follows the one that leaks."""
    first = case.enqueue("Clean")
    pairs = [(case.enqueue("Untidy", {"how": how}), case.enqueue("Clean")) for how in in_order]
    worker = case.start("--concurrency", "1")
    expected = case.ended(first).output
    assert expected["zone"] == settings.TIME_ZONE
    for how, (untidy, clean) in zip(in_order, pairs, strict=True):
        assert case.ended(untidy).status == "success", how
        row = case.ended(clean)
        assert (row.status, row.output) == ("success", expected), how
    assert worker.stop() == 0


@pytest.mark.skipif(settings.BACKEND == "sqlite", reason="nobody can close another's file")
def test_a_connection_that_died_over_night_costs_no_attempt(case):
    """A thread that has idled looks whether its connection still works."""
    case.start("--concurrency", "1")
    case.ended(case.enqueue("Clean"))
    until = time.monotonic() + 2.5
    wait_until(lambda: time.monotonic() > until, what="the night")
    end_other_connections()
    row = case.ended(case.enqueue("Clean"))
    assert (row.status, row.attempts) == ("success", 1)


def end_other_connections():
    """Close all connections to this database but our own, as an administrator would."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return
        cursor.execute(
            "SELECT id FROM information_schema.processlist "
            "WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        )
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {number}")
