"""A snapshot stays cheap: few statements, served by the indexes beside many finished rows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore import switchboard
from django_taskstore.models import QueuedTask
from django_taskstore.statistics import snapshot
from tests.helpers import add_failed, add_task, captured_sql
from tests.plans import TABLE, learn, plans_by_word

pytestmark = pytest.mark.django_db(transaction=True)


def queue(name):
    """Make a queue."""
    switchboard.ensure(name, "default")


def statements_of_a_snapshot():
    """Return the SQL of one snapshot."""
    with captured_sql() as statements:
        snapshot("default")
    return statements


def test_the_number_of_statements_does_not_grow_with_queues_or_tasks():
    queue("q0")
    few = len(statements_of_a_snapshot())
    for number in range(1, 20):
        queue(f"q{number}")
        add_task(queue_name=f"q{number}")
        add_failed(f"q{number}")
    assert len(statements_of_a_snapshot()) == few == 4


def test_no_statement_uses_distinct_or_counts_finished_rows():
    queue("emails")
    for sql, _ in statements_of_a_snapshot():
        assert "DISTINCT" not in sql
        assert "success" not in sql


def test_beside_many_finished_rows_the_indexes_serve():
    for name in ("default", "emails"):
        queue(name)
    ended = add_task(
        status="success", queue_name="emails", completed_at=timezone.now() - timedelta(days=1)
    )
    columns = {"definition_id": ended.definition_id, "completed_at": ended.completed_at}
    for name in ("default", "emails"):
        finished = [QueuedTask(queue_name=name, status="success", **columns) for _ in range(10_000)]
        QueuedTask.objects.bulk_create(finished, batch_size=500)
    for status in ("queued", "scheduled", "running"):
        add_task(queue_name="emails", status=status)
    add_failed()
    learn(TABLE)
    indexes = {
        "'queued'": "taskstore_claim",
        "'scheduled'": "taskstore_",
        "'running'": "taskstore_",
    }
    plans = plans_by_word(statements_of_a_snapshot(), indexes)
    assert plans.keys() == indexes.keys()
    for word, index in indexes.items():
        assert index in plans[word], plans[word]
