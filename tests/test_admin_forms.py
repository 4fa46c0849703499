"""Editing, requeueing and enqueueing in the admin: what is stored, refused and kept hidden."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.utils import timezone

from django_taskstore.admin import editing
from django_taskstore.admin.forms import ObjectField, json_values
from django_taskstore.admin.redaction import MASK, redacted, restored
from django_taskstore.models import Queue, QueuedTask, TaskDefinition
from tests.admin_pages import (
    TASKS,
    act_url,
    client_of,
    definition,
    said,
    superuser,
    task_with_status,
    url,
    use,
    user_with,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    """Return a client signed in as a superuser."""
    return client_of(superuser())


def edit(client, task, **changes):
    """POST the change page as the browser would, with some fields changed."""
    local = timezone.localtime(task.run_after)
    data = {
        "queue_name": task.queue_name,
        "priority": task.priority,
        "run_after_0": f"{local:%Y-%m-%d}",
        "run_after_1": f"{local:%H:%M:%S}",
        "parameters": json.dumps(task.parameters),
        "attempt_records-TOTAL_FORMS": "0",
        "attempt_records-INITIAL_FORMS": "0",
        **changes,
    }
    return client.post(url(f"{TASKS}_change", task.pk), data, follow=True)


def enqueue_url(alias):
    """Return the address of a definition's "Enqueue" page."""
    return f"{url(f'{TASKS}_add')}?definition={definition(alias).pk}"


def placement(**changes):
    """Return what the lower half of the "Enqueue" page sends."""
    return {"queue_name": "emails", "priority": "5", "run_after": "", **changes}


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


def test_enqueue_with_json(client):
    page = client.get(enqueue_url("HelloWorldTask")).content.decode()
    assert "Say hello world" in page
    response = client.post(
        enqueue_url("HelloWorldTask"), placement(parameters='{"name": "Ann"}'), follow=True
    )

    task = QueuedTask.objects.get()
    assert (task.queue_name, task.priority, task.parameters, task.status) == (
        "emails",
        5,
        {"name": "Ann"},
        "queued",
    )
    assert "was put on the queue" in said(response)
    assert response.redirect_chain[-1][0] == url(f"{TASKS}_change", task.pk)
    assert LogEntry.objects.get().change_message == "Enqueued."


def test_enqueue_with_the_handlers_own_form(client):
    page = client.get(enqueue_url("Invite")).content.decode()
    assert 'type="email"' in page
    assert 'name="parameters"' not in page

    response = client.post(enqueue_url("Invite"), placement(**{"parameters-email": "bad"}))
    assert "Enter a valid email address" in response.content.decode()
    assert not QueuedTask.objects.exists()
    client.post(
        enqueue_url("Invite"),
        placement(**{"parameters-email": "a@example.com", "parameters-guests": "2"}),
    )
    assert QueuedTask.objects.get().parameters == {"email": "a@example.com", "guests": 2}


def test_enqueue_for_later(client):
    later = timezone.localtime(timezone.now() + timedelta(days=1)).replace(microsecond=0)

    client.post(
        enqueue_url("HelloWorldTask"),
        placement(parameters="{}", run_after=f"{later:%Y-%m-%dT%H:%M:%S}"),
    )

    task = QueuedTask.objects.get()
    assert (task.status, task.run_after) == ("scheduled", later)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": "{'a': 1}"}, "Line 1, column 2"),
        ({"parameters": json.dumps({"a": "x" * 70_000})}, "more than the 65,536 allowed"),
        ({"parameters": '{"a": "\\u0000"}'}, "which no database stores"),
        ({"queue_name": "ä"}, "is not valid"),
        ({"priority": "-101"}, "from -100 to 100"),
        ({"priority": ""}, "This field is required"),
        ({"run_after": "tomorrow"}, "Enter a valid date/time"),
    ],
)
def test_bad_input_enqueues_nothing(client, changes, message):
    response = client.post(
        enqueue_url("HelloWorldTask"), placement(**{"parameters": "{}", **changes})
    )

    assert response.status_code == 200
    assert message in response.content.decode()
    assert not QueuedTask.objects.exists()


def test_only_definitions_that_take_work_can_be_chosen(client):
    definition("Noop").cancel()
    definition("Failing").soft_delete()

    page = client.get(url(f"{TASKS}_add")).content.decode()

    assert "HelloWorldTask" in page
    assert ">Noop<" not in page
    assert ">Failing<" not in page
    response = client.post(enqueue_url("Noop"), placement(parameters="{}"))
    assert "canceled or deleted" in said(response)
    assert not QueuedTask.objects.exists()


@pytest.mark.parametrize("key", ["x", "0", "9" * 30])
def test_an_unknown_definition_leads_to_the_choice(client, key):
    response = client.get(f"{url(f'{TASKS}_add')}?definition={key}")

    assert response.status_code == 200
    assert "was never there" in said(response)


def test_a_definition_without_a_handler_is_enqueued_with_a_warning(client):
    row = TaskDefinition.objects.create(alias="elsewhere.task")

    page = client.get(f"{url(f'{TASKS}_add')}?definition={row.pk}").content.decode()
    assert "No handler is registered here" in page
    client.post(f"{url(f'{TASKS}_add')}?definition={row.pk}", placement(parameters='{"a": 1}'))
    assert QueuedTask.objects.get().definition_id == row.pk


def test_enqueue_needs_only_its_permission():
    client = client_of(user_with("enqueue_queuedtask"))

    response = client.post(enqueue_url("HelloWorldTask"), placement(parameters="{}"), follow=True)

    assert "was put on the queue" in said(response)
    assert QueuedTask.objects.count() == 1


def test_cleaned_values_become_json_that_the_form_reads_again():
    at = timezone.now()
    row = TaskDefinition.objects.create(alias="one")

    values = json_values(
        {"at": at, "row": row, "rows": TaskDefinition.objects.filter(pk=row.pk), "none": None}
    )

    assert values["row"] == row.pk
    assert values["rows"] == [row.pk]
    assert values["at"].startswith(str(at.year))
    assert "none" not in values
