"""Task functions as people meet them: in the admin, and in real worker processes."""

from __future__ import annotations

from importlib import import_module

import pytest

from django_taskstore import definitions
from django_taskstore.backends import signing
from django_taskstore.models import QueuedTask
from django_taskstore.testing import run_queued_tasks
from tests.admin_pages import DEFINITIONS, TASKS, client_of, definition, said, superuser, url, use
from tests.helpers import WorkerProcess, add_task, fresh
from tests.testapp import functions

RETURNING = functions.returning.module_path


@pytest.fixture
def client(db):
    """Return a superuser's client, after the worker has made the definitions."""
    definitions.mirror("default")
    return client_of(superuser())


def test_a_functions_definition_stands_in_the_admin_before_its_first_call(client):
    page = client.get(url(f"{DEFINITIONS}_change", definition(RETURNING).pk)).content.decode()
    assert "Return what is given." in page
    assert RETURNING in page


@pytest.mark.parametrize("typed", ['{"value": 7}', '{"args": [7], "kwargs": {}}'])
def test_a_function_is_enqueued_in_the_admin_with_named_arguments(client, typed):
    address = f"{url(f'{TASKS}_add')}?definition={definition(RETURNING).pk}"
    placement = {"queue_name": "default", "priority": "0", "run_after": "", "parameters": typed}
    assert "was put on the queue" in said(client.post(address, placement, follow=True))
    assert [task.output for task in run_queued_tasks()] == [7]


def test_a_call_is_requeued_in_the_admin_with_other_arguments(client):
    result = functions.returning.enqueue(1)
    run_queued_tasks()
    row = QueuedTask.objects.get(pk=result.id)
    response = use(client, "requeue", row, parameters='{"value": 2}', queue_name="default")
    assert said(response) == "1 requeued"
    (again,) = run_queued_tasks()
    assert (again.requeued_from, again.output) == (row, 2)


def test_a_failed_calls_traceback_is_on_its_page(client):
    result = functions.failing.enqueue()
    run_queued_tasks()
    page = client.get(url(f"{TASKS}_change", result.id)).content.decode()
    assert "This task failed." in page
    assert "Traceback (most recent call last)" in page


@pytest.mark.django_db(transaction=True)
def test_a_worker_process_imports_what_was_signed_and_nothing_else():
    """The process declares none of these functions by itself: no app's tasks.py has them."""
    wanted = import_module("tests.testapp.unseen").wanted
    good = [functions.returning.enqueue(7), wanted.enqueue(), functions.noop_async.enqueue()]
    path = "tests.testapp.unseen.helper"
    call = {"args": [], "kwargs": {}}
    bad = [
        add_task("subprocess.check_output", parameters=call),
        add_task(path, parameters=call, metadata=signing.sign(path)),
    ]
    code, output = WorkerProcess("--once", "--concurrency", "3").wait()
    assert code == 0, output
    for result in good:
        result.refresh()
    assert [result.status for result in good] == ["SUCCESSFUL"] * 3, output
    assert [result.return_value for result in good] == [7, "wanted", None]
    assert {fresh(task).status for task in bad} == {"failed"}
    assert output.count("SuspiciousOperation") == 2
