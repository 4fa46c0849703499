"""``manage.py task``: running, enqueuing, listing, help, lines and exit codes."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_taskstore import TaskHandler
from django_taskstore.models import QueuedTask, TaskDefinition
from tests.command_line import NO_DATABASE, finish, manage, start, without_migrations

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("words", [[], ["--name=x", "HelloWorldTask"]])
def test_the_alias_comes_first(words):
    ran = manage("task", *words)
    assert ran.code == 2
    assert "Expected an alias first" in ran.err


@pytest.mark.parametrize("alias", ["HelloWorldTask", "hello-world-task", "hello_World_TASK"])
def test_an_alias_is_found_however_it_is_typed(alias):
    ran = manage("task", alias, "--name=Tom")
    assert (ran.code, ran.err) == (0, "")
    assert "INFO: Hello Tom!" in ran.out
    assert "SUCCESS: HelloWorldTask succeeded in" in ran.out


def test_an_option_of_the_command_may_stand_anywhere():
    before = manage("task", "--verbosity", "0", "HelloWorldTask", "--name=Tom Jones")
    after = manage("task", "HelloWorldTask", "--name=Tom", "-v", "0", "--loud")
    assert (before.code, before.out, before.err) == (0, "", "")
    assert (after.code, after.out, after.err) == (0, "", "")


def test_a_near_miss_suggests_the_right_alias():
    ran = manage("task", "HelloWordTask")
    assert ran.code == 2
    assert "did you mean HelloWorldTask?" in ran.err


def test_a_failed_task_exits_1_with_its_error_lines_on_stderr():
    ran = manage("task", "SayNo", "--line=no room")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == ["ERROR: no room", "CommandError: SayNo failed: no room"]


def test_an_exception_exits_1_and_traceback_shows_where():
    ran = manage("task", "Failing", "--message=bang")
    assert ran.code == 1
    assert "Failing failed: ValueError: bang" in ran.err
    shown = finish(start("task", "Failing", "--traceback"))
    assert shown.code == 1
    assert "tasks.py" in shown.err


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("retry", "wants to run again in 0s, which only a worker does"),
        ("snooze", "wants to run again in 0s, which only a worker does"),
        ("cancel", "canceled itself: no longer wanted"),
    ],
)
def test_a_task_that_did_not_end_well_exits_1(how, message):
    ran = manage("task", "Steered", f"--how={how}")
    assert ran.code == 1
    assert message in ran.err


def test_quiet_keeps_errors():
    ran = manage("task", "SayNo", "--line=no room", "--verbosity=0")
    assert (ran.code, ran.out) == (1, "")
    assert "ERROR: no room" in ran.err


def test_lines_are_coloured_when_asked():
    plain = manage("task", "HelloWorldTask", "--no-color")
    coloured = manage("task", "HelloWorldTask", "--force-color")
    failed = manage("task", "SayNo", "--line=x", "--force-color")
    assert "\x1b[" not in plain.out
    assert "\x1b[" in coloured.out.splitlines()[0]
    assert "\x1b[32;1mSUCCESS" in coloured.out
    assert "\x1b[31;1mERROR: x" in failed.err


def test_handlers_of_every_kind_run(add_handler):
    class WithContext(TaskHandler):
        def handle_with_context(self, context):
            return {"attempt": context.attempt}

    add_handler(WithContext)
    assert manage("task", "WithContext").code == 0
    assert '{"loop": true}' in manage("task", "AsyncHello").out
    assert manage("task", "AtomicEffect").code == 0
    assert manage("task", "AtomicEffect", "--fail").code == 1


def test_ctrl_c_exits_130(add_handler):
    class PressedCtrlC(TaskHandler):
        def handle(self):
            raise KeyboardInterrupt

    add_handler(PressedCtrlC)
    ran = manage("task", "PressedCtrlC")
    assert (ran.code, ran.out) == (130, "")
    assert "Interrupted" in ran.err


def test_list():
    ran = manage("task", "list")
    assert ran.code == 0
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "HelloWorldTask default Hello World Say hello world" in lines


def test_list_as_json():
    facts = {fact["alias"]: fact for fact in json.loads(manage("task", "list", "--json").out)}
    assert facts["Invite"]["parameters"] == ["email", "guests"]
    assert facts["HelloWorldTask"] == {
        "alias": "HelloWorldTask",
        "title": "Hello World",
        "description": "Say hello world",
        "queue_name": "default",
        "priority": 0,
        "max_attempts": 1,
        "parameters": None,
    }
    assert facts["RetryTwice"]["max_attempts"] == 3


def test_list_takes_nothing_else():
    ran = manage("task", "list", "--name=x")
    assert ran.code == 2
    assert "takes --json and nothing else" in ran.err


def test_help_of_a_handler_and_of_the_command():
    handler = manage("task", "hello-world-task", "--help")
    assert handler.code == 0
    assert handler.out.startswith("HelloWorldTask: Hello World\nSay hello world\n")
    assert "parameters: any" in handler.out
    for words in (["task", "--help"], ["task", "-h"], ["task", "list", "--help"], ["help", "task"]):
        command = manage(*words)
        assert command.code == 0
        assert "examples:" in command.out
        assert "--params-json OBJECT" in command.out
        assert "exit codes:" in command.out


@pytest.mark.parametrize("word", ["=yes", "=true", "=1", "=on", "=YES", ""])
def test_enqueue_puts_the_task_on_its_queue(word):
    ran = manage("task", "hello-world-task", "--name=Tom", f"--enqueue{word}")
    task = QueuedTask.objects.get()
    line = f"SUCCESS: HelloWorldTask was enqueued as task {task.pk} on queue default."
    assert (ran.code, ran.out.strip()) == (0, line)
    assert (task.definition.alias, task.parameters) == ("HelloWorldTask", {"name": "Tom"})
    assert task.status == "queued"


@pytest.mark.parametrize("word", ["no", "false", "0", "off"])
def test_enqueue_no_runs_now(word):
    assert "Hello World!" in manage("task", "HelloWorldTask", f"--enqueue={word}").out
    assert not QueuedTask.objects.exists()


def test_enqueue_types_parameters_and_refuses_bad_ones():
    manage("task", "Invite", "--email=a@example.com", "--guests=5", "--enqueue")
    assert QueuedTask.objects.get().parameters == {"email": "a@example.com", "guests": 5}
    assert manage("task", "Invite", "--email=x", "--enqueue").code == 2
    assert QueuedTask.objects.count() == 1


def test_enqueue_takes_queue_priority_and_delay():
    words = ["--enqueue", "--enqueue-queue=emails", "--enqueue-priority=-5", "--enqueue-after=5m"]
    assert manage("task", "HelloWorldTask", *words).code == 0
    task = QueuedTask.objects.get()
    assert (task.queue_name, task.priority, task.status) == ("emails", -5, "scheduled")
    wait = task.run_after - timezone.now()
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)
    assert task.parameters == {}


def test_enqueue_takes_a_time():
    when = "2040-01-31T09:00+02:00"
    assert manage("task", "HelloWorldTask", "--enqueue", f"--enqueue-after={when}").code == 0
    assert QueuedTask.objects.get().run_after.isoformat() == "2040-01-31T07:00:00+00:00"


def test_a_canceled_definition_exits_2():
    manage("task", "HelloWorldTask", "--enqueue")
    TaskDefinition.objects.get(alias="HelloWorldTask").cancel()
    ran = manage("task", "HelloWorldTask", "--enqueue")
    assert ran.code == 2
    assert "is canceled or deleted" in ran.err


def test_a_task_that_runs_here_and_now_needs_no_database():
    with without_migrations():
        assert manage("task", "HelloWorldTask").code == 0
    assert finish(start("task", "HelloWorldTask", environment=NO_DATABASE)).code == 0


def test_call_command(capsys):
    call_command("task", "HelloWorldTask", "--name=Tom")
    call_command("task", "HelloWorldTask", params_json='{"name": "Ann"}')
    call_command("task", "HelloWorldTask", "--name=Eve", enqueue=True)
    out = capsys.readouterr().out
    assert "Hello Tom!" in out
    assert "Hello Ann!" in out
    assert QueuedTask.objects.get().parameters == {"name": "Eve"}
    with pytest.raises(CommandError) as caught:
        call_command("task", "SayNo")
    assert caught.value.returncode == 1
