"""The expressions that the ORM lacks: what they say, and which index they leave to the planner."""

from __future__ import annotations

import pytest
from django.db import connection

from django_taskstore.database.expressions import Literal, OneOf
from django_taskstore.models import QueuedTask
from django_taskstore.statuses import Status
from tests.helpers import add_task

pytestmark = pytest.mark.django_db(transaction=True)

#: How each database calls the primary key in a plan.
PRIMARY = {"postgresql": "queuedtask_pkey", "mysql": "PRIMARY", "sqlite": "INTEGER PRIMARY KEY"}

ANALYZE = {
    "postgresql": "ANALYZE django_taskstore_queuedtask",
    "mysql": "ANALYZE TABLE django_taskstore_queuedtask",
    "sqlite": "ANALYZE",
}


def named(ids):
    """Return the queued tasks among these."""
    return QueuedTask.all_objects.filter(OneOf("id", ids), status=Literal(Status.QUEUED))


def test_one_of_finds_just_the_numbers_it_is_given():
    first, second, third = (add_task() for _ in range(3))
    assert set(named([first.pk, third.pk])) == {first, third}
    assert named([second.pk]).update(priority=5) == 1


def test_one_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one number"):
        OneOf("id", [])


def test_one_of_is_read_by_the_primary_key_though_the_status_has_an_index():
    like = add_task()
    rows = [QueuedTask(definition_id=like.definition_id) for _ in range(5_000)]
    QueuedTask.objects.bulk_create(rows, batch_size=500)
    with connection.cursor() as cursor:
        cursor.execute(ANALYZE[connection.vendor])
    plan = named([like.pk, like.pk + 1, like.pk + 2]).order_by().explain()
    assert PRIMARY[connection.vendor] in plan, plan


def test_one_of_is_not_compared_with_true_which_would_hide_the_key_from_mysql():
    where = str(named([7]).query).partition("WHERE")[2]
    assert "true" not in where.lower()
    assert "= 1" not in where
