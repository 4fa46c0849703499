"""Statements compiled once, one UPDATE for many different rows, and one INSERT for many alike."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore import claims, enqueue, enqueue_many, transitions
from django_taskstore.claims import line
from django_taskstore.claims.taking import take_first
from django_taskstore.database.expressions import EACH, Given, OneOf
from django_taskstore.database.insertion import insert_alike, insert_one
from django_taskstore.database.statements import Prepared
from django_taskstore.database.transactions import writing
from django_taskstore.models import QueuedTask, TaskDefinition
from django_taskstore.statuses import Status

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = uuid.UUID(int=7)


def rows():
    return Prepared(QueuedTask, using="default")


def claimed(count):
    """Enqueue and claim tasks as one worker; return their ids."""
    enqueue_many("Noop", [{}] * count)
    with writing("default"):
        made = claims.claim(
            "default", limit=count, worker=WORKER, lease_seconds=60, using="default"
        )
    return [claim.id for claim in made]


def test_a_prepared_select_runs_with_any_limit():
    enqueue_many("Noop", [{"n": n} for n in range(5)])
    statement = rows().filter(status="queued").order_by("-id").select("id", "parameters")
    ids = list(QueuedTask.objects.order_by("-id").values_list("pk", flat=True))
    assert [row[0] for row in statement.fetch(limit=2)] == ids[:2]
    assert [row[0] for row in statement.fetch(limit=9)] == ids
    assert [json.loads(row[1])["n"] for row in statement.fetch(limit=9)] == [4, 3, 2, 1, 0]


def test_a_claim_is_compiled_once_whatever_its_limit():
    statements = (line.head, line.locking_since, line.locking_below, take_first)
    for statement in statements:
        statement.cache_clear()
    for limit in (1, 7, 500):
        enqueue_many("Noop", [{}] * 2)
        with writing("default"):
            claims.claim("default", limit=limit, worker=WORKER, lease_seconds=60, using="default")
    misses = [statement.cache_info().misses for statement in statements]
    assert misses == ([1, 1, 1, 0] if connection.vendor == "mysql" else [0, 0, 0, 1])


def test_a_prepared_update_changes_the_rows_it_is_given():
    ids = [enqueue("Noop").pk for _ in range(3)]
    pause = transitions.pause(rows().filter(OneOf("id", EACH)))
    assert (pause.change(ids[:2]), pause.change(ids[:2]), pause.change([ids[2]])) == (2, 0, 1)
    assert set(QueuedTask.objects.values_list("status", flat=True)) == {"paused"}


def test_each_row_gets_its_own_texts_in_one_update():
    ids = claimed(3)
    statement = transitions.finish_each(
        rows(), Status.SUCCESS, worker=WORKER, columns=["output", "details"]
    )
    QueuedTask.objects.filter(pk=ids[2]).update(details="older")
    texts = ["eins\nzwei", 'it\'s "100%" \\ 🎉', None]
    outputs = ['{"a": [1, null, "é"]}', "5", '"text"']
    with CaptureQueriesContext(connection) as queries:
        changed = statement.change_each(
            {"id": ids, "claim_seq": [1, 1, 1], "output": outputs, "details": texts}
        )
    assert changed == 3
    assert len(queries) == 1
    found = QueuedTask.objects.order_by("id").values_list("status", "details", "output")
    assert list(found) == [
        ("success", texts[0], {"a": [1, None, "é"]}),
        ("success", texts[1], 5),
        ("success", "older", "text"),
    ]


def test_each_row_is_guarded_by_its_own_claim():
    ids = claimed(3)
    statement = transitions.finish_each(rows(), Status.FAILED, worker=WORKER, columns=["details"])
    values = {"id": ids, "claim_seq": [1, 2, 1], "details": ["x", "x", "x"]}
    transitions.release(QueuedTask.objects.filter(pk=ids[2]))
    assert statement.change_each(values) == 1
    found = dict(QueuedTask.objects.values_list("pk", "status"))
    assert found == {ids[0]: "failed", ids[1]: "running", ids[2]: "queued"}


def test_rows_that_differ_in_one_column_are_one_insert():
    enqueue("Noop")
    template = QueuedTask.objects.get()
    row = QueuedTask(
        definition_id=template.definition_id,
        queue_name="emails",
        priority=-3,
        run_after=timezone.now() + timedelta(hours=1),
        metadata={"tenant": "it's"},
    )
    texts = [json.dumps({"n": n, "text": "%s \" ' \\ é 🎉"}) for n in range(250)]
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        keys = insert_alike(row, column="parameters", texts=texts, using="default")
    inserts = [one for one in queries if one["sql"].startswith("INSERT")]
    assert len(inserts) == (2 if connection.vendor == "mysql" else 1)
    found = QueuedTask.objects.filter(queue_name="emails").order_by("id")
    assert [one.parameters["n"] for one in found] == list(range(250))
    assert {one.parameters["text"] for one in found} == {"%s \" ' \\ é 🎉"}
    assert {(one.priority, one.run_after, one.metadata["tenant"]) for one in found} == {
        (-3, row.run_after, "it's")
    }
    assert keys in ([], [one.pk for one in found])


def test_the_keys_come_in_the_order_of_the_texts():
    enqueue("Noop")
    row = QueuedTask(definition_id=QueuedTask.objects.get().definition_id)
    keys = insert_alike(row, column="parameters", texts=['{"n": 1}', '{"n": 2}'], using="default")
    if not connection.features.can_return_rows_from_bulk_insert:
        pytest.skip("MySQL does not tell the ids of the rows of one INSERT")
    assert [QueuedTask.objects.get(pk=key).parameters["n"] for key in keys] == [1, 2]


def test_a_text_that_is_not_json_is_refused_and_loses_nothing():
    enqueue("Noop")
    row = QueuedTask(definition_id=QueuedTask.objects.get().definition_id)
    with pytest.raises(DatabaseError), transaction.atomic():
        insert_alike(row, column="parameters", texts=["{}", "{no"], using="default")
    assert QueuedTask.objects.count() == 1


@pytest.fixture
def told():
    """Collect what Django's signals say of saved tasks."""
    facts = []

    def hear(**kwargs):
        facts.append({**kwargs, "instance": None})

    for signal in (pre_save, post_save):
        signal.connect(hear, sender=QueuedTask)
    yield facts
    for signal in (pre_save, post_save):
        signal.disconnect(hear, sender=QueuedTask)


def test_one_row_is_inserted_as_save_would(told):
    definition_id = TaskDefinition.objects.get(alias="Noop").pk
    facts = {"definition_id": definition_id, "parameters": {"n": [1, "it's"]}, "priority": 7}
    saved, inserted = QueuedTask(**facts), QueuedTask(**facts)
    saved.save(force_insert=True)
    insert_one(inserted, using="default")
    assert inserted.pk > saved.pk
    assert (inserted._state.adding, inserted._state.db) == (False, "default")
    rows = QueuedTask.objects.order_by("pk").values()
    times = dict.fromkeys(("id", "run_after", "created_at", "updated_at"))
    assert {**rows[0], **times} == {**rows[1], **times}
    assert told[2:] == told[:2]


def test_a_row_that_cannot_be_inserted_spoils_the_callers_transaction():
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            insert_one(QueuedTask(definition_id=None), using="default")
        assert transaction.get_rollback()
        transaction.set_rollback(True)
    assert not QueuedTask.objects.exists()


def test_a_prepared_select_reads_one_row_as_the_orm_does():
    task = enqueue("Noop", {"n": [1, None]}, run_after=timedelta(hours=1))
    names = ("id", "parameters", "run_after", "claimed_by", "queue_name")
    statement = rows().filter(OneOf("id", EACH)).typed(*names)
    assert statement.read_one(task.pk) == QueuedTask.objects.values(*names).get(pk=task.pk)
    assert statement.read_one(task.pk + 1) is None


def test_a_prepared_update_takes_values_when_it_runs():
    first, second = enqueue("Noop"), enqueue("Noop")
    moment = timezone.now() + timedelta(days=2)
    statement = (
        rows()
        .filter(OneOf("id", EACH))
        .update(run_after=Given("run_after"), priority=Given("priority"), details="planned")
    )
    assert statement.change([first.pk], run_after=moment, priority=7) == 1
    changed, other = (QueuedTask.objects.get(pk=task.pk) for task in (first, second))
    assert (changed.run_after, changed.priority, changed.details) == (moment, 7, "planned")
    assert (other.priority, other.details) == (0, "")
    with pytest.raises(KeyError):
        statement.change([first.pk], priority=7)
