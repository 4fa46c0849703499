"""The help for the tests of projects: run what is queued, look at it, travel in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from django.test import TestCase
from django.utils import timezone

from django_taskstore import TaskHandler, enqueue, enqueue_many
from django_taskstore.models import QueuedTask, Schedule, TaskDefinition
from django_taskstore.testing import (
    assert_enqueued,
    captured_enqueues,
    drain,
    run_queued_tasks,
    run_schedules,
    travel,
)
from tests.helpers import fresh
from tests.testapp import functions
from tests.testapp.tasks import HelloWorldTask, Invite, Noop, RetryTwice

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(add_handler):
    """Register a handler that enqueues the next of its kind, each on a queue of its own."""

    class Chain(TaskHandler):
        def handle(self):
            left = self.get_param("left")
            if left:
                enqueue("Chain", {"left": left - 1}, queue_name=f"chain-{left}")
            return left

    return add_handler(Chain)


class RunQueuedTasksTests(TestCase):
    """A plain TestCase, whose transaction never commits."""

    def test_what_is_queued_runs_in_the_tests_own_transaction(self):
        first = HelloWorldTask.enqueue(name="Ann")
        second = Noop.using(queue_name="other").enqueue()
        ran = run_queued_tasks()
        assert {task.pk for task in ran} == {first.pk, second.pk}
        assert {task.status for task in ran} == {"success"}
        assert "Hello Ann!" in fresh(first).details
        assert run_queued_tasks() == []

    def test_function_tasks_run_too(self):
        result = functions.meaning_of_life.enqueue()
        run_queued_tasks()
        result.refresh()
        assert result.return_value == 42

    async def test_an_async_test_runs_them_in_a_thread(self):
        result = await functions.noop_async.aenqueue()
        await sync_to_async(run_queued_tasks)()
        await result.arefresh()
        assert result.status == "SUCCESSFUL"


def test_only_the_named_queues_are_worked():
    here, there = Noop.enqueue(), Noop.using(queue_name="there").enqueue()
    assert run_queued_tasks("there") == [there]
    assert fresh(here).status == "queued"


def test_what_tasks_enqueue_runs_as_well_on_queues_that_are_new(chain):
    enqueue("Chain", {"left": 5})
    ran = run_queued_tasks()
    assert [task.output for task in ran] == [5, 4, 3, 2, 1, 0]
    assert len({task.queue_name for task in ran}) == 6


def test_a_task_that_is_tried_again_is_given_once():
    task = RetryTwice.enqueue()
    (ran,) = run_queued_tasks()
    assert (ran, ran.status, ran.attempts) == (task, "success", 3)


def test_a_failure_is_a_status_unless_it_should_be_raised():
    enqueue("Failing", {"message": "first"})
    (task,) = run_queued_tasks()
    assert task.status == "failed"
    enqueue("Failing", {"message": "second"})
    Noop.enqueue()
    with pytest.raises(ValueError, match="second"):
        run_queued_tasks(raising=True)
    assert not QueuedTask.objects.with_status("queued").exists()
    RetryTwice.enqueue()
    assert run_queued_tasks(raising=True)[0].status == "success"


def test_tasks_without_end_are_noticed(add_handler, monkeypatch):
    monkeypatch.setattr("django_taskstore.testing.working.MOST_ROUNDS", 20)

    class Endless(TaskHandler):
        def handle(self):
            enqueue("Endless")

    add_handler(Endless)
    enqueue("Endless")
    with pytest.raises(RuntimeError, match="enqueue each other without end"):
        drain()


def test_nobody_listens_any_more_afterwards():
    from django_taskstore.testing.working import ENDS

    before = [len(signal.receivers) for signal in ENDS]
    enqueue("Failing")
    with pytest.raises(ValueError, match="boom"):
        run_queued_tasks(raising=True)
    assert [len(signal.receivers) for signal in ENDS] == before


def test_enqueues_within_the_block_are_captured():
    Noop.enqueue()
    with captured_enqueues() as captured:
        task = HelloWorldTask.enqueue(name="Ann")
        enqueue_many("Noop", [{}, {}])
        functions.noop.enqueue(1)
        assert captured == []
    Noop.enqueue()
    assert captured[0] == task
    assert [one.definition.alias for one in captured] == [
        "HelloWorldTask",
        "Noop",
        "Noop",
        "tests.testapp.functions.noop",
    ]


@pytest.mark.parametrize("what", [Noop, "Noop", functions.noop], ids=["class", "alias", "function"])
def test_one_kind_is_captured(what):
    with captured_enqueues(what) as captured:
        HelloWorldTask.enqueue()
        Noop.enqueue()
        functions.noop.enqueue()
    assert len(captured) == 1


def test_what_was_rolled_back_was_not_enqueued():
    with captured_enqueues() as captured:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Noop.enqueue()
            _ = 1 / 0
        kept = Noop.enqueue()
    assert captured == [kept]
    assert_enqueued(Noop, times=1)


def test_an_enqueue_is_found_by_kind_parameters_and_columns():
    Noop.enqueue()
    task = HelloWorldTask.using(queue_name="mail", priority=3).enqueue(name="Ann")
    assert assert_enqueued(HelloWorldTask) == task
    assert assert_enqueued("HelloWorldTask", {"name": "Ann"}, queue_name="mail", priority=3) == task
    assert assert_enqueued(HelloWorldTask, {"name": "Tom"}, times=0) is None
    run_queued_tasks()
    assert assert_enqueued(HelloWorldTask, status="success") == task


def test_the_arguments_of_a_function_are_found_in_both_forms():
    functions.noop.enqueue(1, two=(3,))
    functions.returning.enqueue(value=5)
    assert_enqueued(functions.noop, {"args": [1], "kwargs": {"two": [3]}}, times=1)
    assert_enqueued(functions.returning, {"value": 5}, times=1)
    assert_enqueued(functions.returning.module_path, {"value": 6}, times=0)


def test_parameters_are_compared_as_they_are_stored():
    Invite.enqueue(email="ann@example.com", guests="5")
    assert_enqueued(Invite, {"email": "ann@example.com", "guests": "5"})
    assert_enqueued(Invite, {"email": "ann@example.com", "guests": 5})


@pytest.mark.parametrize(
    ("expected", "counted"),
    [
        ({"parameters": {"name": "Tom"}}, "0 times with {'parameters': {'name': 'Tom'}}"),
        ({"queue_name": "mail"}, "0 times with {'queue_name': 'mail'}, expected at least one"),
        ({"times": 2}, "1 times with {}, expected 2"),
        ({"times": 0}, "1 times with {}, expected 0"),
    ],
)
def test_the_message_of_a_failed_assertion_shows_what_was_enqueued(expected, counted):
    HelloWorldTask.enqueue(name="Ann")
    with pytest.raises(AssertionError) as raised:
        assert_enqueued(HelloWorldTask, **expected)
    message = str(raised.value)
    assert f"HelloWorldTask was enqueued {counted}" in message
    assert "HelloWorldTask {'name': 'Ann'} queue_name=default priority=0 status=queued" in message


def test_the_message_says_when_nothing_was_enqueued():
    with pytest.raises(AssertionError, match="Enqueued were:\n  nothing"):
        assert_enqueued("Nothing")


def test_what_is_no_kind_of_task_is_named():
    with pytest.raises(TypeError, match="42 is no handler class"):
        assert_enqueued(42)


def test_travel_makes_due_what_would_be_due_then():
    task = Noop.using(run_after=timedelta(hours=2)).enqueue()
    assert run_queued_tasks() == []
    with travel(timedelta(hours=1)):
        assert run_queued_tasks() == []
        with travel(timedelta(hours=1, seconds=1)):
            assert run_queued_tasks() == [task]
    assert fresh(task).status == "success"


def test_the_traveller_reckons_from_the_time_he_is_in():
    moment = datetime(2040, 2, 29, 12, tzinfo=UTC)
    with travel(moment):
        assert timedelta(0) <= timezone.now() - moment < timedelta(minutes=1)
        now = Noop.enqueue()
        later = Noop.using(run_after=timedelta(days=1)).enqueue()
        assert run_queued_tasks() == [now]
        assert timedelta(0) <= fresh(later).run_after - moment - timedelta(days=1)
    assert timezone.now() < moment
    assert run_queued_tasks() == []
    with travel(moment + timedelta(days=2)):
        assert run_queued_tasks() == [later]


def test_a_retry_is_due_once_its_backoff_is_over(add_handler):
    class Patient(TaskHandler):
        max_attempts = 2
        backoff = 3600

        def handle(self):
            if self.queued_task.attempts == 1:
                raise ValueError("not yet")

    add_handler(Patient)
    enqueue("Patient")
    with travel(timedelta(days=1)):
        assert run_queued_tasks()[0].status == "scheduled"
        with travel(timedelta(minutes=59)):
            assert run_queued_tasks() == []
        with travel(timedelta(minutes=61)):
            assert run_queued_tasks()[0].status == "success"


@pytest.fixture
def weekly():
    """Make a schedule that is due on Mondays at nine, in New York."""
    definition = TaskDefinition.objects.get_or_create(alias="Noop")[0]
    return Schedule.objects.create(
        name="Weekly",
        definition=definition,
        recurrence_rule="FREQ=WEEKLY;BYDAY=MO;BYHOUR=9",
        time_zone="America/New_York",
        status="active",
    )


def test_travel_makes_schedules_due(weekly):
    assert run_schedules() == []
    moment = weekly.next_run_at
    with travel(moment - timedelta(seconds=1)):
        assert run_schedules() == []
    with travel(moment):
        (task,) = run_schedules()
        assert (task.schedule, task.occurrence_at) == (weekly, moment)
        assert run_schedules() == []
        assert run_queued_tasks() == [task]
    weekly.refresh_from_db()
    assert weekly.next_run_at.astimezone(ZoneInfo("America/New_York")).hour == 9
    assert timedelta(days=6) < weekly.next_run_at - moment < timedelta(days=8)


def test_travel_arrives_though_the_databases_clock_is_a_little_late(weekly, monkeypatch):
    real_now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real_now() + timedelta(microseconds=900))
    for _ in range(5):
        weekly.refresh_from_db()
        with travel(weekly.next_run_at):
            assert len(run_schedules()) == 1


def test_a_long_journey_leaves_missed_occurrences_to_their_policy(weekly):
    with travel(weekly.next_run_at + timedelta(days=30)):
        assert len(run_schedules()) == 1
    weekly.refresh_from_db()
    weekly.misfire_policy = "all"
    weekly.save()
    with travel(weekly.next_run_at + timedelta(days=15)):
        assert len(run_schedules()) == 3


def test_a_schedule_that_is_made_on_the_way_is_planned_from_there():
    definition = TaskDefinition.objects.get_or_create(alias="Noop")[0]
    with travel(datetime(2040, 2, 28, 12, tzinfo=UTC)):
        daily = Schedule.objects.create(
            name="Daily",
            definition=definition,
            recurrence_rule="0 9 * * *",
            time_zone="UTC",
            status="active",
        )
    assert daily.next_run_at == datetime(2040, 2, 29, 9, tzinfo=UTC)


def test_travel_ends_with_its_block_also_by_an_exception():
    before = timezone.now
    with pytest.raises(ZeroDivisionError), travel(timedelta(days=1)):
        _ = 1 / 0
    assert timezone.now is before
    Noop.using(run_after=timedelta(hours=1)).enqueue()
    assert run_queued_tasks() == []


def test_one_may_travel_back():
    with travel(timedelta(days=-30)):
        task = Noop.using(run_after=timedelta(days=1)).enqueue()
        assert task.status == "scheduled"
        assert run_queued_tasks() == []
    assert run_queued_tasks() == [task]


def test_the_fixture_brings_it_all(taskstore):
    with taskstore.captured_enqueues() as captured:
        task = Noop.using(run_after=timedelta(hours=1)).enqueue()
    assert captured == [task]
    assert taskstore.assert_enqueued(Noop, times=1) == task
    assert taskstore.run() == []
    with taskstore.travel(timedelta(hours=2)):
        assert taskstore.run() == [task]
