"""What a snapshot counts, how exactly, what it warns of, and that it stays cheap."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore import enqueue, enqueue_many, switchboard
from django_taskstore.database import samples
from django_taskstore.models import Queue, QueuedTask, TaskAttempt, TaskDefinition, Worker
from django_taskstore.statistics import Tally, as_json, counts, snapshot, waiting
from tests.helpers import add_failed, add_task, add_worker, running, wait_until, work_until_empty

pytestmark = pytest.mark.django_db(transaction=True)


def queue(name):
    """Make a queue."""
    switchboard.ensure(name, "default")
    return Queue.objects.get(name=name)


def ago(**delta):
    """Return a time in the past."""
    return timezone.now() - timedelta(**delta)


def state(name, names=None):
    """Return one queue of a snapshot."""
    return next(one for one in snapshot("default", names).queues if one.name == name)


def codes(seen):
    """Return code and queue of each warning."""
    return [(warning.code, warning.queue) for warning in seen.warnings]


def test_nothing_at_all():
    seen = snapshot("default")
    assert (seen.queues, seen.workers, seen.warnings) == ((), (), ())
    assert set(map(str, seen.totals.values())) == {"0"}
    assert abs((seen.time - timezone.now()).total_seconds()) < 60


def test_each_status_is_counted_on_its_queue():
    queue("emails"), queue("Emails"), queue("empty")
    wanted = {"queued": 4, "scheduled": 3, "paused": 2, "running": 1}
    for status, number in wanted.items():
        for _ in range(number):
            add_task(queue_name="emails", status=status, lease_expires_at=ago(hours=-1))
    add_task(queue_name="Emails", status="queued")
    add_task(queue_name="emails", status="success")
    add_task(queue_name="emails", status="canceled")
    for _ in range(5):
        add_failed()
    seen = {one.name: one for one in snapshot("default").queues}
    emails = seen["emails"]
    assert (emails.queued, emails.scheduled, emails.running, emails.expired) == (4, 3, 1, 0)
    assert (emails.paused, emails.failed) == (Tally(2), Tally(5))
    assert seen["Emails"].queued == 1
    assert (seen["empty"].queued, seen["empty"].failed) == (0, Tally(0))
    assert seen["empty"].oldest_wait_seconds is None
    totals = {name: str(tally) for name, tally in snapshot("default").totals.items()}
    assert totals == {"queued": "5", "scheduled": "3", "paused": "2", "running": "1", "failed": "5"}


def test_only_the_named_queues_are_read():
    queue("emails"), queue("reports")
    add_task(queue_name="reports")
    seen = snapshot("default", ["emails", "nowhere"])
    assert [one.name for one in seen.queues] == ["emails"]
    assert seen.totals["queued"] == Tally(0)
    assert seen.warnings == ()


def test_the_oldest_is_the_one_that_waits_longest():
    queue("emails")
    add_task(queue_name="emails", run_after=ago(minutes=5), priority=-100)
    add_task(queue_name="emails", run_after=ago(minutes=1), priority=100)
    add_task(queue_name="emails", run_after=ago(hours=9), status="success")
    add_task(queue_name="emails", run_after=ago(hours=-1), status="scheduled")
    assert 295 < state("emails").oldest_wait_seconds < 330


def test_a_due_task_that_nobody_has_queued_yet_waits_too():
    queue("emails")
    add_task(queue_name="emails", run_after=ago(hours=1), status="scheduled")
    add_task(queue_name="emails", run_after=ago(hours=-1), status="scheduled")
    emails = state("emails")
    assert (emails.scheduled, emails.due, emails.backlog) == (2, 1, 1)
    assert 3590 < emails.oldest_wait_seconds < 3630
    assert codes(snapshot("default")) == [("no_worker", "emails")]


def test_a_future_clock_of_an_enqueuer_gives_no_negative_age():
    queue("emails")
    add_task(queue_name="emails", run_after=ago(minutes=-3))
    assert state("emails").oldest_wait_seconds == 0.0


def test_failures_of_real_runs_are_counted_once():
    enqueue_many("SayNo", [{}, {}], queue_name="emails")
    enqueue("RetryTwice", queue_name="emails")
    enqueue("Noop", queue_name="emails")
    work_until_empty("emails")
    assert state("emails").failed == Tally(2)
    QueuedTask.objects.with_status("failed").restart()
    assert state("emails").failed == Tally(0)
    work_until_empty("emails")
    assert TaskAttempt.objects.filter(outcome="failed").count() == 4
    assert state("emails").failed == Tally(2)
    QueuedTask.objects.with_status("failed").soft_delete()
    assert state("emails").failed == Tally(0)


def test_beyond_their_bound_counts_say_that_there_may_be_more(monkeypatch):
    queue("emails")
    monkeypatch.setattr(counts, "FAILED_AMONG", 3)
    monkeypatch.setattr(counts, "PAUSED_AMONG", 5)
    for _ in range(3):
        add_failed()
    assert state("emails").failed == Tally(3)
    for _ in range(3):
        add_task(queue_name="emails", status="paused")
    add_failed()
    emails = state("emails")
    assert emails.failed == Tally(3, exact=False)
    assert emails.paused == Tally(3, exact=False)
    assert str(emails.failed) == "3+"
    assert str(snapshot("default").totals["failed"]) == "3+"


def test_a_live_worker_serves_its_queues():
    queue("emails"), queue("reports")
    add_worker("emails", running=2, heartbeat_at=ago(seconds=5))
    add_worker("*")
    seen = snapshot("default")
    assert {one.name: one.workers for one in seen.queues} == {"emails": 2, "reports": 1}
    mine = next(worker for worker in seen.workers if worker.running)
    assert (mine.name, mine.concurrency, mine.queues) == ("web01:7", 8, ("emails",))
    assert 4 < mine.heartbeat_age_seconds < 30


def test_a_silent_worker_does_not_count(settings):
    queue("emails")
    add_worker("emails", heartbeat_at=ago(seconds=70))
    assert state("emails").workers == 0
    assert snapshot("default").workers == ()
    settings.TASKSTORE = {"HEARTBEAT_SECONDS": 50, "LEASE_SECONDS": 200}
    assert state("emails").workers == 1


def test_a_worker_that_was_asked_to_leave_a_queue_does_not_count():
    emails = queue("emails")
    worker = add_worker("emails", started_at=ago(minutes=5))
    emails.request_stop()
    assert state("emails").workers == 0
    Worker.objects.filter(pk=worker.pk).update(started_at=ago(minutes=-1))
    assert state("emails").workers == 1


def test_a_real_runner_is_seen():
    queue("emails")
    with running("emails", concurrency=3):
        wait_until(lambda: state("emails").workers == 1, what="the worker's row")
        (worker,) = snapshot("default").workers
        assert (worker.host, worker.pid) == (socket.gethostname(), os.getpid())
        assert worker.concurrency == 3
    assert state("emails").workers == 0


def test_workers_on_other_code_than_the_newest_are_warned_of():
    add_worker("emails", pid=1, version="1.0", revision="old", started_at=ago(minutes=9))
    add_worker("emails", pid=2, version="1.0", revision="new", started_at=ago(minutes=5))
    add_worker("emails", pid=3, version="0.9", revision="new", started_at=ago(minutes=7))
    (warning,) = snapshot("default").warnings
    assert (warning.code, warning.queue) == ("version_skew", None)
    assert warning.text == (
        "2 workers run other code than the newest, web01:2 (1.0 new): web01:1, web01:3. "
        "Restart them, or finish the deploy."
    )
    assert warning.since == Worker.objects.get(pid=2).started_at


def test_many_workers_on_other_code_are_not_all_named():
    for pid in range(1, 8):
        add_worker("emails", pid=pid, version="1.0", started_at=ago(minutes=20 - pid))
    add_worker("emails", pid=9, version="1.1", started_at=ago(minutes=1))
    (warning,) = snapshot("default").warnings
    assert "7 workers" in warning.text
    assert "web01:5, …" in warning.text


@pytest.mark.parametrize(
    "second", [{"version": "1.0", "revision": "a"}, {"version": "2", "silent": 70}]
)
def test_workers_on_the_same_code_and_silent_ones_are_not_warned_of(second):
    silent = second.pop("silent", 0)
    add_worker("emails", version="1.0", revision="a", started_at=ago(minutes=9))
    add_worker("emails", pid=8, heartbeat_at=ago(seconds=silent), **second)
    assert codes(snapshot("default")) == []


def test_a_backlog_without_worker_is_warned_of():
    queue("emails")
    add_task(queue_name="emails", run_after=ago(minutes=5))
    seen = snapshot("default")
    (warning,) = seen.warnings
    assert (warning.code, warning.queue) == ("no_worker", "emails")
    assert warning.since == seen.queues[0].oldest_since
    assert "1 task waits on emails and no worker serves it" in warning.text
    add_worker("emails")
    assert snapshot("default").warnings == ()


def test_a_paused_queue_with_a_backlog_is_warned_of():
    emails = queue("emails")
    emails.pause(by="ana", reason="SMTP outage")
    assert snapshot("default").warnings == ()
    add_task(queue_name="emails")
    (warning,) = snapshot("default").warnings
    assert (warning.code, warning.queue) == ("paused_with_backlog", "emails")
    assert "paused by ana: SMTP outage" in warning.text
    assert warning.since == emails.paused_at


def test_expired_leases_are_warned_of():
    queue("emails")
    add_task(queue_name="emails", status="running", lease_expires_at=ago(hours=-1))
    add_task(queue_name="emails", status="running", lease_expires_at=ago(minutes=1))
    seen = snapshot("default")
    assert (seen.queues[0].running, seen.queues[0].expired) == (2, 1)
    assert codes(seen) == [("expired_leases", "emails")]


def test_waiting_tasks_without_a_handler_are_warned_of(monkeypatch):
    queue("emails")
    add_worker("emails")
    TaskDefinition.objects.create(alias="Idle")
    add_task("Gone", queue_name="emails", status="success")
    assert snapshot("default").warnings == ()
    add_task("Gone", queue_name="emails")
    add_task("Gone", queue_name="emails", status="scheduled", run_after=ago(hours=-1))
    add_task("Noop", queue_name="emails")
    seen = snapshot("default")
    assert seen.strangers == {"Gone": Tally(2)}
    assert codes(seen) == [("no_handler", None)]
    assert "2 waiting tasks of Gone have no handler" in seen.warnings[0].text
    monkeypatch.setattr(waiting, "STRANGERS_AMONG", 1)
    assert not snapshot("default").strangers["Gone"].exact


def test_a_crowd_is_counted_up_to_a_bound_queue_by_queue(monkeypatch):
    monkeypatch.setattr(waiting, "MOST_WAITING", 3)
    queue("emails"), queue("few"), queue("later")
    for minutes in (1, 2, 3, 4):
        add_task(queue_name="emails", status="queued", run_after=ago(minutes=minutes))
        add_task(queue_name="later", status="scheduled", run_after=ago(minutes=-minutes))
    add_task(queue_name="later", status="scheduled", run_after=ago(minutes=9))
    add_task(queue_name="few", status="queued", run_after=ago(minutes=7))
    add_task(queue_name="few", status="running", lease_expires_at=ago(hours=-1))
    seen = snapshot("default")
    shown = {
        one.name: (f"{one.queued}", f"{one.scheduled:,}", f"{one.due}", f"{one.backlog:,}")
        for one in seen.queues
    }
    assert shown == {
        "emails": ("3+", "0+", "0", "3+"),
        "few": ("1", "0+", "0", "1"),
        "later": ("0", "3+", "1", "1"),
    }
    assert (str(seen.totals["queued"]), str(seen.totals["scheduled"])) == ("4+", "3+")
    emails, few, _ = seen.queues
    assert few.running == 1
    assert 60 <= emails.oldest_wait_seconds < 300
    assert 420 <= few.oldest_wait_seconds < 480
    assert "3+ tasks wait on emails" in str([warning.text for warning in seen.warnings])
    facts = {one["name"]: one for one in as_json(seen)["queues"]}
    assert (facts["emails"]["queued"], facts["emails"]["waiting_exact"]) == (3, False)
    assert (facts["few"]["queued"], facts["few"]["waiting_exact"]) == (1, False)
    assert facts["later"]["waiting_exact"] is False


def test_below_the_bound_every_count_is_exact(monkeypatch):
    monkeypatch.setattr(waiting, "MOST_WAITING", 4)
    queue("emails")
    for _ in range(3):
        add_task(queue_name="emails")
        add_task(queue_name="emails", status="scheduled", run_after=ago(hours=-1))
    totals = snapshot("default").totals
    assert (str(totals["queued"]), str(totals["scheduled"])) == ("3", "3")


def test_more_due_tasks_than_are_counted_are_at_least_so_many(monkeypatch):
    monkeypatch.setattr(waiting, "MOST_WAITING", 2)
    queue("emails")
    for minutes in (1, 2, 3):
        add_task(queue_name="emails", status="scheduled", run_after=ago(minutes=minutes))
    one = state("emails")
    assert (str(one.scheduled), str(one.due)) == ("2+", "2+")
    assert one.oldest_wait_seconds >= 180


def test_a_store_without_a_queue_has_no_strangers():
    """As a worker finds it that is started first of all."""
    TaskDefinition.objects.create(alias="Gone")
    assert counts.strangers([], "default") == {}
    assert snapshot("default").queues == ()


def test_hundreds_of_queues_are_counted(monkeypatch):
    """More than SQLite takes as SELECTs of one statement; a name is no part of the text."""
    monkeypatch.setattr(samples, "AT_ONCE", 3)
    names = [f"q{number}" for number in range(7)]
    for name in names:
        queue(name)
        add_task(queue_name=name)
    add_task(queue_name="q6", status="scheduled", run_after=ago(hours=-1))
    seen = snapshot("default").queues
    assert [(one.name, one.queued, one.scheduled) for one in seen if one.name in names] == [
        (name, 1, int(name == "q6")) for name in names
    ]
