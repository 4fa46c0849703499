"""What the hot statements cost: the plan of each, with 100,000 rows in the way.

TASKSTORE_TEST_ROWS sets the number of rows; the plans are the same with a million.
"""

from __future__ import annotations

import json
import os
import uuid

import pytest
from django.db import connection
from django.utils import timezone

from django_taskstore import claims, enqueue_many, maintenance
from django_taskstore.database.transactions import writing
from django_taskstore.models import QueuedTask
from tests.plans import TABLE, assert_index_only_order, fill, plan_text

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = int(os.environ.get("TASKSTORE_TEST_ROWS", "100000"))


class Finders:
    """Keeps the statements that find rows of the task table while it is active."""

    def __init__(self):
        self.found = []

    def __call__(self, execute, sql, params, many, context):
        if TABLE in sql and (sql.startswith("SELECT") or "RETURNING" in sql):
            self.found.append((sql, params))
        return execute(sql, params, many, context)


def found_by(work):
    """Return the statements with which the work finds tasks."""
    finders = Finders()
    with connection.execute_wrapper(finders):
        work()
    return finders.found


def assert_walks(work, index):
    """Assert that each statement which finds tasks walks an index in its order."""
    found = found_by(work)
    assert found
    for sql, params in found:
        assert_index_only_order(plan_text(sql, params), index)


def examined(sql, params):
    """Return how many rows MariaDB reads for a SELECT on the task table."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE FORMAT=JSON " + sql, params)
        table = json.loads(cursor.fetchone()[0])["query_block"]
    while "table" not in table:
        table = next(value for value in table.values() if isinstance(value, (dict, list)))
        table = table[0] if isinstance(table, list) else table
    return table["table"]["r_rows"]


def claim():
    """Claim ten tasks."""
    with writing("default"):
        claims.claim("default", limit=10, worker=uuid.uuid4(), lease_seconds=60, using="default")


def test_a_claim_walks_its_index_in_order():
    fill("queued", ROWS)
    assert_walks(claim, "taskstore_claim")


def test_promote_walks_its_index_in_order():
    fill("scheduled", ROWS)
    assert_walks(lambda: maintenance.promote("default"), "taskstore_due")


def test_a_rescue_walks_its_index_in_order():
    fill("running", ROWS)
    assert_walks(claim_expired, "taskstore_lease")


def claim_expired():
    """Look for expired leases as the rescue does."""
    with writing("default"):
        claims.claim_expired(limit=100, using="default")


def test_a_claim_does_not_read_finished_rows():
    fill("success", ROWS)
    QueuedTask.objects.update(updated_at=timezone.now())
    enqueue_many("Noop", [{}] * 100)
    assert_walks(claim, "taskstore_claim")


def test_a_claim_on_mariadb_reads_only_what_it_claims():
    if connection.vendor != "mysql":
        pytest.skip("ANALYZE FORMAT=JSON is MariaDB's; the plans above speak for the others")
    fill("success", ROWS)
    enqueue_many("Noop", [{}] * 2_000)
    assert all(examined(*one) <= 10 for one in found_by(claim))


def test_a_claim_on_mariadb_goes_on_within_what_is_due_at_the_same_time():
    """What was claimed of one enqueue_many is not walked again by each claim of the rest."""
    if connection.vendor != "mysql":
        pytest.skip("only a claim on MySQL looks before it locks")
    enqueue_many("Noop", [{}] * 2_000)
    first = QueuedTask.objects.order_by("id")[1_500].pk
    QueuedTask.objects.filter(pk__lt=first).update(status="running")
    _, (sql, params) = found_by(claim)
    assert first in params
    with writing("default"):
        # As if those before still waited, which their entries in the index seem to do.
        QueuedTask.objects.update(status="queued")
        assert examined(sql, params) <= 10


def test_a_claim_of_more_than_waits_goes_on_below_by_its_index():
    """On MySQL what is left of a claim is looked for in lower priorities by one more SELECT."""
    fill("success", ROWS)
    enqueue_many("Noop", [{}] * 3, priority=5)
    enqueue_many("Noop", [{}] * 3, priority=-5)
    found = found_by(claim)
    assert len(found) == (3 if connection.vendor == "mysql" else 1)
    for sql, params in found:
        assert_index_only_order(plan_text(sql, params), "taskstore_claim")
    assert QueuedTask.objects.with_status("running").count() == 6


def test_a_claim_on_postgresql_reads_only_what_it_claims():
    if connection.vendor != "postgresql":
        pytest.skip("EXPLAIN (ANALYZE, BUFFERS) is PostgreSQL's; the plans above speak for others")
    fill("success", ROWS)
    enqueue_many("Noop", [{}] * 2_000)
    sql, params = found_by(claim)[0]
    with writing("default"), connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, params)
        nodes = list(parts(cursor.fetchone()[0][0]["Plan"]))
    assert "taskstore_claim" in [node.get("Index Name") for node in nodes]
    assert all(node["Actual Rows"] <= 10 for node in nodes)
    assert not any(node.get("Rows Removed by Filter") for node in nodes), nodes


def parts(node):
    """Yield the nodes of a plan."""
    yield node
    for part in node.get("Plans", []):
        yield from parts(part)


def test_a_claim_on_mariadb_locks_only_what_it_claims():
    if connection.vendor != "mysql":
        pytest.skip("InnoDB locks what it reads; the others lock what they return")
    enqueue_many("Noop", [{}] * 2_000)
    with writing("default"):
        claims.claim("default", limit=5, worker=uuid.uuid4(), lease_seconds=60, using="default")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT trx_rows_locked FROM information_schema.INNODB_TRX "
                "WHERE trx_mysql_thread_id = CONNECTION_ID()"
            )
            locked = cursor.fetchone()[0]
    assert locked <= 4 * 5
