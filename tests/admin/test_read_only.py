"""The read-only switch: whoever may do anything is left looking."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.test import RequestFactory, override_settings

from django_taskstore.models import (
    QueuedTask,
)
from tests.admin_pages import (
    DEFINITIONS,
    TASKS,
    client_of,
    definition,
    superuser,
    task_with_status,
    url,
)
from tests.admin_roles import MODELS, pages

pytestmark = pytest.mark.django_db


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
@pytest.mark.parametrize("model", MODELS)
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
        *(["has_payload_permission", "has_export_permission"] if model is QueuedTask else []),
    }
