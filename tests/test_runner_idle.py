"""An idle runner is woken on every database: each test would take a minute by polling alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from django_taskstore import enqueue
from django_taskstore.database.servers import is_file
from django_taskstore.models import Queue
from django_taskstore.notifier import ANYTHING
from django_taskstore.watchers import FileWatcher
from tests.helpers import fresh, running, wait_for_threads, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

POLL_SECONDS = 60


@pytest.fixture
def idle():
    """Start a runner and wait until it has nothing to do."""
    enqueue("Noop")
    with running(poll_seconds=POLL_SECONDS, concurrency=2) as runner:
        wait_until(lambda: runner._dispatcher._exchange.found_nothing, seconds=20)
        yield runner


def has_ended(task):
    return lambda: fresh(task).status == "success"


def test_a_committed_task_starts_at_once(idle):
    with transaction.atomic():
        task = enqueue("Noop")
    wait_until(has_ended(task), seconds=20)


def test_a_delayed_task_starts_when_it_is_due(idle):
    task = enqueue("Noop", run_after=timedelta(seconds=0.5))
    assert fresh(task).status == "scheduled"
    wait_until(has_ended(task), seconds=20)


def test_a_retry_starts_when_it_is_due(idle):
    task = enqueue("RetryTwice")
    wait_until(has_ended(task), seconds=20)


def test_a_resumed_queue_is_worked_at_once(idle):
    queue = Queue.objects.get(name="default")
    queue.pause()
    wait_until(lambda: queue.name in idle._dispatcher._exchange._switches.paused, seconds=20)
    task = enqueue("Noop")
    assert fresh(task).status == "queued"
    queue.resume()
    wait_until(has_ended(task), seconds=20)


def test_a_restarted_task_starts_at_once(idle):
    task = enqueue("Failing", {"message": "boom"})
    wait_until(lambda: fresh(task).status == "failed", seconds=20)
    assert fresh(task).restart()
    wait_until(lambda: fresh(task).claim_seq == 2 and fresh(task).status == "failed", seconds=20)


def test_a_runner_whose_stop_is_requested_ends_at_once(idle):
    Queue.objects.get(name="default").request_stop()
    wait_until(lambda: not idle.is_running, seconds=20)


def test_the_files_of_a_database_are_watched():
    if not is_file("default"):
        pytest.skip("only SQLite keeps its rows in files of this machine")
    heard = []
    watcher = FileWatcher("default", heard.append, lambda: None)
    watcher.start()
    wait_until(lambda: heard, seconds=10)
    before = len(heard)
    enqueue("Noop")
    wait_until(lambda: len(heard) > before, seconds=10)
    assert set(heard) == {ANYTHING}
    watcher.stop()
    wait_for_threads("filewatcher")
