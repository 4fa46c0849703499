"""Enqueueing in the admin: by the handler's own form, or by JSON."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_taskstore.admin.forms import json_values
from django_taskstore.models import QueuedTask, TaskDefinition
from tests.admin_pages import TASKS, client_of, definition, said, url, user_with

pytestmark = pytest.mark.django_db


def enqueue_url(alias):
    """Return the address of a definition's "Enqueue" page."""
    return f"{url(f'{TASKS}_add')}?definition={definition(alias).pk}"


def placement(**changes):
    """Return what the lower half of the "Enqueue" page sends."""
    return {"queue_name": "emails", "priority": "5", "run_after": "", **changes}


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
