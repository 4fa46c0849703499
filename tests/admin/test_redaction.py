"""Secrets in the admin: neither shown, nor lost by an edit, nor guessed from a mask."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import ValidationError

from django_taskstore.admin.redaction import MASK, redacted, restored
from django_taskstore.models import QueuedTask
from tests.admin_pages import TASKS, act_url, edit, task_with_status, url, use

pytestmark = pytest.mark.django_db


def test_secrets_are_neither_shown_nor_lost(client):
    parameters = {
        "email": "ann@example.com",
        "guests": 2,
    }
    task = task_with_status("queued", alias="Invite", parameters=parameters)
    QueuedTask.objects.filter(pk=task.pk).update(
        output={"email": "ann@example.com", "deep": [{"api-key": "hunter2"}]},
        metadata={"Authorization": "hunter2"},
    )
    address = url(f"{TASKS}_change", task.pk)

    for page in (address, f"{act_url(TASKS, 'requeue')}?pk={task.pk}"):
        text = client.get(page).content.decode()
        assert "ann@example.com" not in text
        assert "hunter2" not in text
        assert MASK in text
    edit(client, task, parameters=json.dumps({"email": MASK, "guests": 3}))
    assert QueuedTask.objects.get(pk=task.pk).parameters == {
        "email": "ann@example.com",
        "guests": 3,
    }
    use(client, "requeue", task, parameters=json.dumps({"email": MASK}), queue_name="")
    assert QueuedTask.objects.get(requeued_from=task).parameters == {"email": "ann@example.com"}


def test_redaction_reaches_every_depth_and_restores_what_is_unchanged():
    stored = {
        "user": {"Password": "a", "name": "Ann"},
        "list": [{"token": "b", "n": 1}, {"token": "c", "n": 2}],
        "pin": 1234,
        "secret": None,
    }
    shown = redacted(stored, frozenset({"pin"}))

    assert shown == {
        "user": {"Password": MASK, "name": "Ann"},
        "list": [{"token": MASK, "n": 1}, {"token": MASK, "n": 2}],
        "pin": MASK,
        "secret": None,
    }
    assert restored(shown, stored, frozenset({"pin"})) == stored
    changed = {**shown, "user": {"Password": "new", "name": "Tom"}}
    assert restored(changed, stored, frozenset({"pin"}))["user"] == {
        "Password": "new",
        "name": "Tom",
    }


@pytest.mark.parametrize(
    "edited",
    [
        {"list": [{"token": MASK, "n": 2}]},
        {"list": [{"token": MASK, "n": 2}, {"token": MASK, "n": 1}]},
        {"elsewhere": {"token": MASK}},
        {"password": MASK},
    ],
)
def test_a_mask_that_was_moved_is_refused(edited):
    stored = {"list": [{"token": "b", "n": 1}, {"token": "c", "n": 2}]}

    with pytest.raises(ValidationError, match="type it in full"):
        restored(edited, stored, frozenset())
