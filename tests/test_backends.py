"""The contract of Django's tasks, against our backend: declare, vary, enqueue, read results.

The behaviours are those of Django's own tests for its backends. They hold on Django's tasks
and on the backport, whichever is installed.
"""

from __future__ import annotations

import dataclasses
import pickle
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module

import django
import pytest
from asgiref.sync import async_to_sync
from django.core import checks
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from django_taskstore.backends import TaskStoreBackend, TaskStoreTask
from django_taskstore.backends.api import (
    InvalidTask,
    InvalidTaskBackend,
    Task,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
    immediate,
    signals,
    task_backends,
)
from django_taskstore.conf import tasks_api
from django_taskstore.exceptions import DefinitionCanceled, InvalidParameters
from django_taskstore.models import QueuedTask, TaskDefinition
from tests.helpers import add_task, in_threads
from tests.testapp import functions

pytestmark = pytest.mark.django_db

STORE = "django_taskstore.backends.TaskStoreBackend"
django_task = import_module(tasks_api()).task

takes_options = pytest.mark.skipif(
    django.VERSION[:2] == (6, 0), reason="Django 6.0's decorator takes no options of a backend"
)
pickles = pytest.mark.skipif(django.VERSION < (6, 1), reason="tasks are pickled since Django 6.1")


@pytest.fixture
def tasks(settings):
    """Configure the backends that the tests of variations need."""
    settings.TASKS = {
        "default": {"BACKEND": STORE, "QUEUES": ["default", "queue_1"]},
        "any_queue": {"BACKEND": STORE, "QUEUES": []},
        "immediate": {"BACKEND": f"{tasks_api()}.backends.immediate.ImmediateBackend"},
        "missing": {"BACKEND": "does.not.exist"},
    }


def test_the_api_is_djangos_where_django_has_one():
    expected = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    assert tasks_api() == expected
    assert expected in sys.modules


def test_the_backend_says_that_it_supports_everything():
    backend = task_backends["default"]
    assert type(backend) is TaskStoreBackend
    assert (backend.alias, backend.options) == ("default", {})
    for flag in ("defer", "async_task", "get_result", "priority"):
        assert getattr(backend, f"supports_{flag}") is True


@pytest.mark.parametrize("name", ["noop", "noop_bare", "noop_async"])
def test_the_decorator_makes_a_task(name):
    declared = getattr(functions, name)
    assert isinstance(declared, Task)
    assert isinstance(declared, TaskStoreTask)
    assert declared.name == name
    assert declared.module_path == f"tests.testapp.functions.{name}"
    assert import_string(declared.module_path) is declared


@pytest.mark.parametrize("declared", [functions.noop, functions.noop_async], ids=lambda t: t.name)
def test_enqueue_gives_a_result_that_is_ready(declared):
    before = timezone.now()
    result = declared.enqueue(1, two=3)
    assert result.status == TaskResultStatus.READY
    assert result.is_finished is False
    assert before <= result.enqueued_at <= timezone.now()
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    assert result.task == declared
    assert (result.args, result.kwargs) == ([1], {"two": 3})
    assert (result.attempts, result.worker_ids, result.errors) == (0, [], [])
    assert result.backend == "default"
    assert 0 < len(result.id) < 64
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value


@pytest.mark.parametrize("declared", [functions.noop, functions.noop_async], ids=lambda t: t.name)
def test_aenqueue_does_as_enqueue(declared):
    result = async_to_sync(declared.aenqueue)(1, two=3)
    assert result.status == TaskResultStatus.READY
    assert (result.args, result.kwargs) == ([1], {"two": 3})
    assert result == declared.get_result(result.id)


def test_the_row_is_a_queued_task_like_any_other():
    later = timezone.now() + timedelta(hours=1)
    result = functions.noop.using(priority=7, queue_name="mail", run_after=later).enqueue(
        "a", b=[1]
    )
    row = QueuedTask.objects.select_related("definition").get(pk=result.id)
    assert row.definition.alias == "tests.testapp.functions.noop"
    assert row.parameters == {"args": ["a"], "kwargs": {"b": [1]}}
    assert (row.priority, row.queue_name, row.run_after) == (7, "mail", later)
    assert (row.status, row.max_attempts) == ("scheduled", 1)


def test_the_definition_appears_by_itself_with_the_functions_words():
    functions.noop_bare.enqueue()
    definition = TaskDefinition.objects.get(alias="tests.testapp.functions.noop_bare")
    assert definition.title == "Noop bare"
    assert definition.description == "Do nothing, declared by the bare decorator."
    functions.noop.enqueue()
    definition = TaskDefinition.objects.get(alias="tests.testapp.functions.noop")
    assert definition.description == "Do nothing, whatever is given.\n\nNot even that."


def test_a_canceled_definition_takes_no_calls():
    functions.noop.enqueue()
    TaskDefinition.objects.filter(alias="tests.testapp.functions.noop").cancel()
    with pytest.raises(DefinitionCanceled, match="activate or restore it"):
        functions.noop.enqueue()


def test_arguments_are_kept_as_a_round_trip_through_json_leaves_them():
    result = functions.noop.enqueue((1, 2), b"bytes", word="ü", deep={"a": ({"b": None},)})
    assert result.args == [[1, 2], "bytes"]
    assert result.kwargs == {"word": "ü", "deep": {"a": [{"b": None}]}}
    assert functions.noop.get_result(result.id) == result


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        (datetime(2026, 11, 24, tzinfo=UTC), TypeError, "Unsupported type.*isoformat"),
        ({1, 2}, TypeError, "Unsupported type.*stored as JSON"),
        (b"\xff", ValueError, "Unsupported value"),
        (float("nan"), InvalidParameters, r"hold nan at \['args'\]\[0\]"),
        ([float("-inf")], InvalidParameters, r"hold -inf at \['args'\]\[0\]\[0\]"),
        ({1: "one"}, InvalidParameters, "have the key 1 .*keys of a JSON object are text"),
        ("\x00", InvalidParameters, "which no database stores"),
        ("x" * 70_000, InvalidParameters, "more than the 65,536 allowed"),
    ],
    ids=["datetime", "set", "binary", "nan", "infinity", "key", "nul", "size"],
)
def test_an_argument_that_json_cannot_hold_is_refused_at_once(argument, error, message):
    for enqueue in (functions.noop.enqueue, async_to_sync(functions.noop.aenqueue)):
        with pytest.raises(error, match=message):
            enqueue(argument)
    with pytest.raises(error):
        functions.noop.enqueue(named=argument)
    assert not QueuedTask.objects.exists()


def test_using_changes_a_copy(tasks):
    now = timezone.now()
    varied = functions.noop.using(priority=1, queue_name="queue_1").using(run_after=now)
    assert (varied.priority, varied.queue_name, varied.run_after) == (1, "queue_1", now)
    assert (functions.noop.priority, functions.noop.queue_name) == (0, "default")
    assert functions.noop.run_after is None
    same = functions.noop.using()
    assert same == functions.noop
    assert same is not functions.noop


def test_run_after_may_be_a_time_from_now(tasks):
    before = timezone.now()
    varied = functions.noop.using(run_after=timedelta(minutes=5))
    assert timedelta(minutes=5) <= varied.run_after - before < timedelta(minutes=6)
    row = QueuedTask.objects.get(pk=varied.enqueue().id)
    assert (row.status, row.run_after) == ("scheduled", varied.run_after)


def test_a_time_from_now_also_serves_a_task_that_was_declared_for_another_backend(tasks):
    plain = django_task(backend="immediate")(functions.noop.func)
    assert type(plain) is Task
    varied = plain.using(backend="default", run_after=timedelta(minutes=5))
    assert varied.run_after > timezone.now()
    assert varied.enqueue().status == TaskResultStatus.READY


@pytest.mark.parametrize("priority", [-101, 101, 3.1])
def test_a_priority_out_of_range_is_refused(tasks, priority):
    with pytest.raises(InvalidTask, match="priority must be a whole number between -100 and 100"):
        functions.noop.using(priority=priority)


@pytest.mark.parametrize("priority", [-100, 0, 100])
def test_a_priority_in_range_reaches_the_row(tasks, priority):
    result = functions.noop.using(priority=priority).enqueue()
    assert QueuedTask.objects.get(pk=result.id).priority == priority


def test_a_naive_time_is_refused(tasks):
    with pytest.raises(InvalidTask, match="run_after must be an aware datetime"):
        functions.noop.using(run_after=datetime.now())  # noqa: DTZ005 - what is refused


def test_a_queue_that_the_backend_does_not_name_is_refused(tasks):
    with pytest.raises(InvalidTask, match="Queue 'queue-2' is not valid for backend"):
        functions.noop.using(queue_name="queue-2")
    varied = functions.noop.using(queue_name="queue-2", backend="any_queue")
    assert varied.enqueue().backend == "any_queue"


def test_a_queue_whose_name_the_store_cannot_keep_is_refused(tasks):
    with pytest.raises(InvalidTask, match="Queue name 'two words' is not valid"):
        functions.noop.using(queue_name="two words", backend="any_queue")


@pytest.mark.parametrize("enqueue", ["enqueue", "aenqueue"])
def test_a_task_is_checked_again_when_it_is_enqueued(settings, enqueue):
    varied = functions.noop.using(queue_name="gone")
    settings.TASKS = {"default": {"BACKEND": STORE, "QUEUES": ["default"]}}
    with pytest.raises(InvalidTask, match="Queue 'gone' is not valid for backend"):
        async_to_sync(varied.aenqueue)() if enqueue == "aenqueue" else varied.enqueue()


def test_an_unknown_backend_is_named(tasks):
    with pytest.raises(InvalidTaskBackend, match="The connection 'unknown' doesn't exist"):
        functions.noop.using(backend="unknown")
    with pytest.raises(InvalidTaskBackend, match="Could not find backend 'does.not.exist'"):
        functions.noop.using(backend="missing")


def test_a_function_must_stand_at_the_top_of_its_module():
    def local():
        """Nobody can import this."""

    for function in (any, local, lambda: None):
        with pytest.raises(InvalidTask, match="must be defined at a module level"):
            django_task()(function)


def test_a_function_that_takes_the_context_must_say_so_first():
    with pytest.raises(InvalidTask, match="does not have a first argument of 'context'"):
        django_task(takes_context=True)(functions.meaning_of_life.func)


def test_a_functions_name_must_fit_an_alias():
    function = functions.meaning_of_life.func
    strange = type(function)(function.__code__, {})
    strange.__module__, strange.__qualname__ = "tests.testapp.functions", "смисъл"
    with pytest.raises(InvalidTask, match="characters out of A-Z a-z"):
        django_task()(strange)


def test_get_backend_follows_the_alias(tasks):
    assert isinstance(functions.noop.get_backend(), TaskStoreBackend)
    other = functions.noop.using(backend="immediate").get_backend()
    assert type(other) is immediate.ImmediateBackend


def test_a_task_can_be_called_without_a_queue():
    assert functions.meaning_of_life.call() == 42
    assert functions.noop_async.call() is None
    assert async_to_sync(functions.meaning_of_life.acall)() == 42
    assert async_to_sync(functions.noop_async.acall)() is None


def test_a_result_is_read_by_its_id():
    result = functions.noop.enqueue(1)
    assert functions.noop.get_result(result.id) == result
    assert async_to_sync(functions.noop.aget_result)(result.id) == result
    assert task_backends["default"].get_result(result.id) == result
    assert async_to_sync(task_backends["default"].aget_result)(result.id) == result


def test_a_result_of_another_task_is_a_mismatch():
    result = functions.noop_async.enqueue()
    with pytest.raises(TaskResultMismatch, match="Task does not match"):
        functions.noop.get_result(result.id)
    with pytest.raises(TaskResultMismatch, match="Task does not match"):
        async_to_sync(functions.noop.aget_result)(result.id)


@pytest.mark.parametrize(
    "result_id",
    ["123456", "", "abc", "-1", "1.0", "\u0661", "9" * 19, "9" * 200, "1\x00", 123456, None,
     "0f8fad5b-d9cb-469f-a165-70867728950e"],
)  # fmt: skip
def test_whatever_is_no_id_has_no_result(result_id):
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(result_id)
    with pytest.raises(TaskResultDoesNotExist):
        async_to_sync(functions.noop.aget_result)(result_id)


def test_a_handlers_row_has_no_result():
    row = add_task("HelloWorldTask")
    with pytest.raises(TaskResultDoesNotExist, match="HelloWorldTask is no task function"):
        task_backends["default"].get_result(str(row.pk))


def test_a_hidden_row_has_no_result():
    result = functions.noop.enqueue()
    QueuedTask.objects.get(pk=result.id).soft_delete()
    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()


def test_refresh_brings_a_result_up_to_date():
    result = functions.noop.enqueue()
    before = dataclasses.asdict(result)
    result.refresh()
    assert dataclasses.asdict(result) == before
    QueuedTask.objects.get(pk=result.id).cancel()
    async_to_sync(result.arefresh)()
    assert result.status == TaskResultStatus.FAILED


@pytest.mark.django_db(transaction=True)
def test_statements_are_few(django_assert_num_queries):
    functions.noop.enqueue()
    with django_assert_num_queries(1):
        result = functions.noop.enqueue()
    with django_assert_num_queries(1):
        functions.noop.get_result(result.id)
    with django_assert_num_queries(1):
        result.refresh()


def test_enqueue_sends_the_signal_with_the_backends_class():
    seen = []

    def receive(sender, task_result, **_):
        seen.append((sender, task_result))

    signals.task_enqueued.connect(receive)
    try:
        results = [functions.noop.enqueue(1), async_to_sync(functions.noop.aenqueue)(2)]
    finally:
        signals.task_enqueued.disconnect(receive)
    assert seen == [(TaskStoreBackend, result) for result in results]


def test_enqueue_is_logged_by_django(caplog):
    with caplog.at_level("DEBUG", logger=tasks_api()):
        result = functions.noop.enqueue()
    lines = [one.getMessage() for one in caplog.records if one.name == tasks_api()]
    assert lines == [
        f"Task id={result.id} path=tests.testapp.functions.noop enqueued backend=default"
    ]


def test_the_checks_have_nothing_to_say():
    assert task_backends["default"].check() == []


def test_a_missing_app_is_reported(settings):
    settings.INSTALLED_APPS = []
    messages = task_backends["default"].check()
    assert [message.id for message in messages] == ["django_taskstore.E010"]
    assert "'django_taskstore'" in messages[0].hint


def test_a_queue_name_that_the_store_cannot_keep_is_reported(settings):
    settings.TASKS = {"default": {"BACKEND": STORE, "QUEUES": ["fine", "two words"]}}
    messages = task_backends["default"].check()
    assert [message.id for message in messages] == ["django_taskstore.E011"]
    assert "'two words'" in messages[0].msg
    assert isinstance(messages[0], checks.Error)


@pytest.mark.skipif(django.VERSION < (6, 0), reason="the backport's app is not installed here")
def test_djangos_own_check_asks_the_backend(settings):
    settings.TASKS = {"default": {"BACKEND": STORE, "QUEUES": ["two words"]}}
    assert "django_taskstore.E011" in [message.id for message in checks.run_checks()]


@pickles
def test_tasks_and_results_are_pickled():
    varied = functions.succeeding_at_last.using(priority=3)
    assert pickle.loads(pickle.dumps(varied)) == varied
    result = functions.noop.enqueue(1)
    assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.skipif(django.VERSION < (6, 0), reason="the backport falls back on another backend")
def test_without_backends_nothing_is_enqueued(settings):
    settings.TASKS = {}
    with pytest.raises(InvalidTaskBackend):
        functions.noop.enqueue()


def test_enqueue_is_part_of_the_callers_transaction():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        result = functions.noop.enqueue()
        assert QueuedTask.objects.filter(pk=result.id).exists()
        _ = 1 / 0
    with pytest.raises(TaskResultDoesNotExist):
        functions.noop.get_result(result.id)


@pytest.mark.django_db(transaction=True)
def test_nobody_else_sees_a_call_before_the_commit():
    with transaction.atomic():
        result = functions.noop.enqueue()
        assert in_threads(lambda: QueuedTask.objects.filter(pk=result.id).exists()) == [False]
    assert in_threads(lambda: QueuedTask.objects.filter(pk=result.id).exists()) == [True]
