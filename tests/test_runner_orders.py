"""What a runner does beside its tasks: it counts what ended, and does what operators ask of it."""

from __future__ import annotations

import platform
import uuid
from collections import Counter
from datetime import timedelta

import django
import pytest
from django.test import override_settings
from django.utils import timezone

from django_taskstore import (
    TaskQueueRunner,
    __version__,
    enqueue,
    enqueue_many,
    purging,
    rollups,
)
from django_taskstore.database.servers import describe
from django_taskstore.models import TaskStat, Worker
from django_taskstore.runner import identity as identity_module
from django_taskstore.runner.heartbeat import Load, announce, appear
from django_taskstore.runner.identity import PAGES, Identity, memory_bytes
from django_taskstore.statuses import Ending
from tests.helpers import fresh, running, wait_until, work_until_empty

pytestmark = pytest.mark.django_db(transaction=True)

QUICK = override_settings(TASKSTORE={"HEARTBEAT_SECONDS": 0.1, "LEASE_SECONDS": 30})


def counted():
    """Return what was counted today."""
    day_ago = {TaskStat.Span.DAY: timezone.now() - timedelta(days=2)}
    return rollups.read("default", day_ago, "queue_name")


def test_a_runner_counts_what_ended_and_adds_it_before_it_ends():
    enqueue_many("Noop", [{}] * 20)
    enqueue("Failing", {})
    enqueue_many("Noop", [{}] * 5, queue_name="emails")

    work_until_empty("*")

    counts = counted()
    default = counts["default",]
    assert (default.succeeded, default.failed) == (20, 1)
    assert default.run.total == default.wait.total == 21
    assert counts["emails",].succeeded == 5


def test_a_retry_is_counted_as_one():
    enqueue("RetryTwice", {})

    work_until_empty()

    assert (counted()["default",].retried, counted()["default",].succeeded) == (2, 1)


def test_an_atomic_task_is_counted_too():
    enqueue("AtomicEffect", {})

    work_until_empty()

    assert counted()["default",].succeeded == 1


def test_a_running_worker_adds_its_counts_now_and_then(monkeypatch):
    monkeypatch.setattr(rollups.recording, "FLUSH_SECONDS", 0.2)
    enqueue("Noop", {})

    with QUICK, running():
        wait_until(TaskStat.objects.exists, what="the first counts")


def test_one_round_by_hand_writes_no_counts_at_once():
    enqueue("Noop", {})
    runner = TaskQueueRunner()
    runner.run_once()

    assert not TaskStat.objects.exists()


def test_a_quiet_worker_claims_nothing_more_and_stays():
    with QUICK, running() as runner:
        row = wait_until(Worker.objects.first, what="the worker's row")
        assert row.request_quiet()
        wait_until(lambda: runner._dispatcher._is_quiet, what="the worker to hear of it")
        task = enqueue("Noop", {})
        seen = Worker.objects.get().heartbeat_at
        wait_until(lambda: Worker.objects.get().heartbeat_at > seen, what="another heartbeat")
        assert runner.is_running
        assert fresh(task).status == "queued"
        Worker.objects.update(quiet_requested_at=None)
        wait_until(lambda: fresh(task).status == "success", what="the task after the quiet")


def test_a_worker_says_what_it_runs_and_did():
    enqueue_many("Noop", [{}] * 3)
    enqueue("RetryTwice")
    settings = {"HEARTBEAT_SECONDS": 0.1, "LEASE_SECONDS": 30, "REVISION": "abc123"}
    with override_settings(TASKSTORE=settings), running(lease_seconds=40, poll_seconds=2):
        wait_until(lambda: Worker.objects.filter(succeeded=4, failed=2).exists(), what="a count")
        worker = Worker.objects.get()

    assert (worker.version, worker.revision) == (__version__, "abc123")
    assert worker.facts == {
        "lease_seconds": 40,
        "poll_seconds": 2,
        "python": platform.python_version(),
        "django": django.get_version(),
        "database": describe("default"),
    }
    if PAGES.exists():
        assert 2**20 < worker.memory_bytes < 2**34


def test_a_beat_is_as_many_statements_as_it_was(django_assert_num_queries):
    identity = Identity(uuid.uuid4(), ("default",), 4, "default")
    appear(identity)
    load = Load(running=2, ended=Counter({Ending.SUCCEEDED: 7, Ending.LOST: 1}))

    with django_assert_num_queries(2):
        announce(identity, load)

    worker = Worker.objects.get()
    assert (worker.running, worker.succeeded, worker.failed) == (2, 7, 1)


def test_a_worker_whose_row_was_forgotten_writes_it_again():
    identity = Identity(uuid.uuid4(), ("default",), 4, "default")
    appear(identity)
    Worker.objects.get().forget(silent_since=timezone.now() + timedelta(hours=1))
    assert not Worker.objects.exists()

    announce(identity, Load(running=1))

    assert Worker.objects.get().version == __version__


def test_a_system_that_does_not_count_memory_says_nothing_of_it(monkeypatch, tmp_path):
    monkeypatch.setattr(identity_module, "PAGES", tmp_path / "missing")

    assert memory_bytes() is None


@pytest.mark.usefixtures("ledger")
def test_a_worker_asked_to_stop_finishes_and_ends():
    with QUICK, running() as runner:
        task = enqueue("Ledger", {"seconds": 0.5})
        wait_until(lambda: fresh(task).status == "running", what="the task to start")
        row = wait_until(Worker.objects.first, what="the worker's row")
        row.request_stop()
        wait_until(lambda: not runner.is_running, what="the runner's end")

    assert fresh(task).status == "success"
    assert not Worker.objects.exists()


def test_the_row_of_a_lost_worker_goes_after_a_day():
    now = timezone.now()
    for hours in (1, 30):
        silent = now - timedelta(hours=hours)
        Worker.objects.create(
            host=f"h{hours}", pid=1, concurrency=1, started_at=silent, heartbeat_at=silent
        )

    purging.tidy_up("default", budget_seconds=1)

    assert [worker.host for worker in Worker.objects.all()] == ["h1"]
