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

from django_taskstore import claims, enqueue, enqueue_many, maintenance
from django_taskstore.database.transactions import writing
from django_taskstore.models import QueuedTask

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = int(os.environ.get("TASKSTORE_TEST_ROWS", "100000"))
TABLE = QueuedTask._meta.db_table


class Selects:
    """Keeps the SELECTs on the task table that run while it is active."""

    def __init__(self):
        self.found = []

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith("SELECT") and TABLE in sql:
            self.found.append((sql, params))
        return execute(sql, params, many, context)


def fill(status, rows):
    """Copy one row many times within the database, and let it learn the table."""
    enqueue("Noop")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET status = '{status}'")
    multiply(status, rows)
    learn(TABLE)


def multiply(status, rows):
    """Copy the rows with a status, of which there is one, within the database."""
    columns = [f.column for f in QueuedTask._meta.concrete_fields if not f.primary_key]
    names = ", ".join(connection.ops.quote_name(name) for name in columns)
    values = names.replace(connection.ops.quote_name("status"), f"'{status}'")
    stamp = connection.ops.quote_name("lease_expires_at")
    values = values.replace(stamp, connection.ops.quote_name("run_after"))
    with connection.cursor() as cursor:
        have = 1
        while have < rows:
            step = min(have, rows - have)
            cursor.execute(
                f"INSERT INTO {TABLE} ({names}) SELECT {values} FROM {TABLE} "
                f"WHERE status = '{status}' LIMIT {step}"
            )
            have += step


def learn(table):
    """Let the database learn what is in a table."""
    with connection.cursor() as cursor:
        word = "ANALYZE TABLE" if connection.vendor == "mysql" else "ANALYZE"
        cursor.execute(f"{word} {table}")


def plan_of(work):
    """Return the plan, as text, of the first SELECT on the task table that the work runs."""
    selects = Selects()
    with connection.execute_wrapper(selects):
        work()
    sql, params = selects.found[0]
    explain = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN ", "mysql": "EXPLAIN "}
    with connection.cursor() as cursor:
        cursor.execute(explain[connection.vendor] + sql, params)
        return "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())


def examined(work):
    """Return how many rows MariaDB read for the first SELECT on the task table."""
    selects = Selects()
    with connection.execute_wrapper(selects):
        work()
    sql, params = selects.found[0]
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


def assert_index_only_order(plan, index):
    """The plan uses the index and neither sorts nor reads the whole table."""
    assert index in plan, plan
    for bad in ("filesort", "Seq Scan", "TEMP B-TREE", "SCAN", "Sort"):
        assert bad not in plan, plan


def test_a_claim_walks_its_index_in_order():
    fill("queued", ROWS)
    assert_index_only_order(plan_of(claim), "taskstore_claim")


def test_promote_walks_its_index_in_order():
    fill("scheduled", ROWS)
    assert_index_only_order(plan_of(lambda: maintenance.promote("default")), "taskstore_due")


def test_a_rescue_walks_its_index_in_order():
    fill("running", ROWS)
    plan = plan_of(claim_expired)
    assert_index_only_order(plan, "taskstore_lease")


def claim_expired():
    """Look for expired leases as the rescue does."""
    with writing("default"):
        claims.claim_expired(limit=100, using="default")


def test_a_claim_does_not_read_finished_rows():
    fill("success", ROWS)
    QueuedTask.objects.update(updated_at=timezone.now())
    enqueue_many("Noop", [{}] * 100)
    assert_index_only_order(plan_of(claim), "taskstore_claim")


def test_a_claim_on_mariadb_reads_only_what_it_claims():
    if connection.vendor != "mysql":
        pytest.skip("ANALYZE FORMAT=JSON is MariaDB's; the plans above speak for the others")
    fill("success", ROWS)
    enqueue_many("Noop", [{}] * 2_000)
    assert examined(claim) <= 10


def test_a_claim_on_postgresql_reads_only_what_it_claims():
    if connection.vendor != "postgresql":
        pytest.skip("EXPLAIN (ANALYZE, BUFFERS) is PostgreSQL's; the plans above speak for others")
    fill("success", ROWS)
    enqueue_many("Noop", [{}] * 2_000)
    selects = Selects()
    with connection.execute_wrapper(selects):
        claim()
    sql, params = selects.found[0]
    with writing("default"), connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, params)
        node = cursor.fetchone()[0][0]["Plan"]
    while "Plans" in node:
        node = node["Plans"][0]
    assert node["Index Name"] == "taskstore_claim"
    assert node["Actual Rows"] <= 10
    assert node.get("Rows Removed by Filter", 0) == 0


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
