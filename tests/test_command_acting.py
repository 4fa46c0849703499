"""``taskqueue_requeue`` and ``taskqueue_cancel``: the question, chunks, Ctrl-C, exit codes."""

from __future__ import annotations

import io
import json
import re
import signal

import pytest
from django.core.management import call_command

from django_taskstore import bulk
from django_taskstore.models import QueuedTask, TaskDefinition
from tests.acting import CANCEL, REQUEUE, add, ids, keys, requeued, statuses
from tests.command_line import finish, manage, start
from tests.helpers import captured_sql, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_dry_run_counts_and_changes_nothing():
    add(count=2)
    add("queued")
    ran = manage(REQUEUE, "--all", "--dry-run")
    assert (ran.code, ran.out) == (0, "Would requeue 2 failed tasks. Nothing was changed.\n")
    ran = manage(CANCEL, "--queue=emails", "--dry-run", "--json")
    assert json.loads(ran.out) == {
        "version": 1,
        "verb": "cancel",
        "dry_run": True,
        "tasks": {"queued": 1},
    }
    assert requeued() == []
    assert QueuedTask.objects.filter(status="queued").count() == 1


def test_a_question_is_asked_and_yes_goes_on(monkeypatch):
    tasks = add(count=2)
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    ran = manage(REQUEUE, *ids(tasks))
    assert ran.code == 0
    assert "Requeue 2 failed tasks? [y/N]" in ran.out
    assert requeued() == keys(tasks)


def test_any_other_answer_exits_1(monkeypatch):
    add()
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    ran = manage(REQUEUE, "--all")
    assert ran.code == 1
    assert "Not confirmed: nothing was changed." in ran.err
    assert requeued() == []


def test_nobody_to_answer_exits_2():
    add()
    ran = finish(start(REQUEUE, "--all"), answer="")
    assert ran.code == 2
    assert requeued() == []


def test_a_filter_that_matches_nothing_is_well():
    add("queued")
    ran = manage(REQUEUE, "--queue=emails")
    assert (ran.code, ran.out[:16]) == (0, "Requeued 0 tasks")


@pytest.mark.parametrize("status", ["queued", "running"])
def test_an_id_that_does_not_fit_exits_1(status):
    failed, (other,) = add(), add(status)
    ran = manage(REQUEUE, *ids(failed), str(other.pk), str(other.pk + 1), "--yes")
    assert ran.code == 1
    assert "2 of 3 named by id" in ran.err
    assert requeued() == keys(failed)


def test_a_refusal_exits_1_and_the_rest_goes_on():
    tasks = add(count=2)
    (refused,) = add(alias="Canceled")
    TaskDefinition.objects.get(alias="Canceled").cancel()
    ran = manage(REQUEUE, "--queue=emails", "--yes")
    assert ran.code == 1
    assert f"1 refused; the first: #{refused.pk}: " in ran.err
    assert requeued() == keys(tasks)


def test_json_says_what_was_done():
    add(count=3)
    ran = manage(REQUEUE, "--all", "--yes", "--json")
    facts = json.loads(ran.out)
    assert facts.pop("seconds") >= 0
    assert facts == {
        "version": 1,
        "verb": "requeue",
        "dry_run": False,
        "changed": 3,
        "skipped": 0,
        "refused": 0,
        "first_refusal": "",
        "rest": "",
    }


def test_json_asks_nothing():
    add()
    assert manage(REQUEUE, "--all", "--json").code == 2
    assert requeued() == []


def test_batches_are_transactions_of_that_size():
    add("queued", count=5)
    with captured_sql() as statements:
        assert manage(CANCEL, "--all", "--yes", "--batch=2").code == 0
    updates = [sql for sql, _ in statements if re.match(r"UPDATE .*completed_at", sql)]
    assert len(updates) == 3


def test_few_matches_in_a_long_table_take_short_steps(monkeypatch):
    monkeypatch.setattr(bulk, "REACH", 10)
    add("success", count=45)
    last = add()
    assert manage(REQUEUE, "--all", "--yes").code == 0
    assert requeued() == keys(last)


@pytest.mark.parametrize("words", [["--queue=emails"], ["--all"], None])
def test_ctrl_c_names_the_ids_that_are_left(words):
    tasks = add(count=3)
    words = words or [f"{tasks[0].pk}-{tasks[2].pk + 100}"]
    process = start(REQUEUE, *words, "--yes", "--batch=1", "--sleep=60")
    wait_until(lambda: len(requeued()) == 1, what="the first batch")
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    assert ran.code == 130
    assert ran.out.startswith("Requeued 1 task in")
    rest = re.search(r"with the ids (\S+)\.", ran.err)[1]
    assert rest == f"{tasks[1].pk}-{tasks[2].pk}"
    assert manage(REQUEUE, *[word for word in words if word[0] == "-"], rest, "--yes").code == 0
    assert requeued() == keys(tasks)


def test_quiet_says_nothing():
    add()
    ran = manage(REQUEUE, "--all", "--yes", "--verbosity=0")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_no_line_for_each_task_on_the_terminal():
    tasks = add("queued", count=3)
    ran = finish(start(CANCEL, "--all", "--yes"))
    assert (ran.code, ran.err) == (0, "")
    assert statuses(tasks) == ["canceled"] * 3


def test_call_command(capsys):
    (task,) = add()
    call_command(REQUEUE, str(task.pk), "--yes")
    assert requeued() == [task.pk]
