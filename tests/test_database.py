"""What the databases do differently: clocks, errors, transactions, columns, caches."""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.test.utils import CaptureQueriesContext

from django_taskstore import enqueue
from django_taskstore.database import hygiene, servers
from django_taskstore.database.clock import DatabaseNow, DueNow, after, read_now
from django_taskstore.database.committed import CommittedCache
from django_taskstore.database.errors import is_conflict, is_outage
from django_taskstore.database.expressions import Literal
from django_taskstore.database.transactions import repeat_on_conflict, writing
from django_taskstore.models import Queue, QueuedTask, TaskDefinition
from tests.helpers import fresh, in_threads

pytestmark = pytest.mark.django_db(transaction=True)


def on(vendor, reason):
    if connection.vendor != vendor:
        pytest.skip(reason)


def test_the_databases_time_is_aware_and_near():
    assert abs(read_now("default") - datetime.now(UTC)) < timedelta(seconds=10)
    assert read_now("default").utcoffset() == timedelta(0)


def written_now(task):
    QueuedTask.objects.filter(pk=task.pk).update(
        started_at=DatabaseNow(), lease_expires_at=after(timedelta(seconds=90))
    )
    return fresh(task)


def test_the_databases_time_is_stored_as_the_same_instant():
    stored = written_now(enqueue("Noop"))
    assert abs(stored.started_at - datetime.now(UTC)) < timedelta(seconds=10)
    gap = stored.lease_expires_at - stored.started_at
    assert abs(gap - timedelta(seconds=90)) < timedelta(milliseconds=10)


def test_what_is_due_now_is_due_in_the_same_moment():
    """SQLite compares texts: 12:00:00.123 sorts before 12:00:00.123000."""
    enqueue("Noop")
    moments = QueuedTask.objects.annotate(then=after(timedelta(0)))
    assert all(moments.filter(then__lte=DueNow()).exists() for _ in range(20))


@pytest.mark.parametrize("zone", ["+05:00", "-11:00"])
def test_the_servers_time_zone_does_not_move_a_lease(zone):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no session time zone")
    name = "time_zone" if connection.vendor == "mysql" else "TIME ZONE"
    sign = "=" if connection.vendor == "mysql" else ""
    task = enqueue("Noop")
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} {sign} '{zone}'")
    try:
        stored = written_now(task)
        now = read_now("default")
    finally:
        connection.close()
    assert abs(stored.started_at - datetime.now(UTC)) < timedelta(seconds=10)
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=10)


@pytest.mark.parametrize("word", ["", "two words", "x'", "ü", "a1", "--"])
def test_a_literal_is_a_plain_word_only(word):
    with pytest.raises(ValueError, match="takes a plain ASCII word"):
        Literal(word)


def test_names_compare_byte_for_byte():
    Queue.objects.create(name="Emails")
    Queue.objects.create(name="emails")
    assert Queue.objects.get(name="emails").name == "emails"
    TaskDefinition.objects.create(alias="case")
    assert TaskDefinition.objects.by_alias("CASE") is None
    TaskDefinition.objects.create(alias="CASE")
    with pytest.raises(IntegrityError), transaction.atomic():
        TaskDefinition.objects.create(alias="case")


def test_writing_takes_sqlites_write_lock_at_once():
    on("sqlite", "BEGIN IMMEDIATE is SQLite's")
    with CaptureQueriesContext(connection) as queries, writing("default"):
        pass
    assert queries[0]["sql"] == "BEGIN IMMEDIATE"
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        Queue.objects.count()
    assert queries[0]["sql"] == "BEGIN", "other transactions keep the project's own mode"


def held_while(work, row):
    """Do some work in a thread while another one has locked a row, on SQLite all."""
    held, done = threading.Event(), threading.Event()

    def hold():
        with writing("default"):
            Queue.objects.filter(pk=row.pk).update(paused_by="holder")
            held.set()
            assert done.wait(30)

    def meet():
        assert held.wait(30)
        try:
            return work()
        finally:
            done.set()

    return in_threads(hold, meet)[1]


def patience_ms(new=None):
    """Return how long this thread's connection waits for the write lock; change it before."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout" if new is None else f"PRAGMA busy_timeout = {new}")
        return cursor.fetchone()[0]


def test_writing_on_sqlite_waits_as_long_as_its_connection():
    on("sqlite", "only SQLite has one writer")

    def meet():
        patience_ms(50)
        with pytest.raises(OperationalError) as met, writing("default"):
            pass
        return met.value, patience_ms(), connection.in_atomic_block

    error, patience, is_open = held_while(meet, row=Queue.objects.create(name="locked"))
    assert is_conflict(error)
    assert (patience, is_open) == (50, False)


def test_a_writer_of_sqlite_looks_about_each_millisecond(monkeypatch):
    """SQLite's own waiting sleeps up to 0.1 s: of four busy workers one then went without."""
    on("sqlite", "only SQLite has one writer")
    pauses, sleep = [], time.sleep

    def nap(seconds):
        pauses.append(seconds)
        sleep(seconds)

    def meet():
        patience_ms(500)
        with pytest.raises(OperationalError), writing("default"):
            pass

    monkeypatch.setattr(time, "sleep", nap)
    held_while(meet, row=Queue.objects.create(name="locked"))
    assert len(pauses) >= 10
    assert max(pauses) <= 0.001


def test_writing_inside_a_transaction_is_a_savepoint():
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), writing("default"):
            Queue.objects.create(name="gone")
            1 / 0  # noqa: B018 - rolls back
        Queue.objects.create(name="kept")
    assert list(Queue.objects.values_list("name", flat=True)) == ["kept"]


def test_two_writers_who_read_first_both_succeed():
    """Under a deferred transaction SQLite would refuse one of them at once."""
    row = Queue.objects.create(name="shared", pause_reason="0")

    def add():
        def transact():
            with writing("default"):
                locked = Queue.objects.select_for_update().get(pk=row.pk)
                locked.pause_reason = str(int(locked.pause_reason) + 1)
                locked.save(update_fields=["pause_reason"])

        for _ in range(10):
            repeat_on_conflict("default", transact)

    in_threads(add, add, add)
    row.refresh_from_db()
    assert row.pause_reason == "30"


def conflict_of_this_database():
    """Provoke a lock conflict for real and return its exception."""
    row = Queue.objects.create(name="locked")
    return held_while(lambda: met(row.pk), row=row)


def met(pk):
    impatient = {
        "postgresql": "SET lock_timeout = '50ms'",
        "mysql": "SET innodb_lock_wait_timeout = 1",
        "sqlite": "PRAGMA busy_timeout = 50",
    }
    connections["default"].close()
    with connection.cursor() as cursor:
        cursor.execute(impatient[connection.vendor])
    try:
        Queue.objects.filter(pk=pk).update(paused_by="second")
    except OperationalError as error:
        return error
    return None


def test_a_lock_conflict_is_told_from_an_outage():
    error = conflict_of_this_database()
    assert error is not None
    assert is_conflict(error)
    assert not is_outage(error)


def test_a_statement_that_is_wrong_is_neither():
    with pytest.raises(IntegrityError) as wrong, transaction.atomic():
        Queue.objects.create(name="a")
        Queue.objects.create(name="a")
    assert not is_conflict(wrong.value)
    assert not is_outage(wrong.value)
    assert not is_outage(DataError("x"))
    assert not is_conflict(ValueError("database is locked"))


def test_a_broken_connection_is_an_outage():
    assert is_outage(OperationalError("server closed the connection"))
    assert is_outage(InterfaceError("connection already closed"))


def busy():
    error = OperationalError("database is locked")
    error.__cause__ = sqlite3.OperationalError("database is locked")
    error.__cause__.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
    return error


def test_a_conflict_is_run_again_and_anything_else_is_not():
    tries = []

    def third_time():
        tries.append(1)
        if len(tries) < 3:
            raise busy()
        return "done"

    assert repeat_on_conflict("default", third_time) == "done"
    assert len(tries) == 3

    def wrong():
        tries.append(1)
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        repeat_on_conflict("default", wrong)
    assert len(tries) == 4


def test_a_conflict_inside_the_callers_transaction_is_the_callers():
    tries = []

    def always():
        tries.append(1)
        raise busy()

    with pytest.raises(OperationalError), transaction.atomic():
        repeat_on_conflict("default", always)
    assert len(tries) == 1


def test_a_conflict_that_never_ends_reaches_the_caller():
    tries = []

    def always():
        tries.append(1)
        raise busy()

    with pytest.raises(OperationalError):
        repeat_on_conflict("default", always)
    assert len(tries) == 8


def test_a_real_deadlock_is_run_again():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time: no deadlock can be")
    first, second = Queue.objects.create(name="one"), Queue.objects.create(name="two")
    barrier = threading.Barrier(2)

    def cross(ours, theirs):
        tries = []

        def transact():
            with writing("default"):
                Queue.objects.filter(pk=ours).update(paused_by="x")
                if not tries:
                    tries.append(1)
                    barrier.wait(30)
                Queue.objects.filter(pk=theirs).update(paused_by="y")

        repeat_on_conflict("default", transact)
        return True

    assert in_threads(lambda: cross(first.pk, second.pk), lambda: cross(second.pk, first.pk)) == [
        True,
        True,
    ]


def test_a_fact_is_remembered_when_its_transaction_has_committed():
    cache = CommittedCache(60)
    with transaction.atomic():
        cache.put("default", "a", 1)
        assert cache.get("default", "a") is None
    assert cache.get("default", "a") == 1
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        cache.put("default", "b", 2)
        1 / 0  # noqa: B018 - rolls back
    assert cache.get("default", "b") is None
    assert cache.get("other", "a") is None
    cache.clear()
    assert cache.get("default", "a") is None


def test_a_fact_that_is_too_old_is_unknown():
    cache = CommittedCache(0)
    cache.put("default", "a", 1)
    assert cache.get("default", "a") is None


def test_this_database_is_new_enough_and_has_a_name():
    assert servers.too_old("default") is None
    name = servers.describe("default")
    assert name.split()[0] in ("PostgreSQL", "MariaDB", "MySQL", "SQLite")
    assert name.split()[1][0].isdigit()


@pytest.mark.parametrize(
    ("kind", "version", "is_well"),
    [
        ("postgresql", (14, 0), True),
        ("postgresql", (13, 9), False),
        ("mariadb", (10, 11, 2), True),
        ("mariadb", (10, 6), False),
        ("mysql", (8, 0, 14), True),
        ("mysql", (8, 0, 13), False),
        ("sqlite", (3, 35, 0), True),
        ("sqlite", (3, 34, 1), False),
        ("oracle", (23,), False),
    ],
)
def test_old_and_unknown_servers_are_named(monkeypatch, kind, version, is_well):
    monkeypatch.setattr(servers, "kind", lambda using: kind)
    monkeypatch.setattr(servers, "version", lambda using: version)
    problem = servers.too_old("default")
    assert (problem is None) == is_well
    if problem:
        assert "newer is needed" in problem or "runs on PostgreSQL, MySQL" in problem


def test_sqlite_outside_wal_mode_is_warned_about():
    if connection.vendor != "sqlite":
        assert servers.journal_warning("default") is None
        return
    assert servers.journal_warning("default") is None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=DELETE")
        try:
            warning = servers.journal_warning("default")
        finally:
            cursor.execute("PRAGMA journal_mode=WAL")
    assert "journal_mode=delete" in warning
    assert "init_command" in warning


def test_two_connections_of_one_alias_are_told_apart():
    """A copy that was opened beside the real one must not hide the transaction around a task."""
    other = connection.copy()
    with transaction.atomic():
        row = Queue.objects.create(name="kept")
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT 1")
            hygiene.tidy(hygiene.depths())
        finally:
            other.close()
        assert connection.in_atomic_block
        assert Queue.objects.filter(pk=row.pk).exists()
