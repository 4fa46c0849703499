"""A bulk operation without a worker: parts of it in requests, by who may, and never twice."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore import bulk
from django_taskstore.admin import bulk_here
from django_taskstore.models import BulkOperation, QueuedTask, Worker
from django_taskstore.selection import Selection
from tests.admin_pages import BULK, client_of, said, superuser, task_with_status, url, user_with
from tests.helpers import work_until_empty

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator():
    """Make a superuser."""
    return superuser()


@pytest.fixture
def client(operator):
    """Return the operator's client."""
    return client_of(operator)


@pytest.fixture
def operation(monkeypatch, operator):
    """Begin to restart 25 failed tasks, 10 at a time, in requests that do one chunk."""
    monkeypatch.setattr(bulk, "CHUNK", 10)
    monkeypatch.setattr(bulk_here, "HERE_SECONDS", 0.0)
    for _ in range(25):
        task_with_status("failed")
    return bulk.start(
        "restart",
        Selection(status="failed"),
        last_id=bulk.newest_id("default"),
        options={},
        asked_by=operator,
        queue_name="default",
    )


def here(client, operation):
    """Do a part, as the button does."""
    return client.post(url(f"{BULK}_here", operation.pk), follow=True)


def offers(client, operation):
    """Tell whether the operation's page has the button."""
    page = client.get(url(f"{BULK}_change", operation.pk)).content.decode()
    return f'formaction="{url(f"{BULK}_here", operation.pk)}"' in page


def restarted():
    """Count what was restarted."""
    return QueuedTask.objects.filter(status="queued", definition__alias="HelloWorldTask").count()


def worker(queues):
    """Make the row of a worker that lives."""
    now = timezone.now()
    return Worker.objects.create(
        host="web01", pid=1, queues=queues, concurrency=1, started_at=now, heartbeat_at=now
    )


def test_each_click_does_a_part_until_it_is_done(client, operation):
    done = []
    while offers(client, operation):
        response = here(client, operation)
        done.append(restarted())

    assert done == [10, 20, 25]
    assert said(response) == "Done here: 5 changed, 0 skipped, 0 refused."
    operation.refresh_from_db()
    assert operation.is_over
    assert not operation.was_stopped
    assert operation.queued_task.status == "canceled"
    lines = LogEntry.objects.filter(content_type__model="bulkoperation").order_by("pk")
    assert [line.change_message for line in lines] == [
        "Done here: 10 changed, 0 skipped, 0 refused.",
        "Done here: 10 changed, 0 skipped, 0 refused.",
        "Ended: 25 changed, 0 skipped, 0 refused.",
        "Done here: 5 changed, 0 skipped, 0 refused.",
    ]


def test_a_request_does_chunks_while_it_has_time(client, operation, monkeypatch):
    monkeypatch.setattr(bulk_here, "HERE_SECONDS", 60.0)

    here(client, operation)

    assert restarted() == 25


def test_a_worker_that_comes_goes_on_behind_it(client, operation):
    here(client, operation)
    assert restarted() == 10

    work_until_empty()

    operation.refresh_from_db()
    assert (operation.changed, operation.skipped) == (25, 0)
    assert operation.queued_task.status == "success"


@pytest.mark.parametrize(
    ("queues", "is_offered"), [(["default"], False), (["*"], False), (["emails"], True)]
)
def test_it_is_offered_where_no_worker_serves_the_queue(client, operation, queues, is_offered):
    worker(queues)

    assert offers(client, operation) is is_offered
    response = here(client, operation)
    assert (restarted() == 10) is is_offered
    assert ("a worker does it" in said(response)) is not is_offered


@pytest.mark.parametrize("what", ["failed", "gone"])
def test_what_no_worker_will_do_any_more_is_done_here(client, operation, what):
    worker(["default"])
    task = QueuedTask.objects.filter(pk=operation.queued_task_id)
    task.update(status="failed") if what == "failed" else task._raw_delete("default")

    assert offers(client, operation)
    here(client, operation)
    assert restarted() == 10


def test_a_stop_is_heard_here(client, operation):
    here(client, operation)
    client.post(url(f"{BULK}_act", "stop"), {"pk": operation.pk})
    page = client.get(url(f"{BULK}_change", operation.pk)).content.decode()
    assert "End it here" in page

    here(client, operation)

    operation.refresh_from_db()
    assert operation.was_stopped
    assert restarted() == 10
    assert not offers(client, operation)
    assert "it is over" in said(here(client, operation))


@pytest.mark.parametrize(
    "codenames",
    [
        ["view_bulkoperation"],
        ["view_bulkoperation", "add_bulkoperation"],
        ["view_bulkoperation", "restart_queuedtask"],
        ["view_bulkoperation", "add_bulkoperation", "pause_queuedtask"],
        ["add_bulkoperation", "restart_queuedtask"],
    ],
)
def test_who_could_not_have_begun_it_does_nothing_here(operation, codenames):
    client = client_of(user_with(*codenames))

    if "view_bulkoperation" in codenames:
        assert not offers(client, operation)
    assert here(client, operation).status_code == 403
    assert restarted() == 0


def test_who_could_have_begun_it_does_it_here(operation):
    client = client_of(user_with("view_bulkoperation", "add_bulkoperation", "restart_queuedtask"))

    assert offers(client, operation)
    here(client, operation)
    assert restarted() == 10


def test_moving_asks_for_the_permission_to_change(operation):
    BulkOperation.objects.update(verb="move")
    client = client_of(user_with("view_bulkoperation", "add_bulkoperation", "change_queuedtask"))

    assert offers(client, operation)


@override_settings(TASKSTORE={"ADMIN_READ_ONLY": True})
def test_a_read_only_admin_does_nothing_here(client, operation):
    assert not offers(client, operation)
    assert here(client, operation).status_code == 403
    assert restarted() == 0


def test_only_a_post_with_its_token_does_anything(client, operation, operator):
    strict = client_of()
    strict.handler.enforce_csrf_checks = True
    strict.force_login(operator)

    assert strict.post(url(f"{BULK}_here", operation.pk)).status_code == 403
    assert client.get(url(f"{BULK}_here", operation.pk)).status_code == 405
    assert restarted() == 0


def test_the_page_stays_cheap(client, operation):
    with CaptureQueriesContext(connection) as queries:
        assert offers(client, operation)
    assert len(queries) <= 12, [query["sql"] for query in queries]
