"""What the admin's pages cost beside many tasks: few statements, none reads the whole table.

TASKSTORE_TEST_ROWS sets the number of finished rows, and a fiftieth of it waits; with a million
and more the bounds are those of the product, below they are made smaller with the table.
TASKSTORE_TEST_REPORT names a file for what each page took.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.test import override_settings
from django.utils import timezone

from django_taskstore import bulk
from django_taskstore.admin import exporting, reach, task_search
from django_taskstore.conf import ADMIN_COLUMNS
from django_taskstore.models import (
    BulkOperation,
    Queue,
    QueuedTask,
    TaskAttempt,
    TaskDefinition,
    Worker,
)
from django_taskstore.selection import Selection
from django_taskstore.statistics import counts, troubles, waiting
from tests.admin_pages import (
    BULK,
    DASHBOARD,
    DEFINITIONS,
    LIST,
    QUEUES,
    SCHEDULES,
    TASKS,
    WORKERS,
    act_url,
    client_of,
    superuser,
    text_of,
    url,
    user_with,
)
from tests.costs import cost_of, is_of_tasks, is_select, reads_all
from tests.crowd import many_tasks
from tests.helpers import add_failed, add_task, captured_sql, work_until_empty
from tests.plans import learn, multiply
from tests.schedules import add_schedule

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = int(os.environ.get("TASKSTORE_TEST_ROWS", "20000"))
IS_LARGE = ROWS >= 1_000_000
REPORT = os.environ.get("TASKSTORE_TEST_REPORT")
#: Of one page, cold.
MOST_STATEMENTS = 12
#: Of all statements that one page needs, together.
MOST_MS = 200


@pytest.fixture
def bounds(monkeypatch):
    """Make the bounds a hundredth of a small table, and return the largest."""
    if IS_LARGE:
        return counts.PAUSED_AMONG
    small = ROWS // 100
    for module, name in (
        (reach, "REACH"),
        (reach, "MOST_FOUND"),
        (exporting, "REACH"),
        (exporting, "PAGE"),
        (bulk, "REACH"),
        (task_search, "AMONG"),
        (counts, "PAUSED_AMONG"),
        (counts, "FAILED_AMONG"),
        (waiting, "STRANGERS_AMONG"),
        (waiting, "MOST_WAITING"),
        (troubles, "FAILED_AMONG"),
    ):
        monkeypatch.setattr(module, name, small)
    return small


def addresses():
    """Return the pages whose statements are looked at, by what they are."""
    tasks = url(f"{TASKS}_changelist")
    definition = TaskDefinition.objects.get(alias="Failing").pk
    task = QueuedTask.objects.filter(status="failed").first()
    now = timezone.now()
    worker = Worker.objects.create(
        host="web01", pid=1, concurrency=1, started_at=now, heartbeat_at=now
    )
    schedule = add_schedule("0 9 * * *", alias="Failing")
    # A definition without a handler here makes the dashboard look through what waits.
    add_task("Gone", queue_name="emails")
    operation = begin("restart")
    filters = {
        "queue": "emails",
        "rare queue": "nothing",
        "definition": definition,
        "created": "15m",
        "schedule": schedule.pk,
        "attempts": "many",
        "error": "yes",
        "worker": uuid.uuid4(),
        "deleted": "yes",
    }
    return {
        "dashboard": url(f"{DASHBOARD}_changelist"),
        "dashboard, 7 days": f"{url(f'{DASHBOARD}_changelist')}?period=7d",
        "dashboard's numbers": url(f"{DASHBOARD}_stats"),
        "enqueue": f"{url(f'{TASKS}_add')}?definition={definition}",
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
        "days": f"{tasks}?created_from=2020-01-01&created_to=2020-01-02",
        "days that failed": f"{tasks}?created_to=2020-01-02&status=failed",
        "search": f"{tasks}?q=nothing+like+it",
        "search by error": f"{tasks}?q=error:ValueError&status=failed",
        "one task": url(f"{TASKS}_change", task.pk),
        "requeue": f"{act_url(TASKS, 'requeue')}?pk={task.pk}",
        "act on all": f"{url(f'{TASKS}_act_on_all', 'restart')}?list_query=status%3Dfailed",
        "definitions": url(f"{DEFINITIONS}_changelist"),
        "definition's page": url(f"{DEFINITIONS}_change", definition),
        "queues": url(f"{QUEUES}_changelist"),
        "queue's page": url(f"{QUEUES}_change", Queue.objects.get(name="emails").pk),
        "workers": url(f"{WORKERS}_changelist"),
        "worker's page": url(f"{WORKERS}_change", worker.pk),
        "schedules": url(f"{SCHEDULES}_changelist"),
        "schedule's page": url(f"{SCHEDULES}_change", schedule.pk),
        "bulk operations": url(f"{BULK}_changelist"),
        "bulk operation's page": url(f"{BULK}_change", operation.pk),
    }


def begin(verb, **selection):
    """Ask for a bulk operation on all tasks that are there now."""
    return bulk.start(
        verb,
        Selection(**selection),
        last_id=bulk.newest_id("default"),
        options={},
        asked_by=superuser(),
        queue_name="default",
    )


def statements_of(client, address):
    """Open a page as the first one to come; return its statements and its seconds."""
    cache.clear()
    ContentType.objects.clear_cache()
    began = time.perf_counter()
    with captured_sql() as statements:
        assert client.get(address).status_code == 200, address
    return statements, time.perf_counter() - began


def test_no_page_reads_the_whole_table(bounds):
    many_tasks(ROWS)
    pages = addresses()
    client = client_of(get_user_model().objects.get())
    client.get(url("index"))
    many, whole, far, slow, report = {}, {}, {}, {}, {}

    for name, address in pages.items():
        statements, seconds = statements_of(client, address)
        if len(statements) > MOST_STATEMENTS:
            many[name] = [sql for sql, _ in statements]
        found = [(sql, params) for sql, params in statements if is_of_tasks(sql)]
        if bad := [sql for sql, params in found if reads_all(sql, params)]:
            whole[name] = bad
        others = [one for one in statements if is_select(one[0]) and one not in found]
        costs, rest = [cost_of(*one) for one in found], [cost_of(*one) for one in others]
        rows = max((one.rows for one in costs), default=0)
        ms = sum(one.ms for one in (*costs, *rest))
        if rows > 4 * bounds:
            far[name] = rows
        if ms > MOST_MS:
            slow[name] = ms
        report[name] = {
            "statements": len(statements),
            "most rows": round(rows),
            "ms": round(ms, 1),
            "page ms": round(1000 * seconds),
        }

    if REPORT:
        Path(REPORT).write_text(json.dumps(report, indent=1))
    assert many == {}
    assert whole == {}
    assert far == {}
    assert slow == {}


@pytest.mark.parametrize("columns", [ADMIN_COLUMNS, ["worker_name", "schedule_name"]])
def test_no_choice_of_columns_costs_more(bounds, columns):
    many_tasks(ROWS)
    pages = {name: one for name, one in addresses().items() if one.split("?")[0] == url(LIST)}
    assert len(pages) > 20
    client = client_of(get_user_model().objects.get())
    client.get(url("index"))
    many, whole, far = {}, {}, {}

    with override_settings(TASKSTORE={"ADMIN_LIST_DISPLAY": columns}):
        for name, address in pages.items():
            statements, _ = statements_of(client, address)
            found = [one for one in statements if is_of_tasks(one[0])]
            if len(statements) > MOST_STATEMENTS:
                many[name] = [sql for sql, _ in statements]
            if bad := [sql for sql, params in found if reads_all(sql, params)]:
                whole[name] = bad
            if (rows := max(cost_of(*one).rows for one in found)) > 4 * bounds:
                far[name] = rows

    assert many == {}
    assert whole == {}
    assert far == {}


def test_failures_are_grouped_among_the_newest_records_only(bounds):
    task = add_failed()
    records = (
        TaskAttempt(queued_task=task, claim_seq=n, number=1, outcome="failed", exception_class="X")
        for n in range(2, ROWS)
    )
    TaskAttempt.objects.bulk_create(records, batch_size=2_000)
    TaskAttempt.objects.update(finished_at=timezone.now())
    learn(TaskAttempt._meta.db_table)

    with captured_sql() as statements:
        (group,) = troubles.failing(timezone.now(), "default")

    assert group.hour == troubles.FAILED_AMONG
    ((sql, params),) = statements
    assert cost_of(sql, params, TaskAttempt._meta.db_table).rows <= 2 * troubles.FAILED_AMONG


def test_who_is_no_superuser_costs_the_two_statements_of_djangos_permissions(bounds):
    many_tasks(2_000)
    pages = addresses()
    names = Permission.objects.filter(content_type__app_label="django_taskstore")
    client = client_of(user_with(*names.values_list("codename", flat=True), name="operator"))
    client.get(url("index"))

    many = {}
    for name, address in pages.items():
        statements = [sql for sql, _ in statements_of(client, address)[0]]
        own = [sql for sql in statements if "auth_permission" not in sql]
        if len(own) > MOST_STATEMENTS or len(statements) > len(own) + 2:
            many[name] = statements

    assert many == {}


def test_a_step_of_a_bulk_operation_reads_a_bounded_part(bounds):
    many_tasks(ROWS)
    operation = begin("restart", status="canceled", queue_name="nothing")

    with captured_sql() as statements:
        bulk.advance(operation.pk, "default")

    found = [(sql, params) for sql, params in statements if is_of_tasks(sql)]
    assert found
    assert not [sql for sql, params in found if reads_all(sql, params)]
    assert max(cost_of(sql, params).rows for sql, params in found) <= 2 * bounds


@pytest.mark.parametrize("query", ["", "?status=canceled&queue=nothing", "?status=failed"])
def test_a_page_of_an_export_reads_a_bounded_part(bounds, query):
    many_tasks(ROWS)
    client = client_of(superuser())

    with captured_sql() as statements:
        text_of(client.get(url(f"{TASKS}_export", "json") + query))

    found = [(sql, params) for sql, params in statements if is_of_tasks(sql)]
    assert len(found) > 2
    assert not [sql for sql, params in found if reads_all(sql, params)]
    assert max(cost_of(sql, params).rows for sql, params in found) <= 4 * bounds


def test_25000_are_requeued_by_a_request_that_returns_within_a_second():
    add_task(status="failed", queue_name="emails")
    multiply("failed", 25_000)
    learn(QueuedTask._meta.db_table)
    client = client_of(superuser())
    client.get(url("index"))

    page = url(f"{TASKS}_act_on_all", "requeue")
    shown = client.get(page + "?list_query=status%3Dfailed").context["shown"]

    began = time.perf_counter()
    client.post(page, {"list_query": "status=failed", "shown": shown, "number": "10,000"})
    seconds = time.perf_counter() - began
    work_until_empty(seconds=300)

    assert seconds < 1
    operation = BulkOperation.objects.get()
    assert (operation.changed, operation.skipped, operation.refused) == (25_000, 0, 0)
    assert QueuedTask.objects.filter(requeued_from__isnull=False).count() == 25_000
