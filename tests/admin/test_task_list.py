"""The list of queued tasks: filters, tabs, search, how far it looks and how it leads on."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore import enqueue, enqueue_many
from django_taskstore.admin import reach, task_search
from django_taskstore.claims import claim_next
from django_taskstore.models import QueuedTask, TaskAttempt, Worker
from django_taskstore.outcomes import fail
from tests.admin_pages import (
    LIST,
    client_of,
    definition,
    listed,
    page_of,
    tabs,
    task_with_status,
    url,
    user_with,
)
from tests.schedules import add_schedule

pytestmark = pytest.mark.django_db


def test_each_filter_narrows_the_list(client):
    queued = task_with_status("queued")
    failed = task_with_status("failed", alias="Failing", attempts=3)
    gone = task_with_status("success", soft_deleted_at=timezone.now())
    old = task_with_status("success", created_at=timezone.now() - timedelta(hours=3))
    mail = enqueue("Noop", queue_name="emails")
    worker, schedule = worker_row(), add_schedule("0 9 * * *")
    QueuedTask.objects.filter(pk=old.pk).update(claimed_by=worker.pk, schedule_id=schedule.pk)

    assert listed(client) == [mail.pk, old.pk, failed.pk, queued.pk]
    assert listed(client, "?status=failed") == [failed.pk]
    assert listed(client, "?queue=emails") == [mail.pk]
    assert listed(client, f"?definition={definition('Failing').pk}") == [failed.pk]
    assert listed(client, "?created=1h") == [mail.pk, failed.pk, queued.pk]
    assert listed(client, f"?worker={worker.pk}") == [old.pk]
    assert listed(client, "?attempts=many") == [failed.pk]
    assert listed(client, f"?schedule={schedule.pk}") == [old.pk]
    assert listed(client, "?deleted=yes") == [gone.pk]
    assert gone.pk in listed(client, "?deleted=all")
    assert listed(client, "?status=success&queue=emails") == []


@pytest.mark.parametrize(
    "query",
    ["queue=unknown", "definition=x", "status=lost", "created=x", "worker=x", "schedule=x"],
)
def test_a_filter_for_nothing_finds_nothing(client, query):
    task_with_status("queued")

    assert listed(client, f"?{query}") == []


def test_what_had_an_error_is_found_however_it_ended(client):
    def attempt(outcome):
        task = task_with_status("success", claim_seq=2)
        TaskAttempt.objects.create(queued_task=task, claim_seq=1, number=1, outcome=outcome)
        return task.pk

    task_with_status("success")
    attempt("snoozed")
    attempt("released")
    wrong = [attempt(outcome) for outcome in ("failed", "retried", "lost")]

    assert listed(client, "?error=yes") == wrong[::-1]
    assert listed(client, "?error=yes&status=failed") == []


def test_filters_offer_what_the_small_tables_have(client):
    task_with_status()
    schedule = add_schedule("0 9 * * *", name="Every morning")
    filters = {one.title: one.lookup_choices for one in page_of(client).filter_specs}

    assert filters["queue"] == [("default", "default")]
    assert (str(definition("Noop").pk), "Noop") in filters["definition"]
    assert filters["definition"] == sorted(filters["definition"], key=lambda pair: pair[1])
    assert filters["schedule"] == [(str(schedule.pk), "Every morning")]


def worker_row(host="web01"):
    """Make a worker's row."""
    now = timezone.now()
    return Worker.objects.create(host=host, pid=7, concurrency=1, started_at=now, heartbeat_at=now)


def test_tabs_count_under_the_other_filters(client):
    for status in ("queued", "queued", "running", "failed", "success"):
        task_with_status(status)
    enqueue("Noop", queue_name="emails")

    assert tabs(client) == {
        "queued": "3",
        "scheduled": "0",
        "running": "1",
        "success": "1",
        "failed": "1",
        "canceled": "0",
        "paused": "0",
    }
    assert tabs(client, "?status=failed&queue=emails") == {**dict.fromkeys(tabs(client), "0")} | {
        "queued": "1"
    }
    current = [tab for tab in page_of(client, "?status=failed").tabs if tab.is_current]
    assert [tab.kind for tab in current] == ["failed"]
    assert "queue=emails" in page_of(client, "?queue=emails").tabs[1].query


def chips(client, query):
    """Return what the chips say, as (title, value)."""
    return [(chip.title, chip.value) for chip in page_of(client, query).chips]


def test_a_chip_names_each_thing_that_narrows_the_list(client):
    task_with_status("failed")
    worker, schedule = worker_row(), add_schedule("0 9 * * *", name="Every morning")
    noop = definition("Noop").pk

    assert chips(client, "") == []
    assert chips(client, "?status=failed&queue=default&created=1h") == [
        ("Status", "Failed"),
        ("Queue", "default"),
        ("Created", "Last hour"),
    ]
    query = f"?definition={noop}&worker={worker.pk}&schedule={schedule.pk}&attempts=many"
    assert chips(client, f"{query}&error=yes&deleted=all&q=Tom&before=99") == [
        ("Definition", "Noop"),
        ("Worker", "web01:7"),
        ("Schedule", "Every morning"),
        ("Attempts", "More than one"),
        ("Error", "With an error"),
        ("Deleted", "All"),
        ("Search", "Tom"),
        ("Older than", "#99"),
    ]


def test_a_chip_stands_for_a_value_that_nothing_has_and_for_none_that_leaves_nothing_out(client):
    assert chips(client, "?queue=gone&created=x&definition=999999") == [
        ("Queue", "gone"),
        ("Definition", "999999"),
        ("Created", "x"),
    ]
    assert chips(client, "?attempts=few&deleted=no&before=x&queue=&q=") == []


def test_a_chip_takes_away_itself_and_nothing_else(client):
    address = {"q": "Tom", "queue": "default", "status": "failed", "before": "99"}
    page = page_of(client, "?" + urlencode(address))

    for chip, name in zip(page.chips, ("status", "queue", "q", "before"), strict=True):
        left = {key: value for key, value in address.items() if key != name}
        assert dict(parse_qsl(chip.query.removeprefix("?"))) == left


def test_all_chips_are_cleared_where_there_are_two(client):
    one = client.get(url(LIST) + "?queue=default").content.decode()
    two = client.get(url(LIST) + "?queue=default&status=failed").content.decode()

    assert "Clear all</a>" not in one
    assert '<a href="?">Clear all</a>' in two
    assert '<span class="visually-hidden">Remove Queue: default</span>' in two


@pytest.mark.parametrize("term", ["{pk}", "%23{pk}", " {pk} ", "id:{pk}"])
def test_search_finds_exactly_one_id(client, term):
    task, _other = task_with_status(), task_with_status()

    assert listed(client, "?q=" + term.format(pk=task.pk)) == [task.pk]


@pytest.mark.parametrize("term", ["nothing like it", "9" * 30, "-1", "1 2", "²", "id:x", "worker:"])
def test_search_for_anything_else_finds_nothing(client, term):
    task_with_status(parameters={"name": "Tom"})

    assert listed(client, f"?q={term}") == []


@pytest.mark.parametrize("term", ["Łódź", "args:Łódź", "args:50%25_off", "args:a\\b", 'args:"q"'])
def test_search_looks_into_parameters(client, term):
    text = 'Łódź 50%_off a\\b "q"'
    task = task_with_status(parameters={"to": [{"name": text}]})
    task_with_status(parameters={"to": "Lodz 50 off"})

    if '"' in term:
        term = term.replace('"', "")
    assert listed(client, f"?q={term}") == [task.pk]


def test_search_looks_into_errors_and_names_of_workers(client):
    task = enqueue("Failing", {})
    worker = worker_row("mailhost")
    fail(claim_next("default"), ValueError("no such address"))
    QueuedTask.objects.filter(pk=task.pk).update(claimed_by=worker.pk)
    task_with_status("failed")

    for term in ("valueerror", "such address", "error:address", "worker:mail", "mailhost:7"):
        assert listed(client, f"?q={term}") == [task.pk], term
    assert listed(client, f"?q=worker:{worker.pk}") == [task.pk]
    assert listed(client, f"?q=worker:{uuid.uuid4()}") == []
    assert listed(client, "?q=args:address") == []


def test_a_hidden_value_cannot_be_found_by_searching(client):
    task = task_with_status(parameters={"password": "hunter2", "deep": [{"api_key": "hunter2"}]})

    assert listed(client, "?q=hunter2") == []
    assert listed(client, "?q=args:api_key") == [task.pk]


def test_a_text_is_searched_among_the_newest_and_the_page_says_so(client, monkeypatch):
    monkeypatch.setattr(task_search, "AMONG", 3)
    tasks = [task_with_status(parameters={"name": "Tom"}) for _ in range(5)]

    assert listed(client, "?q=Tom") == [task.pk for task in tasks[:1:-1]]
    assert "The search looked at the newest" in page_of(client, "?q=Tom").note
    assert listed(client, f"?q={tasks[0].pk}") == [tasks[0].pk]


def test_every_match_among_them_is_found(client):
    enqueue_many("HelloWorldTask", [{"name": "Tom"}] * 1_500)
    enqueue_many("HelloWorldTask", [{"name": "Ada"}] * 5)

    assert page_of(client, "?q=Tom").result_count == 1_500


def test_the_list_costs_the_same_with_200_rows(client):
    enqueue_many("HelloWorldTask", [{"name": "x" * 100}] * 200)

    with CaptureQueriesContext(connection) as queries:
        assert len(listed(client)) == 50

    statements = [query["sql"] for query in queries]
    assert len(statements) <= 10, statements
    assert not any("DISTINCT" in statement for statement in statements)
    page = next(s for s in statements if "taskdefinition" in s and "LIMIT 50" in s)
    for column in ("output", "details", "metadata", "memo"):
        assert column not in page


def test_a_viewer_with_every_filter_costs_at_most_twelve(monkeypatch):
    monkeypatch.setattr(reach, "REACH", 20)
    for _ in range(30):
        task_with_status("failed", attempts=2)
    client = client_of(user_with("view_queuedtask"))
    query = "?status=failed&queue=default&created=1h&attempts=many&q=boom"

    with CaptureQueriesContext(connection) as queries:
        page_of(client, query)

    assert len(queries) <= 12, [query["sql"] for query in queries]


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30, ""])
def test_a_wrong_beginning_is_no_error(client, before):
    task = task_with_status()

    assert listed(client, f"?before={before}") == [task.pk]


def test_an_error_and_parameters_are_in_the_list_without_what_is_hidden(client):
    task = task_with_status("failed", parameters={"to": "ann", "token": "hunter2"}, claim_seq=1)
    TaskAttempt.objects.create(
        queued_task=task,
        claim_seq=1,
        number=1,
        outcome="failed",
        exception_class="ValueError",
        message="no such address",
    )

    page = client.get(url(LIST)).content.decode()

    assert "ValueError no such address" in page
    assert "ann" in page
    assert "hunter2" not in page
    assert re.search(r'class="ts-count">1<', page)
