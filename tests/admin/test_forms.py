"""Editing, requeueing and enqueueing in the admin: what is stored, refused and kept hidden."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.utils import timezone

from django_taskstore.admin import editing
from django_taskstore.admin.forms import ObjectField
from django_taskstore.models import Queue, QueuedTask
from tests.admin_pages import (
    TASKS,
    client_of,
    definition,
    edit,
    said,
    task_with_status,
    url,
    use,
    user_with,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", ["queued", "paused"])
def test_a_waiting_task_is_edited_and_keeps_its_status(client, status):
    task = task_with_status(status)

    response = edit(client, task, queue_name="reports", priority="7", parameters='{"name": "Ann"}')

    assert "was changed successfully" in said(response)
    stored = QueuedTask.objects.get(pk=task.pk)
    assert (stored.queue_name, stored.priority, stored.parameters, stored.status) == (
        "reports",
        7,
        {"name": "Ann"},
        status,
    )
    assert Queue.objects.filter(name="reports").exists()
    entry = LogEntry.objects.get(object_id=str(task.pk))
    assert "Parameters" in entry.get_change_message()


def test_a_later_time_makes_a_queued_task_scheduled_and_an_earlier_one_queues_it(client):
    task = task_with_status("queued")
    later = timezone.localtime(timezone.now() + timedelta(days=2))

    edit(client, task, run_after_0=f"{later:%Y-%m-%d}", run_after_1=f"{later:%H:%M:%S}")
    stored = QueuedTask.objects.get(pk=task.pk)
    assert stored.status == "scheduled"
    assert stored.run_after == later.replace(microsecond=0)

    edit(client, stored, run_after_0="2020-01-01", run_after_1="00:00:00")
    assert QueuedTask.objects.get(pk=task.pk).status == "queued"


@pytest.mark.parametrize("status", ["running", "success", "failed", "canceled"])
def test_a_task_that_does_not_wait_is_left_alone(client, status):
    task = task_with_status(status)
    before = QueuedTask.objects.values().get(pk=task.pk)

    response = edit(client, task, queue_name="other")

    assert "no longer waits" in said(response)
    assert QueuedTask.objects.values().get(pk=task.pk) == before
    page = client.get(url(f"{TASKS}_change", task.pk)).content.decode()
    assert "<textarea" not in page
    assert 'name="_save"' not in page


def test_a_claim_during_the_edit_wins(client, monkeypatch):
    task = task_with_status("queued")

    def claimed_just_before(*args):
        QueuedTask.objects.filter(pk=task.pk).update(status="running")
        return real(*args)

    real = editing.save_waiting
    monkeypatch.setattr("django_taskstore.admin.queued_tasks.save_waiting", claimed_just_before)
    response = edit(client, task, queue_name="other")

    assert "no longer waits" in said(response)
    assert QueuedTask.objects.get(pk=task.pk).queue_name == "default"
    assert not LogEntry.objects.filter(object_id=str(task.pk)).exists()


def test_viewers_cannot_edit():
    task = task_with_status("queued")
    client = client_of(user_with("view_queuedtask"))

    assert edit(client, task, queue_name="other").status_code == 403
    assert QueuedTask.objects.get(pk=task.pk).queue_name == "default"


def test_an_edit_of_a_retrying_task_with_attempts_is_saved(client):
    task = task_with_status("queued", attempts=1)
    task.attempt_records.create(claim_seq=1, number=1, outcome="retried")

    response = edit(
        client,
        task,
        queue_name="reports",
        **{"attempt_records-TOTAL_FORMS": "1", "attempt_records-INITIAL_FORMS": "1"},
    )

    assert "was changed successfully" in said(response)
    assert task.attempt_records.get().outcome == "retried"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queue_name": "two words"}, "is not valid: use 1 to 100"),
        ({"queue_name": ""}, "This field is required"),
        ({"priority": "101"}, "from -100 to 100"),
        ({"run_after_0": "never"}, "Enter a valid date"),
        ({"parameters": "[1]"}, "Expected a JSON object"),
        ({"parameters": '{"a": 1,}'}, "Line 1, column"),
    ],
)
def test_bad_edits_are_refused_beside_their_field(client, changes, message):
    task = task_with_status("queued")

    response = edit(client, task, **changes)

    assert message in response.content.decode().replace("&#x27;", "'")
    assert QueuedTask.objects.get(pk=task.pk).parameters == {"name": "Tom"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "a": 1,\n  b: 2\n}', "Line 3, column 3"),
        ('{"a": NaN}', "NaN is not a JSON value"),
        ('{"a": 1, "a": 2}', "appears twice"),
        ('{"a": ' + "9" * 5000 + "}", "This is no JSON"),
        ("[" * 100_000, "This is no JSON"),
        ("null", "Expected a JSON object"),
        ('"text"', "Expected a JSON object"),
    ],
)
def test_json_errors_say_where_and_why(text, message):
    with pytest.raises(ValidationError, match=message):
        ObjectField().clean(text)


def test_an_empty_text_is_an_empty_object():
    assert ObjectField().clean("  \n") == {}
    assert not ObjectField().has_changed({"a": 1}, '{ "a":1 }')
    assert ObjectField().has_changed({"a": 1}, "{")


def test_requeue_with_other_parameters_and_queue(client):
    old = task_with_status("failed")

    response = use(client, "requeue", old, parameters='{"name": "Ann"}', queue_name="emails")

    assert said(response) == "1 requeued"
    new = QueuedTask.objects.get(requeued_from=old)
    assert (new.queue_name, new.parameters, new.status) == ("emails", {"name": "Ann"}, "queued")
    assert QueuedTask.objects.get(pk=old.pk).parameters == {"name": "Tom"}
    lines = dict(LogEntry.objects.values_list("object_id", "change_message"))
    assert lines[str(old.pk)] == (f"Requeued as new: #{new.pk}, with another name, queue_name.")
    assert lines[str(new.pk)] == f"Requeued from #{old.pk}."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"parameters": "{", "queue_name": ""}, "Line 1, column"),
        ({"parameters": "{}", "queue_name": "two words"}, "is not valid"),
        ({"parameters": '{"email": "x"}', "queue_name": ""}, "Enter a valid email address"),
        ({"parameters": '{"other": 1}', "queue_name": ""}, "has no parameter"),
    ],
)
def test_a_bad_requeue_shows_the_form_again(client, data, message):
    task = task_with_status("failed", alias="Invite", parameters={"email": "a@example.com"})

    response = use(client, "requeue", task, **data)

    assert message in response.content.decode()
    assert QueuedTask.objects.count() == 1


def test_a_canceled_definition_refuses_in_the_form(client):
    task = task_with_status("failed")
    definition().cancel()

    response = use(client, "requeue", task, parameters="{}", queue_name="default")

    assert "is canceled or deleted" in response.content.decode()
    assert QueuedTask.objects.count() == 1


def test_many_are_requeued_each_with_its_own_parameters(client):
    one = task_with_status("failed", parameters={"name": "Tom"})
    two = task_with_status("success", alias="Noop", parameters={"n": 2})
    definition("Noop").cancel()

    page = client.post(
        url(f"{TASKS}_changelist"),
        {"action": "requeue", "_selected_action": [one.pk, two.pk], "index": "0"},
    ).content.decode()
    assert 'name="parameters"' not in page
    response = use(client, "requeue", one, two, queue_name="", list_query="")

    assert "1 requeued" in said(response)
    assert "1 refused" in said(response)
    new = QueuedTask.objects.get(requeued_from=one)
    assert (new.parameters, new.queue_name) == ({"name": "Tom"}, "default")
