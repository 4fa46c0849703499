"""Enqueue: what is stored, in whose transaction, at what cost, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from django.db import connection, connections, transaction
from django.test import override_settings
from django.utils import timezone

from django_taskstore import aenqueue, enqueue, enqueue_many, requeue
from django_taskstore.exceptions import (
    DefinitionCanceled,
    HandlerNotFound,
    InvalidMaxAttempts,
    InvalidParameters,
    InvalidPriority,
    InvalidQueueName,
    InvalidRunAfter,
)
from django_taskstore.models import Queue, QueuedTask, TaskDefinition
from tests.helpers import add_task, captured_sql, fresh, row_of
from tests.testapp.tasks import FailWhenLost, HelloWorldTask, Noop

committed = pytest.mark.django_db(transaction=True)


class Undone(Exception):
    """Rolls a transaction back."""


@pytest.mark.django_db
def test_enqueue_stores_a_queued_task():
    before = timezone.now()
    stored = fresh(enqueue("HelloWorldTask", {"name": "Tom"}, queue_name="emails"))
    assert (stored.status, stored.queue_name, stored.parameters, stored.priority) == (
        "queued", "emails", {"name": "Tom"}, 0,
    )  # fmt: skip
    assert (stored.attempts, stored.max_attempts, stored.claim_seq, stored.lost_count) == (
        0, 1, 0, 0,
    )  # fmt: skip
    assert before <= stored.run_after <= timezone.now()
    assert stored.claimed_by is stored.lease_expires_at is stored.started_at is None
    assert Queue.objects.filter(name="emails").exists()


@pytest.mark.django_db
def test_enqueue_takes_a_class_as_well_as_an_alias():
    assert fresh(enqueue(HelloWorldTask)).definition.alias == "HelloWorldTask"


@pytest.mark.django_db
def test_a_later_time_is_scheduled_and_a_past_one_is_queued():
    later = timezone.now() + timedelta(hours=1)
    assert fresh(enqueue("Noop", run_after=later)).status == "scheduled"
    assert fresh(enqueue("Noop", run_after=later)).run_after == later
    assert fresh(enqueue("Noop", run_after=timedelta(minutes=5))).status == "scheduled"
    assert fresh(enqueue("Noop", run_after=timedelta(minutes=-5))).status == "queued"


@pytest.mark.django_db
def test_the_handler_chooses_where_the_call_is_silent(add_handler):
    class Choosy(Noop):
        queue_name = "chosen"
        priority = 7
        max_attempts = 4

    add_handler(Choosy)
    stored = fresh(enqueue("Choosy"))
    assert (stored.queue_name, stored.priority, stored.max_attempts) == ("chosen", 7, 4)
    stored = fresh(enqueue("Choosy", queue_name="other", priority=0, max_attempts=2))
    assert (stored.queue_name, stored.priority, stored.max_attempts) == ("other", 0, 2)


@pytest.mark.django_db
@override_settings(TASKSTORE={"DEFAULT_MAX_ATTEMPTS": 5})
def test_the_setting_chooses_attempts_where_the_handler_is_silent():
    assert fresh(enqueue("Noop")).max_attempts == 5


@pytest.mark.django_db
def test_on_lost_travels_with_the_task():
    assert fresh(enqueue(FailWhenLost)).metadata == {"on_lost": "fail"}
    stored = fresh(enqueue(FailWhenLost, metadata={"tenant": "a"}))
    assert stored.metadata == {"tenant": "a", "on_lost": "fail"}


@committed
def test_enqueue_costs_one_insert_once_the_names_are_known():
    enqueue("Noop")
    with captured_sql() as statements:
        enqueue("Noop", {"n": 1})
    sql = [one for one, _ in statements if "pg_notify" not in one]
    assert len(sql) == 1, sql
    assert sql[0].startswith("INSERT INTO")


@committed
def test_enqueue_inside_a_transaction_costs_one_insert_too():
    enqueue("Noop")
    with transaction.atomic(), captured_sql() as statements:
        enqueue("Noop", {"n": 1})
        inside = [one for one, _ in statements if one.startswith(("INSERT", "SELECT", "UPDATE"))]
    assert len(inside) == 1, inside


@committed
def test_enqueue_many_costs_one_insert_for_many():
    """SQLite takes 999 parameters a statement, and Django splits what has more."""
    enqueue("Noop")
    with captured_sql() as statements:
        assert enqueue_many("Noop", ({"n": n} for n in range(25))) == 25
    inserts = [one for one, _ in statements if one.startswith("INSERT")]
    assert len(inserts) == 1
    assert [t.parameters["n"] for t in QueuedTask.objects.filter(parameters__n__gte=0)
            .order_by("id")] == list(range(25))  # fmt: skip


@committed
def test_enqueue_many_is_all_or_none():
    with pytest.raises(InvalidParameters):
        enqueue_many("Noop", [{}, {"n": float("nan")}])
    assert enqueue_many("Noop", []) == 0
    assert QueuedTask.objects.count() == 0


@committed
def test_enqueue_in_a_rolled_back_transaction_leaves_nothing_and_tells_nobody(seen_signals):
    with pytest.raises(Undone), transaction.atomic():
        enqueue("HelloWorldTask", queue_name="never-was")
        enqueue_many("HelloWorldTask", [{}, {}], queue_name="never-was")
        raise Undone
    assert QueuedTask.all_objects.count() == 0
    assert not Queue.objects.filter(name="never-was").exists()
    assert seen_signals == []


@committed
def test_a_rolled_back_savepoint_takes_only_its_own_tasks(seen_signals):
    with transaction.atomic():
        kept = enqueue("Noop")
        with pytest.raises(Undone), transaction.atomic():
            enqueue("Noop")
            raise Undone
    assert [task.pk for task in QueuedTask.all_objects.all()] == [kept.pk]
    assert [kwargs["task_id"] for _, kwargs in seen_signals] == [kept.pk]


@committed
def test_the_first_enqueue_rolled_back_leaves_no_ghost(add_handler):
    """The definition and the queue that the rollback took are made again, not remembered."""

    class Ghost(Noop):
        pass

    add_handler(Ghost)
    with pytest.raises(Undone), transaction.atomic():
        enqueue("Ghost", queue_name="ghosts")
        raise Undone
    assert not TaskDefinition.all_objects.filter(alias="Ghost").exists()
    stored = fresh(enqueue("Ghost", queue_name="ghosts"))
    assert TaskDefinition.objects.get(pk=stored.definition_id).alias == "Ghost"
    assert Queue.objects.filter(name="ghosts").count() == 1


@committed
def test_the_first_enqueue_in_a_rolled_back_savepoint_leaves_no_ghost(add_handler):
    class Ghost(Noop):
        pass

    add_handler(Ghost)
    with transaction.atomic():
        with pytest.raises(Undone), transaction.atomic():
            enqueue("Ghost", queue_name="ghosts")
            raise Undone
        task = enqueue("Ghost", queue_name="ghosts")
    definition = TaskDefinition.objects.get(alias="Ghost")
    assert fresh(task).definition_id == definition.pk
    assert fresh(enqueue("Ghost", queue_name="ghosts")).definition_id == definition.pk


@committed
def test_the_signal_comes_once_a_call_after_the_commit(seen_signals):
    with transaction.atomic():
        task = enqueue("Noop", queue_name="emails")
        assert seen_signals == []
    enqueue_many("Noop", [{}, {}, {}])
    (name, one), (_, many) = seen_signals
    assert name == "task_enqueued"
    assert (one["task_id"], one["alias"], one["queue_name"]) == (task.pk, "Noop", "emails")
    assert one["task_ids"] == [task.pk]
    stored = QueuedTask.objects.exclude(pk=task.pk).order_by("id")
    assert many["task_ids"] == [row.pk for row in stored]


@committed
def test_a_receiver_that_raises_does_not_undo_the_enqueue():
    from django_taskstore.signals import task_enqueued

    def explode(**kwargs):
        raise ValueError("receiver")

    task_enqueued.connect(explode)
    try:
        assert fresh(enqueue("Noop")).status == "queued"
    finally:
        task_enqueued.disconnect(explode)


@committed
def test_async_code_enqueues_too():
    async def work():
        try:
            first = await aenqueue("HelloWorldTask", {"name": "Tom"}, queue_name="emails")
            second = await HelloWorldTask.aenqueue(name="Ann")
            third = await HelloWorldTask.using(priority=3).aenqueue(name="Bob")
            return first, second, third
        finally:
            from asgiref.sync import sync_to_async

            await sync_to_async(connections.close_all)()

    tasks = [fresh(task) for task in asyncio.run(work())]
    assert [task.parameters["name"] for task in tasks] == ["Tom", "Ann", "Bob"]
    assert tasks[2].priority == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("parameters", "options", "exception"),
    [
        ([], {}, InvalidParameters),
        ({"n": float("nan")}, {}, InvalidParameters),
        ({"text": "x" * 70_000}, {}, InvalidParameters),
        ({"text": "\x00"}, {}, InvalidParameters),
        ({}, {"queue_name": ""}, InvalidQueueName),
        ({}, {"queue_name": "q" * 101}, InvalidQueueName),
        ({}, {"priority": 101}, InvalidPriority),
        ({}, {"priority": True}, InvalidPriority),
        ({}, {"run_after": datetime(2030, 1, 1)}, InvalidRunAfter),  # noqa: DTZ001
        ({}, {"run_after": 60}, InvalidRunAfter),
        ({}, {"max_attempts": 0}, InvalidMaxAttempts),
        ({}, {"max_attempts": "3"}, InvalidMaxAttempts),
        ({}, {"metadata": []}, InvalidParameters),
        ({}, {"queue": "emails"}, TypeError),
    ],
)
def test_bad_input_is_refused_by_its_own_exception_and_leaves_nothing(
    parameters, options, exception
):
    with pytest.raises(exception):
        enqueue("HelloWorldTask", parameters, **options)
    assert QueuedTask.all_objects.count() == 0


@pytest.mark.django_db
def test_an_unknown_alias_is_refused_with_the_nearest_one():
    with pytest.raises(HandlerNotFound, match=r"HelloWorldTsk.*did you mean HelloWorldTask\?"):
        enqueue("HelloWorldTsk")
    with pytest.raises(HandlerNotFound):
        enqueue("helloworldtask")


@pytest.mark.django_db
def test_a_form_is_asked_at_enqueue():
    with pytest.raises(InvalidParameters, match="email: This field is required"):
        enqueue("Invite", {"guests": 1})
    with pytest.raises(InvalidParameters, match="Invite has no parameter 'mail'"):
        enqueue("Invite", {"email": "a@b.example", "mail": "x"})
    stored = fresh(enqueue("Invite", {"email": "a@b.example", "guests": "2"}))
    assert stored.parameters == {"email": "a@b.example", "guests": 2}


@pytest.mark.django_db
def test_a_definition_without_a_handler_here_takes_work_for_another_process():
    TaskDefinition.objects.create(alias="elsewhere.Task")
    assert fresh(enqueue("elsewhere.Task", {"n": 1})).definition.alias == "elsewhere.Task"


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["cancel", "soft_delete"])
def test_a_canceled_or_deleted_definition_takes_no_work(verb):
    enqueue("Noop")
    definition = TaskDefinition.objects.get(alias="Noop")
    assert getattr(definition, verb)()
    with pytest.raises(DefinitionCanceled, match="'Noop' is canceled or deleted, so nothing was"):
        enqueue("Noop")
    with pytest.raises(DefinitionCanceled):
        enqueue_many("Noop", [{}])
    back = {"cancel": "activate", "soft_delete": "restore"}[verb]
    assert getattr(definition, back)()
    assert fresh(enqueue("Noop")).status == "queued"


@pytest.mark.django_db
@pytest.mark.parametrize("alias", ["default", "Emails"])
def test_requeue_makes_a_new_row_that_points_back(alias):
    old = add_task(
        "HelloWorldTask", status="failed", queue_name=alias, parameters={"name": "Tom"},
        priority=9, attempts=3, max_attempts=3, claim_seq=4, details="old log",
        metadata={"tenant": "a"},
    )  # fmt: skip
    before = row_of(old)
    new = fresh(requeue(old))
    assert row_of(old) == before
    assert (new.requeued_from_id, new.status, new.queue_name) == (old.pk, "queued", alias)
    assert (new.parameters, new.priority, new.max_attempts) == ({"name": "Tom"}, 9, 3)
    assert (new.attempts, new.claim_seq, new.details) == (0, 0, "")
    assert new.metadata == {"tenant": "a"}
    edited = fresh(requeue(old, parameters={"name": "Ann"}, queue_name="other"))
    assert (edited.parameters, edited.queue_name) == ({"name": "Ann"}, "other")


@pytest.mark.django_db
def test_requeue_checks_as_enqueue_does():
    old = add_task("Invite", status="failed", parameters={"email": "a@b.example"})
    with pytest.raises(InvalidParameters, match="valid email"):
        requeue(old, parameters={"email": "nobody"})
    TaskDefinition.objects.get(alias="Invite").cancel()
    with pytest.raises(DefinitionCanceled):
        requeue(old)


@pytest.mark.django_db
def test_aliases_and_queues_that_differ_only_by_case_stay_apart(add_handler):
    class Lower(Noop):
        alias = "noop"

    add_handler(Lower)
    lower, upper = enqueue("noop", queue_name="emails"), enqueue("Noop", queue_name="Emails")
    assert lower.definition_id != upper.definition_id
    assert list(QueuedTask.objects.of("noop")) == [lower]
    assert list(QueuedTask.objects.on_queue("Emails")) == [upper]
    assert set(Queue.objects.filter(name__in=["emails", "Emails"]).values_list("name", flat=True)
               ) == {"emails", "Emails"}  # fmt: skip


@pytest.mark.django_db
def test_the_task_of_an_enqueue_can_be_used_at_once():
    task = enqueue("Noop", {"n": 1})
    assert task.pk
    assert task.definition.alias == "Noop"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {QueuedTask._meta.db_table}")
        assert cursor.fetchone()[0] == 1
