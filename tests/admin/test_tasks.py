"""Queued tasks in the admin: the list, its filters, the detail page and every verb."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore import enqueue_many
from django_taskstore.admin import base
from django_taskstore.models import QueuedTask, TaskAttempt, Worker
from tests.admin_pages import (
    LIST,
    TASKS,
    act_url,
    history,
    listed,
    said,
    task_with_status,
    url,
    use,
)

pytestmark = pytest.mark.django_db


def test_show_all_keeps_its_limit(client):
    enqueue_many("HelloWorldTask", [{}] * 120)

    assert len(listed(client, "?all=")) == 50
    assert len(listed(client, "?p=3")) == 20


def test_counting_stops_at_the_cap(client, monkeypatch):
    monkeypatch.setattr(base, "MOST_COUNTED", 60)
    enqueue_many("HelloWorldTask", [{}] * 130)

    with CaptureQueriesContext(connection) as queries:
        page = client.get(url(LIST)).content.decode()

    assert "60+ queued tasks" in page
    counts = [query["sql"] for query in queries if "LIMIT 61" in query["sql"]]
    assert len(counts) == 1


def test_the_cap_is_above_what_would_drop_the_limit():
    model_admin = admin.site._registry[QueuedTask]

    assert max(model_admin.list_per_page, model_admin.list_max_show_all) < base.MOST_COUNTED


def test_an_empty_list_says_what_to_do(client):
    assert "A task appears when" in client.get(url(LIST)).content.decode()


def test_the_detail_shows_the_work_and_its_attempts(client):
    task = task_with_status(
        "failed",
        parameters={"name": "Łódź"},
        attempts=1,
        output={"sent": 3},
        details="[x] INFO: Hello",
        progress={"done": 3, "total": 4, "message": "rows"},
        started_at=timezone.now() - timedelta(seconds=90),
        completed_at=timezone.now(),
    )
    TaskAttempt.objects.create(
        queued_task=task,
        claim_seq=1,
        number=1,
        outcome="failed",
        exception_class="ValueError",
        message="no address",
        traceback="Traceback: here",
    )

    page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()

    for text in ("Łódź", "&quot;sent&quot;: 3", "INFO: Hello", "3 / 4 rows", "1 min 30 s"):
        assert text in page
    for text in ("ValueError", "no address", "Traceback: here"):
        assert text in page


def test_only_the_latest_attempts_are_shown(client):
    task = task_with_status("scheduled", attempts=60)
    TaskAttempt.objects.bulk_create(
        TaskAttempt(queued_task=task, claim_seq=n, number=n, outcome="retried", message=f"try-{n}.")
        for n in range(1, 61)
    )

    page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()

    assert "try-60." in page
    assert "try-11." in page
    assert "try-10." not in page


def test_lineage_is_linked_both_ways_and_may_dangle(client):
    old = task_with_status("failed")
    use(client, "requeue", old, parameters="{}", queue_name="default")
    new = QueuedTask.objects.get(requeued_from=old)

    assert url(f"{TASKS}_change", new.pk) in client.get(
        url(f"{TASKS}_change", old.pk)
    ).content.decode().replace(f"act/requeue/?pk={old.pk}", "")
    assert (
        url(f"{TASKS}_change", old.pk)
        in client.get(url(f"{TASKS}_change", new.pk)).content.decode()
    )
    old.delete()
    page = client.get(url(f"{TASKS}_change", new.pk))
    assert page.status_code == 200
    assert f"#{old.pk}, which is gone" in page.content.decode()
    assert client.get(f"{act_url(TASKS, 'requeue')}?pk={new.pk}").status_code == 200
    assert listed(client) == [new.pk]


def test_the_worker_is_linked_while_its_row_is_there(client):
    worker = Worker.objects.create(
        host="web01", pid=7, concurrency=1, started_at=timezone.now(), heartbeat_at=timezone.now()
    )
    task = task_with_status("running", claimed_by=worker.pk)

    assert "web01:7" in client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    worker.delete()
    assert str(task.claimed_by) in client.get(url(f"{TASKS}_change", task.pk)).content.decode()


@pytest.mark.parametrize(
    ("verb", "before", "after", "message"),
    [
        ("restart", "failed", "queued", "1 restarted"),
        ("cancel", "queued", "canceled", "1 canceled"),
        ("cancel", "scheduled", "canceled", "1 canceled"),
        ("cancel", "paused", "canceled", "1 canceled"),
        ("cancel", "running", "running", "1 asked to stop"),
        ("pause", "queued", "paused", "1 paused"),
        ("resume", "paused", "queued", "1 resumed"),
        ("delete", "failed", "failed", "1 deleted"),
        ("delete", "queued", "canceled", "1 deleted"),
    ],
)
def test_a_verb_moves_the_task_says_so_and_is_recorded(client, verb, before, after, message):
    task = task_with_status(before)

    response = use(client, verb, task)

    assert said(response) == message
    assert response.redirect_chain[-1][0] == url(f"{TASKS}_change", task.pk)
    stored = QueuedTask.all_objects.get(pk=task.pk)
    assert stored.status == after
    assert (stored.soft_deleted_at is not None) == (verb == "delete")
    assert (stored.cancel_requested_at is not None) == (before == "running")
    assert len(history(task)) == 1


@pytest.mark.parametrize(
    ("verb", "status", "why"),
    [
        ("restart", "running", "has not ended"),
        ("cancel", "success", "already ended"),
        ("pause", "running", "not waiting"),
        ("resume", "queued", "not paused"),
        ("delete", "running", "running"),
        ("restore", "success", "not deleted"),
    ],
)
def test_a_stale_page_moves_nothing_and_says_why(client, verb, status, why):
    task = task_with_status(status)
    before = QueuedTask.all_objects.values().get(pk=task.pk)

    message = said(use(client, verb, task))

    assert message.startswith("1 skipped: ")
    assert why in message
    assert QueuedTask.all_objects.values().get(pk=task.pk) == before
    assert history(task) == []


def test_delete_hides_and_restore_shows_again(client):
    task = task_with_status("success")

    use(client, "delete", task)
    assert listed(client) == []
    assert "Deleted" in client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    assert said(use(client, "restore", task)) == "1 restored"
    assert listed(client) == [task.pk]
    assert history(task) == ["Deleted.", "Restored."]


def test_the_address_of_the_hard_delete_leads_to_the_soft_one(client):
    task = task_with_status("success")

    response = client.post(url(f"{TASKS}_delete", task.pk), {"post": "yes"})

    assert response["Location"] == f"{act_url(TASKS, 'delete')}?pk={task.pk}"
    assert QueuedTask.objects.filter(pk=task.pk).exists()
    assert "deletelink" not in client.get(url(f"{TASKS}_change", task.pk)).content.decode()


def test_a_missing_task_is_no_error(client):
    response = client.get(url(f"{TASKS}_change", 999), follow=True)

    assert response.status_code == 200
    assert client.get(url(f"{TASKS}_delete", 999)).status_code == 404
