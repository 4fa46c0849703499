"""``manage.py taskqueue_run``: options, what it says at its start, and its exit codes."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created
from django.test import override_settings

import django_taskstore
from django_taskstore import enqueue, enqueue_many
from django_taskstore.management.banner import banner
from django_taskstore.management.commands import taskqueue_run
from django_taskstore.management.commands.taskqueue_run import Command, child_arguments, make_runner
from django_taskstore.management.readiness import ready_database
from django_taskstore.models import Queue, QueuedTask, TaskDefinition
from django_taskstore.registry import registry
from django_taskstore.runner import TaskQueueRunner
from tests.command_line import finish, manage, start
from tests.schedules import add_schedule

pytestmark = pytest.mark.django_db(transaction=True)


def run(*words):
    """Run the command until nothing is due."""
    return manage("taskqueue_run", *words, "--once", "--interval", "0.05")


def parsed(*words):
    """Return the options as the command reads them."""
    parser = Command().create_parser("manage.py", "taskqueue_run")
    return vars(parser.parse_args(list(words)))


def test_once_works_what_is_due_and_exits_well():
    enqueue_many("Noop", [{}] * 5)
    later = enqueue("Noop", run_after=timedelta(hours=1))
    assert run().code == 0
    assert QueuedTask.objects.with_status("success").count() == 5
    assert QueuedTask.objects.get(pk=later.pk).status == "scheduled"


def test_several_queues_and_all_of_them():
    for name in ("a", "b", "c"):
        enqueue("Noop", queue_name=name)
    assert run("a", "b").code == 0
    assert set(QueuedTask.objects.with_status("queued").values_list("queue_name", flat=True)) == {
        "c"
    }
    assert run("*").code == 0
    assert not QueuedTask.objects.with_status("queued").exists()


def test_max_tasks_ends_the_process():
    enqueue_many("Noop", [{}] * 5)
    assert manage("taskqueue_run", "--max-tasks", "2", "--interval", "0.05").code == 0
    assert QueuedTask.objects.with_status("success").count() == 2


def test_options_reach_the_runner():
    runner = make_runner(
        parsed("x", "--concurrency", "3", "--interval", "0.5", "--unstuck-minutes", "2")
    )
    assert (runner.queues, runner.concurrency, runner.poll_seconds, runner.lease_seconds) == (
        ("x",),
        3,
        0.5,
        120.0,
    )
    assert make_runner(parsed("--serial")).concurrency == 1
    assert make_runner(parsed()).queues == ("default",)


def test_children_get_the_same_options():
    given = parsed("a", "b", "--processes", "3", "--concurrency", "2", "--once", "--max-tasks", "9")
    words = child_arguments(given)
    again = parsed(*words)
    for name in ("queues", "concurrency", "once", "max_tasks", "interval", "serial", "log_format"):
        assert again[name] == given[name], name
    assert again["processes"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["no spaces"],
        [""],
        ["--concurrency", "0"],
        ["--concurrency", "2", "--serial"],
        ["--interval", "-1"],
        ["--interval", "nan"],
        ["--unstuck-minutes", "0"],
        ["--shutdown-timeout", "-1"],
        ["--processes", "x"],
        ["--conc", "3"],
        ["--no-such-option"],
    ],
)
def test_wrong_usage_exits_with_2(words):
    ran = manage("taskqueue_run", *words)
    assert ran.code == 2
    assert ran.err.strip()


def test_a_wrong_setting_stops_the_start():
    with override_settings(TASKSTORE={"MAX_CONCURENCY": 3}):
        ran = manage("taskqueue_run", "--once")
    assert ran.code != 0
    assert "MAX_CONCURENCY" in ran.err
    assert "django_taskstore.E001" in ran.err


def test_the_banner_says_what_runs():
    enqueue("Noop", queue_name="emails")
    Queue.objects.get(name="emails").pause(by="ops")
    add_schedule("FREQ=DAILY")
    ran = run("emails", "--concurrency", "4")
    for words in (
        f"django_taskstore {django_taskstore.__version__}",
        "database     default: ",
        "queues       emails · paused: emails",
        "concurrency  4 at a time",
        "schedules    1 active, looked after here",
        f"handlers     {len(registry)} registered",
    ):
        assert words in ran.out
    assert "schedules    left to others" in run("--no-schedules").out
    assert run("--verbosity", "0").out == ""


def test_the_banner_names_tasks_that_nobody_here_can_run():
    task = enqueue("Noop")
    handler = registry.get("Noop")
    registry.remove("Noop")
    try:
        text = banner(
            TaskQueueRunner(), processes=1, shutdown_timeout_seconds=30, with_schedules=True
        )
    finally:
        registry.add(handler)
    assert "! Tasks wait for handlers that this process does not have: Noop" in text
    assert task.definition.alias == "Noop"


def test_it_starts_on_a_store_where_nothing_was_ever_enqueued():
    """Its definitions are left from other code, and there is no queue yet."""
    TaskDefinition.objects.create(alias="Gone")
    ran = run()
    assert (ran.code, "handlers" in ran.out) == (0, True)


def test_json_lines_can_be_read_by_a_collector():
    task = enqueue("Failing")
    ran = finish(start("taskqueue_run", "--once", "--log-format", "json"))
    lines = [json.loads(line) for line in ran.err.splitlines()]
    (failed,) = [line for line in lines if line.get("event") == "failed"]
    assert (failed["task_id"], failed["alias"], failed["queue"], failed["level"]) == (
        task.pk,
        "Failing",
        "default",
        "error",
    )


def test_one_line_a_task():
    task = enqueue("HelloWorldTask")
    ran = finish(start("taskqueue_run", "--once"))
    (line,) = [line for line in ran.err.splitlines() if "success" in line]
    assert f"success HelloWorldTask id={task.pk} queue=default attempt=1 run=" in line


@pytest.fixture
def while_it_works(monkeypatch):
    """Replace the work; return what it saw of the main thread's connection."""
    seen = []

    class Looks:
        def run(self, *, until_empty):
            seen.append((until_empty, connection.connection is not None))
            return 0

    monkeypatch.setattr(taskqueue_run, "work", lambda *_: Looks())
    return seen


def test_the_main_thread_keeps_no_session_while_it_waits(while_it_works):
    call_command("taskqueue_run", once=True, verbosity=1)
    assert while_it_works == [(True, False)]


def test_the_look_before_the_start_opens_one_session():
    opened = []

    def keep(**_):
        opened.append(threading.current_thread().name)

    for fact in ("pg_version", "mysql_server_data", "mysql_server_info", "mysql_is_mariadb"):
        vars(connections["default"]).pop(fact, None)
    connection.close()
    connection_created.connect(keep)
    try:
        ready_database()
    finally:
        connection_created.disconnect(keep)
    assert opened == ["MainThread"]


def test_a_transaction_around_the_command_is_left_open(while_it_works):
    with transaction.atomic():
        call_command("taskqueue_run", once=True, verbosity=0)
        enqueue("Noop")
    assert while_it_works == [(True, True)]
    assert QueuedTask.objects.count() == 1


def test_it_works_under_call_command():
    task = enqueue("Noop")
    call_command("taskqueue_run", once=True, verbosity=0, interval=0.05)
    assert QueuedTask.objects.get(pk=task.pk).status == "success"
