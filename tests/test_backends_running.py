"""Task functions on real runners: what they return and raise, retries, options, both kinds.

The behaviours are those of django-tasks-db's worker, where ours does not promise more.
"""

from __future__ import annotations

import copy
import threading
from datetime import timedelta
from io import StringIO

import django
import pytest
from django.core.management import call_command
from django.utils import timezone

from django_taskstore import enqueue, requeue, scheduler
from django_taskstore.backends import TaskStoreBackend, task
from django_taskstore.backends.api import InvalidTask, TaskResultStatus, signals
from django_taskstore.conf import tasks_api
from django_taskstore.models import QueuedTask, Schedule, TaskDefinition
from django_taskstore.registry import registry
from django_taskstore.testing import drain, run_schedules, travel
from tests.helpers import expire, fresh, work_until_empty
from tests.testapp import functions
from tests.testapp.models import Effect

pytestmark = pytest.mark.django_db

STORE = "django_taskstore.backends.TaskStoreBackend"


def row_of(result):
    """Return the row of a result."""
    return QueuedTask.all_objects.get(pk=result.id)


def run(declared, *args, **kwargs):
    """Enqueue a call, run what is due, and return the refreshed result."""
    result = declared.enqueue(*args, **kwargs)
    drain(declared.queue_name)
    assert result.status == TaskResultStatus.READY
    result.refresh()
    return result


@pytest.fixture
def seen():
    """Collect (signal's name, sender, result) of Django's signals."""
    received, connected = [], []
    for name in ("task_enqueued", "task_started", "task_finished"):

        def receive(sender, task_result, name=name, **_):
            received.append((name, sender, copy.copy(task_result)))

        signal = getattr(signals, name)
        signal.connect(receive, weak=False)
        connected.append((signal, receive))
    yield received
    for signal, receive in connected:
        signal.disconnect(receive)


@pytest.mark.parametrize("declared", [functions.noop, functions.noop_async], ids=lambda t: t.name)
def test_a_call_runs_to_its_end(declared):
    result = run(declared, 1, two=3)
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert result.is_finished is True
    assert result.return_value is None
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert result.last_attempted_at == result.started_at
    assert (result.attempts, result.errors) == (1, [])
    assert result.worker_ids == [str(row_of(result).claimed_by)]


@pytest.mark.parametrize(
    "value", [42, False, True, "", 0, [], {"a": [1, "ü"]}, None, "text"], ids=repr
)
def test_what_a_function_returns_is_its_return_value(value):
    result = run(functions.returning, value)
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert result.return_value == value
    assert type(result.return_value) is type(value)


@pytest.mark.parametrize(("kind", "value"), [("tuple", [1, [2, 3]]), ("bytes", "text")])
def test_a_return_value_takes_the_form_that_json_gives_it(kind, value):
    assert run(functions.returning_strange, kind).return_value == value


def test_a_return_value_that_json_cannot_hold_fails_the_task():
    result = run(functions.returning_strange, "function")
    assert result.status == TaskResultStatus.FAILED
    assert result.errors[0].exception_class is TypeError
    assert "Unsupported type" in result.errors[0].traceback
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value
    result = run(functions.returning_strange, "nan")
    assert result.status == TaskResultStatus.FAILED
    assert "nan" in result.errors[0].traceback


@pytest.mark.parametrize(
    ("declared", "exception", "message"),
    [
        (functions.failing, ValueError, "This task failed."),
        (functions.exiting, SystemExit, "This task exits."),
        (functions.interrupting, KeyboardInterrupt, "This task interrupts."),
    ],
    ids=["error", "exit", "interrupt"],
)
def test_what_a_function_raises_is_kept_with_its_traceback(declared, exception, message):
    result = run(declared)
    assert result.status == TaskResultStatus.FAILED
    assert result.is_finished is True
    assert result.attempts == len(result.worker_ids) == 1
    assert result.started_at <= result.finished_at
    (error,) = result.errors
    assert error.exception_class is exception
    assert error.traceback.startswith("Traceback (most recent call last):\n")
    assert error.traceback.endswith(f"{exception.__name__}: {message}\n")
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_an_exception_of_an_exception_is_kept():
    result = run(functions.nested_exception)
    assert result.errors[0].exception_class is ValueError
    assert 'ValueError(ValueError("inner"))' in result.errors[0].traceback


def test_wrong_arguments_fail_the_task():
    result = run(functions.meaning_of_life, 1, two=2)
    assert result.errors[0].exception_class is TypeError


def test_a_function_is_told_its_own_id():
    result = run(functions.own_id)
    assert result.return_value == result.id


def test_a_function_finds_its_attempt_and_result_in_the_context():
    result = run(functions.context_facts)
    assert result.return_value == {
        "attempt": 1, "workers": 1, "errors": 0, "status": "RUNNING", "args": [],
    }  # fmt: skip


def test_a_function_may_log_and_tell_its_progress():
    result = run(functions.logging_progress)
    row = row_of(result)
    assert result.return_value is False
    assert [line.split("] ")[1] for line in row.details.splitlines()] == [
        "INFO: begun",
        "ERROR: something odd",
        "SUCCESS: done",
    ]
    assert row.progress == {"done": 3, "total": 4, "message": "nearly"}


def test_attempts_workers_and_errors_are_one_an_attempt():
    result = run(functions.succeeding_at_last)
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert result.return_value == 3
    assert result.attempts == len(result.worker_ids) == 3
    assert [error.exception_class for error in result.errors] == [ValueError, ValueError]
    assert "ValueError: attempt 2" in result.errors[1].traceback
    assert result.started_at < result.last_attempted_at <= result.finished_at


def test_a_failure_that_will_be_retried_is_ready_again(settings):
    settings.TASKS = {
        "default": {"BACKEND": STORE, "OPTIONS": {"max_attempts": 2, "backoff": 3600}}
    }
    result = run(functions.failing)
    assert row_of(result).status == "scheduled"
    assert result.status == TaskResultStatus.READY
    assert result.attempts == len(result.errors) == 1
    assert result.started_at == result.last_attempted_at
    assert result.finished_at is None


@pytest.mark.parametrize("declared", [functions.context_facts, functions.context_facts_async],
                         ids=lambda t: t.name)  # fmt: skip
def test_a_later_attempt_sees_the_earlier_ones(settings, declared):
    settings.TASKS = {"default": {"BACKEND": STORE, "OPTIONS": {"max_attempts": 3, "backoff": 0}}}
    result = run(declared, fail_before=3)
    assert result.return_value["attempt"] == result.return_value["workers"] == 3


@pytest.mark.parametrize(
    ("how", "status", "row_status", "attempts"),
    [
        ("retry", TaskResultStatus.READY, "scheduled", 1),
        ("snooze", TaskResultStatus.READY, "scheduled", 0),
        ("cancel", TaskResultStatus.FAILED, "canceled", 1),
    ],
)
def test_a_function_may_steer_its_task(how, status, row_status, attempts):
    result = run(functions.steered, how)
    assert (result.status, row_of(result).status) == (status, row_status)
    assert result.attempts == len(result.worker_ids) == attempts
    if how == "cancel":
        assert result.errors[0].exception_class is functions.Cancel
        assert "unwanted" in result.errors[0].traceback


def test_statuses_of_the_store_have_their_place():
    result = functions.failing.enqueue()
    row = row_of(result)
    for verb, status in [
        (row.pause, TaskResultStatus.READY),
        (row.resume, TaskResultStatus.READY),
        (row.cancel, TaskResultStatus.FAILED),
        (row.restart, TaskResultStatus.READY),
    ]:
        assert verb() is True
        result.refresh()
        assert result.status == status
        assert (result.attempts, result.started_at) == (0, None)
        names = [error.exception_class_path for error in result.errors]
        is_canceled = status == TaskResultStatus.FAILED
        assert names == ["django_taskstore.exceptions.Cancel"] * is_canceled


def test_a_restarted_task_begins_a_new_count():
    result = run(functions.failing)
    assert row_of(result).restart()
    result.refresh()
    assert (result.status, result.attempts, result.errors) == (TaskResultStatus.READY, 0, [])
    drain()
    result.refresh()
    assert (result.attempts, len(result.errors)) == (1, 1)


def test_a_task_whose_worker_died_says_so(settings):
    from django_taskstore.claims import claim_next
    from django_taskstore.maintenance import rescue

    settings.TASKSTORE = {"MAX_LOSSES": 2}
    result = functions.noop.enqueue()
    for status in (TaskResultStatus.READY, TaskResultStatus.FAILED):
        assert claim_next() is not None
        result.refresh()
        assert (result.status, result.attempts) == (TaskResultStatus.RUNNING, 1)
        expire(row_of(result))
        assert len(rescue("default")) == 1
        result.refresh()
        assert (result.status, result.attempts) == (status, 0)
    assert [error.exception_class_path for error in result.errors] == [
        "django_taskstore.exceptions.WorkerLost"
    ] * 2
    assert "stopped renewing its lease" in result.errors[1].traceback


def test_djangos_signals_tell_the_life_of_a_success(seen):
    result = run(functions.noop, 1)
    assert [(name, sender) for name, sender, _ in seen] == [
        ("task_enqueued", TaskStoreBackend),
        ("task_started", TaskStoreBackend),
        ("task_finished", TaskStoreBackend),
    ]
    enqueued, started, finished = (one for *_, one in seen)
    assert enqueued.status == TaskResultStatus.READY
    assert (started.status, started.attempts) == (TaskResultStatus.RUNNING, 1)
    assert started.started_at is not None
    assert finished.status == TaskResultStatus.SUCCESSFUL
    assert {one.id for one in (enqueued, started, finished)} == {result.id}
    assert finished.worker_ids == result.worker_ids


def test_a_retry_is_started_again_and_finished_once(seen):
    run(functions.succeeding_at_last)
    assert [name for name, *_ in seen[1:]] == ["task_started"] * 3 + ["task_finished"]
    *_, last = seen[-1]
    assert (last.attempts, len(last.errors), last.return_value) == (3, 2, 3)


@pytest.mark.parametrize("declared", [functions.failing, functions.failing_thrice],
                         ids=lambda t: t.name)  # fmt: skip
def test_a_failure_is_told_inside_the_except_block(seen, caplog, declared):
    with caplog.at_level("INFO", logger=tasks_api()):
        result = run(declared)
    name, sender, finished = seen[-1]
    assert (name, sender, finished.id) == ("task_finished", TaskStoreBackend, result.id)
    assert finished.errors == result.errors
    assert finished.worker_ids == result.worker_ids
    last = [one for one in caplog.records if one.name == tasks_api()][-1]
    assert last.levelname == "ERROR"
    assert last.getMessage().endswith("state=FAILED")
    assert last.exc_info[0] is ValueError


def test_a_success_is_logged_without_an_exception(caplog):
    with caplog.at_level("INFO", logger=tasks_api()):
        result = run(functions.noop)
    lines = [one for one in caplog.records if one.name == tasks_api()]
    path = "path=tests.testapp.functions.noop"
    assert [one.getMessage() for one in lines] == [
        f"Task id={result.id} {path} state=RUNNING",
        f"Task id={result.id} {path} state=SUCCESSFUL",
    ]
    assert [bool(one.exc_info and one.exc_info[0]) for one in lines] == [False, False]


def test_a_cancel_of_a_waiting_call_finishes_it(seen, django_capture_on_commit_callbacks):
    result = functions.noop.enqueue()
    with django_capture_on_commit_callbacks(execute=True):
        row_of(result).cancel()
    name, sender, finished = seen[-1]
    assert (name, sender, finished.status) == ("task_finished", TaskStoreBackend, "FAILED")


def test_a_receiver_that_raises_changes_nothing(caplog):
    def raising(**_):
        raise RuntimeError("a receiver's fault")

    for signal in (signals.task_started, signals.task_finished):
        signal.connect(raising)
    try:
        result = run(functions.meaning_of_life)
    finally:
        for signal in (signals.task_started, signals.task_finished):
            signal.disconnect(raising)
    assert result.return_value == 42
    assert caplog.text.count("a receiver's fault") >= 2


def test_options_of_the_declaration_reach_the_engine():
    handler = registry.get(functions.failing_thrice.module_path)
    assert (handler.max_attempts, handler.backoff) == (3, 0)
    result = run(functions.failing_thrice)
    assert (row_of(result).max_attempts, result.attempts, len(result.errors)) == (3, 3, 3)


def test_options_of_the_backend_serve_tasks_that_do_not_say(settings):
    options = {"max_attempts": 4, "backoff": [5, 60], "timeout": 90, "on_lost": "fail"}
    settings.TASKS = {"default": {"BACKEND": STORE, "OPTIONS": options}}
    row = row_of(functions.noop.enqueue())
    handler = registry.get(functions.noop.module_path)
    assert {name: getattr(handler, name) for name in options} == options
    assert (row.max_attempts, row.metadata["on_lost"]) == (4, "fail")
    row = row_of(functions.failing_thrice.enqueue())
    assert row.max_attempts == 3
    assert registry.get(functions.failing_thrice.module_path).backoff == 0


@pytest.mark.skipif(
    django.VERSION[:2] == (6, 0), reason="Django 6.0's decorator takes no options of a backend"
)
def test_djangos_decorator_takes_the_options():
    from importlib import import_module

    declare = import_module(tasks_api()).task
    declared = declare(max_attempts=5, backoff=(1, 2), timeout=timedelta(minutes=1), atomic=True)
    varied = declared(functions.effect.func)
    assert (varied.max_attempts, varied.backoff) == (5, (1, 2))
    assert varied.using(priority=1).timeout == timedelta(minutes=1)
    assert row_of(varied.enqueue(1)).max_attempts == 5
    with pytest.raises(TypeError):
        declare(unknown=1)(functions.noop.func)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_attempts": 0}, "max_attempts=0"),
        ({"timeout": -1}, "timeout=-1"),
        ({"on_lost": "explode"}, "on_lost='explode'"),
    ],
)
def test_an_option_out_of_range_is_refused(options, message):
    with pytest.raises(InvalidTask, match=message):
        task(**options)(functions.noop.func)


def test_an_async_function_cannot_be_atomic():
    with pytest.raises(InvalidTask, match="atomic and async"):
        task(atomic=True)(functions.noop_async.func)


@pytest.mark.parametrize("name", ["unknown", "run_after", "func"])
def test_our_decorator_names_an_option_it_does_not_have(name):
    with pytest.raises(TypeError, match=f"task.. takes no option {name}"):
        task(**{name: 1})(functions.noop.func)


def test_our_decorator_leaves_out_what_another_backend_does_not_know(settings):
    path = f"{tasks_api()}.backends.immediate.ImmediateBackend"
    settings.TASKS = {"default": {"BACKEND": path}}
    declared = task(max_attempts=5, priority=3)(functions.meaning_of_life.func)
    assert (declared.priority, hasattr(declared, "max_attempts")) == (3, False)
    assert declared.enqueue().return_value == 42


def test_an_atomic_function_commits_with_its_outcome():
    assert run(functions.effect, 1).status == TaskResultStatus.SUCCESSFUL
    failed = run(functions.effect, 2, fail=True)
    assert failed.status == TaskResultStatus.FAILED
    assert list(Effect.objects.values_list("task_id", flat=True)) == [1]


@pytest.mark.django_db(transaction=True)
def test_an_async_function_is_stopped_at_its_timeout():
    result = functions.sleeping_too_long.enqueue()
    work_until_empty()
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    assert result.errors[0].exception_class_path == "django_taskstore.exceptions.TaskTimedOut"


@pytest.mark.django_db(transaction=True)
def test_both_kinds_of_task_share_queues_and_workers(seen):
    first = functions.meaning_of_life.enqueue()
    second = enqueue("HelloWorldTask", {"name": "Tom"})
    third = functions.context_facts_async.enqueue()
    work_until_empty(concurrency=2)
    assert {fresh(second).status, row_of(first).status, row_of(third).status} == {"success"}
    assert sorted(one.id for name, _, one in seen if name == "task_finished") == sorted(
        [first.id, third.id]
    )


@pytest.mark.django_db(transaction=True)
def test_tasks_are_taken_by_priority_and_only_when_they_are_due():
    later = functions.returning.using(run_after=timezone.now() + timedelta(hours=1)).enqueue(0)
    order = [
        functions.returning.using(priority=priority).enqueue(priority)
        for priority in (-2, 2, 20, 0)
    ]
    work_until_empty(concurrency=1)
    for result in [later, *order]:
        result.refresh()
    assert later.status == TaskResultStatus.READY
    ran = sorted(order, key=lambda result: (result.started_at, result.id))
    assert {result.status for result in order} == {TaskResultStatus.SUCCESSFUL}
    assert ran[0].return_value == 20 or len({result.started_at for result in ran}) == 1


def test_a_queue_that_is_not_worked_waits():
    result = functions.noop.using(queue_name="other").enqueue()
    drain()
    result.refresh()
    assert result.status == TaskResultStatus.READY
    drain("*")
    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL


@pytest.mark.django_db(transaction=True)
def test_the_command_works_task_functions():
    results = [functions.meaning_of_life.enqueue() for _ in range(3)]
    results.append(functions.failing.enqueue())
    call_command("taskqueue_run", "--once", stdout=StringIO(), stderr=StringIO())
    for result in results:
        result.refresh()
    assert [result.status for result in results] == ["SUCCESSFUL"] * 3 + ["FAILED"]


@pytest.mark.parametrize("words", [["--value=5"], ['--params-json={"args": [5], "kwargs": {}}']])
def test_the_command_line_runs_a_function_with_named_arguments(words):
    out = StringIO()
    call_command("task", "tests.testapp.functions.returning", *words, stdout=out)
    assert "succeeded" in out.getvalue()
    call_command("task", "tests.testapp.functions.returning", *words, "--enqueue=yes", stdout=out)
    drain()
    row = QueuedTask.objects.get()
    assert (row.status, str(row.output)) == ("success", "5")


def test_a_context_is_there_on_the_command_line_too():
    out = StringIO()
    call_command("task", "tests.testapp.functions.logging_progress", stdout=out)
    assert "begun" in out.getvalue()


def test_a_call_is_requeued_like_any_task():
    result = run(functions.returning, 1)
    again = requeue(row_of(result), parameters={"value": 2})
    assert again.parameters == {"args": [], "kwargs": {"value": 2}}
    drain()
    assert functions.returning.get_result(str(again.pk)).return_value == 2


def test_a_call_that_was_moved_to_another_queue_still_has_a_result(settings):
    settings.TASKS = {"default": {"BACKEND": STORE, "QUEUES": ["default"]}}
    moved = requeue(row_of(functions.own_id.enqueue()), queue_name="elsewhere")
    drain("elsewhere")
    result = functions.own_id.get_result(str(moved.pk))
    assert (result.return_value, result.task.queue_name) == (str(moved.pk), "elsewhere")


def test_a_call_of_a_backend_that_was_renamed_still_runs(settings):
    settings.TASKS = {"default": {"BACKEND": STORE}, "old": {"BACKEND": STORE}}
    result = functions.meaning_of_life.using(backend="old").enqueue()
    settings.TASKS = {"default": {"BACKEND": STORE}}
    drain()
    assert functions.meaning_of_life.get_result(result.id).return_value == 42


@pytest.mark.django_db(transaction=True)
def test_the_worker_makes_the_definitions_of_declared_functions():
    TaskDefinition.all_objects.filter(alias__startswith="tests.testapp.functions").update(
        title="", description=""
    )
    work_until_empty()
    definition = TaskDefinition.objects.get(alias="tests.testapp.functions.returning")
    assert (definition.title, definition.description) == ("Returning", "Return what is given.")


@pytest.mark.django_db(transaction=True)
def test_a_receiver_of_an_async_functions_start_may_use_the_orm():
    started = []

    def note(task_result, **_):
        started.append(QueuedTask.objects.get(pk=task_result.id).status)

    signals.task_started.connect(note)
    try:
        functions.noop_async.enqueue()
        work_until_empty()
    finally:
        signals.task_started.disconnect(note)
    assert started == ["running"]


@pytest.mark.django_db(transaction=True)
def test_signals_of_running_tasks_come_from_the_workers_threads(seen):
    functions.noop.enqueue()
    places = []
    signals.task_started.connect(
        lambda **_: places.append(threading.current_thread().name), weak=False, dispatch_uid="here"
    )
    work_until_empty()
    signals.task_started.disconnect(dispatch_uid="here")
    assert len(places) == 1
    assert places[0].startswith("taskstore-handler")


@pytest.fixture
def mornings():
    """Let a function declare a schedule for the length of one test."""
    schedule = {"rule": "0 9 * * 1-5", "name": "Mornings", "time_zone": "UTC"}
    yield task(schedule=schedule)(functions.greeting.func)
    registry.remove(functions.greeting.module_path)


def test_a_function_may_declare_its_schedule(mornings):
    scheduler.mirror("default")
    schedule = Schedule.objects.get(name="Mornings")
    assert (schedule.definition.alias, schedule.status) == (
        functions.greeting.module_path,
        "active",
    )
    with travel(schedule.next_run_at):
        (task,) = run_schedules()
        drain()
    assert fresh(task).output == "Good morning, everybody!"
    assert functions.greeting.get_result(str(task.pk)).kwargs == {}


def test_a_schedule_of_a_function_must_be_valid():
    with pytest.raises(InvalidTask, match="declares the schedule 'sometimes'"):
        task(schedule="sometimes")(functions.noop.func)


def test_a_functions_definition_may_be_scheduled_by_people():
    functions.returning.enqueue(0)
    schedule = Schedule.objects.create(
        name="By hand",
        definition=TaskDefinition.objects.get(alias=functions.returning.module_path),
        parameters={"value": [1, 2]},
        recurrence_rule="FREQ=HOURLY",
        status="active",
    )
    with travel(schedule.next_run_at):
        (row,) = run_schedules()
        drain()
    assert fresh(row).output == [1, 2]
