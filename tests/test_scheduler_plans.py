"""What a pass over schedules costs: the plan of its look, with 10,000 that are not due."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore.models import Schedule, ScheduleRun
from django_taskstore.scheduler import run_due, set_initial_runs
from django_taskstore.scheduler.firing import last_tasks
from django_taskstore.scheduler.passes import due_in_seconds
from tests.helpers import captured_sql
from tests.plans import assert_index_only_order, learn, plan_text
from tests.schedules import add_schedule, ago, make_due

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 10_000
TABLE = Schedule._meta.db_table
#: Not what caches ask again after a second, nor a wake-up.
OURS = re.compile(r"COMMIT|_schedule\b|_schedulerun\b|_queuedtask\b")


@pytest.fixture
def many():
    """Make 10,000 active schedules whose time comes tomorrow, and let the database learn that."""
    first = add_schedule("FREQ=DAILY")
    tomorrow = timezone.now() + timedelta(days=1)
    Schedule.objects.bulk_create(
        [
            Schedule(
                name=f"many {number}",
                definition_id=first.definition_id,
                recurrence_rule="FREQ=DAILY",
                status="active",
                next_run_at=tomorrow + timedelta(seconds=number),
            )
            for number in range(ROWS)
        ],
        batch_size=500,
    )
    learn(TABLE)


def plan_of(work):
    """Return the one statement that the work runs, and its plan as text."""
    with captured_sql() as statements:
        work()
    ((sql, params),) = statements
    return (sql, params), plan_text(sql, params)


@pytest.mark.parametrize("work", [run_due, due_in_seconds, set_initial_runs])
def test_a_pass_with_nothing_due_is_one_look_into_one_index(many, work):
    _, plan = plan_of(lambda: work("default"))
    assert_index_only_order(plan, "taskstore_due_schedule")


def test_an_occurrence_costs_four_statements_in_a_transaction_of_its_own():
    since = ago(timedelta(seconds=5))
    for rule in ("FREQ=HOURLY", "0 9 * * *", "FREQ=WEEKLY;BYDAY=MO"):
        make_due(add_schedule(rule, start_at=since), since)
    run_due("default")
    for schedule in Schedule.objects.all():
        make_due(schedule, since + timedelta(seconds=1))
    with CaptureQueriesContext(connection) as queries:
        assert run_due("default") == 3
    verbs = [one["sql"].split()[0] for one in queries if OURS.search(one["sql"])]
    assert verbs == ["SELECT", *["SELECT", "INSERT", "INSERT", "UPDATE", "COMMIT"] * 3], verbs


def test_a_pass_on_mariadb_reads_no_row_that_is_not_due(many):
    if connection.vendor != "mysql":
        pytest.skip("ANALYZE FORMAT=JSON is MariaDB's; the plan above speaks for the others")
    (sql, params), _ = plan_of(lambda: run_due("default"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE FORMAT=JSON " + sql, params)
        text = cursor.fetchone()[0]
    assert json.loads(text)
    assert '"r_rows": 0' in text, text


def test_the_last_tasks_of_a_schedule_come_from_the_index_of_its_records():
    schedule = add_schedule("FREQ=DAILY")
    now = timezone.now()
    ScheduleRun.objects.bulk_create(
        [
            ScheduleRun(
                schedule_id=schedule.pk + number % 50,
                occurrence_at=now - timedelta(minutes=number),
                result="enqueued",
                queued_task_id=number + 1,
            )
            for number in range(5_000)
        ],
        batch_size=500,
    )
    learn(ScheduleRun._meta.db_table)
    _, plan = plan_of(lambda: last_tasks(schedule, "default"))
    # SQLite gives the index of a constraint a name of its own.
    name = "sqlite_autoindex" if connection.vendor == "sqlite" else "taskstore_one_occurrence"
    assert name in plan, plan
    assert "Seq Scan" not in plan, plan
