"""What a handler's return, exception or wish means for its task."""

from __future__ import annotations

import pytest
from django.test import override_settings

from django_taskstore import TaskQueueRunner, enqueue
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.registry import registry
from django_taskstore.testing import drain
from tests.testapp.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)

HEARD = []


def hear(queue_name, task_id, exception):
    """Stand in for a project's error handler."""
    HEARD.append((queue_name, task_id, type(exception).__name__, str(exception)))


def run(alias, parameters=None, **options):
    """Enqueue one task, run what is due, and return its row."""
    task = enqueue(alias, parameters, **options)
    drain()
    return QueuedTask.objects.get(pk=task.pk)


def test_success_keeps_log_and_stamps():
    row = run("HelloWorldTask", {"name": "Tom"})
    assert row.status == "success"
    assert row.details.endswith("INFO: Hello Tom!")
    assert row.started_at <= row.completed_at
    assert not TaskAttempt.objects.exists()


@pytest.mark.parametrize(
    ("what", "output"),
    [
        (None, None),
        (True, None),
        (0, 0),
        ("", ""),
        ([], []),
        ({"a": 1}, {"a": 1}),
        ("output", {"answer": 42}),
    ],
)
def test_only_false_is_a_failure(what, output):
    row = run("Returning", {"what": what})
    assert (row.status, row.output) == ("success", output)


def test_false_fails_with_the_last_error_line():
    row = run("SayNo", {"line": "no stock"})
    assert row.status == "failed"
    attempt = TaskAttempt.objects.get()
    assert (attempt.outcome, attempt.message) == ("failed", "no stock")


@pytest.mark.parametrize("what", ["set", "nan"])
def test_an_output_json_cannot_hold_fails_the_task(what):
    row = run("Returning", {"what": what}, max_attempts=5)
    assert (row.status, row.attempts) == ("failed", 1)
    assert "output" in TaskAttempt.objects.get().message


def test_an_exception_fails_the_task_with_its_traceback():
    row = run("Failing", {"message": "no such customer"})
    attempt = TaskAttempt.objects.get()
    assert (row.status, row.attempts) == ("failed", 1)
    assert (attempt.exception_class, attempt.message) == ("ValueError", "no such customer")
    assert "in handle" in attempt.traceback
    assert "ValueError: no such customer" in row.details


def test_a_retry_keeps_each_attempt():
    row = run("RetryTwice")
    assert (row.status, row.attempts, row.output) == ("success", 3, {"attempts": 3})
    endings = TaskAttempt.objects.values_list("number", "outcome", "message")
    assert list(endings) == [(1, "retried", "attempt 1"), (2, "retried", "attempt 2")]


def test_steering_exceptions():
    retried = run("Steered", {"how": "retry"})
    assert (retried.status, retried.attempts) == ("failed", 2)
    canceled = run("Steered", {"how": "cancel"})
    assert canceled.status == "canceled"
    assert "no longer wanted" in canceled.details


def test_a_snooze_counts_no_attempt():
    task = enqueue("Steered", {"how": "snooze"})
    for _ in range(3):
        TaskQueueRunner().run_once()
    task.refresh_from_db()
    assert (task.status, task.attempts, task.claim_seq) == ("scheduled", 0, 3)


def test_async_handlers_run_inline_too():
    row = run("AsyncHello")
    assert (row.status, row.output) == ("success", {"loop": True})
    assert row.details.endswith("SUCCESS: awaited")


def test_an_atomic_handlers_writes_commit_with_its_outcome():
    done, failed = run("AtomicEffect"), run("AtomicEffect", {"fail": True})
    assert (done.status, failed.status) == ("success", "failed")
    assert list(Effect.objects.values_list("task_id", flat=True)) == [done.pk]


def test_an_atomic_handler_that_lost_its_claim_leaves_nothing(monkeypatch):
    kind = registry.get("AtomicEffect")
    handle = kind.handle

    def stolen(self):
        handle(self)
        QueuedTask.objects.filter(pk=self.queued_task.pk).update(claim_seq=7)

    monkeypatch.setattr(kind, "handle", stolen)
    task = enqueue("AtomicEffect")
    TaskQueueRunner().run_once()
    task.refresh_from_db()
    assert not Effect.objects.exists()
    assert task.status != "success"


def test_parameters_keep_their_types_and_lists_split():
    parameters = {"n": 1, "f": 1.5, "b": True, "none": None, "l": [1], "items": "a; b;;c"}
    row = run("Typed", parameters)
    assert row.output == {"parameters": parameters, "array": ["a", "b", "c"]}


def test_the_error_handler_hears_of_each_failed_attempt():
    HEARD.clear()
    with override_settings(TASKSTORE={"ERROR_HANDLER": "tests.test_executor.hear"}):
        failed, refused = run("Failing"), run("SayNo", {"line": "no stock"})
        run("HelloWorldTask")
        run("Steered", {"how": "cancel"})
    assert [
        ("default", failed.pk, "ValueError", "boom"),
        ("default", refused.pk, "TaskFailed", "no stock"),
    ] == HEARD


def test_an_error_handler_that_raises_changes_nothing():
    with override_settings(TASKSTORE={"ERROR_HANDLER": "builtins.int"}):
        assert run("Failing").status == "failed"


def test_a_full_log_says_so():
    kind = registry.get("HelloWorldTask")
    with override_settings(TASKSTORE={"MAX_DETAILS_BYTES": 200}):
        handler = kind()
        for _ in range(50):
            handler.log_info("x" * 20)
    assert str(handler.log).count("dropped") == 1
    assert len(str(handler.log)) < 400
