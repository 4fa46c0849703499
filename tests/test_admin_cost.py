"""What the admin's pages cost beside many finished tasks: no statement reads the whole table.

TASKSTORE_TEST_ROWS sets the number of rows; with a million and more the bounds are those of
the product, below they are made smaller with the table.
"""

from __future__ import annotations

import os
import re
import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from django_taskstore import bulk, enqueue_many
from django_taskstore.admin import reach, task_search
from django_taskstore.models import QueuedTask, TaskAttempt, TaskDefinition, Worker
from django_taskstore.selection import Selection
from django_taskstore.statistics import counts, troubles
from tests.admin_pages import (
    DASHBOARD,
    DEFINITIONS,
    QUEUES,
    TASKS,
    WORKERS,
    act_url,
    client_of,
    superuser,
    url,
)
from tests.helpers import add_task, captured_sql
from tests.test_query_plans import learn, multiply

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = int(os.environ.get("TASKSTORE_TEST_ROWS", "20000"))
IS_LARGE = ROWS >= 1_000_000
TABLE = QueuedTask._meta.db_table


@pytest.fixture
def bounds(monkeypatch):
    """Make the bounds a hundredth of a small table, and return the largest."""
    if IS_LARGE:
        return counts.PAUSED_AMONG
    small = ROWS // 100
    for module, name in (
        (reach, "REACH"),
        (reach, "MOST_FOUND"),
        (bulk, "REACH"),
        (task_search, "AMONG"),
        (counts, "PAUSED_AMONG"),
        (counts, "FAILED_AMONG"),
        (counts, "STRANGERS_AMONG"),
        (troubles, "FAILED_AMONG"),
    ):
        monkeypatch.setattr(module, name, small)
    return small


def many_tasks():
    """Fill the table with successes, and put a few tasks of each other kind at both its ends."""
    few("old")
    add_task(status="success", completed_at=timezone.now())
    multiply("success", ROWS)
    few("new")
    for model in (QueuedTask, TaskAttempt):
        learn(model._meta.db_table)


def few(name):
    """Insert some tasks of each status, with the records of failed ones."""
    for status in ("failed", "canceled", "paused", "scheduled", "running"):
        enqueue_many("Failing", [{"name": name}] * 10, queue_name="emails")
        made = QueuedTask.objects.filter(status="queued", queue_name="emails")
        keys = list(made.values_list("pk", flat=True))
        late = timezone.now() + timedelta(hours=1)
        QueuedTask.objects.filter(pk__in=keys).update(
            status=status, claim_seq=1, attempts=2, started_at=timezone.now(), lease_expires_at=late
        )
        if status == "failed":
            TaskAttempt.objects.bulk_create(
                TaskAttempt(
                    queued_task_id=key,
                    claim_seq=1,
                    number=1,
                    outcome="failed",
                    exception_class="ValueError",
                    finished_at=timezone.now(),
                )
                for key in keys
            )
    enqueue_many("Noop", [{}] * 20, queue_name="emails")


def addresses():
    """Return the pages whose statements are looked at, by what they are."""
    tasks = url(f"{TASKS}_changelist")
    definition = TaskDefinition.objects.get(alias="Failing").pk
    task = QueuedTask.objects.filter(status="failed").first()
    now = timezone.now()
    worker = Worker.objects.create(
        host="web01", pid=1, concurrency=1, started_at=now, heartbeat_at=now
    )
    filters = {
        "queue": "emails",
        "rare queue": "nothing",
        "definition": definition,
        "created": "15m",
        "attempts": "many",
        "worker": uuid.uuid4(),
        "deleted": "yes",
    }
    return {
        "dashboard": url(f"{DASHBOARD}_changelist"),
        "all tasks": tasks,
        "last page": f"{tasks}?p=2",
        "older": f"{tasks}?before={task.pk}",
        **{
            f"status {status}": f"{tasks}?status={status}"
            for status in (
                "queued",
                "scheduled",
                "running",
                "paused",
                "failed",
                "canceled",
                "success",
            )
        },
        **{
            name: f"{tasks}?{name.split()[-1]}={value}&status=canceled"
            for name, value in filters.items()
        },
        "search": f"{tasks}?q=nothing+like+it",
        "search by error": f"{tasks}?q=error:ValueError&status=failed",
        "one task": url(f"{TASKS}_change", task.pk),
        "requeue": f"{act_url(TASKS, 'requeue')}?pk={task.pk}",
        "act on all": f"{url(f'{TASKS}_act_on_all', 'restart')}?list_query=status%3Dfailed",
        "definitions": url(f"{DEFINITIONS}_changelist"),
        "definition's page": url(f"{DEFINITIONS}_change", definition),
        "queues": url(f"{QUEUES}_changelist"),
        "workers": url(f"{WORKERS}_changelist"),
        "worker's page": url(f"{WORKERS}_change", worker.pk),
    }


def selects(work):
    """Return the SELECTs on the table of tasks that some work runs."""
    with captured_sql() as statements:
        work()
    return [
        (sql, params) for sql, params in statements if sql.startswith("SELECT") and TABLE in sql
    ]


def explained(sql, params):
    """Return the rows of a plan."""
    prefix = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN ", "mysql": "EXPLAIN "}
    with connection.cursor() as cursor:
        cursor.execute(prefix[connection.vendor] + sql, params)
        return cursor.fetchall()


def reads_all(sql, params):
    """Tell whether a statement reads the whole table of tasks, by its plan."""
    rows = explained(sql, params)
    if connection.vendor == "mysql":
        return any(row[3] == "ALL" and str(row[2]) == TABLE for row in rows)
    text = "\n".join(" ".join(map(str, row)) for row in rows)
    if connection.vendor == "postgresql":
        return f"Seq Scan on {TABLE}" in text
    return re.search(rf"SCAN {TABLE}(?! USING)", text) is not None and "LIMIT" not in sql


def rows_read(sql, params):
    """Return how many rows of the table of tasks PostgreSQL read for a statement."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, params)
        nodes = [cursor.fetchone()[0][0]["Plan"]]
    read = 0
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node.get("Relation Name") == TABLE:
            removed = node.get("Rows Removed by Filter", 0)
            read += (node["Actual Rows"] + removed) * node["Actual Loops"]
    return read


def test_no_page_reads_the_whole_table(bounds):
    many_tasks()
    client = client_of(superuser())
    client.get(url("index"))
    whole, far = {}, {}

    for name, address in addresses().items():
        cache.clear()

        def open_page(address=address):
            assert client.get(address).status_code == 200, address

        found = selects(open_page)
        if bad := [sql for sql, params in found if reads_all(sql, params)]:
            whole[name] = bad
        if connection.vendor == "postgresql":
            read = max((rows_read(sql, params) for sql, params in found), default=0)
            if read > 4 * bounds:
                far[name] = read

    assert whole == {}
    assert far == {}


def test_a_step_of_a_bulk_operation_reads_a_bounded_part(bounds):
    many_tasks()
    operation = bulk.start(
        "restart",
        Selection(status="canceled", queue_name="nothing"),
        last_id=bulk.newest_id("default"),
        options={},
        asked_by=superuser(),
        queue_name="default",
    )

    found = selects(lambda: bulk.advance(operation.pk, "default"))

    assert found
    assert not [sql for sql, params in found if reads_all(sql, params)]
    if connection.vendor == "postgresql":
        assert max(rows_read(sql, params) for sql, params in found) <= 2 * bounds
