"""Waking idle workers on PostgreSQL: after the commit, rarely, and never for a rollback."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction

from django_taskstore import enqueue, enqueue_many, notifier
from django_taskstore.notifier import CHANNEL
from django_taskstore.watchers import Listener
from tests.helpers import fresh, running, wait_for_threads, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _postgresql_only():
    if connection.vendor != "postgresql":
        pytest.skip("LISTEN and NOTIFY are PostgreSQL's; other databases are polled")
    notifier._last_sent.clear()


@pytest.fixture
def heard():
    """Listen on a connection of its own and collect the queues that were named."""
    names, listening = [], threading.Event()

    def hear(name):
        listening.set()
        if name:
            names.append(name)

    listener = Listener("default", hear)
    listener.start()
    assert listening.wait(10)
    yield names
    listener.stop()
    wait_for_threads("listener")


def probe():
    """Send a notice of our own: what came before it has been heard when it is heard."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, "probe"])


def test_a_committed_enqueue_wakes_its_queue(heard):
    enqueue("Noop", queue_name="emails")
    wait_until(lambda: heard == ["emails"], seconds=5)


def test_a_wake_up_waits_for_the_commit(heard):
    with transaction.atomic():
        enqueue("Noop", queue_name="emails")
    wait_until(lambda: heard == ["emails"], seconds=5)


def test_a_rolled_back_enqueue_wakes_nobody(heard):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        enqueue("Noop", queue_name="emails")
        1 / 0  # noqa: B018 - rolls back
    probe()
    wait_until(lambda: heard, seconds=5)
    assert heard == ["probe"]


def test_many_enqueues_wake_seldom(heard):
    for _ in range(50):
        enqueue("Noop", queue_name="emails")
    enqueue_many("Noop", [{}] * 50, queue_name="emails")
    probe()
    wait_until(lambda: "probe" in heard, seconds=5)
    assert 1 <= heard.count("emails") < 25


def test_the_setting_switches_it_off(heard, settings):
    settings.TASKSTORE = {"NOTIFY": False}
    enqueue("Noop", queue_name="emails")
    probe()
    wait_until(lambda: heard, seconds=5)
    assert heard == ["probe"]


def test_an_idle_worker_is_woken_long_before_its_poll():
    with running(poll_seconds=30.0) as runner:
        wait_until(lambda: runner._dispatcher.is_prepared)
        first = enqueue("Noop")
        wait_until(lambda: fresh(first).status == "success", seconds=10)
        began = time.monotonic()
        second = enqueue("Noop")
        wait_until(lambda: fresh(second).status == "success", seconds=10)
        assert time.monotonic() - began < 5


def test_the_last_of_a_burst_is_not_left_until_the_poll():
    """Its own wake-up is within the window and not sent: the worker looks once more."""
    with running(poll_seconds=30.0, concurrency=2) as runner:
        wait_until(lambda: runner._dispatcher.is_prepared)
        for _ in range(20):
            tasks = [enqueue("Noop") for _ in range(3)]
            wait_until(
                lambda tasks=tasks: {fresh(task).status for task in tasks} == {"success"},
                seconds=5,
                what="the whole burst",
            )


def test_a_listener_whose_connection_was_cut_comes_back(heard):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
        )
        assert cursor.fetchone()[0] >= 1

    def knock():
        probe()
        return "probe" in heard

    wait_until(knock, seconds=10)
