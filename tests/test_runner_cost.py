"""What a runner costs: sessions while it works, statements while it idles."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from django.db import connection
from django.db.backends.signals import connection_created

from django_taskstore import TaskHandler, enqueue_many
from django_taskstore.models import Queue, QueuedTask
from django_taskstore.scheduler import ScheduleRunner
from tests.helpers import running, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@contextlib.contextmanager
def sessions():
    """Collect the names of the threads that opened a session."""
    opened = []

    def keep(**_):
        opened.append(threading.current_thread().name)

    connection_created.connect(keep)
    try:
        yield opened
    finally:
        connection_created.disconnect(keep)


def test_a_handler_that_reads_a_row_does_not_connect_for_each_task(add_handler):
    class Reads(TaskHandler):
        def handle(self):
            assert Queue.objects.filter(name="default").exists()

    assert connection.settings_dict["CONN_MAX_AGE"] == 0
    add_handler(Reads)
    enqueue_many("Reads", [{}] * 300)
    with sessions() as opened, running(concurrency=4):
        wait_until(lambda: QueuedTask.objects.filter(status="success").count() == 300)
    assert any(name.startswith("taskstore-handler") for name in opened)
    assert len([name for name in opened if name.startswith("taskstore-")]) <= 4 + 3, opened


@contextlib.contextmanager
def statements():
    """Collect the SQL that is sent over each connection that is opened from now on."""
    sent = []

    def send(execute, sql, *rest):
        sent.append(sql)
        return execute(sql, *rest)

    def keep(*, connection, **_):
        connection.execute_wrappers.append(send)

    connection_created.connect(keep)
    try:
        yield sent
    finally:
        connection_created.disconnect(keep)


def beats(sent):
    """Return the statements by which a worker says that it lives."""
    return [sql for sql in sent if sql.startswith("UPDATE") and "heartbeat_at" in sql]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the others have to look")
def test_an_idle_worker_sends_no_more_than_a_statement_a_second():
    schedules = ScheduleRunner()
    with statements() as sent, running(poll_seconds=None):
        schedules.start()
        wait_until(lambda: len(beats(sent)) == 2, what="the dispatcher's beat and the first one")
        before, began = len(sent), time.monotonic()
        wait_until(lambda: len(beats(sent)) == 4, seconds=90, what="two beats")
        found, seconds = sent[before:], time.monotonic() - began
        schedules.stop()
    # The looks of three threads do not come in step with the beats.
    assert len(found) <= seconds + 5, found
