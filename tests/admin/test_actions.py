"""Actions on the rows of a list: confirmed, bounded, only what fits and is allowed."""

from __future__ import annotations

import pytest

from django_taskstore import enqueue_many
from django_taskstore.admin import acting
from django_taskstore.models import QueuedTask
from tests.admin_pages import (
    LIST,
    TASKS,
    act_url,
    client_of,
    history,
    said,
    status_of,
    task_with_status,
    url,
    use,
    user_with,
)

pytestmark = pytest.mark.django_db


def test_an_action_confirms_first_and_keeps_the_filter(client):
    waiting = [task_with_status("queued"), task_with_status("paused"), task_with_status("queued")]
    running, ended = task_with_status("running"), task_with_status("success")
    tasks = [*waiting, running, ended]

    page = client.post(
        url(LIST) + "?queue=default",
        {"action": "cancel", "_selected_action": [task.pk for task in tasks], "index": "0"},
    )
    assert page.status_code == 200
    assert status_of(waiting[0]) == "queued"
    text = page.content.decode()
    assert "5 queued tasks" in text
    assert "1 of them does not fit" in text
    response = use(client, "cancel", *tasks, list_query=page.context["list_query"])

    assert response.redirect_chain[-1][0] == url(LIST) + "?queue=default"
    message = said(response)
    assert "3 canceled" in message
    assert "1 asked to stop" in message
    assert "1 skipped: already ended" in message
    assert [status_of(task) for task in tasks] == ["canceled"] * 3 + ["running", "success"]
    assert [len(history(task)) for task in tasks] == [1, 1, 1, 1, 0]


def test_rows_that_fared_alike_are_counted_together(client):
    tasks = [task_with_status("failed") for _ in range(3)]

    assert said(use(client, "restart", *tasks, list_query="")) == "3 restarted"


def test_the_delete_action_is_the_soft_one(client):
    task = task_with_status("success")

    page = client.post(
        url(LIST), {"action": "delete_selected", "_selected_action": [task.pk], "index": "0"}
    )
    assert "can be restored" in page.content.decode()
    use(client, "delete", task, list_query="")
    assert QueuedTask.all_objects.get(pk=task.pk).soft_deleted_at is not None


def test_too_many_rows_at_once_are_refused(client, monkeypatch):
    monkeypatch.setattr(acting, "MOST_AT_ONCE", 3)
    enqueue_many("HelloWorldTask", [{}] * 4)
    keys = list(QueuedTask.objects.values_list("pk", flat=True))

    response = client.post(
        url(LIST),
        {"action": "cancel", "_selected_action": keys, "index": "0"},
        follow=True,
    )

    assert "select at most 3" in said(response)
    assert QueuedTask.objects.filter(status="queued").count() == 4


@pytest.mark.parametrize("keys", ["", "x", "999999", "1;2", "9" * 40])
def test_keys_of_nothing_change_nothing(client, keys):
    task_with_status("queued")

    response = client.post(act_url(TASKS, "cancel"), {"pk": keys}, follow=True)

    assert "no row is left" in said(response)


def test_buttons_are_those_that_fit(client):
    task = task_with_status("paused")

    page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()

    assert act_url(TASKS, "resume") in page
    assert act_url(TASKS, "cancel") in page
    assert act_url(TASKS, "pause") not in page
    assert act_url(TASKS, "restart") not in page


def test_support_requeues_without_the_right_to_change():
    task = task_with_status("failed")
    client = client_of(user_with("view_queuedtask", "requeue_queuedtask"))

    response = use(client, "requeue", task, parameters='{"name": "Ann"}', queue_name="default")

    assert said(response) == "1 requeued"
    new = QueuedTask.objects.get(requeued_from=task)
    assert response.redirect_chain[-1][0] == url(f"{TASKS}_change", new.pk)
