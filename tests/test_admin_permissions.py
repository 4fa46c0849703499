"""Who may see and do what: roles, pages, methods, and the read-only switch."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import RequestFactory, override_settings
from django.utils import timezone

from django_taskstore.admin import (
    BulkOperationAdmin,
    DashboardAdmin,
    QueueAdmin,
    QueuedTaskAdmin,
    TaskDefinitionAdmin,
    WorkerAdmin,
)
from django_taskstore.models import (
    BulkOperation,
    Dashboard,
    Queue,
    QueuedTask,
    TaskDefinition,
    Worker,
)
from tests.admin_pages import (
    BULK,
    DASHBOARD,
    DEFINITIONS,
    QUEUES,
    TASKS,
    VIEW_ALL,
    WORKERS,
    act_url,
    client_of,
    definition,
    status_of,
    superuser,
    task_with_status,
    url,
    use,
    user_with,
)

pytestmark = pytest.mark.django_db

TASK_VERBS = ("requeue", "restart", "cancel", "pause", "resume", "delete", "restore")
ADMINS = {
    QueuedTask: QueuedTaskAdmin,
    TaskDefinition: TaskDefinitionAdmin,
    Queue: QueueAdmin,
    Worker: WorkerAdmin,
    BulkOperation: BulkOperationAdmin,
    Dashboard: DashboardAdmin,
}


def pages(task):
    """Return the address of each page, by the least that opens it."""
    queue = Queue.objects.get(name="default")
    now = timezone.now()
    worker = Worker.objects.get_or_create(
        host="web01",
        defaults={"pid": 1, "concurrency": 1, "started_at": now, "heartbeat_at": now},
    )[0]
    operation = BulkOperation.objects.get_or_create(verb="restart", last_id=task.pk)[0]
    return {
        "view": [
            url(f"{DASHBOARD}_changelist"),
            url(f"{DASHBOARD}_live"),
            url(f"{DASHBOARD}_stats"),
            url(f"{BULK}_changelist"),
            url(f"{BULK}_change", operation.pk),
            url(f"{WORKERS}_change", worker.pk),
            url(f"{TASKS}_live", task.pk),
            url(f"{TASKS}_changelist"),
            url(f"{TASKS}_change", task.pk),
            url(f"{TASKS}_history", task.pk),
            url(f"{DEFINITIONS}_changelist"),
            url(f"{DEFINITIONS}_change", task.definition_id),
            url(f"{QUEUES}_changelist"),
            url(f"{QUEUES}_change", queue.pk),
            url(f"{WORKERS}_changelist"),
        ],
        "requeue": [f"{act_url(TASKS, 'requeue')}?pk={task.pk}"],
        "operate": [
            *(f"{act_url(TASKS, verb)}?pk={task.pk}" for verb in TASK_VERBS if verb != "requeue"),
            *(f"{act_url(QUEUES, verb)}?pk={queue.pk}" for verb in ("pause", "resume", "stop")),
            *(
                f"{act_url(DEFINITIONS, verb)}?pk={task.definition_id}"
                for verb in ("cancel", "activate", "delete", "restore")
            ),
            *(f"{url(f'{TASKS}_act_on_all', verb)}?list_query=" for verb in TASK_VERBS),
            *(f"{act_url(WORKERS, verb)}?pk={worker.pk}" for verb in ("quiet", "stop")),
            f"{act_url(BULK, 'stop')}?pk={operation.pk}",
            url(f"{TASKS}_add"),
            f"{url(f'{TASKS}_add')}?definition={task.definition_id}",
            url(f"{DEFINITIONS}_add"),
        ],
        "payload": [url(f"{TASKS}_raw", task.pk)],
        "nobody": [
            url(f"{QUEUES}_add"),
            url(f"{WORKERS}_add"),
            url(f"{BULK}_add"),
            url(f"{QUEUES}_delete", queue.pk),
            url(f"{WORKERS}_delete", worker.pk),
            url(f"{BULK}_delete", operation.pk),
        ],
    }


ROLES = {
    "anonymous": (lambda: None, set()),
    "staff": (user_with, set()),
    "viewer": (lambda: user_with(*VIEW_ALL), {"view"}),
    "support": (lambda: user_with(*VIEW_ALL, "requeue_queuedtask"), {"view", "requeue"}),
    "auditor": (lambda: user_with(*VIEW_ALL, "view_payload_queuedtask"), {"view", "payload"}),
    "superuser": (superuser, {"view", "requeue", "operate", "payload"}),
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
    data = {"parameters": "{}", "queue_name": "default"} if verb == "requeue" else {}
    assert use(client, verb, task, **data).status_code == 200
    if verb == "requeue":
        assert QueuedTask.objects.filter(requeued_from=task).count() == 1
    else:
        assert QueuedTask.all_objects.values().get(pk=task.pk) != before


def test_a_verb_without_the_right_to_see_is_refused():
    task = task_with_status("queued")
    client = client_of(user_with("cancel_queuedtask"))

    assert use(client, "cancel", task).status_code == 403
    assert status_of(task) == "queued"


def test_a_viewer_is_offered_no_action():
    task = task_with_status("failed")
    client = client_of(user_with(*VIEW_ALL))

    for page in (TASKS, DEFINITIONS, QUEUES, WORKERS, BULK):
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


@pytest.mark.parametrize("model", ADMINS)
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


@override_settings(TASKSTORE={"ADMIN_READ_ONLY": True})
@pytest.mark.parametrize("method", ["get", "post"])
def test_read_only_leaves_a_superuser_looking(method):
    task = task_with_status("queued")
    client = client_of(superuser())
    groups = pages(task)

    for address in groups["view"]:
        assert client.get(address).status_code == 200
    for address in (*groups["requeue"], *groups["operate"], *groups["nobody"]):
        assert getattr(client, method)(address).status_code == 403, address
    response = client.post(url(f"{TASKS}_change", task.pk), {"queue_name": "other"})
    assert response.status_code == 403
    response = client.post(url(f"{DEFINITIONS}_change", task.definition_id), {"memo": "changed"})
    assert response.status_code == 403
    assert definition().memo == ""
    text = client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    assert "/act/" not in text
    assert "<textarea" not in text
    assert 'name="action"' not in client.get(url(f"{TASKS}_changelist")).content.decode()


@override_settings(TASKSTORE={"ADMIN_READ_ONLY": True})
@pytest.mark.parametrize("model", ADMINS)
def test_read_only_denies_every_permission_but_view(model):
    model_admin = admin.site._registry[model]
    request = RequestFactory().get("/")
    request.user = superuser()

    names = [name for name in dir(model_admin) if re.fullmatch(r"has_\w+_permission", name)]
    allowed = {name for name in names if getattr(model_admin, name)(request)}
    assert allowed == {
        "has_view_permission",
        "has_view_or_change_permission",
        "has_module_permission",
        *(["has_payload_permission"] if model is QueuedTask else []),
    }


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
