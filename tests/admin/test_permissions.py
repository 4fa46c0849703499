"""Who may see and do what: roles, pages and methods."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import RequestFactory

from django_taskstore.models import (
    BulkOperation,
    Queue,
    QueuedTask,
    Schedule,
    TaskDefinition,
    Worker,
)
from tests.admin_pages import (
    BULK,
    DEFINITIONS,
    QUEUES,
    SCHEDULES,
    TASKS,
    VIEW_ALL,
    WORKERS,
    act_url,
    client_of,
    status_of,
    superuser,
    task_with_status,
    url,
    use,
    user_with,
)
from tests.admin_roles import MODELS, TASK_VERBS, pages

pytestmark = pytest.mark.django_db


ROLES = {
    "anonymous": (lambda: None, set()),
    "staff": (user_with, set()),
    "viewer": (lambda: user_with(*VIEW_ALL), {"view"}),
    "support": (lambda: user_with(*VIEW_ALL, "requeue_queuedtask"), {"view", "requeue"}),
    "auditor": (lambda: user_with(*VIEW_ALL, "view_payload_queuedtask"), {"view", "payload"}),
    "exporter": (lambda: user_with(*VIEW_ALL, "export_queuedtask"), {"view", "export"}),
    "superuser": (superuser, {"view", "requeue", "operate", "payload", "export"}),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_each_role_opens_exactly_its_pages(role, method):
    task = task_with_status("failed")
    make, opens = ROLES[role]
    client = client_of(make())

    for least, addresses in pages(task).items():
        for address in addresses:
            response = getattr(client, method)(address)
            if role == "anonymous":
                assert response.status_code == 302, address
                assert "/login/" in response["Location"], address
            elif least not in opens:
                refused = {403, 405} if method == "post" else {403}
                assert response.status_code in refused, (address, response.status_code)
            elif method == "get":
                assert response.status_code == 200, (address, response.status_code)


def everything():
    """Return all rows of the app and the history, as the database has them."""
    models = (
        QueuedTask.all_objects,
        TaskDefinition.all_objects,
        Queue.objects,
        Worker.objects,
        BulkOperation.objects,
        Schedule.objects,
        LogEntry.objects,
    )
    return [list(manager.order_by("pk").values()) for manager in models]


@pytest.mark.parametrize("status", ["queued", "running", "failed", "paused"])
def test_get_changes_nothing(status):
    task = task_with_status(status)
    client = client_of(superuser())
    groups = pages(task)
    before = everything()

    for addresses in groups.values():
        for address in addresses:
            client.get(address)
            client.head(address)
    client.get(url(f"{TASKS}_delete", task.pk))
    client.get(url(f"{DEFINITIONS}_delete", task.definition_id))

    assert everything() == before


@pytest.mark.parametrize(
    ("permission", "verb", "status"),
    [
        ("requeue_queuedtask", "requeue", "failed"),
        ("restart_queuedtask", "restart", "failed"),
        ("cancel_queuedtask", "cancel", "queued"),
        ("pause_queuedtask", "pause", "queued"),
        ("pause_queuedtask", "resume", "paused"),
        ("delete_queuedtask", "delete", "failed"),
        ("change_queuedtask", "move", "queued"),
        ("purge_queuedtask", "purge", "failed"),
    ],
)
def test_a_permission_allows_its_verb_and_no_other(permission, verb, status):
    task = task_with_status(status)
    client = client_of(user_with("view_queuedtask", permission))

    page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    allowed = {verb, *({"pause", "resume"} if permission.startswith("pause") else set())}
    allowed |= {"delete", "restore"} if verb == "delete" else set()
    for other in TASK_VERBS:
        response = client.get(f"{act_url(TASKS, other)}?pk={task.pk}")
        assert response.status_code == (200 if other in allowed else 403), other
    shown = set(re.findall(rf"{url('index')}django_taskstore/queuedtask/act/(\w+)/", page))
    assert shown == {verb}
    before = QueuedTask.all_objects.values().get(pk=task.pk)
    data = {"parameters": "{}", "queue_name": "emails"} if verb in ("requeue", "move") else {}
    assert use(client, verb, task, **data).status_code == 200
    if verb == "requeue":
        assert QueuedTask.objects.filter(requeued_from=task).count() == 1
    else:
        assert QueuedTask.all_objects.filter(pk=task.pk).values().first() != before


def test_a_verb_without_the_right_to_see_is_refused():
    task = task_with_status("queued")
    client = client_of(user_with("cancel_queuedtask"))

    assert use(client, "cancel", task).status_code == 403
    assert status_of(task) == "queued"


def test_a_viewer_is_offered_no_action():
    task = task_with_status("failed")
    client = client_of(user_with(*VIEW_ALL))

    for page in (TASKS, DEFINITIONS, SCHEDULES, QUEUES, WORKERS, BULK):
        text = client.get(url(f"{page}_changelist")).content.decode()
        assert 'name="action"' not in text
        assert "addlink" not in text.split('id="content"')[1]
    text = client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    assert "/act/" not in text
    assert 'name="_save"' not in text
    for action in TASK_VERBS:
        name = "delete_selected" if action == "delete" else action
        client.post(
            url(f"{TASKS}_changelist"),
            {"action": name, "_selected_action": [task.pk], "index": "0"},
        )
    assert status_of(task) == "failed"
    assert QueuedTask.all_objects.count() == 1


@pytest.mark.parametrize("model", MODELS)
def test_every_action_declares_its_permission(model):
    model_admin = admin.site._registry[model]
    request = RequestFactory().get("/")
    request.user = get_user_model()(is_staff=True, is_superuser=True)

    for action in model_admin.actions or []:
        assert action.allowed_permissions, action.__name__
        for permission in action.allowed_permissions:
            assert callable(getattr(model_admin, f"has_{permission}_permission"))
    assert all(
        getattr(action, "func", None) is not admin.actions.delete_selected
        and (not isinstance(action, tuple) or action[0] is not admin.actions.delete_selected)
        for action in model_admin.get_actions(request).values()
    )


def test_a_stranger_cannot_post_without_the_token():
    task = task_with_status("queued")
    user = superuser()
    client = client_of()
    client.handler.enforce_csrf_checks = True
    client.force_login(user)

    assert use(client, "cancel", task).status_code == 403
    assert client.post(url(f"{TASKS}_add") + f"?definition={task.definition_id}").status_code == 403
    assert status_of(task) == "queued"


def test_other_methods_are_refused():
    task = task_with_status("queued")
    client = client_of(superuser())

    assert client.put(act_url(TASKS, "cancel"), f"pk={task.pk}").status_code == 405
    assert client.get(act_url(TASKS, "unknown")).status_code == 404
    assert status_of(task) == "queued"
