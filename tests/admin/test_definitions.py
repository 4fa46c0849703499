"""Definitions, queues and workers in the admin."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_taskstore import enqueue
from django_taskstore.exceptions import DefinitionCanceled
from django_taskstore.models import Queue, QueuedTask, TaskDefinition, Worker
from tests.admin_pages import (
    DEFINITIONS,
    QUEUES,
    TASKS,
    WORKERS,
    act_url,
    client_of,
    definition,
    said,
    url,
    use,
    user_with,
)

pytestmark = pytest.mark.django_db


def test_a_definition_is_made_before_its_handler(client):
    data = {"alias": "shop.tasks.ship", "title": "Ship", "description": "", "memo": "for May"}

    client.post(url(f"{DEFINITIONS}_add"), data)

    row = TaskDefinition.objects.get(alias="shop.tasks.ship")
    assert (row.title, row.memo, row.status) == ("Ship", "for May", "active")
    data = {"alias": "other", "title": "Ship it", "description": "Ships.", "memo": ""}
    client.post(url(f"{DEFINITIONS}_change", row.pk), data)
    row.refresh_from_db()
    assert (row.alias, row.title, row.description, row.memo) == (
        "shop.tasks.ship",
        "Ship it",
        "Ships.",
        "",
    )


@pytest.mark.parametrize("alias", ["", "two words", "list", "HelloWorldTask", "x" * 256, "<b>"])
def test_an_alias_that_no_handler_could_have_is_refused(client, alias):
    before = TaskDefinition.objects.count()

    response = client.post(url(f"{DEFINITIONS}_add"), {"alias": alias, "title": ""})

    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert TaskDefinition.objects.count() == before


def test_what_code_declares_is_not_edited_but_the_memo_is(client):
    row = definition()

    client.post(
        url(f"{DEFINITIONS}_change", row.pk),
        {"alias": "x", "title": "x", "description": "x", "memo": "Ask Ann."},
    )

    row.refresh_from_db()
    assert (row.alias, row.title, row.memo) == ("HelloWorldTask", "Hello World", "Ask Ann.")
    assert LogEntry.objects.filter(object_id=str(row.pk)).count() == 1


def test_saving_a_stale_page_keeps_a_cancel(client, monkeypatch):
    row = definition()
    real = TaskDefinition.save

    def canceled_just_before(self, *args, **options):
        TaskDefinition.objects.filter(pk=row.pk).update(status="canceled")
        return real(self, *args, **options)

    monkeypatch.setattr(TaskDefinition, "save", canceled_just_before)
    client.post(url(f"{DEFINITIONS}_change", row.pk), {"memo": "Ask Ann."})

    row.refresh_from_db()
    assert (row.memo, row.status) == ("Ask Ann.", "canceled")


def test_cancel_and_activate(client):
    row = definition()

    assert said(use(client, "cancel", row, model=DEFINITIONS)) == "1 canceled"
    with pytest.raises(DefinitionCanceled):
        enqueue("HelloWorldTask")
    assert "already canceled" in said(use(client, "cancel", row, model=DEFINITIONS))
    assert said(use(client, "activate", row, model=DEFINITIONS)) == "1 activated"
    enqueue("HelloWorldTask")
    lines = LogEntry.objects.filter(object_id=str(row.pk)).order_by("pk")
    assert [line.change_message for line in lines] == ["Canceled.", "Activated."]


def test_soft_delete_hides_and_restore_shows(client):
    row = definition()
    task = enqueue("HelloWorldTask")
    listing = url(f"{DEFINITIONS}_changelist")

    page = client.post(
        listing, {"action": "delete_selected", "_selected_action": [row.pk], "index": "0"}
    )
    assert "can be restored" in page.content.decode()
    assert said(use(client, "delete", row, model=DEFINITIONS, list_query="")) == "1 deleted"

    assert "HelloWorldTask" not in client.get(listing).content.decode()
    assert "HelloWorldTask" in client.get(listing + "?deleted=yes").content.decode()
    assert client.get(url(f"{DEFINITIONS}_change", row.pk)).status_code == 200
    for address in (url(f"{TASKS}_change", task.pk), url(f"{TASKS}_changelist")):
        assert "HelloWorldTask" in client.get(address).content.decode()
    assert said(use(client, "restore", row, model=DEFINITIONS)) == "1 restored"
    assert "HelloWorldTask" in client.get(listing).content.decode()


def test_a_definition_is_never_deleted_for_good(client):
    row = definition()

    response = client.post(url(f"{DEFINITIONS}_delete", row.pk), {"post": "yes"})

    assert response["Location"] == f"{act_url(DEFINITIONS, 'delete')}?pk={row.pk}"
    assert TaskDefinition.objects.filter(pk=row.pk).exists()
    use(client, "delete", row, model=DEFINITIONS)
    assert TaskDefinition.all_objects.filter(pk=row.pk).exists()


def test_a_definition_leads_to_its_tasks_and_to_enqueue(client):
    row = definition()
    address = url(f"{DEFINITIONS}_change", row.pk)

    page = client.get(address).content.decode()
    assert f"{url(f'{TASKS}_add')}?definition={row.pk}" in page
    assert f"{url(f'{TASKS}_changelist')}?definition={row.pk}" in page
    row.cancel()
    assert f"{url(f'{TASKS}_add')}?definition" not in client.get(address).content.decode()
    viewer = client_of(user_with("view_taskdefinition"))
    page = viewer.get(address).content.decode()
    assert "?definition=" not in page


def test_a_queue_is_paused_with_a_reason_and_resumed(client):
    enqueue("HelloWorldTask", queue_name="emails")
    queue = Queue.objects.get(name="emails")

    response = use(client, "pause", queue, model=QUEUES, reason="")
    assert "This field is required" in response.content.decode()
    assert said(use(client, "pause", queue, model=QUEUES, reason="SMTP is down")) == "1 paused"
    queue.refresh_from_db()
    assert queue.paused_at is not None
    assert (queue.paused_by, queue.pause_reason) == ("root", "SMTP is down")
    assert "SMTP is down" in client.get(url(f"{QUEUES}_changelist")).content.decode()
    assert "already paused" in said(use(client, "pause", queue, model=QUEUES, reason="again"))
    assert said(use(client, "resume", queue, model=QUEUES)) == "1 resumed"
    queue.refresh_from_db()
    assert queue.paused_at is None
    lines = LogEntry.objects.filter(object_id=str(queue.pk)).order_by("pk")
    assert [line.change_message for line in lines] == ["Paused: SMTP is down", "Resumed."]


def test_runners_are_asked_to_stop(client):
    enqueue("HelloWorldTask", queue_name="emails")
    queue = Queue.objects.get(name="emails")

    assert "asked to stop" in said(use(client, "stop", queue, model=QUEUES))

    queue.refresh_from_db()
    assert queue.stop_requested_at is not None


def test_queues_are_neither_edited_nor_deleted(client):
    enqueue("HelloWorldTask", queue_name="emails")
    queue = Queue.objects.get(name="emails")

    for page in ("change", "delete"):
        response = client.post(url(f"{QUEUES}_{page}", queue.pk), {"name": "x", "post": "yes"})
        assert response.status_code == 403
    assert Queue.objects.get(pk=queue.pk).name == "emails"
    assert QueuedTask.objects.count() == 1


def test_whoever_may_change_queues_may_pause_them():
    enqueue("HelloWorldTask", queue_name="emails")
    queue = Queue.objects.get(name="emails")
    client = client_of(user_with("change_queue"))

    assert said(use(client, "pause", queue, model=QUEUES, reason="x")) == "1 paused"


def test_workers_are_shown_and_nothing_else(client):
    now = timezone.now()
    worker = Worker.objects.create(
        host="web01", pid=7, queues=["emails"], concurrency=3, started_at=now, heartbeat_at=now
    )

    assert "web01:7" in client.get(url(f"{WORKERS}_changelist")).content.decode()
    assert "emails" in client.get(url(f"{WORKERS}_change", worker.pk)).content.decode()
    for page in ("change", "delete"):
        response = client.post(url(f"{WORKERS}_{page}", worker.pk), {"post": "yes"})
        assert response.status_code == 403
    assert Worker.objects.exists()


@pytest.mark.parametrize(
    ("page", "hint"), [(QUEUES, "A queue appears with"), (WORKERS, "manage.py taskqueue_run")]
)
def test_empty_lists_say_what_to_do(client, page, hint):
    assert hint in client.get(url(f"{page}_changelist")).content.decode()
