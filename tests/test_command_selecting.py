"""``taskqueue_requeue`` and ``taskqueue_cancel``: which tasks the words name."""

from __future__ import annotations

import re

import pytest

from django_taskstore.models import QueuedTask
from tests.acting import CANCEL, REQUEUE, add, ids, keys, requeued, statuses
from tests.command_line import manage
from tests.helpers import fresh, row_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_ids_are_requeued_however_they_ended():
    named = [*add(), *add("success"), *add("canceled")]
    other = add()
    ran = manage(REQUEUE, *ids(named), "--yes")
    assert ran.code == 0, ran.err
    assert re.fullmatch(r"Requeued 3 tasks in \d+\.\d s\.\n", ran.out)
    assert requeued() == keys(named)
    assert statuses(named + other) == ["failed", "success", "canceled", "failed"]
    new = QueuedTask.objects.get(requeued_from=named[0])
    assert (new.status, new.queue_name) == ("queued", "emails")


def test_a_span_of_ids():
    tasks = add(count=5)
    ran = manage(REQUEUE, f"{tasks[1].pk}-{tasks[3].pk}", str(tasks[0].pk), "--no-input")
    assert ran.code == 0
    assert requeued() == keys(tasks[:4])


def test_a_filter_means_failed_tasks_unless_it_says_otherwise():
    failed = add()
    canceled = add("canceled")
    add("success")
    add(queue_name="reports")
    assert manage(REQUEUE, "--queue=emails", "--yes").code == 0
    assert requeued() == keys(failed)
    assert manage(REQUEUE, "--queue=emails", "--status=canceled", "--yes").code == 0
    assert requeued() == keys(failed, canceled)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--all"], [0, 1, 2, 3]),
        (["--status=failed"], [0, 1, 2, 3]),
        (["--queue=emails"], [0, 1, 2]),
        (["--queue", "emails", "--queue", "reports"], [0, 1, 2, 3]),
        (["--queue=*"], [0, 1, 2, 3]),
        (["--definition=Noop"], [0, 2, 3]),
        (["--definition=hello-world-task"], [1]),
        (["--older-than=12h"], [2]),
        (["--newer-than=12h"], [0, 1, 3]),
        (["--queue=emails", "--newer-than", "12h", "--definition=Noop"], [0]),
    ],
)
def test_filters(words, meant):
    tasks = [
        *add(),
        *add(alias="HelloWorldTask"),
        *add(hours=24),
        *add(queue_name="reports"),
    ]
    assert manage(REQUEUE, *words, "--yes").code == 0
    assert requeued() == [tasks[place].pk for place in meant]


def test_another_queue_may_take_them():
    (task,) = add()
    assert manage(REQUEUE, str(task.pk), "--to=slow", "--yes").code == 0
    assert QueuedTask.objects.get(requeued_from=task).queue_name == "slow"


def test_waiting_tasks_are_canceled_and_running_ones_asked():
    waiting = [*add("queued"), *add("scheduled"), *add("paused")]
    running, ended = add("running"), add("success")
    other = add("queued", queue_name="reports")
    ran = manage(CANCEL, "--queue=emails", "--yes")
    assert (ran.code, ran.out[:16]) == (0, "Canceled 4 tasks")
    assert statuses(waiting) == ["canceled"] * 3
    assert fresh(running[0]).status == "running"
    assert fresh(running[0]).cancel_requested_at is not None
    assert statuses(ended + other) == ["success", "queued"]


def test_a_cancel_counts_ages_from_creation():
    old, new = add("queued", hours=24), add("queued")
    assert manage(CANCEL, "--older-than=12h", "--yes").code == 0
    assert statuses(old + new) == ["canceled", "queued"]


def test_hidden_tasks_are_left_alone():
    (task,) = add()
    task.soft_delete()
    assert manage(REQUEUE, "--all", "--yes").code == 0
    assert requeued() == []


def test_tasks_that_come_later_are_not_meant(monkeypatch):
    (task,) = add()

    def answer(_question):
        add()
        return "y"

    monkeypatch.setattr("builtins.input", answer)
    assert manage(REQUEUE, "--all").code == 0
    assert requeued() == [task.pk]


@pytest.mark.parametrize("command", [REQUEUE, CANCEL])
def test_saying_nothing_does_not_mean_everything(command):
    before = [row_of(task) for task in (*add(), *add("queued"))]
    ran = manage(command, "--yes")
    assert ran.code == 2
    assert "--all means every one" in ran.err
    assert [row_of(row["id"]) for row in before] == before
    assert requeued() == []


@pytest.mark.parametrize(
    "words",
    [
        ["x"],
        ["0x7"],
        ["9-7"],
        ["7-"],
        ["-7"],
        ["1" * 19],
        ["--status=queued"],
        ["--status=Failed"],
        ["--queue=Emails"],
        ["--definition=Nop"],
        ["--older-than=week"],
        ["--to=no such"],
        ["--batch=0"],
        ["--al"],
    ],
)
def test_wrong_words_exit_2(words):
    add()
    assert manage(REQUEUE, "--newer-than=7d", "--yes", *words).code == 2
    assert requeued() == []


def test_an_unknown_definition_names_near_ones():
    add()
    ran = manage(REQUEUE, "--definition=Nop", "--yes")
    assert "No definition is called 'Nop'; did you mean Noop?" in ran.err
