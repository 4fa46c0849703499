"""``manage.py taskqueue_purge``: what goes, what stays, the question, progress, exit codes."""

from __future__ import annotations

import io
import json
import re
import signal
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_taskstore import switchboard
from django_taskstore.models import QueuedTask, ScheduleRun, TaskAttempt
from tests.command_line import finish, manage, start
from tests.helpers import add_task, captured_sql, wait_until
from tests.schedules import add_schedule

pytestmark = pytest.mark.django_db(transaction=True)

PURGE = ("taskqueue_purge", "--older-than=7d", "--no-input")


def old(status="success", *, age=timedelta(days=8), count=1, **columns):
    """Insert tasks that ended some time ago."""
    ended = timezone.now() - age
    return [add_task(status=status, completed_at=ended, **columns) for _ in range(count)]


def left():
    """Return the ids of all tasks."""
    return set(QueuedTask.all_objects.values_list("pk", flat=True))


def ids(*groups):
    """Return the ids of tasks."""
    return {task.pk for group in groups for task in group}


def test_old_successes_go_and_all_else_stays():
    old(count=3)
    kept = [
        old(age=timedelta(days=6)),
        old("failed"),
        old("canceled"),
        [add_task(status=status) for status in ("queued", "scheduled", "running", "paused")],
    ]
    ran = manage(*PURGE)
    assert ran.code == 0, ran.err
    assert re.fullmatch(r"Removed 3 success tasks in \d+\.\d s\.\n", ran.out)
    assert left() == ids(*kept)


def test_statuses_may_be_named_and_repeated():
    kept = old()
    old("failed", count=2)
    old("canceled")
    ran = manage(*PURGE, "--status=failed", "--status", "canceled", "--status=failed")
    assert ran.out.startswith("Removed 2 failed and 1 canceled tasks in")
    assert left() == ids(kept)


def test_attempts_go_with_their_tasks():
    (gone,), (kept,) = old("failed"), old()
    for task in (gone, kept):
        TaskAttempt.objects.create(queued_task=task, claim_seq=1, number=1, outcome="failed")
    manage(*PURGE, "--status=failed")
    assert list(TaskAttempt.objects.values_list("queued_task", flat=True)) == [kept.pk]


def test_records_of_runs_of_schedules_follow_their_tasks_unless_a_queue_is_named():
    schedule = add_schedule("FREQ=HOURLY")
    (gone,), (failed,) = old(), old("failed")
    for number, task in enumerate((gone, failed)):
        ScheduleRun.objects.create(
            schedule=schedule,
            occurrence_at=timezone.now() - timedelta(days=9, hours=number),
            queued_task=task,
            result="enqueued",
        )
    switchboard.ensure("default", "default")
    assert manage(*PURGE, "--queue=default").out.startswith("Removed 1 success task in")
    assert ScheduleRun.objects.count() == 2
    ran = manage(*PURGE)
    assert ran.out.startswith("Removed 0 success tasks and 1 record(s) of runs of schedules in")
    assert list(ScheduleRun.objects.values_list("queued_task", flat=True)) == [failed.pk]


def test_soft_deleted_tasks_go_too():
    (task,) = old()
    task.soft_delete()
    manage(*PURGE)
    assert left() == set()


@pytest.mark.parametrize("status", ["queued", "running", "scheduled", "paused", "Success", "x"])
def test_other_statuses_exit_2(status):
    kept = old()
    ran = manage(*PURGE, f"--status={status}")
    assert ran.code == 2
    assert "invalid choice" in ran.err
    assert left() == ids(kept)


@pytest.mark.parametrize(
    ("age", "below", "above"),
    [
        ("90s", timedelta(seconds=60), timedelta(seconds=120)),
        ("5m", timedelta(minutes=4), timedelta(minutes=6)),
        ("12h", timedelta(hours=11), timedelta(hours=13)),
        ("1.5d", timedelta(hours=35), timedelta(hours=37)),
        ("2w", timedelta(days=13), timedelta(days=15)),
        ("0s", timedelta(days=-1), timedelta(seconds=1)),
    ],
)
def test_ages_have_units(age, below, above):
    kept = old(age=below)
    old(age=above)
    assert manage("taskqueue_purge", f"--older-than={age}", "--no-input").code == 0
    assert left() == ids(kept)


@pytest.mark.parametrize("age", ["7", "d", "7y", "-7d", "7 days", "", "1e9w", "99999w"])
def test_an_age_that_cannot_be_read_exits_2(age):
    kept = old()
    assert manage("taskqueue_purge", f"--older-than={age}", "--no-input").code == 2
    assert left() == ids(kept)


def test_the_age_is_required():
    ran = manage("taskqueue_purge", "--no-input")
    assert ran.code == 2
    assert "--older-than" in ran.err


@pytest.mark.parametrize("words", [["--batch=0"], ["--batch=x"], ["--sleep=-1"], ["--no-in"]])
def test_wrong_options_exit_2(words):
    kept = old()
    assert manage("taskqueue_purge", "--older-than=7d", "--no-input", *words).code == 2
    assert left() == ids(kept)


def test_dry_run_counts_and_removes_nothing():
    kept = old(count=2), old("failed")
    ran = manage("taskqueue_purge", "--older-than=7d", "--dry-run", "--status=success")
    assert (ran.code, ran.out) == (0, "Would remove 2 success tasks. Nothing was removed.\n")
    both = manage(*PURGE, "--dry-run", "--status=success", "--status=failed")
    assert both.out == "Would remove 2 success and 1 failed tasks. Nothing was removed.\n"
    assert left() == ids(*kept)


def test_batches_are_transactions_of_that_size():
    old(count=5)
    with captured_sql() as statements:
        ran = manage(*PURGE, "--batch=2")
    assert ran.out.startswith("Removed 5 success tasks")
    removals = [
        sql for sql, _ in statements if re.match(r"DELETE FROM .django_taskstore_queuedtask", sql)
    ]
    assert len(removals) == 3


def test_a_question_is_asked_and_yes_removes(monkeypatch):
    old(count=2)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ran = manage("taskqueue_purge", "--older-than=7d")
    assert ran.code == 0
    question = "Remove 2 success tasks that ended more than 7 days ago, for good? [y/N]"
    assert question in ran.out
    assert left() == set()


@pytest.mark.parametrize("answer", ["n\n", "\n", "yess\n"])
def test_any_other_answer_exits_1(monkeypatch, answer):
    kept = old()
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    ran = manage("taskqueue_purge", "--older-than=7d")
    assert ran.code == 1
    assert "Not confirmed: nothing was removed." in ran.err
    assert left() == ids(kept)


def test_nobody_to_answer_exits_2():
    kept = old()
    ran = finish(start("taskqueue_purge", "--older-than=7d"), answer="")
    assert ran.code == 2
    assert "--yes (or --no-input) goes on without asking" in ran.err
    assert left() == ids(kept)


def test_ctrl_c_at_the_question_exits_130():
    kept = old()
    process = start("taskqueue_purge", "--older-than=7d")
    shown = ""
    while "[y/N]" not in shown:
        shown += process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    assert ran.code == 130
    assert "Interrupted: nothing was removed." in ran.err
    assert left() == ids(kept)


def test_nothing_to_remove_asks_nothing():
    ran = manage("taskqueue_purge", "--older-than=7d")
    assert ran.code == 0
    assert "[y/N]" not in ran.out
    assert ran.out.startswith("Removed 0 success tasks in")


def test_ctrl_c_stops_after_the_batch_with_130():
    tasks = old(count=3)
    process = start(*PURGE, "--batch=1", "--sleep=60")
    wait_until(lambda: len(left()) == 2, what="the first batch")
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    assert ran.code == 130
    assert ran.out.startswith("Removed 1 success task in")
    assert "run the command again for the rest" in ran.err
    assert left() == ids(tasks[1:])


def test_sleep_is_between_batches():
    old(count=3)
    ran = manage(*PURGE, "--batch=1", "--sleep=0.2")
    assert float(re.search(r"in (\d+\.\d) s", ran.out)[1]) >= 0.6


def test_quiet_says_nothing():
    old()
    ran = manage(*PURGE, "--verbosity=0")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert left() == set()


def test_only_the_named_queues_are_purged():
    for name in ("emails", "pings", "reports"):
        switchboard.ensure(name, "default")
    kept = old(queue_name="reports")
    old(queue_name="emails")
    old(queue_name="pings", count=2)
    words = ("--queue=emails", "--queue", "pings")
    assert "Would remove 3 success tasks." in manage(*PURGE, *words, "--dry-run").out
    assert manage(*PURGE, *words).out.startswith("Removed 3 success tasks in")
    assert left() == ids(kept)


def test_an_unknown_queue_exits_2():
    kept = old()
    ran = manage(*PURGE, "--queue=Emails")
    assert ran.code == 2
    assert "No queue is called 'Emails'" in ran.err
    assert left() == ids(kept)


def test_json_says_what_was_removed():
    old(count=2)
    shown = manage(*PURGE, "--json", "--dry-run")
    assert json.loads(shown.out)["dry_run"] is True
    ran = manage(*PURGE, "--json", "--status=success", "--status=failed")
    assert json.loads(ran.out) == {
        "version": 1,
        "verb": "purge",
        "dry_run": False,
        "tasks": {"success": 2, "failed": 0},
        "schedule_runs": 0,
    }


def test_json_asks_nothing():
    kept = old()
    ran = manage("taskqueue_purge", "--older-than=7d", "--json")
    assert ran.code == 2
    assert "add --yes or --dry-run" in ran.err
    assert left() == ids(kept)


def test_call_command(capsys):
    old(count=2)
    old("failed")
    call_command("taskqueue_purge", older_than="7d", no_input=True)
    call_command("taskqueue_purge", "--older-than=7d", status=["failed"], no_input=True)
    assert left() == set()
    assert "Removed 1 failed task in" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("taskqueue_purge", no_input=True)
