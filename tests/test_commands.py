"""What every command does alike: help, exit codes of usage and of the database."""

from __future__ import annotations

import pytest
from django.core.management import get_commands

from tests.command_line import NO_DATABASE, finish, manage, start, without_migrations

pytestmark = pytest.mark.django_db(transaction=True)

#: The fewest words with which each command asks the database.
WORDS = {
    "schedule_list": [],
    "schedule_run": ["--once"],
    "task": ["HelloWorldTask", "--enqueue"],
    "taskqueue_cancel": ["7", "--yes"],
    "taskqueue_health": [],
    "taskqueue_pause": ["emails"],
    "taskqueue_purge": ["--older-than=7d", "--yes"],
    "taskqueue_requeue": ["7", "--yes"],
    "taskqueue_resume": ["emails"],
    "taskqueue_run": ["--once"],
    "taskqueue_status": [],
    "taskqueue_stop": ["emails", "--no-wait"],
}
#: `task` hands what it does not know to the handler.
STRICT = sorted(WORDS.keys() - {"task"})


def test_each_command_is_tested_here():
    assert WORDS.keys() == {name for name, app in get_commands().items() if "taskstore" in app}


@pytest.mark.parametrize("command", WORDS)
def test_missing_tables_exit_3(command):
    with without_migrations():
        ran = manage(command, *WORDS[command])
    assert ran.code == 3
    assert "run `manage.py migrate` first" in ran.err


@pytest.mark.parametrize("command", WORDS)
def test_a_database_that_does_not_answer_exits_3(command):
    ran = finish(start(command, *WORDS[command], environment=NO_DATABASE))
    assert ran.code == 3
    assert "does not answer" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", STRICT)
def test_abbreviated_options_are_refused(command):
    ran = manage(command, *WORDS[command], "--verb=0")
    assert ran.code == 2
    assert "unrecognized arguments: --verb=0" in ran.err


@pytest.mark.parametrize("command", WORDS)
def test_help_has_examples_and_exit_codes(command):
    ran = manage(command, "--help")
    assert ran.code == 0
    assert f"manage.py {command} " in ran.out
    assert "exit codes: 0" in ran.out
