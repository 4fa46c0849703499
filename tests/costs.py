"""What a statement on the table of tasks costs: its plan, the rows it reads, its time."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass

from django.db import connection

from tests.plans import TABLE, explained, plan_text


@dataclass(frozen=True)
class Cost:
    """What one statement took.

    Attributes:
        rows: rows of the table, of tasks if no other is meant, that were read; SQLite does not
            count them, and takes some thirty steps of its machine for a row that it groups, so
            steps by thirty.
        ms: milliseconds, by the server's own clock where it has one.
    """

    rows: float
    ms: float


def is_select(sql):
    """Tell whether a statement reads, a union in brackets too."""
    return sql.lstrip("(").startswith("SELECT")


def is_of_tasks(sql):
    """Tell whether a statement reads the table of tasks."""
    return is_select(sql) and TABLE in sql


def reads_all(sql, params):
    """Tell whether a statement reads the whole table of tasks, by its plan."""
    if connection.vendor == "mysql":
        rows = explained(sql, params)
        return any(row[3] == "ALL" and str(row[2]) == TABLE for row in rows)
    text = plan_text(sql, params)
    if connection.vendor == "postgresql":
        return f"Seq Scan on {TABLE}" in text
    return re.search(rf"SCAN {TABLE}(?! USING)", text) is not None and "LIMIT" not in sql


def cost_of(sql, params, table=TABLE):
    """Run a statement once more and return what it costs, in rows of a table."""
    return COSTS[connection.vendor](sql, params, table)


def cost_on_postgresql(sql, params, table):
    """Ask EXPLAIN ANALYZE."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, params)
        (said,) = cursor.fetchone()[0]
    read, nodes = 0, [said["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node.get("Relation Name") == table:
            removed = node.get("Rows Removed by Filter", 0)
            read += (node["Actual Rows"] + removed) * node["Actual Loops"]
    return Cost(read, said["Planning Time"] + said["Execution Time"])


def cost_on_mariadb(sql, params, table):
    """Ask ANALYZE FORMAT=JSON."""
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE FORMAT=JSON " + sql, params)
        said = json.loads(cursor.fetchone()[0])
    elapsed = time.perf_counter() - began
    read, nodes = 0.0, [said]
    while nodes:
        node = nodes.pop()
        inner = node.values() if isinstance(node, dict) else node
        nodes += [one for one in inner if isinstance(one, (dict, list))]
        if isinstance(node, dict) and str(node.get("table_name", "")) == table:
            read += (node.get("r_rows") or 0) * (node.get("r_loops") or 0)
    return Cost(read, 1000 * elapsed)


def cost_on_sqlite(sql, params, _table):
    """Count the steps of SQLite's machine, a hundred at a time."""
    steps = 0

    def count():
        nonlocal steps
        steps += 100
        return 0

    with connection.cursor() as cursor:
        connection.connection.set_progress_handler(count, 100)
        began = time.perf_counter()
        try:
            cursor.execute(sql, params)
            cursor.fetchall()
        finally:
            elapsed = time.perf_counter() - began
            connection.connection.set_progress_handler(None, 0)
    return Cost(steps / 30, 1000 * elapsed)


COSTS = {"postgresql": cost_on_postgresql, "mysql": cost_on_mariadb, "sqlite": cost_on_sqlite}
