"""The page of a definition: what its handler declares, what fails, and what a cancel asks."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry

from django_taskstore import TaskHandler, enqueue
from django_taskstore.admin.handler_facts import backoff_words, place_of
from django_taskstore.claims import claim_next
from django_taskstore.models import BulkOperation, TaskDefinition
from django_taskstore.outcomes import fail
from tests.admin_pages import (
    BULK,
    DEFINITIONS,
    act_url,
    client_of,
    definition,
    said,
    status_of,
    url,
    use,
    user_with,
)
from tests.helpers import work_until_empty

pytestmark = pytest.mark.django_db


class Declared(TaskHandler):
    """Declares everything."""

    queue_name = "reports"
    max_attempts = 7
    backoff = (30, timedelta(minutes=2))
    timeout = timedelta(seconds=90)
    on_lost = "fail"
    atomic = True

    def handle(self):
        return True


def patience(_attempt):
    return 5


def fields_of(client, alias):
    """Return the page of a definition without its line breaks."""
    page = client.get(url(f"{DEFINITIONS}_change", definition(alias).pk)).content.decode()
    return " ".join(page.split())


def test_a_definition_shows_what_its_handler_declares(client, add_handler):
    add_handler(Declared)
    enqueue("Declared")

    page = fields_of(client, "Declared")

    for text in ("reports", "7", "30 s, 2 min 0 s", "1 min 30 s", "it fails", "with its outcome"):
        assert f'<div class="readonly">{text}</div>' in page
    assert f"<code>{__name__}:" in page


def test_the_place_of_a_handler_is_its_line():
    module, line = place_of(Declared).split(":")

    assert module == __name__
    source = Path(__file__).read_text().splitlines()
    assert source[int(line) - 1].startswith("class Declared")


def test_what_is_not_declared_has_its_default(client, settings):
    settings.TASKSTORE = {**getattr(settings, "TASKSTORE", {}), "DEFAULT_MAX_ATTEMPTS": 4}
    page = fields_of(client, "HelloWorldTask")

    for text in ("4", "15 s, then twice as long each time", "none", "it is tried again"):
        assert f'<div class="readonly">{text}</div>' in page


@pytest.mark.parametrize(
    ("backoff", "words"), [(2, "2 s"), ([1, 5], "1 s, 5 s"), (patience, "as patience says")]
)
def test_a_backoff_is_told_in_words(backoff, words):
    assert backoff_words(backoff) == words


def test_a_definition_without_a_handler_declares_nothing(client):
    row = TaskDefinition.objects.create(alias="gone", title="Gone")

    page = client.get(url(f"{DEFINITIONS}_change", row.pk))

    assert page.status_code == 200
    assert "most attempts" not in page.content.decode().lower()


def failed(alias, error):
    """Make a task that failed by an error."""
    enqueue(alias, max_attempts=1)
    fail(claim_next("default"), error)


def test_failures_are_grouped_by_exception_and_only_its_own(client):
    failed("Noop", ValueError("a"))
    failed("Noop", ValueError("b"))
    failed("Noop", KeyError("c"))
    failed("Ledger", OSError("d"))
    row = definition("Noop")

    response = client.get(url(f"{DEFINITIONS}_change", row.pk))

    groups = response.context["failing"]
    assert [(one.group.exception_class, one.group.hour) for one in groups] == [
        ("ValueError", 2),
        ("KeyError", 1),
    ]
    assert "Requeue all…" in response.content.decode()
    viewer = client_of(user_with("view_taskdefinition", "view_queuedtask"))
    page = viewer.get(url(f"{DEFINITIONS}_change", row.pk)).content.decode()
    assert "ValueError" in page
    assert "Requeue all…" not in page
    stranger = client_of(user_with("view_taskdefinition", name="bob"))
    assert "ValueError" not in stranger.get(url(f"{DEFINITIONS}_change", row.pk)).content.decode()


@pytest.fixture
def waiting():
    """Make tasks of two definitions: of the first one queued, one scheduled, one paused."""
    queued = enqueue("Noop")
    later = enqueue("Noop", run_after=timedelta(hours=1))
    paused = enqueue("Noop")
    paused.pause()
    return {"queued": queued, "later": later, "paused": paused, "other": enqueue("Ledger")}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("pause", {"later": "paused", "paused": "paused"}),
        ("cancel", {"later": "canceled", "paused": "canceled"}),
    ],
)
def test_a_cancel_moves_what_waits_as_was_chosen(client, waiting, ledger, choice, expected):
    row = definition("Noop")

    response = use(client, "cancel", row, model=DEFINITIONS, waiting=choice)

    assert "1 canceled" in said(response)
    assert "A worker moves the waiting tasks" in said(response)
    assert url(f"{BULK}_changelist") in response.content.decode()
    row.refresh_from_db()
    assert row.status == "canceled"
    operations = BulkOperation.objects.all()
    assert {one.verb for one in operations} == {choice}
    assert {one.selection["definition_id"] for one in operations} == {row.pk}
    asked = LogEntry.objects.filter(content_type__model="bulkoperation")
    assert asked.count() == len(operations) >= 2
    work_until_empty()
    assert {name: status_of(waiting[name]) for name in expected} == expected
    assert status_of(waiting["queued"]) in ("paused", "canceled")
    assert status_of(waiting["other"]) == "success"


@pytest.mark.parametrize("data", [{}, {"waiting": "keep"}])
def test_a_cancel_leaves_what_waits_by_default(client, waiting, data):
    use(client, "cancel", definition("Noop"), model=DEFINITIONS, **data)

    assert not BulkOperation.objects.exists()
    assert status_of(waiting["queued"]) == "queued"


@pytest.mark.parametrize(
    ("more", "offered"),
    [
        (["pause_queuedtask", "cancel_queuedtask"], {"keep"}),
        (["pause_queuedtask", "add_bulkoperation"], {"keep", "pause"}),
        (["cancel_queuedtask", "add_bulkoperation"], {"keep", "cancel"}),
    ],
)
def test_a_cancel_offers_only_what_the_user_may_do(waiting, more, offered):
    client = client_of(user_with("view_taskdefinition", "change_taskdefinition", *more))
    row = definition("Noop")

    page = client.get(f"{act_url(DEFINITIONS, 'cancel')}?pk={row.pk}").content.decode()

    for choice in ("keep", "pause", "cancel"):
        assert (f'value="{choice}"' in page) == (choice in offered)
        if choice not in offered:
            use(client, "cancel", row, model=DEFINITIONS, waiting=choice)
            assert definition("Noop").status == "active"
    assert not BulkOperation.objects.exists()
