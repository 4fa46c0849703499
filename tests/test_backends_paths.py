"""A row decides nothing about what is imported or run."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
from django.core.exceptions import SuspiciousOperation
from django.core.signing import Signer

from django_taskstore import TaskQueueRunner, enqueue
from django_taskstore.backends import paths, signing
from django_taskstore.backends.api import TaskResultStatus, task_backends
from django_taskstore.exceptions import HandlerImportFailed
from django_taskstore.models import QueuedTask, TaskAttempt, TaskDefinition
from django_taskstore.registry import registry
from tests.helpers import add_task, fresh, work_until_empty
from tests.testapp import functions

pytestmark = pytest.mark.django_db

CALL = {"args": [], "kwargs": {}}
UNSEEN = "tests.testapp.unseen"


@pytest.fixture
def unseen():
    """Let a module be as if this process had never imported it."""

    def forget():
        sys.modules.pop(UNSEEN, None)
        for handler in list(registry):
            if handler.alias.startswith(UNSEEN):
                registry.remove(handler.alias)

    forget()
    yield UNSEEN
    forget()


def run_once(task):
    """Do one round of a runner and return the row."""
    TaskQueueRunner().run_once()
    return fresh(task)


@pytest.mark.parametrize(
    "path",
    [
        "subprocess.check_output",
        "os.system",
        "builtins.exec",
        "antigravity.fly",
        f"{UNSEEN}.wanted",
        f"{UNSEEN}.helper",
        "tests.testapp.functions.Retry",
        "tests.testapp.functions.missing",
        "missing.module.function",
    ],
)
def test_a_path_that_nobody_signed_is_refused_before_any_import(unseen, path):
    before = set(sys.modules)
    task = run_once(add_task(path, parameters={"args": [["exit", "1"]], "kwargs": {}}))
    assert set(sys.modules) == before
    assert (task.status, task.attempts, task.started_at is None) == ("failed", 1, False)
    (record,) = TaskAttempt.objects.filter(queued_task=task)
    assert record.exception_class == "django.core.exceptions.SuspiciousOperation"
    assert f"'{path}' does not point to a task" in record.message
    with pytest.raises(SuspiciousOperation, match="Nothing was imported"):
        task_backends["default"].get_result(str(task.pk))


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "forged",
        7,
        Signer(salt="another").signature(f"{UNSEEN}.wanted"),
        signing.sign("tests.testapp.functions.noop")["signature"],
    ],
    ids=["none", "empty", "forged", "number", "other salt", "other path"],
)
def test_a_signature_must_be_this_projects_and_this_paths(unseen, signature):
    row = add_task(f"{UNSEEN}.wanted", parameters=CALL, metadata={"signature": signature})
    assert run_once(row).status == "failed"
    assert UNSEEN not in sys.modules


def test_a_signed_path_is_imported_and_run(unseen):
    path = f"{UNSEEN}.wanted"
    row = add_task(path, parameters=CALL, metadata=signing.sign(path))
    assert path not in registry
    task = run_once(row)
    assert (task.status, task.output) == ("success", "wanted")
    result = task_backends["default"].get_result(str(task.pk))
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, "wanted")


def test_whoever_enqueues_signs(unseen):
    declared = import_module(unseen).wanted
    result = declared.enqueue()
    metadata = QueuedTask.objects.get(pk=result.id).metadata
    assert signing.is_signed(declared.module_path, metadata)
    assert metadata["backend"] == "default"


def test_a_row_that_people_enqueue_is_signed_where_the_function_is_known(unseen):
    path = f"{unseen}.wanted"
    assert signing.SIGNATURE not in enqueue_by_alias(path, known=False).metadata
    import_module(unseen)
    task = enqueue_by_alias(path, known=True)
    assert signing.is_signed(path, task.metadata)
    assert task.parameters == {"args": [], "kwargs": {}}


def enqueue_by_alias(path, *, known):
    """Enqueue as the admin, the command line and schedules do."""
    TaskDefinition.objects.get_or_create(alias=path)
    assert (path in registry) is known
    return enqueue(path)


def test_a_signature_survives_a_change_of_the_secret_key(unseen, settings):
    path = f"{UNSEEN}.wanted"
    row = add_task(path, parameters=CALL, metadata=signing.sign(path))
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"
    assert run_once(row).status == "success"


def test_a_signed_path_must_still_lead_to_a_task(unseen):
    path = f"{UNSEEN}.helper"
    task = run_once(add_task(path, parameters=CALL, metadata=signing.sign(path)))
    assert task.status == "failed"
    assert "does not point to a task" in task.attempt_records.get().message


@pytest.mark.parametrize("path", [f"{UNSEEN}.gone", "tests.testapp.nowhere.gone"])
def test_a_signed_path_that_this_process_cannot_import_is_left_to_others(unseen, path, caplog):
    row = add_task(path, parameters=CALL, metadata=signing.sign(path))
    runner = TaskQueueRunner()
    for _ in range(2):
        runner.run_once()
    task = fresh(row)
    assert (task.status, task.attempts) == ("queued", 0)
    lines = [one.getMessage() for one in caplog.records if "no_handler" in one.getMessage()]
    assert len(lines) == 1
    assert f"{path!r} cannot be imported" in lines[0]
    with pytest.raises(HandlerImportFailed, match="cannot be imported"):
        task_backends["default"].get_result(str(task.pk))


def test_a_handlers_row_that_this_process_does_not_know_is_left_to_others(caplog):
    plain = add_task("UnknownHandler")
    dotted = add_task("shop.UnknownHandler", parameters={"name": "Tom"})
    TaskQueueRunner().run_once()
    TaskQueueRunner().run_once()
    assert {fresh(plain).status, fresh(dotted).status} == {"queued"}
    assert "No handler is registered under the alias 'UnknownHandler'" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_refused_row_fails_alone():
    before = functions.meaning_of_life.enqueue()
    bad = [add_task("subprocess.check_output", parameters=CALL, priority=9) for _ in range(3)]
    after = functions.meaning_of_life.enqueue()
    work_until_empty()
    assert {fresh(task).status for task in bad} == {"failed"}
    for result in (before, after):
        result.refresh()
        assert result.return_value == 42


def test_renaming_a_definition_does_not_run_another_function():
    result = functions.noop.enqueue()
    TaskDefinition.objects.filter(alias=functions.noop.module_path).update(alias="os.abort")
    TaskQueueRunner().run_once()
    assert QueuedTask.objects.get(pk=result.id).status == "failed"


@pytest.mark.parametrize(
    "path", ["HelloWorldTask", "shop:tasks.send", "a..b", ".a", "a.1b", "a.b-c"]
)
def test_what_is_no_path_is_no_functions(path):
    assert paths.find(path, CALL, {}) is None
