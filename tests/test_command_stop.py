"""``manage.py taskqueue_stop``, ``taskqueue_pause`` and ``taskqueue_resume``."""

from __future__ import annotations

import getpass
import signal
import time
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_taskstore import TaskQueueRunner, enqueue, switchboard
from django_taskstore.models import Queue, QueuedTask
from tests.command_line import finish, manage, start
from tests.helpers import add_task, fresh, running, wait_for_threads, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

COMMANDS = ["taskqueue_stop", "taskqueue_pause", "taskqueue_resume"]


@pytest.fixture
def emails():
    """The queue ``emails``."""
    switchboard.ensure("emails", "default")
    return Queue.objects.get(name="emails")


def hold(queue_name="emails", *, lease=timedelta(hours=1), started=timedelta(hours=-1)):
    """Insert a task that some worker runs."""
    now = timezone.now()
    return add_task(
        queue_name=queue_name,
        status="running",
        lease_expires_at=now + lease,
        started_at=now + started,
    )


def start_ledger(queue_name, seconds, alias="Ledger"):
    """Enqueue a task that runs for a while, and wait until it does."""
    task = enqueue(alias, {"seconds": seconds}, queue_name=queue_name)
    wait_until(lambda: fresh(task).status == "running", what="the start of the task")
    return task


def test_stop_ends_runners_and_waits_for_their_tasks(ledger, emails):
    with running("emails", concurrency=2) as runner:
        task = start_ledger("emails", 3)
        ran = manage("taskqueue_stop", "emails")
        assert ran.code == 0, ran.err
        assert "Asked the runners of emails to stop." in ran.out
        assert "Stopped: none of their tasks runs any more." in ran.out
        assert "Waiting for 1 running task(s)." in ran.err
        assert fresh(task).status == "success"
        assert ledger.ends() == {task.pk: 1}
        wait_until(lambda: not runner.is_running, what="the end of the runner")


def test_stop_means_default_when_no_queue_is_named(ledger):
    with running("default") as runner:
        start_ledger("default", 0.5)
        assert manage("taskqueue_stop", "--verbosity=0").out == ""
        wait_until(lambda: not runner.is_running, what="the end of the runner")


def test_a_star_stops_all_queues(emails, ledger):
    switchboard.ensure("reports", "default")
    with running("emails") as one, running("reports") as other:
        start_ledger("emails", 0.5)
        assert manage("taskqueue_stop", "*").code == 0
        wait_until(lambda: not one.is_running and not other.is_running, what="both ends")


def test_a_star_without_any_queue_is_no_error():
    ran = manage("taskqueue_stop", "*")
    assert (ran.code, ran.out.strip()) == (0, "There is no queue yet, so no runner works one.")


def test_other_queues_go_on(emails, ledger):
    switchboard.ensure("reports", "default")
    first = enqueue("Noop", queue_name="emails")
    with running("emails", "reports") as runner:
        wait_until(lambda: fresh(first).status == "success", what="the start of the runner")
        assert manage("taskqueue_stop", "emails").code == 0
        left = enqueue("Noop", queue_name="emails")
        done = enqueue("Noop", queue_name="reports")
        wait_until(lambda: fresh(done).status == "success", what="the task of the other queue")
        assert runner.is_running
        assert fresh(left).status == "queued"


def test_a_runner_started_after_the_request_works(emails):
    assert manage("taskqueue_stop", "emails", "--no-wait").code == 0
    task = enqueue("Noop", queue_name="emails")
    with running("emails"):
        wait_until(lambda: fresh(task).status == "success", what="the task")


def test_no_wait_returns_while_tasks_run(emails):
    task = hold()
    began = time.monotonic()
    ran = manage("taskqueue_stop", "emails", "--no-wait")
    assert (ran.code, ran.err) == (0, "")
    assert time.monotonic() - began < 2
    assert fresh(task).status == "running"
    emails.refresh_from_db()
    assert emails.stop_requested_at is not None


@pytest.mark.parametrize("timeout", ["0.5", "0.5s", "0"])
def test_timeout_exits_4_and_names_the_tasks(emails, timeout):
    task = hold()
    ran = manage("taskqueue_stop", "emails", "--timeout", timeout)
    assert ran.code == 4
    assert f"1 task(s) still run: {task.pk}. The request stands" in ran.err


def test_a_timeout_before_runners_have_looked_exits_4(emails):
    ran = manage("taskqueue_stop", "emails", "--timeout=0")
    assert ran.code == 4
    assert "may take 2 s to see the request" in ran.err


def test_expired_leases_and_other_queues_are_not_waited_for(emails):
    hold(lease=timedelta(minutes=-1))
    hold("reports")
    assert manage("taskqueue_stop", "emails", "--timeout=10").code == 0


def test_tasks_of_runners_that_started_later_are_not_waited_for(emails):
    hold(started=timedelta(minutes=1))
    assert manage("taskqueue_stop", "emails", "--timeout=10").code == 0


def test_a_task_that_ends_while_waiting_ends_the_waiting(emails):
    task = hold()
    process = start("taskqueue_stop", "emails")
    assert "Waiting for 1" in process.stderr.readline()
    QueuedTask.all_objects.filter(pk=task.pk).update(status="success", lease_expires_at=None)
    assert finish(process).code == 0


def test_ctrl_c_ends_the_waiting_with_130(emails):
    hold()
    process = start("taskqueue_stop", "emails")
    assert "Waiting for 1" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    assert ran.code == 130
    assert "the request to stop stands" in ran.err


def test_no_wait_and_timeout_exclude_each_other(emails):
    assert manage("taskqueue_stop", "emails", "--no-wait", "--timeout=1").code == 2
    assert manage("taskqueue_stop", "emails", "--timeout=soon").code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_queue_exits_2_and_names_the_known_ones(command, emails):
    switchboard.ensure("reports", "default")
    ran = manage(command, "emails", "Emails")
    assert ran.code == 2
    assert "No queue is called 'Emails'; the queues are: emails, reports." in ran.err
    emails.refresh_from_db()
    assert (emails.paused_at, emails.stop_requested_at) == (None, None)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_queue_at_all_exits_2(command):
    ran = manage(command, "default")
    assert ran.code == 2
    assert "there is no queue yet" in ran.err
    assert not Queue.objects.exists()


def test_pause_stops_claims_and_resume_allows_them_again(emails):
    ran = manage("taskqueue_pause", "emails", "--reason", "SMTP outage", "--by=ana")
    assert (ran.code, ran.out) == (0, "Paused emails.\n")
    emails.refresh_from_db()
    assert emails.paused_at is not None
    assert (emails.paused_by, emails.pause_reason) == ("ana", "SMTP outage")
    task = enqueue("Noop", queue_name="emails")
    assert TaskQueueRunner("emails").run_once() == 0
    assert (manage("taskqueue_resume", "emails").out) == "Resumed emails.\n"
    emails.refresh_from_db()
    assert (emails.paused_at, emails.paused_by, emails.pause_reason) == (None, "", "")
    TaskQueueRunner("emails").run_once()
    assert fresh(task).status == "success"
    wait_for_threads()


def test_pause_notes_who_is_logged_in(emails):
    manage("taskqueue_pause", "emails")
    emails.refresh_from_db()
    assert emails.paused_by == getpass.getuser()


def test_a_paused_queue_keeps_its_reason(emails):
    manage("taskqueue_pause", "emails", "--reason=SMTP outage", "--by=ana")
    ran = manage("taskqueue_pause", "emails", "--reason=other", "--by=bob")
    assert ran.code == 0
    assert "emails is paused already by ana since" in ran.out
    assert ran.out.strip().endswith("UTC: SMTP outage.")


def test_resume_says_what_was_not_paused(emails):
    ran = manage("taskqueue_resume", "emails")
    assert (ran.code, ran.out) == (0, "emails was not paused.\n")


def test_pause_and_resume_take_several_queues_and_a_star(emails):
    switchboard.ensure("reports", "default")
    switchboard.ensure("Reports", "default")
    assert manage("taskqueue_pause", "emails", "reports", "emails").out.count("Paused") == 2
    assert not Queue.objects.get(name="Reports").paused_at
    assert manage("taskqueue_pause", "*", "--verbosity=0").out == ""
    assert Queue.objects.filter(paused_at=None).count() == 0
    assert manage("taskqueue_resume", "*").out.count("Resumed") == 3


@pytest.mark.parametrize("option", ["--reason", "--by"])
def test_a_text_that_does_not_fit_exits_2(emails, option):
    ran = manage("taskqueue_pause", "emails", option, "x" * 256)
    assert ran.code == 2
    assert f"{option} has 256 characters, at most 255 fit." in ran.err


@pytest.mark.parametrize("command", ["taskqueue_pause", "taskqueue_resume"])
def test_a_queue_must_be_named(command):
    assert manage(command).code == 2


def test_colours_follow_the_options(emails):
    assert "\x1b[" in manage("taskqueue_pause", "emails", "--force-color").out
    assert "\x1b[" not in manage("taskqueue_resume", "emails", "--no-color").out


def test_call_command(emails, capsys):
    call_command("taskqueue_pause", "emails", reason="x", by="ana")
    call_command("taskqueue_resume", "emails")
    call_command("taskqueue_stop", "emails", no_wait=True)
    assert capsys.readouterr().out.splitlines()[:2] == ["Paused emails.", "Resumed emails."]
    hold()
    with pytest.raises(CommandError) as caught:
        call_command("taskqueue_stop", "emails", timeout=0.1)
    assert caught.value.returncode == 4
