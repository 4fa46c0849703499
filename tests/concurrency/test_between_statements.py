"""Others commit between two statements of a caller's transaction: no call may fail of that.

A transaction of the project on SQLite begins as a reader, unless ``transaction_mode`` says
otherwise. If its first statement reads and somebody else writes then, its own first write fails
at once, and the project's work in that transaction is lost with it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction

from django_taskstore import claim_next, definitions, enqueue, enqueue_many, requeue, succeed
from django_taskstore.database import transactions
from django_taskstore.database.errors import is_conflict
from django_taskstore.database.transactions import writing
from django_taskstore.models import Queue, QueuedTask, Schedule
from django_taskstore.queue import move
from django_taskstore.scheduler.firing import run_now
from django_taskstore.switchboard import known_queues
from tests.helpers import in_threads
from tests.schedule_forms import add
from tests.schedule_forms import edit as change
from tests.schedules import add_schedule
from tests.testapp.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)


def tasks():
    """Return what waits, as a caller who has read nothing names it."""
    return QueuedTask.objects.on_queue("known")


def claim_and_succeed():
    succeed(claim_next("known"))


def edit(schedule):
    schedule.recurrence_rule = "FREQ=WEEKLY"
    schedule.save()


def make(schedule):
    Schedule.objects.create(
        definition_id=schedule.definition_id, name="another", recurrence_rule="FREQ=DAILY"
    )


CALLS = {
    "enqueue": lambda: enqueue("Noop", queue_name="fresh"),
    "enqueue later": lambda: enqueue("Noop", run_after=timedelta(hours=1)),
    "enqueue many": lambda: enqueue_many("Noop", [{}] * 3, queue_name="fresh"),
    "move": lambda: move(tasks(), queue_name="fresh"),
    "cancel": lambda: tasks().cancel(),
    "pause": lambda: tasks().pause(),
    "soft-delete": lambda: tasks().soft_delete(),
    "delete": lambda: tasks().delete(),
    "claim and succeed": claim_and_succeed,
}


SCHEDULE_CALLS = {
    "edit": edit,
    "activate": Schedule.activate,
    "pause": Schedule.pause,
    "skip next": Schedule.skip_next,
    "run now": run_now,
    "make": make,
}


def commit_something():
    """Write in a session of its own, unless SQLite's one writer is at work.

    The row has no unique name: on InnoDB one may wait for another that a transaction inserts.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 0")
    with suppress(OperationalError):
        Effect.objects.create(task_id=0)


@contextmanager
def others_committing():
    """Let somebody else commit after each statement of this thread."""

    def step(execute, *arguments):
        answer = execute(*arguments)
        in_threads(commit_something)
        return answer

    with connection.execute_wrapper(step):
        yield


def forget():
    """Be as a process that has enqueued nothing yet."""
    definitions.forget()
    known_queues.clear()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_in_a_callers_transaction_stands_what_others_commit_meanwhile(call):
    enqueue_many("Noop", [{}] * 3, queue_name="known")
    forget()
    with others_committing(), transaction.atomic():
        call()


def test_a_requeue_in_a_callers_transaction_stands_what_others_commit_meanwhile():
    old = QueuedTask.objects.get(pk=enqueue("Noop").pk)
    forget()
    with others_committing(), transaction.atomic():
        requeue(old, queue_name="fresh")
    assert QueuedTask.objects.filter(requeued_from=old).count() == 1


@pytest.mark.parametrize("call", SCHEDULE_CALLS.values(), ids=SCHEDULE_CALLS.keys())
def test_a_schedule_in_a_callers_transaction_stands_what_others_commit_meanwhile(call):
    schedule = Schedule.objects.get(pk=add_schedule("FREQ=DAILY").pk)
    forget()
    with others_committing(), transaction.atomic():
        call(schedule)


@pytest.mark.parametrize("is_new", [True, False], ids=["add", "change"])
def test_a_form_of_the_admin_stands_what_others_commit_meanwhile(admin_client, is_new):
    schedule = add_schedule("FREQ=DAILY")
    with others_committing():
        if is_new:
            add(admin_client, description="new")
        else:
            change(admin_client, schedule, description="new")
    assert Schedule.objects.filter(description="new").count() == 1


def only_sqlite():
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite has one writer")


def test_a_transaction_that_finds_somebody_writing_all_the_time_hears_of_a_conflict():
    only_sqlite()

    def enqueue_at_once():
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(OperationalError) as met, transaction.atomic():
            enqueue("Noop")
        return met.value

    forget()
    with writing("default"):
        (error,) = in_threads(enqueue_at_once)
    assert is_conflict(error)
    assert not QueuedTask.objects.exists()


def test_of_a_missing_table_its_own_statement_tells(monkeypatch):
    only_sqlite()
    monkeypatch.setattr(transactions, "TOUCH_NOTHING", "DELETE FROM nowhere WHERE 0")
    with transaction.atomic(), writing("default"):
        Queue.objects.create(name="made")
    assert Queue.objects.filter(name="made").exists()
