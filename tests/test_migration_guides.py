"""The code of docs/migrate runs: the new tasks work, and old rows are moved once each.

Each block that begins with a file's name, such as ``# shop/tasks.py``, becomes that module.
The old queues are not installed; their tables are stood in for, with the columns they have.
"""

from __future__ import annotations

import json
import re
import sys
import types
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.core import mail
from django.db import connection

from django_taskstore import scheduler
from django_taskstore.definitions import mirror
from django_taskstore.models import QueuedTask, Schedule, TaskDefinition
from django_taskstore.registry import registry
from django_taskstore.testing import assert_enqueued, run_queued_tasks, run_schedules, travel
from tests.helpers import ROOT

pytestmark = pytest.mark.django_db

GUIDES = ("celery", "django_tasks_db", "django_q2", "procrastinate", "go")
BLOCK = re.compile(r"```python\n# shop/(\w+)\.py\n(.*?)```", re.DOTALL)


@pytest.fixture
def shop():
    """Return a function that makes the package ``shop`` of a guide's blocks."""
    before = {handler.alias: handler for handler in registry}
    # The guide from the Go library declares this one anew.
    registry.remove("HelloWorldTask")
    made = []

    def build(guide, *, without=(), **stand_ins):
        modules = {"shop": types.ModuleType("shop")}
        for name, members in stand_ins.items():
            modules[name] = types.ModuleType(name)
            vars(modules[name]).update(members)
        sys.modules.update(modules)
        made.extend(modules)
        text = (ROOT / f"docs/migrate/{guide}.md").read_text(encoding="utf-8")
        for name, code in BLOCK.findall(text):
            if name not in without:
                load(modules["shop"], name, code, made)
        mirror("default")
        return modules["shop"]

    yield build
    for name in made:
        sys.modules.pop(name, None)
    for handler in list(registry):
        if before.get(handler.alias) is not handler:
            registry.remove(handler.alias)
    for alias, handler in before.items():
        if alias not in registry:
            registry.add(handler)


def load(shop, name, code, made):
    """Run one block in its module, which a page may write in several parts."""
    path = f"shop.{name}"
    if path not in sys.modules:
        module = types.ModuleType(path)
        sys.modules[path] = module
        setattr(shop, name, module)
        made.append(path)
    exec(compile(code, f"<{path}>", "exec"), vars(sys.modules[path]))


class Rows(list):
    """A queryset of an old queue's model, as far as the guides ask."""

    def filter(self, **wanted):
        return Rows(row for row in self if fits(row, wanted))

    def exclude(self, **unwanted):
        return Rows(row for row in self if not fits(row, unwanted))

    def order_by(self, _):
        return Rows(self)


def fits(row, wanted):
    """Tell whether a row has these values."""
    return all(getattr(row, name) == value for name, value in wanted.items())


def model(*rows):
    """Return a stand-in for an old queue's model."""
    return SimpleNamespace(objects=Rows(SimpleNamespace(**row) for row in rows))


def make_table(name, columns, *rows):
    """Make an old queue's table within the test."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {name} ({columns})")
        for row in rows:
            marks = ", ".join(["%s"] * len(row))
            cursor.execute(
                f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", [*row.values()]
            )


@pytest.fixture
def drop_tables(transactional_db):
    """Drop temporary tables, which live as long as the connection; MySQL commits when it does."""
    names = []
    yield names
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP TABLE {name}")


@pytest.mark.parametrize("guide", GUIDES)
def test_each_guide_has_code_that_runs_here(guide):
    text = (ROOT / f"docs/migrate/{guide}.md").read_text(encoding="utf-8")
    assert BLOCK.findall(text)


CRON = SimpleNamespace(
    minute="30", hour="7, 19", day_of_month="*", month_of_year="*", day_of_week="1-5",
    timezone="Europe/Sofia",
)  # fmt: skip


def periodic(name, task, **facts):
    """Return a row of django-celery-beat's PeriodicTask."""
    empty = {
        "crontab": None, "interval": None, "args": "[]", "kwargs": "{}", "queue": None,
        "description": "", "start_time": None, "expires": None, "one_off": False, "enabled": True,
    }  # fmt: skip
    return {**empty, "name": name, "task": task, **facts}


@pytest.fixture
def celery_shop(shop):
    """Return the shop of the guide from Celery."""
    interval = SimpleNamespace(every=90, period="seconds")
    receipt = "shop.tasks.send_receipt"
    beat = model(
        periodic("by cron", receipt, crontab=CRON, args="[7]", description="Receipts"),
        periodic("by interval", receipt, interval=interval, kwargs='{"order_id": 8}', one_off=True),
        periodic("by the sun", receipt),
        periodic("unknown", "shop.tasks.gone", crontab=CRON),
        periodic("switched off", receipt, crontab=CRON, enabled=False),
    )
    return shop("celery", **{"django_celery_beat.models": {"PeriodicTask": beat}})


def test_celery_tasks_calls_and_retries(celery_shop):
    celery_shop.views.buy(5)
    ran = run_queued_tasks(raising=True)
    assert [task.definition.alias for task in ran] == [
        "shop.tasks.charge",
        "shop.tasks.send_receipt",
    ]
    assert [letter.body for letter in mail.outbox] == ["Order 5"]
    result = celery_shop.views.buy_later(-1)
    row = QueuedTask.objects.get(pk=result.id)
    assert (row.status, row.queue_name, row.priority) == ("scheduled", "slow", 5)
    with travel(timedelta(seconds=60)):
        (row,) = run_queued_tasks()
        assert (row.status, row.attempts, row.max_attempts) == ("scheduled", 1, 4)


def test_celery_beat_in_code(celery_shop):
    scheduler.mirror("default")
    schedule = Schedule.objects.get(name="Backup")
    with travel(schedule.next_run_at):
        assert "shop.tasks.backup" in {task.definition.alias for task in run_schedules()}
        assert "full" in [task.output for task in run_queued_tasks(raising=True)]
    assert Schedule.objects.get(name="shop.tasks.digest").recurrence_rule == "30 7 * * *"


def test_celery_beats_rows_are_moved_once(celery_shop):
    for _ in range(2):
        assert celery_shop.move_beat.move_beat() == ["by the sun", "unknown"]
    by_cron = Schedule.objects.get(name="by cron")
    assert (by_cron.recurrence_rule, by_cron.time_zone) == ("30 7,19 * * 1-5", "Europe/Sofia")
    assert by_cron.description == "Receipts"
    by_interval = Schedule.objects.get(name="by interval")
    assert by_interval.recurrence_rule == "FREQ=SECONDLY;INTERVAL=90"
    assert (by_interval.max_execution_count, by_interval.status) == (1, "active")
    with travel(by_cron.next_run_at):
        ran = run_schedules()
    assert {"args": [7], "kwargs": {}} in [task.parameters for task in ran]


class OldResults:
    """Stands in for DBTaskResult.objects, with rows that can be deleted."""

    def __init__(self, rows):
        self.rows = rows

    def filter(self, **wanted):
        return OldResults([row for row in self.rows if not row.deleted and fits(row, wanted)])

    def order_by(self, _):
        return list(self.rows)

    def delete(self):
        for row in self.rows:
            row.deleted = True
        return len(self.rows), {}


def test_django_tasks_dbs_waiting_rows_are_moved_once(shop):
    from tests.testapp import functions

    waiting = functions.returning.using(priority=4, queue_name="mail")
    rows = [
        SimpleNamespace(
            pk=number, status=status, task=waiting, deleted=False,
            args_kwargs={"args": [number], "kwargs": {}},
        )
        for number, status in enumerate(["READY", "RUNNING", "READY", "SUCCESSFUL"])
    ]  # fmt: skip
    old = SimpleNamespace(objects=OldResults(rows))
    built = shop(
        "django_tasks_db",
        **{"django_tasks_db": {}, "django_tasks_db.models": {"DBTaskResult": old}},
    )
    assert built.move_tasks.move_waiting_tasks() == 2
    assert built.move_tasks.move_waiting_tasks() == 0
    assert [row.deleted for row in rows] == [True, False, True, False]
    assert_enqueued(functions.returning, {"args": [2], "kwargs": {}}, queue_name="mail", priority=4)
    assert sorted(task.output for task in run_queued_tasks()) == [0, 2]


def q2_schedule(pk, schedule_type, **facts):
    """Return a row of django-q2's Schedule."""
    empty = {
        "name": None, "func": "shop.tasks.resize", "args": None, "kwargs": None, "minutes": None,
        "cron": None, "repeats": -1, "next_run": datetime(2040, 1, 2, 3, 4, tzinfo=UTC),
    }  # fmt: skip
    return {**empty, "pk": pk, "schedule_type": schedule_type, **facts}


@pytest.fixture
def q2_shop(shop):
    """Return the shop of the guide from django-q2."""
    old = model(
        q2_schedule(1, "D", args="7", kwargs="sizes=[100, 200]", name="daily"),
        q2_schedule(2, "I", minutes=15, args="1,", repeats=3),
        q2_schedule(3, "C", cron="0 4 * * *", args="'a', (1, 2)"),
        q2_schedule(4, "O", kwargs="{'picture': 9}", repeats=1),
        q2_schedule(5, "BW", func="django.core.management.call_command"),
        q2_schedule(6, "H", repeats=0),
        *(
            q2_schedule(10 + place, kind)
            for place, kind in enumerate(["H", "W", "M", "BM", "Q", "Y"])
        ),
    )
    return shop("django_q2", **{"django_q": {}, "django_q.models": {"Schedule": old}})


def test_django_q2_tasks(q2_shop):
    q2_shop.views.upload("cat")
    ran = run_queued_tasks(raising=True)
    assert [task.output for task in ran] == [["cat-100.png", "cat-200.png"], "cat: 2"]


def test_django_q2s_schedules_are_moved_once(q2_shop):
    for _ in range(2):
        assert [old.pk for old in q2_shop.move_schedules.move_schedules()] == [5]
    assert Schedule.objects.filter(definition__alias="shop.tasks.resize").count() == 10
    daily = Schedule.objects.get(name="daily")
    assert (daily.recurrence_rule, daily.parameters) == (
        "FREQ=DAILY",
        {"args": [7], "kwargs": {"sizes": [100, 200]}},
    )
    assert daily.next_run_at == datetime(2040, 1, 2, 3, 4, tzinfo=UTC)
    quarters = Schedule.objects.get(name="shop.tasks.resize 2")
    assert (quarters.recurrence_rule, quarters.max_execution_count) == (
        "FREQ=MINUTELY;INTERVAL=15",
        3,
    )
    cron = Schedule.objects.get(name="shop.tasks.resize 3")
    assert cron.parameters == {"args": ["a", [1, 2]], "kwargs": {}}
    once = Schedule.objects.get(name="shop.tasks.resize 4")
    assert (once.recurrence_rule, once.parameters["kwargs"]) == ("", {"picture": 9})
    with travel(once.next_run_at):
        assert len(run_schedules()) >= 2
    once.refresh_from_db()
    assert once.status == "completed"


def test_procrastinate_tasks(shop):
    built = shop("procrastinate")
    later = built.views.welcome("ann@example.com")
    (task,) = run_queued_tasks(raising=True)
    assert (task.queue_name, task.max_attempts) == ("mail", 3)
    assert "INFO: attempt 1" in task.details
    assert [letter.to for letter in mail.outbox] == [["ann@example.com"]]
    with travel(timedelta(minutes=5)):
        assert [str(task.pk) for task in run_queued_tasks()] == [later.id]
    scheduler.mirror("default")
    assert Schedule.objects.get(name="Morning").recurrence_rule == "0 9 * * 1-5"


def test_procrastinates_waiting_jobs_are_moved_once(shop, drop_tables):
    job = {"queue_name": "mail", "priority": 7, "status": "todo", "task_name": "shop.tasks.send"}
    drop_tables.append("procrastinate_jobs")
    make_table(
        "procrastinate_jobs",
        "id integer, task_name varchar(128), queue_name varchar(128), priority integer, "
        "args text, status varchar(32), scheduled_at timestamp NULL",
        {**job, "id": 1, "args": json.dumps({"to": "ann@example.com"})},
        {**job, "id": 2, "args": json.dumps({"to": "tom@example.com"}), "priority": 900},
        {**job, "id": 3, "args": "{}", "status": "doing"},
        {**job, "id": 4, "args": "{}", "task_name": "shop.tasks.other"},
    )
    built = shop("procrastinate")
    assert built.move_jobs.move_jobs() == 2
    assert built.move_jobs.move_jobs() == 0
    send = built.tasks.send
    assert_enqueued(send, {"to": "ann@example.com"}, queue_name="mail", priority=7)
    assert_enqueued(send, {"to": "tom@example.com"}, priority=100)
    run_queued_tasks(raising=True)
    assert len(mail.outbox) == 2


def test_the_go_librarys_words(shop):
    built = shop("go")
    built.views.greet("Tom")
    (task,) = run_queued_tasks(raising=True)
    assert "INFO: Hello Tom" in task.details


def test_the_go_librarys_rows_are_moved_once(shop, drop_tables):
    drop_tables += ["task_definition", "task_queue", "schedule"]
    words = "title varchar(255), description varchar(255), memo text, status varchar(50)"
    make_table(
        "task_definition",
        f"id varchar(50), alias varchar(100), {words}",
        {"id": "d1", "alias": "HelloWorldTask", "title": "Hello", "status": "active"},
        {"id": "d2", "alias": "OldTask", "title": "Old", "memo": "why", "status": "canceled"},
    )
    make_table(
        "task_queue",
        "id varchar(50), task_id varchar(50), queue_name varchar(100), parameters text, "
        "status varchar(50), created_at varchar(30)",
        {"id": "q1", "task_id": "d1", "queue_name": "default", "parameters": '{"name": "Ann"}',
         "status": "queued", "created_at": "2026-01-02 03:04:05"},
        {"id": "q2", "task_id": "d1", "queue_name": "mail", "parameters": "",
         "status": "queued", "created_at": "2026-01-01 03:04:05"},
        {"id": "q3", "task_id": "d1", "queue_name": "default", "parameters": "{}",
         "status": "success", "created_at": "2026-01-01 03:04:05"},
    )  # fmt: skip
    rule = {"frequency": "weekly", "interval": 1, "daysOfWeek": ["monday"], "startsAt": "",
            "endsAt": "9999-12-31 23:59:59", "daysOfMonth": None, "monthsOfYear": None}  # fmt: skip
    make_table(
        "schedule",
        "name varchar(255), description text, task_definition_id varchar(50), "
        "queue_name varchar(100), parameters text, recurrence_rule text, start_at varchar(30), "
        "end_at varchar(30), execution_count integer, max_execution_count integer, "
        "status varchar(50)",
        {"name": "Mondays", "task_definition_id": "d1", "queue_name": "default",
         "parameters": '{"name": "Monday"}', "recurrence_rule": json.dumps(rule),
         "start_at": "2040-01-02 09:00:00", "end_at": "9999-12-31 23:59:59",
         "execution_count": 2, "max_execution_count": 10, "status": "active"},
        {"name": "Draft", "task_definition_id": "d1", "status": "draft"},
    )  # fmt: skip
    built = shop("go")
    assert built.move_taskstore.move_all() == (2, 1)
    assert built.move_taskstore.move_all() == (0, 0)
    old = TaskDefinition.objects.get(alias="OldTask")
    assert (old.title, old.memo, old.status) == ("Old", "why", "canceled")
    task = assert_enqueued("HelloWorldTask", {"name": "Ann"}, queue_name="default")
    assert task.metadata == {"go_id": "q1"}
    assert_enqueued("HelloWorldTask", {}, queue_name="mail", times=1)
    schedule = Schedule.objects.get(name="Mondays")
    assert schedule.next_run_at == datetime(2040, 1, 2, 9, tzinfo=UTC)
    assert (schedule.end_at, schedule.max_execution_count) == (None, 8)
    with travel(schedule.next_run_at + timedelta(days=7)):
        assert [one.parameters for one in run_schedules()] == [{"name": "Monday"}] * 1
