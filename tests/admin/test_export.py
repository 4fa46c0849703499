"""Tasks taken along as a file: what is in it, what is hidden, what it costs, who may."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_taskstore import enqueue, enqueue_many
from django_taskstore.admin import exporting, reach, task_search
from django_taskstore.admin.export_formats import FORMULA, cell
from django_taskstore.claims import claim_next
from django_taskstore.models import QueuedTask
from django_taskstore.outcomes import fail
from django_taskstore.signals import export_started
from tests.admin_pages import (
    LIST,
    TASKS,
    client_of,
    listed,
    task_with_status,
    text_of,
    url,
    user_with,
)

pytestmark = pytest.mark.django_db


def file_of(client, form, query=""):
    """Return a file's text."""
    response = client.get(url(f"{TASKS}_export", form) + query)
    assert response.status_code == 200
    return text_of(response)


def as_json(client, query=""):
    """Return the lines of the JSON file."""
    return [json.loads(line) for line in file_of(client, "json", query).splitlines()]


def as_csv(client, query=""):
    """Return the rows of the CSV file under their headings."""
    text = file_of(client, "csv", query)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def ids(client, query=""):
    """Return the ids in the JSON file."""
    return [line["id"] for line in as_json(client, query) if "id" in line]


def test_both_formats_say_the_same(client):
    enqueue("Failing", {"to": "Łódź", "n": [1, None]}, queue_name="emails", priority=-3)
    fail(claim_next("emails"), ValueError("no such address"))
    task = QueuedTask.objects.get()

    (line,), (row,) = as_json(client), as_csv(client)

    assert (line["id"], line["task"], line["queue"]) == (task.pk, "Failing", "emails")
    assert (line["status"], line["priority"], line["attempts"]) == ("failed", -3, 1)
    assert line["error"] == "ValueError: no such address"
    assert line["parameters"] == {"to": "Łódź", "n": [1, None]}
    assert line["created_at"] == task.created_at.isoformat()
    assert list(row) == list(line)
    for name, value in line.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
        assert row[name] == ("" if value is None else str(text)), name


def test_what_pages_hide_is_hidden(client):
    task = task_with_status(
        "success",
        parameters={"password": "hunter2", "deep": [{"api_key": "hunter2"}], "name": "Tom"},
        output={"token": "hunter2", "sent": True},
        details="hunter2",
        metadata={"secret": "hunter2"},
    )
    task_with_status(alias="Invite", parameters={"email": "hunter2@example.com"})

    for form in ("csv", "json"):
        text = file_of(client, form)
        assert "hunter2" not in text
        assert "••••••••" in text
        assert "Tom" in text
    (line,) = (one for one in as_json(client) if one["id"] == task.pk)
    assert line["output"] == {"token": "••••••••", "sent": True}


@pytest.mark.parametrize("sign", FORMULA)
def test_a_formula_becomes_a_text(sign):
    assert cell(f"{sign}cmd|'/C calc'!A0") == f"'{sign}cmd|'/C calc'!A0"


def test_numbers_and_json_stay_as_they_are(client):
    assert cell(-3) == -3
    assert cell(["=1"]) == '["=1"]'
    task = task_with_status("success", output="=1+1", queue_name="@queue")
    (row,) = as_csv(client)
    assert (row["output"], row["queue"]) == ("'=1+1", "'@queue")
    (line,) = as_json(client)
    assert (line["output"], line["id"]) == ("=1+1", task.pk)


def test_it_holds_what_the_list_shows(client):
    failed = task_with_status("failed", parameters={"name": "Tom"})
    other = task_with_status("queued", parameters={"name": "Ann"})
    mail = enqueue("Noop", queue_name="emails")

    assert ids(client) == [mail.pk, other.pk, failed.pk]
    assert ids(client, "?status=failed") == [failed.pk]
    assert ids(client, "?q=Tom") == [failed.pk]
    assert ids(client, f"?before={mail.pk}") == [other.pk, failed.pk]
    assert ids(client, f"?q=Tom&before={failed.pk}") == []
    assert ids(client, "?queue=nothing") == []
    assert client.get(url(f"{TASKS}_export", "csv") + "?colour=red").status_code == 403


def test_the_list_leads_to_its_own_file(client):
    page = client.get(url(LIST) + "?status=failed&q=Tom&p=1").content.decode()

    for form, label in (("csv", "Export as CSV"), ("json", "Export as JSON")):
        address = url(f"{TASKS}_export", form) + "?status=failed&amp;q=Tom"
        assert f'<a href="{address}">{label}</a>' in page


def test_a_search_that_did_not_look_at_the_whole_list_says_so(client, monkeypatch):
    monkeypatch.setattr(task_search, "AMONG", 3)
    beyond = task_with_status("failed", parameters={"name": "Tom"})
    enqueue_many("Noop", [{}] * 2)
    found = task_with_status("failed", parameters={"name": "Tom"})
    said = "The search looked at the newest 10,000 tasks of this list."

    page = client.get(url(LIST) + "?q=Tom").content.decode()
    assert '<li class="ts-exported" id="ts-exported">of the newest 10,000</li>' in page
    assert page.count('aria-describedby="ts-exported"') == 2
    response = client.get(url(f"{TASKS}_export", "csv") + "?q=Tom")
    name = r'attachment; filename="tasks-newest-10000-\d{8}-\d{6}\.csv"'
    assert re.fullmatch(name, response["Content-Disposition"])
    assert text_of(response).splitlines()[-1] == f'"{said}"'
    lines = as_json(client, "?q=Tom")
    assert [line.get("id") for line in lines] == [found.pk, None]
    assert lines[-1] == {"note": said}
    assert beyond.pk not in listed(client, "?q=Tom")


@pytest.mark.parametrize("query", ["", "?status=failed", "?q=Tom&status=failed", "?q=%23{id}"])
def test_what_looked_at_the_whole_list_says_nothing(client, monkeypatch, query):
    monkeypatch.setattr(task_search, "AMONG", 3)
    task = task_with_status("failed", parameters={"name": "Tom"})
    enqueue_many("Noop", [{}] * 4)
    query = query.format(id=task.pk)

    assert "ts-exported" not in client.get(url(LIST) + query).content.decode()
    response = client.get(url(f"{TASKS}_export", "json") + query)
    assert "newest" not in response["Content-Disposition"]
    assert "note" not in text_of(response)


def test_nothing_is_said_of_files_to_who_may_have_none(monkeypatch):
    monkeypatch.setattr(task_search, "AMONG", 3)
    enqueue_many("Noop", [{}] * 4)

    page = client_of(user_with("view_queuedtask")).get(url(LIST) + "?q=Tom").content.decode()

    assert "The search looked at" in page
    assert "ts-exported" not in page


def test_a_search_on_a_page_with_older_tasks_looks_at_those(client, monkeypatch):
    monkeypatch.setattr(task_search, "AMONG", 3)
    task = task_with_status("failed", parameters={"name": "Tom"})
    newer = task_with_status("queued")
    enqueue_many("Noop", [{}] * 4)
    query = f"?q=Tom&before={newer.pk}"

    assert ids(client, query) == listed(client, query) == [task.pk]


@pytest.mark.parametrize("query", ["", "?status=queued"])
def test_many_are_read_page_after_page(client, monkeypatch, query):
    monkeypatch.setattr(exporting, "PAGE", 10)
    monkeypatch.setattr(exporting, "REACH", 25)
    monkeypatch.setattr(reach, "REACH", 25)
    enqueue_many("Noop", [{}] * 60)

    assert ids(client, query) == sorted(QueuedTask.objects.values_list("pk", flat=True))[::-1]


def test_a_file_ends_at_its_bound_and_says_so(client, monkeypatch):
    monkeypatch.setattr(exporting, "MOST_EXPORTED", 25)
    monkeypatch.setattr(exporting, "PAGE", 10)
    enqueue_many("Noop", [{}] * 30)
    newest = sorted(QueuedTask.objects.values_list("pk", flat=True))[:4:-1]

    assert ids(client) == newest
    assert "Older ones are left out" in as_json(client)[-1]["note"]
    assert "Older ones are left out" in file_of(client, "csv").splitlines()[-1]
    assert "note" not in as_json(client, "?queue=nothing")


def test_a_long_table_is_looked_through_so_far_and_the_file_says_so(client, monkeypatch):
    for module in (exporting, reach):
        monkeypatch.setattr(module, "REACH", 10)
    monkeypatch.setattr(exporting, "MOST_LOOKED", 20)
    task_with_status("canceled")
    enqueue_many("Noop", [{}] * 30)
    newest = QueuedTask.objects.order_by("-pk").values_list("pk", flat=True)[0]

    assert as_json(client, "?status=canceled") == [
        {"note": f"Only tasks after #{newest - 20} were looked at."}
    ]


def test_statements_grow_with_pages_only(client, monkeypatch):
    monkeypatch.setattr(exporting, "PAGE", 50)

    def statements():
        with CaptureQueriesContext(connection) as queries:
            assert len(ids(client)) == QueuedTask.objects.count()
        return [query["sql"] for query in queries]

    enqueue_many("Noop", [{}] * 5)
    few = statements()
    enqueue_many("Noop", [{}] * 40)
    assert len(statements()) == len(few)
    enqueue_many("Noop", [{}] * 100)
    many = statements()
    assert len(many) == len(few) + 4
    assert not [sql for sql in many if "OFFSET" in sql]
    assert not [sql for sql in many if "details" in sql]


def test_a_file_is_not_kept_by_a_browser_and_has_a_name(client):
    response = client.get(url(f"{TASKS}_export", "json"))

    assert response.streaming
    assert "no-store" in response["Cache-Control"]
    name = r'attachment; filename="tasks-\d{8}-\d{6}\.jsonl"'
    assert re.fullmatch(name, response["Content-Disposition"])
    assert client.post(url(f"{TASKS}_export", "json")).status_code == 405
    assert client.get(url(f"{TASKS}_export", "xml")).status_code == 404


def test_it_needs_the_right_to_see_and_to_export():
    task_with_status()
    for codenames in (["view_queuedtask"], ["export_queuedtask"]):
        client = client_of(user_with(*codenames, name=codenames[0]))
        assert client.get(url(f"{TASKS}_export", "csv")).status_code == 403
    page = client_of(user_with("view_queuedtask")).get(url(LIST)).content.decode()
    assert "Export as" not in page
    both = client_of(user_with("view_queuedtask", "export_queuedtask", name="both"))
    assert len(as_json(both)) == 1


@pytest.fixture
def told():
    """Collect what receivers of `export_started` get."""
    found = []

    def receive(**kwargs):
        found.append(kwargs)

    export_started.connect(receive)
    yield found
    export_started.disconnect(receive)


def test_that_somebody_takes_tasks_along_is_told(client, told):
    task_with_status("failed", parameters={"name": "Tom"})

    file_of(client, "csv", "?status=failed&q=Tom")
    file_of(client, "json")

    facts = [(one["user"].get_username(), one["form"], one["query"]) for one in told]
    assert facts == [("root", "csv", "status=failed&q=Tom"), ("root", "json", "")]
    assert {one["sender"] for one in told} == {QueuedTask}


def test_what_is_refused_is_not_told(client, told):
    assert client.get(url(f"{TASKS}_export", "csv") + "?colour=red").status_code == 403
    assert client.get(url(f"{TASKS}_export", "xml")).status_code == 404
    other = client_of(user_with("view_queuedtask"))
    assert other.get(url(f"{TASKS}_export", "csv")).status_code == 403
    client.get(url(LIST))

    assert told == []


def test_a_receiver_that_raises_keeps_nobody_from_a_file(client):
    def receive(**kwargs):
        raise ValueError("no room for another line")

    task = task_with_status()
    export_started.connect(receive)
    try:
        assert ids(client) == [task.pk]
    finally:
        export_started.disconnect(receive)
