"""The columns of the list of tasks: which there are, in which order, and what they cost."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore.admin.queued_tasks import QueuedTaskAdmin
from django_taskstore.conf import ADMIN_COLUMNS
from django_taskstore.models import QueuedTask, TaskAttempt, Worker
from tests.admin_pages import LIST, TASKS, task_with_status, url
from tests.schedules import add_schedule

pytestmark = pytest.mark.django_db

#: What the requirements allow of one page.
MOST_STATEMENTS = 12


def page_with(client, *columns, query=""):
    """Return the list's page under a choice of columns."""
    given = {"ADMIN_LIST_DISPLAY": columns} if columns else {}
    with override_settings(TASKSTORE=given):
        response = client.get(url(LIST) + query)
    assert response.status_code == 200
    return response.content.decode()


def shown(page):
    """Return the names of a page's columns, in their order."""
    head = page.split("<thead>")[1].split("</thead>")[0]
    return [name for name in re.findall(r"column-(\w+)", head) if name in ADMIN_COLUMNS]


def cells(page):
    """Return what the first row says, by the column's name."""
    row = page.split("<tbody>")[1].split("</tr>")[0]
    found = re.findall(r'<t[dh] class="field-(\w+)[^>]*>(.*?)</t[dh]>', row, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", " ", text).split()) for name, text in found}


def leading(page, task):
    """Return the columns of the first row that lead to the task."""
    row = page.split("<tbody>")[1].split("</tr>")[0]
    address = url(f"{TASKS}_change", task.pk)
    return re.findall(rf'<t[dh] class="field-(\w+)[^>]*><a href="{address}', row)


def worker_row(host="web01", pid=7):
    """Make a worker's row."""
    now = timezone.now()
    return Worker.objects.create(
        host=host, pid=pid, concurrency=1, started_at=now, heartbeat_at=now
    )


def busy_task(number=1):
    """Make a failed task that has something to show in every column."""
    at = timezone.now().replace(microsecond=0) - timedelta(hours=1)
    schedule = add_schedule("0 9 * * *", name=f"Every morning {number}")
    task = task_with_status(
        "failed",
        queue_name="emails",
        priority=-3,
        attempts=2,
        max_attempts=3,
        claim_seq=2,
        claimed_by=worker_row(pid=number).pk,
        schedule_id=schedule.pk,
        created_at=at,
        run_after=at + timedelta(seconds=60),
        started_at=at + timedelta(seconds=65),
        completed_at=at + timedelta(seconds=95),
    )
    TaskAttempt.objects.create(
        queued_task=task, claim_seq=2, number=2, outcome="failed", message=f"boom {number}"
    )
    return task


def local(moment):
    """Return a time as a page shows it."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


def test_without_a_setting_the_columns_are_those_of_the_documentation(client):
    task = task_with_status()

    page = page_with(client)

    assert shown(page) == [
        "id", "task", "queue_name", "outcome", "created", "waited", "run_time",
    ]  # fmt: skip
    assert leading(page, task) == ["id", "task"]


def test_the_setting_chooses_the_columns_and_their_order(client):
    task = busy_task()

    page = page_with(client, "outcome", "worker_name", "id")

    assert shown(page) == ["outcome", "worker_name", "id"]
    assert leading(page, task) == ["outcome", "id"]
    assert list(cells(page)) == ["outcome", "worker_name", "id"]


def test_each_known_column_has_something_to_say(client):
    task = busy_task()

    said = cells(page_with(client, *ADMIN_COLUMNS))

    assert list(said) == list(ADMIN_COLUMNS)
    assert said.pop("outcome").endswith("2/3 boom 1")
    assert said == {
        "id": str(task.pk),
        "task": f'{task.definition.title} {{"name": "Tom"}}'.replace('"', "&quot;"),
        "alias": "HelloWorldTask",
        "queue_name": "emails",
        "priority": "-3",
        "tries": "2/3",
        "created": local(task.created_at),
        "due": local(task.run_after),
        "started": local(task.started_at),
        "completed": local(task.completed_at),
        "waited": "5 s",
        "run_time": "30 s",
        "worker_name": "web01:1",
        "schedule_name": "Every morning 1",
    }


def test_what_a_task_does_not_have_is_a_dash(client):
    task_with_status("scheduled")

    said = cells(page_with(client, *ADMIN_COLUMNS))

    empty = ("started", "completed", "waited", "run_time", "worker_name", "schedule_name")
    assert {said[name] for name in empty} == {"-"}


def test_a_worker_and_a_schedule_that_are_gone_are_named_as_far_as_they_can_be(client):
    gone = uuid.uuid4()
    task_with_status("success", claimed_by=gone, schedule_id=10**9)

    said = cells(page_with(client, "id", "worker_name", "schedule_name"))

    assert said["worker_name"] == str(gone)
    assert said["schedule_name"] == "a schedule that is gone"


@pytest.mark.parametrize("first", ADMIN_COLUMNS)
def test_any_column_may_be_the_first_and_leads_to_the_task(client, first):
    task = busy_task()

    page = page_with(client, first, "queue_name" if first != "queue_name" else "tries")

    assert leading(page, task)[0] == first
    row = page.split("<tbody>")[1].split("</tbody>")[0]
    assert not re.search(r"<a [^>]*>(?:(?!</a>).)*<a ", row, re.DOTALL)


def test_no_column_sorts(client):
    """Not even by an address that somebody has written: another order reads all rows."""
    tasks = [task_with_status(priority=priority) for priority in (1, 3, 2)]

    assert "sortable" not in page_with(client, *ADMIN_COLUMNS)
    with override_settings(TASKSTORE={"ADMIN_LIST_DISPLAY": ["priority", "id"]}):
        for asked in ("?o=1", "?o=-1.2"):
            listed = client.get(url(LIST) + asked).context["cl"].result_list
            assert [task.pk for task in listed] == [task.pk for task in reversed(tasks)]


def test_a_subclass_may_have_columns_of_its_own(rf):
    class Own(QueuedTaskAdmin):
        list_display = ("queue_name", "id")

    own, request = Own(QueuedTask, admin.site), rf.get("/")
    assert own.get_list_display(request) == ["queue_name", "id"]
    assert own.get_list_display_links(request, ["queue_name", "id"]) == ["queue_name", "id"]


def test_an_action_works_on_what_a_list_with_all_columns_selects(client):
    task = busy_task()
    data = {"action": "delete", "_selected_action": [task.pk]}

    with override_settings(TASKSTORE={"ADMIN_LIST_DISPLAY": ADMIN_COLUMNS}):
        response = client.post(url(LIST), data, follow=True)

    assert response.status_code == 200
    assert response.redirect_chain


def test_djangos_checks_know_each_column():
    own = admin.site._registry[QueuedTask]

    assert [name for name in ADMIN_COLUMNS if not hasattr(own, name)] == [
        "id", "queue_name", "priority",
    ]  # fmt: skip
    assert own.check() == []


@pytest.mark.parametrize("query", ["", "?q=boom", "?status=failed", "?created_to=2100-01-01"])
def test_statements_do_not_grow_with_the_rows(client, query):
    def statements():
        with CaptureQueriesContext(connection) as queries:
            page = page_with(client, *ADMIN_COLUMNS, query=query)
        assert page.count('class="field-worker_name"') == QueuedTask.objects.count()
        return [one["sql"] for one in queries]

    client.get(url("index"))
    busy_task()
    few = statements()
    for number in range(2, 31):
        busy_task(number)

    assert len(statements()) == len(few)
    assert len(few) <= MOST_STATEMENTS


def test_the_records_of_attempts_are_read_for_the_column_that_shows_them_only(client):
    busy_task()

    with CaptureQueriesContext(connection) as queries:
        page_with(client, "id", "tries")

    assert not [one["sql"] for one in queries if TaskAttempt._meta.db_table in one["sql"]]
