"""How a claim ends: each outcome's columns, its record, its signal, and a late one's fate."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from django_taskstore import (
    claim_next,
    claims,
    enqueue,
    fail,
    outcomes,
    release,
    succeed,
    tracebacks,
)
from django_taskstore.database.transactions import writing
from django_taskstore.exceptions import ClaimLost, InvalidOutput, Retry, Snooze, TaskFailed
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.outcomes import Outcome, failure, record
from django_taskstore.statuses import Ending
from django_taskstore.tracebacks import str_of, traceback_of
from tests.helpers import captured_sql, expire, fresh, row_of

pytestmark = pytest.mark.django_db


def claimed(alias="Noop", **options):
    task = enqueue(alias, **options)
    claim = claim_next(options.get("queue_name", "default"))
    assert claim.id == task.pk
    return claim


def test_a_success_stores_output_and_leaves_no_attempt_row():
    claim = claimed()
    succeed(claim, {"answer": [1, None, "ü"]})
    task = fresh(claim.id)
    assert (task.status, task.output, task.attempts) == ("success", {"answer": [1, None, "ü"]}, 1)
    assert task.completed_at >= task.started_at
    assert task.lease_expires_at is None
    assert not TaskAttempt.objects.exists()


@pytest.mark.parametrize("output", [0, False, "", [], {}])
def test_an_output_that_is_empty_is_still_an_output(output):
    claim = claimed()
    succeed(claim, output)
    assert fresh(claim.id).output == output


def test_an_output_json_cannot_hold_is_refused_and_the_task_still_runs():
    claim = claimed()
    with pytest.raises(InvalidOutput):
        succeed(claim, {1, 2})
    assert fresh(claim.id).status == "running"
    succeed(claim)


def test_a_failure_is_final_without_attempts_left_and_records_why():
    claim = claimed()
    try:
        raise ValueError("boom ü \x00")
    except ValueError as error:
        fail(claim, error)
    task, attempt = fresh(claim.id), TaskAttempt.objects.get()
    assert (task.status, task.attempts) == ("failed", 1)
    assert (attempt.queued_task_id, attempt.claim_seq, attempt.number) == (task.pk, 1, 1)
    assert (attempt.outcome, attempt.exception_class) == ("failed", "ValueError")
    assert attempt.message == "boom ü \ufffd"
    assert "raise ValueError" in attempt.traceback
    assert attempt.worker == claim.worker


def test_a_text_is_a_reason_too():
    claim = claimed()
    fail(claim, "no stamps left")
    attempt = TaskAttempt.objects.get()
    assert attempt.exception_class.endswith("TaskFailed")
    assert attempt.message == "no stamps left"


def test_a_failure_with_attempts_left_is_a_retry_after_the_backoff():
    claim = claimed(max_attempts=2)
    before = timezone.now()
    fail(claim, "once", backoff=60)
    task = fresh(claim.id)
    assert (task.status, task.attempts, task.claimed_by) == ("scheduled", 1, None)
    assert timedelta(seconds=55) < task.run_after - before < timedelta(seconds=65)
    assert TaskAttempt.objects.get().outcome == "retried"


def test_a_release_leaves_the_row_as_it_was_but_for_the_fence():
    task = enqueue("Noop", priority=3)
    before = row_of(task)
    release(claim_next())
    after = row_of(task)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"claim_seq", "updated_at", "started_at"}
    assert after["claim_seq"] == 1
    assert not TaskAttempt.objects.exists()
    assert claim_next().claim_seq == 2


@pytest.mark.parametrize("end", [succeed, lambda claim: fail(claim, "x"), release])
def test_a_claim_ends_once(end):
    claim = claimed()
    succeed(claim, "first")
    before = row_of(claim.id)
    if end is succeed:
        succeed(claim)  # The same outcome again is taken for a lost answer to its COMMIT.
    else:
        with pytest.raises(ClaimLost, match=f"no longer holds task {claim.id}"):
            end(claim)
    assert row_of(claim.id) == before


def rescue_and_claim_again(claim):
    """Let the lease run out, rescue, and claim the same task again as the same worker."""
    from django_taskstore import maintenance

    expire(fresh(claim.id))
    assert len(maintenance.rescue("default")) == 1
    return claim_next()


@pytest.mark.parametrize("end", [succeed, lambda claim: fail(claim, "x"), release])
def test_a_late_outcome_is_rejected_even_from_the_same_worker(end):
    old = claimed()
    new = rescue_and_claim_again(old)
    assert (new.id, new.worker, new.claim_seq) == (old.id, old.worker, 2)
    before = row_of(old.id)
    with pytest.raises(ClaimLost):
        end(old)
    assert row_of(old.id) == before
    succeed(new, "right")
    with pytest.raises(ClaimLost):
        succeed(old, "wrong")
    assert fresh(old.id).output == "right"


def test_a_late_success_after_a_rescue_that_failed_the_task_is_rejected(settings):
    from django_taskstore import maintenance

    settings.TASKSTORE = {"MAX_LOSSES": 1}
    claim = claimed()
    expire(fresh(claim.id))
    maintenance.rescue("default")
    with pytest.raises(ClaimLost):
        succeed(claim)
    assert fresh(claim.id).status == "failed"


def claims_of(n):
    for _ in range(n):
        enqueue("Noop")
    with writing("default"):
        return claims.claim(
            "default", limit=n, worker=uuid.uuid4(), lease_seconds=60, using="default"
        )


def test_many_plain_successes_are_one_update():
    taken = claims_of(20)
    with captured_sql() as statements, writing("default"):
        landed = record([Outcome(claim, Ending.SUCCEEDED) for claim in taken], "default")
    assert len(landed) == 20
    updates = [sql for sql, _ in statements if sql.startswith("UPDATE")]
    assert len(updates) == 1
    assert "claim_seq" in updates[0].partition("WHERE")[2]
    assert "claimed_by" in updates[0].partition("WHERE")[2]
    assert QueuedTask.objects.with_status("success").count() == 20


def test_one_lost_claim_among_many_loses_only_itself():
    taken = claims_of(5)
    QueuedTask.objects.filter(pk=taken[2].id).update(claim_seq=7)
    with writing("default"):
        landed = record([Outcome(claim, Ending.SUCCEEDED) for claim in taken], "default")
    assert {one.claim.id for one in landed} == {c.id for c in taken} - {taken[2].id}
    assert fresh(taken[2].id).status == "running"


@pytest.mark.parametrize("ending", [Ending.SUCCEEDED, Ending.FAILED, Ending.RETRIED,
                                    Ending.CANCELED, Ending.RELEASED])  # fmt: skip
def test_each_outcome_is_one_update(ending):
    claim = claimed()
    outcome = Outcome(claim, ending, details="a line", exception=TaskFailed("x"))
    with captured_sql() as statements, writing("default"):
        assert record([outcome], "default")
    updates = [sql for sql, _ in statements if sql.startswith("UPDATE")]
    assert len(updates) == 1
    assert "claim_seq" in updates[0].partition("WHERE")[2]


def test_an_outcome_written_again_after_a_lost_answer_is_taken_as_landed():
    claim = claimed()
    outcome = Outcome(claim, Ending.FAILED, exception=TaskFailed("x"))
    for _ in range(2):
        with writing("default"):
            assert record([outcome], "default") == [outcome]
    assert TaskAttempt.objects.count() == 1


def test_a_failure_asks_the_backoff_only_when_attempts_are_left():
    claim = claimed(max_attempts=2)
    assert failure(claim, ValueError(), backoff=5).wait_seconds == 5.0
    assert failure(claim, ValueError(), wait_seconds=1.0).ending is Ending.RETRIED
    claim.attempts = 2
    assert failure(claim, ValueError(), backoff="nonsense").ending is Ending.FAILED


def test_what_counts_as_an_error():
    claim = claimed()
    assert Outcome(claim, Ending.FAILED, exception=ValueError()).is_error
    assert Outcome(claim, Ending.RETRIED, exception=ValueError()).is_error
    assert Outcome(claim, Ending.FAILED, exception=Retry(0)).is_error
    assert not Outcome(claim, Ending.RETRIED, exception=Retry(0)).is_error
    assert not Outcome(claim, Ending.SNOOZED, exception=Snooze(0)).is_error
    assert not Outcome(claim, Ending.SUCCEEDED).is_error


class Mute(Exception):
    """Cannot say what it is."""

    def __str__(self):
        raise RuntimeError("no words")


def test_an_exception_whose_text_fails_is_recorded_all_the_same():
    claim = claimed()
    try:
        raise Mute
    except Mute as error:
        fail(claim, error)
        assert "Mute" in traceback_of(error)
    assert TaskAttempt.objects.get().message == "<Mute whose text fails: RuntimeError>"
    assert str_of(None) == traceback_of(None) == traceback_of(ValueError()) == ""


def test_a_huge_message_and_traceback_are_cut():
    claim = claimed()
    try:
        raise ValueError("x" * 200_000)
    except ValueError as error:
        fail(claim, error)
    attempt = TaskAttempt.objects.get()
    assert len(attempt.message) == outcomes.LONGEST_MESSAGE
    assert len(attempt.traceback) <= tracebacks.LONGEST_TRACEBACK


@pytest.mark.django_db(transaction=True)
def test_signals_follow_the_commit_and_never_a_rollback(seen_signals):
    claim = claimed("HelloWorldTask", queue_name="emails")
    seen_signals.clear()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        succeed(claim)
        1 / 0  # noqa: B018 - rolls back
    assert seen_signals == []
    assert fresh(claim.id).status == "running"
    succeed(claim)
    ((name, kwargs),) = seen_signals
    assert (name, kwargs["task_id"], kwargs["alias"]) == (
        "task_succeeded", claim.id, "HelloWorldTask",
    )  # fmt: skip
    assert (kwargs["queue_name"], kwargs["attempt"]) == ("emails", 1)
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("end", "most", "name"),
    [
        (lambda claim: fail(claim, "x"), 1, "task_failed"),
        (lambda claim: fail(claim, "x"), 2, "task_retried"),
        (release, 1, "task_released"),
    ],
)
def test_each_ending_has_its_signal(seen_signals, end, most, name):
    claim = claimed(max_attempts=most)
    seen_signals.clear()
    end(claim)
    assert [one for one, _ in seen_signals] == [name]
    assert isinstance(seen_signals[0][1].get("exception"), TaskFailed) == (name != "task_released")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ending", ["retry", "release"])
def test_a_task_asked_to_cancel_does_not_wait_for_another_attempt(ending, seen_signals):
    claim = claimed(max_attempts=5)
    QueuedTask.objects.get(pk=claim.id).cancel()
    seen_signals.clear()
    fail(claim, "busy") if ending == "retry" else release(claim)
    stored = fresh(QueuedTask(pk=claim.id))
    assert (stored.status, stored.attempts) == ("canceled", 1)
    assert [name for name, _ in seen_signals] == ["task_canceled"]


@pytest.mark.parametrize("verb", ["cancel", "soft_delete"])
def test_claim_next_gives_no_task_of_a_definition_that_takes_no_work(verb):
    """A task of a canceled definition is canceled when it is claimed, in every loop."""
    from django_taskstore.models import TaskDefinition

    task = enqueue("Noop")
    other = enqueue("Typed")
    getattr(TaskDefinition.objects.get(alias="Noop"), verb)()
    claim = claim_next()
    assert claim is not None
    assert claim.id == other.pk
    assert fresh(task).status == "canceled"
