"""Queues, definitions and workers in the admin: how they stand, and asking workers to go."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_taskstore import enqueue
from django_taskstore.claims import claim_next
from django_taskstore.models import Queue, QueuedTask, TaskStat, Worker
from django_taskstore.outcomes import fail
from django_taskstore.rollups import start_of
from tests.admin_pages import (
    DEFINITIONS,
    QUEUES,
    TASKS,
    WORKERS,
    act_url,
    client_of,
    definition,
    said,
    task_with_status,
    url,
    use,
    user_with,
)

pytestmark = pytest.mark.django_db


def worker_row(silent_seconds=0, **columns):
    """Make the row of a worker that last said something so long ago."""
    now = timezone.now()
    facts = {
        "host": "web01",
        "pid": 7,
        "queues": ["default"],
        "concurrency": 4,
        "running": 1,
        "started_at": now - timedelta(hours=1),
        "heartbeat_at": now - timedelta(seconds=silent_seconds),
    }
    return Worker.objects.create(**{**facts, **columns})


def counted(measure, n, definition_id, queue_name="default"):
    """Insert a count of this hour."""
    for span in TaskStat.Span:
        TaskStat.objects.create(
            span=span,
            starts_at=start_of(span, timezone.now()),
            queue_name=queue_name,
            definition_id=definition_id,
            measure=measure,
            n=n,
        )


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({}, "Working"),
        ({"silent_seconds": 20}, "Working"),
        ({"silent_seconds": 60}, "Lost"),
        ({"quiet_requested_at": timezone.now()}, "Quiet"),
        ({"stop_requested_at": timezone.now()}, "Stopping"),
        ({"stop_requested_at": timezone.now(), "silent_seconds": 60}, "Lost"),
    ],
)
def test_a_worker_says_how_it_is(client, columns, word):
    worker = worker_row(**columns)

    for page in (url(f"{WORKERS}_changelist"), url(f"{WORKERS}_change", worker.pk)):
        assert f"</span> {word}</span>" in client.get(page).content.decode()


def test_a_worker_leads_to_what_it_runs(client):
    worker = worker_row()
    task = task_with_status("running", claimed_by=worker.pk)
    task_with_status("running", claimed_by=uuid.uuid4())

    page = client.get(url(f"{WORKERS}_changelist")).content.decode()
    query = f"?worker={worker.pk}&status=running"
    assert query.replace("&", "&amp;") in page
    shown = client.get(url(f"{TASKS}_changelist") + query).context["cl"].result_list
    assert [one.pk for one in shown] == [task.pk]


@pytest.mark.parametrize(
    ("verb", "column", "words"),
    [
        ("quiet", "quiet_requested_at", "1 asked to be quiet"),
        ("stop", "stop_requested_at", "1 asked to stop"),
    ],
)
def test_a_worker_is_asked_once_and_it_is_recorded(client, verb, column, words):
    worker = worker_row()

    assert said(use(client, verb, worker, model=WORKERS)) == words
    worker.refresh_from_db()
    asked = getattr(worker, column)
    assert asked is not None
    assert "1 skipped" in said(use(client, verb, worker, model=WORKERS))
    worker.refresh_from_db()
    assert getattr(worker, column) == asked
    assert LogEntry.objects.filter(object_id=str(worker.pk)).count() == 1


def test_asking_a_worker_needs_its_permission():
    worker = worker_row()
    client = client_of(user_with("view_worker"))

    assert use(client, "stop", worker, model=WORKERS).status_code == 403
    allowed = client_of(user_with("view_worker", "change_worker", name="bob"))
    assert use(allowed, "stop", worker, model=WORKERS).status_code == 200


@pytest.mark.parametrize("key", ["", "x", "1", "00000000-0000-0000-0000-00000000000g"])
def test_keys_of_no_worker_change_nothing(client, key):
    worker_row()

    response = client.post(act_url(WORKERS, "stop"), {"pk": key}, follow=True)

    assert "no row is left" in said(response)
    assert not Worker.objects.filter(stop_requested_at__isnull=False).exists()


def test_queues_stand_as_on_the_dashboard(client):
    task = enqueue("Noop", queue_name="emails")
    enqueue("Noop", queue_name="emails", run_after=timedelta(hours=1))
    counted("succeeded", 60, task.definition_id, "emails")
    counted("failed", 20, task.definition_id, "emails")
    Queue.objects.get(name="emails").pause(by="ann", reason="SMTP is down")

    page = client.get(url(f"{QUEUES}_changelist")).content.decode()

    for text in ("ann: SMTP is down", ">1</a> +1", "1.0", "25 %"):
        assert text in page
    queue = Queue.objects.get(name="emails")
    assert page.count("<tr>") >= 2
    detail = client.get(url(f"{QUEUES}_change", queue.pk)).content.decode()
    assert "60 succeeded and 20 failed." in detail
    assert "<svg" in detail


def test_a_queue_made_since_the_last_reading_is_listed_too(client):
    client.get(url(f"{QUEUES}_changelist"))
    enqueue("Noop", queue_name="new")

    assert client.get(url(f"{QUEUES}_changelist")).status_code == 200


def test_definitions_know_their_last_day(client):
    row = definition("HelloWorldTask")
    counted("succeeded", 7, row.pk)
    counted("failed", 3, row.pk)
    counted("run_3", 10, row.pk)

    page = client.get(url(f"{DEFINITIONS}_changelist")).content.decode()

    query = f"definition={row.pk}&amp;status=failed&amp;created=24h"
    assert f'{query}">3</a>' in page
    assert "0.3 s" in page
    detail = client.get(url(f"{DEFINITIONS}_change", row.pk)).content.decode()
    assert "7 succeeded and 3 failed." in detail


def test_a_queue_shows_who_serves_it_what_it_runs_and_what_fails(client):
    serving = worker_row(queues=["emails"], version="1.2", revision="abc")
    worker_row(host="web02", queues=["default"])
    worker_row(host="web03", queues=["emails"], silent_seconds=600)
    failing = enqueue("Noop", queue_name="emails", max_attempts=1)
    fail(claim_next("emails"), OSError("no mail"))
    enqueue("Noop", max_attempts=1)
    fail(claim_next("default"), ValueError("elsewhere"))
    now = timezone.now()
    running = task_with_status("running", started_at=now)
    QueuedTask.objects.filter(pk=running.pk).update(queue_name="emails")
    other = task_with_status("running", started_at=now)
    queue = Queue.objects.get(name="emails")
    address = url(f"{QUEUES}_change", queue.pk)

    response = client.get(address)

    context, page = response.context, response.content.decode()
    assert [worker.name for worker, _url, _age in context["serving"]] == ["web01:7"]
    assert f'<a href="{url(f"{WORKERS}_change", serving.pk)}">web01:7</a>' in page
    assert "1.2 abc" in page
    assert [row.task.id for row in context["longest"]] == [running.pk]
    assert other.pk != running.pk
    (group,) = context["failing"]
    assert (group.group.exception_class, group.group.hour) == ("OSError", 1)
    assert f"definition={failing.definition_id}&error=yes&queue=emails" in group.hour_url
    assert "queue%3Demails" in group.requeue_url


def test_a_queue_page_shows_only_what_the_user_may_see():
    enqueue("Noop")
    worker_row()
    address = url(f"{QUEUES}_change", Queue.objects.get(name="default").pk)

    bare = client_of(user_with("view_queue")).get(address)
    workers = client_of(user_with("view_queue", "view_worker", name="bob")).get(address)

    assert "web01:7" not in bare.content.decode()
    assert "Running longest" not in bare.content.decode()
    assert "web01:7" in workers.content.decode()
    assert "Running longest" not in workers.content.decode()


def test_a_queue_without_workers_says_how_to_start_one(client):
    enqueue("Noop", queue_name="emails")

    page = client.get(url(f"{QUEUES}_change", Queue.objects.get(name="emails").pk))

    assert "“manage.py taskqueue_run emails” starts one" in page.content.decode()


def test_a_queue_leads_to_what_can_be_done_with_all_its_tasks(client):
    waits = enqueue("Noop", queue_name="emails")
    enqueue("Noop")
    queue = Queue.objects.get(name="emails")

    links = client.get(url(f"{QUEUES}_change", queue.pk)).context["links"]

    assert [str(one["label"]) for one in links] == ["Move what waits…", "Purge what has ended…"]
    move = client.get(links[0]["url"]).content.decode()
    assert "All tasks that match: 1" in move
    assert f"#{waits.pk}" in move
    viewer = client_of(user_with("view_queue", "view_queuedtask", "change_queuedtask"))
    assert viewer.get(url(f"{QUEUES}_change", queue.pk)).context["links"] == []
    mover = client_of(
        user_with("view_queue", "change_queuedtask", "add_bulkoperation", name="carol")
    )
    (only,) = mover.get(url(f"{QUEUES}_change", queue.pk)).context["links"]
    assert "act-on-all/move" in only["url"]
