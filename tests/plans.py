"""Many rows, and how a database finds a few among them."""

from __future__ import annotations

from django.db import connection

from django_taskstore import enqueue
from django_taskstore.models import QueuedTask

TABLE = QueuedTask._meta.db_table
#: Without a format: as a table on MySQL and MariaDB.
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN", "mysql": "EXPLAIN"}


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


def learn(*tables):
    """Let the database learn what is in tables."""
    word = "ANALYZE TABLE" if connection.vendor == "mysql" else "ANALYZE"
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"{word} {table}")


def explained(sql, params):
    """Return the rows of the database's plan of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"{EXPLAIN[connection.vendor]} {sql}", params)
        return cursor.fetchall()


def plan_text(sql, params):
    """Return the database's plan of a statement as text."""
    return "\n".join(" ".join(map(str, row)) for row in explained(sql, params))


def plans_by_word(statements, words):
    """Return the plans of the statements that hold one of these words, by the word."""
    return {
        word: plan_text(sql, params) for sql, params in statements for word in words if word in sql
    }


def assert_index_only_order(plan, index):
    """The plan uses the index and neither sorts nor reads the whole table."""
    assert index in plan, plan
    for bad in ("filesort", "Seq Scan", "TEMP B-TREE", "SCAN", "Sort"):
        assert bad not in plan, plan
