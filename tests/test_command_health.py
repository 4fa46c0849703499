"""``manage.py taskqueue_health``: what is well, what is not, the JSON, exit codes, its cost."""

from __future__ import annotations

import json
import socket
from datetime import datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from django_taskstore import switchboard
from django_taskstore.management.commands import taskqueue_health
from django_taskstore.models import Queue, Worker
from django_taskstore.statistics import Demands, health
from tests.command_line import manage
from tests.helpers import add_task, add_worker, captured_sql, running, wait_until
from tests.plans import fill, multiply, plans_by_word

pytestmark = pytest.mark.django_db(transaction=True)


def add_waiting(queue_name="emails", *, minutes=4, **columns):
    """Insert a task that has waited for some time on a queue."""
    switchboard.ensure(queue_name, "default")
    since = timezone.now() - timedelta(minutes=minutes)
    return add_task(queue_name=queue_name, run_after=since, **columns)


def problems(*words):
    """Return (code, queue) of each problem that the JSON names."""
    ran = manage("taskqueue_health", "--json", *words)
    seen = json.loads(ran.out)
    assert (ran.code, seen["ok"]) == ((0, True) if not seen["problems"] else (5, False))
    return [(one["code"], one["queue"]) for one in seen["problems"]]


def test_a_worker_that_lives_is_enough_where_nothing_waits():
    add_worker("emails")
    switchboard.ensure("forgotten", "default")
    ran = manage("taskqueue_health")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("Healthy: 1 worker alive.\n")


def test_no_worker_at_all_is_unhealthy():
    ran = manage("taskqueue_health")
    assert (ran.code, ran.out) == (5, "Unhealthy: 0 workers alive.\n")
    assert "No worker is alive." in ran.err
    assert problems() == [("no_worker", None)]


def test_where_tasks_wait_a_worker_must_serve():
    add_worker("reports")
    add_waiting("emails")
    assert problems() == [("no_worker", "emails")]
    add_worker("*")
    assert problems() == []


def test_a_due_task_that_nobody_promoted_waits_too():
    add_worker("reports")
    add_waiting("emails", status="scheduled")
    assert problems() == [("no_worker", "emails")]


def test_a_task_whose_time_is_to_come_does_not_wait():
    add_worker("reports")
    add_waiting("emails", minutes=-60, status="scheduled")
    assert problems("--max-queue-age=1s") == []


def test_a_queue_that_is_asked_for_needs_a_worker_even_when_empty():
    add_worker("emails")
    assert problems("--queue=emails") == []
    assert problems("--queue", "emails", "--queue", "reports") == [("no_worker", "reports")]


def test_other_queues_do_not_matter_to_who_asks_for_one():
    add_worker("emails")
    add_waiting("reports", minutes=60)
    assert problems("--queue=emails", "--max-queue-age=10m") == []


def test_a_worker_that_was_asked_to_leave_does_not_serve():
    worker = add_worker("emails")
    add_waiting("emails")
    Queue.objects.filter(name="emails").update(
        stop_requested_at=worker.started_at + timedelta(seconds=1)
    )
    assert problems() == [("no_worker", "emails")]


@pytest.mark.parametrize(
    ("age_seconds", "words", "is_well"),
    [
        (50, (), True),
        (90, (), False),
        (90, ("--max-age=2m",), True),
        (50, ("--max-age", "30"), False),
        (90_000, ("--max-age=2d",), True),
    ],
)
def test_a_worker_lives_while_its_heartbeat_is_young(age_seconds, words, is_well):
    add_worker("emails", age=timedelta(seconds=age_seconds))
    assert problems("--queue=emails", *words) == ([] if is_well else [("no_worker", "emails")])


def test_the_last_heartbeat_is_named():
    add_worker("emails", age=timedelta(minutes=10))
    ran = manage("taskqueue_health", "--queue=emails", "--queue=reports")
    assert "No worker serves emails: the last heartbeat was 60" in ran.err
    assert "No worker serves reports: none was heard of within a day." in ran.err


def test_a_heartbeat_that_must_be_younger_than_heartbeats_are_apart_exits_2():
    ran = manage("taskqueue_health", "--max-age=15s")
    assert ran.code == 2
    assert "HEARTBEAT_SECONDS (15)" in ran.err


def test_waiting_is_judged_when_asked():
    add_worker("emails")
    add_waiting("emails", minutes=11)
    assert problems() == []
    assert problems("--max-queue-age=12m") == []
    assert problems("--max-queue-age=10m") == [("queue_age", "emails")]
    assert (
        "The oldest task on emails has waited 66"
        in manage("taskqueue_health", "--max-queue-age=600").err
    )


def test_a_paused_queue_waits_on_purpose():
    add_worker("emails")
    add_waiting("emails", minutes=60)
    Queue.objects.get(name="emails").pause()
    assert problems("--max-queue-age=10m") == []
    assert "paused" in manage("taskqueue_health").out


def test_here_counts_only_workers_of_this_machine():
    add_waiting("emails", minutes=60)
    add_worker("emails", host="elsewhere")
    ran = manage("taskqueue_health", "--here", "--queue=emails")
    assert ran.code == 5
    assert f"No worker on {socket.gethostname()} serves emails" in ran.err
    assert problems("--here") == [("no_worker", None)]
    add_worker("emails", host=socket.gethostname())
    assert problems("--here", "--queue=emails") == []


def test_here_does_not_ask_for_a_worker_of_every_backlog():
    add_waiting("reports")
    add_worker("emails", host=socket.gethostname())
    assert problems("--here") == []


def test_here_and_an_age_of_the_queue_exclude_each_other():
    assert manage("taskqueue_health", "--here", "--max-queue-age=1m").code == 2


def test_a_real_worker_is_seen():
    with running("emails"):
        wait_until(Worker.objects.exists, what="the worker's row")
        assert problems("--here", "--queue=emails") == []
    assert problems("--here", "--queue=emails") == [("no_worker", "emails")]


def test_the_json_has_its_documented_shape():
    add_worker("emails")
    add_waiting("emails", minutes=4)
    seen = json.loads(manage("taskqueue_health", "--json").out)
    assert datetime.fromisoformat(seen.pop("time")).utcoffset() == timedelta(0)
    (queue,) = seen.pop("queues")
    assert 239 < queue.pop("oldest_wait_s") < 300
    assert 0 <= queue.pop("heartbeat_age_s") < 60
    assert queue == {"name": "emails", "paused": False, "workers": 1}
    assert seen == {"version": 1, "ok": True, "problems": [], "workers": 1}


@pytest.mark.parametrize(
    "words",
    [("--queue=no such",), ("--queue=",), ("--max-age=x",), ("--max-queue-age=-1",), ("emails",)],
)
def test_wrong_usage_exits_2(words):
    assert manage("taskqueue_health", *words).code == 2


def test_quiet_says_only_what_is_wrong():
    ran = manage("taskqueue_health", "--verbosity=0")
    assert (ran.code, ran.out) == (5, "")
    assert "No worker is alive." in ran.err


def test_a_database_that_goes_away_meanwhile_exits_3(monkeypatch):
    def look(*_):
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(taskqueue_health, "health", look)
    ran = manage("taskqueue_health")
    assert ran.code == 3
    assert "does not answer: canceling statement due to lock timeout" in ran.err


def test_call_command(capsys):
    add_worker("emails")
    call_command("taskqueue_health", "--queue", "emails")
    with pytest.raises(CommandError) as caught:
        call_command("taskqueue_health", "--queue", "reports")
    assert caught.value.returncode == 5


def statements_of(demands):
    """Return the SQL of one look."""
    with captured_sql() as statements:
        health("default", demands)
    return statements


def test_a_look_is_four_statements_whatever_there_is():
    for number in range(20):
        add_waiting(f"q{number}")
        add_worker(f"q{number}")
    assert len(statements_of(Demands())) == 4
    assert len(statements_of(Demands(host="web01"))) == 3


def test_beside_many_finished_tasks_the_indexes_serve():
    switchboard.ensure("default", "default")
    fill("success", 20_000)
    multiply_waiting()
    plan = plans_by_word(statements_of(Demands()), ["'queued'"])["'queued'"]
    assert plan.count("taskstore_") >= 2, plan
    assert "Seq Scan on django_taskstore_queuedtask" not in plan


def multiply_waiting():
    """Add some waiting tasks of both kinds."""
    for status in ("queued", "scheduled"):
        add_waiting("default", status=status)
        multiply(status, 10)
