"""An idle worker on MariaDB lets the server look: what it hears of, what it costs, what ends it."""

from __future__ import annotations

import time

import pytest
from django.db import connection, connections, transaction

from django_taskstore import enqueue, enqueue_many
from django_taskstore.claims import seeking
from django_taskstore.database.servers import kind
from django_taskstore.models import Queue, QueuedTask, TaskDefinition
from django_taskstore.watchers import Lookout, Sought, lookout, watch
from django_taskstore.watchers.lookout import LONGEST_SECONDS, SHORTEST_SECONDS
from tests.helpers import add_task, running, wait_for_threads, wait_until, work_until_empty
from tests.plans import explained, fill

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _mariadb_only():
    if kind("default") != "mariadb":
        pytest.skip("only MariaDB has blocks that look on the server")


@pytest.fixture
def heard():
    """Collect the queues that a lookout has named."""
    return []


@pytest.fixture
def answers(monkeypatch):
    """Collect what the server has answered."""
    given, ask = [], lookout.answer

    def answer(*args, **options):
        given.append(ask(*args, **options))
        return given[-1]

    monkeypatch.setattr(lookout, "answer", answer)
    return given


@pytest.fixture
def looking(heard):
    """Start a lookout; it ends with the test."""
    one = Lookout("default", heard.append, lambda: None)
    one.start()
    wait_until(lambda: one.is_watching, what="the lookout")
    yield one
    one.stop()
    wait_for_threads("lookout")


def sought(*queues, without=()):
    return Sought.among(queues, without)


def sessions_that_look():
    """Return the sessions in which the server looks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM information_schema.PROCESSLIST WHERE db = DATABASE() "
            "AND (state = 'User sleep' OR info LIKE 'BEGIN NOT ATOMIC%%')"
        )
        return [one for (one,) in cursor.fetchall()]


def test_a_committed_task_is_heard(looking, heard):
    looking.seek(sought("emails", "default"))
    wait_until(sessions_that_look, what="a look")
    with transaction.atomic():
        enqueue("Noop", queue_name="emails")
        assert heard == []
    wait_until(lambda: heard == ["default"], seconds=10, what="one of the queues")


def test_what_was_there_before_it_looked_is_heard_too(looking, heard):
    enqueue("Noop")
    looking.seek(sought("default"))
    wait_until(lambda: heard == ["default"], seconds=10)


def test_what_the_worker_cannot_claim_is_not_heard(answers, looking, heard):
    enqueue("Noop", queue_name="reports")
    add_task("Gone")
    add_task(status="paused")
    gone = TaskDefinition.objects.get(alias="Gone").pk
    looking.seek(sought("default", "emails", without=[gone]))
    wait_until(lambda: len(answers) >= 2, seconds=10, what="two answers")
    assert (heard, any(answers)) == ([], False)
    enqueue("Noop", queue_name="emails")
    wait_until(lambda: heard, seconds=10)


def test_nothing_is_looked_for_while_nothing_is_sought(looking, heard):
    looking.seek(sought("default"))
    wait_until(sessions_that_look, what="a look")
    looking.seek(None)
    wait_until(lambda: not sessions_that_look(), seconds=10, what="the end of the look")
    enqueue("Noop")
    assert (heard, sessions_that_look()) == ([], [])
    looking.seek(sought("default"))
    wait_until(lambda: heard == ["default"], seconds=10)


def test_what_is_locked_by_somebody_is_not_looked_for_without_a_pause(heard):
    """Its worker finds nothing to claim, and seeks it again: as often as by looking itself."""
    enqueue("Noop")
    place = sought("default")

    def seek_again(name):
        heard.append(name)
        one.seek(place)

    one = Lookout("default", seek_again, lambda: None)
    one.start()
    one.seek(place)
    began = time.monotonic()
    wait_until(lambda: len(heard) >= 6, seconds=20)
    taken = time.monotonic() - began
    one.stop()
    wait_for_threads("lookout")
    assert taken >= SHORTEST_SECONDS + 5 * LONGEST_SECONDS


@pytest.fixture
def _long_looks(monkeypatch):
    """Let one statement look for so long that all of a test happens meanwhile."""
    monkeypatch.setattr(lookout, "BLOCK", lookout.BLOCK.replace("{answer}", "20"))
    lookout.block.cache_clear()
    yield
    lookout.block.cache_clear()


def old_snapshots():
    """Return the sessions of this database whose transaction is older than a second."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id FROM information_schema.INNODB_TRX t "
            "JOIN information_schema.PROCESSLIST p ON p.id = t.trx_mysql_thread_id "
            "WHERE p.db = DATABASE() AND t.trx_started < NOW() - INTERVAL 1 SECOND"
        )
        return [one for (one,) in cursor.fetchall()]


@pytest.mark.usefixtures("_long_looks")
def test_a_look_keeps_no_snapshot(looking, heard):
    """One that is kept makes every claim stop at what was claimed since, and sees nothing new."""
    looking.seek(sought("default"))
    (looks,) = wait_until(sessions_that_look, what="a look")
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute("SELECT COUNT(*) FROM django_taskstore_queuedtask")
            found = wait_until(old_snapshots, seconds=15, what="a snapshot that is kept")
    finally:
        other.close()
    assert looks not in found
    assert sessions_that_look() == [looks]
    enqueue("Noop")
    wait_until(lambda: heard, seconds=5, what="what was committed while it looked")


def test_a_look_walks_the_claim_index_and_reads_no_finished_row():
    fill("success", 5_000)
    enqueue_many("Noop", [{}] * 20, queue_name="emails")
    look = seeking(("default", "emails"), frozenset(), "default")
    (row,) = explained(look.sql, look.params)
    assert "taskstore_claim" in map(str, row)
    assert int(row[-2]) < 100


def test_a_lookout_whose_session_was_killed_comes_back(looking, heard):
    looking.seek(sought("default"))
    for session in wait_until(sessions_that_look, what="a look"):
        with connection.cursor() as cursor:
            cursor.execute(f"KILL {session}")
    wait_until(lambda: not looking.is_watching, what="the loss")
    enqueue("Noop")
    wait_until(lambda: heard, seconds=20)
    assert looking.is_watching


def test_a_server_without_such_blocks_is_left_to_polling(monkeypatch, heard):
    monkeypatch.setattr(lookout, "kind", lambda _using: "mysql")
    with running(poll_seconds=60.0) as runner:
        watcher = wait_until(lambda: runner._dispatcher.vigil.watcher)
        enqueue_many("Noop", [{}] * 3)
        wait_until(lambda: QueuedTask.objects.filter(status="success").count() == 3)
        assert watcher.is_alive()
        assert not watcher.is_watching
    wait_for_threads("lookout")


def test_the_setting_switches_it_off(settings):
    settings.TASKSTORE = {"NOTIFY": False}
    assert watch("default", lambda _name: None, lambda: None) is None
    enqueue("Noop")
    work_until_empty("default")
    assert QueuedTask.objects.get().status == "success"


def test_a_paused_queue_is_not_looked_at():
    """All of its queues being paused, a worker seeks nothing."""
    enqueue("Noop")
    with running(poll_seconds=60.0) as runner:
        wait_until(lambda: QueuedTask.objects.filter(status="success").exists())
        wait_until(sessions_that_look, what="a look")
        Queue.objects.get(name="default").pause()
        wait_until(lambda: runner._dispatcher._exchange.sought is None, what="the pause")
        enqueue("Noop")
        wait_until(lambda: not sessions_that_look(), seconds=10, what="the end of the look")
    assert QueuedTask.objects.filter(status="queued").count() == 1
