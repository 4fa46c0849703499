"""The dashboard: tiles, warnings, charts, tables, its cost, and what each user sees of it."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore import __version__, enqueue
from django_taskstore.admin.dashboard import overview
from django_taskstore.claims import claim_next
from django_taskstore.models import TaskAttempt, TaskDefinition
from django_taskstore.outcomes import fail
from django_taskstore.statistics import waiting
from tests.admin_numbers import counted, tile_of, worker_row
from tests.admin_pages import (
    HOME,
    LIVE,
    QUEUES,
    STATS,
    client_of,
    definition,
    task_with_status,
    url,
    use,
    user_with,
)

pytestmark = pytest.mark.django_db


def test_every_tile_leads_to_what_it_counts(client):
    enqueue("HelloWorldTask", run_after=timedelta(hours=1))
    task_with_status("queued")
    task_with_status("running")
    task_with_status("paused")
    worker_row()
    counted("succeeded", 7)
    counted("failed", 3)

    tiles = {tile.label: tile for tile in client.get(url(HOME)).context["tiles"]}

    values = {label: str(tile.value) for label, tile in tiles.items()}
    assert {**values, "Oldest waiting": ""} == {
        "Queued": "1",
        "Running": "1",
        "Failed in 24 h": "3",
        "Succeeded in 24 h": "7",
        "Paused": "1",
        "Oldest waiting": "",
        "Workers": "1",
    }
    assert tiles["Running"].detail == "of 4 places"
    assert tiles["Failed in 24 h"].detail == "30 % of what ended"
    for tile in tiles.values():
        assert client.get(tile.url).status_code == 200, tile
    shown = client.get(tiles["Queued"].url).context["cl"].result_list
    assert [task.status for task in shown] == ["queued"]


def test_failing_now_groups_by_definition_and_exception(client):
    for error in (ValueError("a"), ValueError("b"), KeyError("c")):
        enqueue("Failing")
        fail(claim_next("default"), error)
    TaskAttempt.objects.filter(exception_class__contains="KeyError").update(
        finished_at=timezone.now() - timedelta(hours=2)
    )

    rows = client.get(url(HOME)).context["failing"]

    found = [
        (row.group.alias, row.group.exception_class, row.group.hour, row.group.day) for row in rows
    ]
    assert found == [("Failing", "ValueError", 2, 2), ("Failing", "KeyError", 0, 1)]
    shown = client.get(rows[0].hour_url).context["cl"].result_list
    assert len(shown) == 2
    page = client.get(rows[0].requeue_url)
    assert page.context["list_query"] == urlencode(
        {
            "definition": definition("Failing").pk,
            "error": "yes",
            "q": "error:ValueError",
            "status": "failed",
            "created": "7d",
        }
    )
    assert page.context["row_count"] == 2


def test_only_who_may_requeue_many_is_offered_it():
    enqueue("Failing")
    fail(claim_next("default"), ValueError("a"))
    user = user_with("view_dashboard", "view_queuedtask", "requeue_queuedtask")

    (row,) = client_of(user).get(url(HOME)).context["failing"]

    assert row.requeue_url == ""
    assert row.hour_url


def test_what_runs_longest_is_named(client):
    young = task_with_status("running", started_at=timezone.now())
    old = task_with_status("running", started_at=timezone.now() - timedelta(hours=3))

    rows = client.get(url(HOME)).context["longest"]

    assert [row.task.id for row in rows] == [old.pk, young.pk]
    assert rows[0].runs_for.startswith("3 h")


def test_queues_have_their_numbers_and_a_switch(client):
    enqueue("Noop", queue_name="emails")
    counted("succeeded", 120, queue_name="emails")
    counted("failed", 30, queue_name="emails")

    (row,) = client.get(url(HOME)).context["queues"]

    assert (row.state.queued, row.per_minute, row.failed) == (1, "2.0", "20 %")
    assert client.get(row.switch_url).status_code == 200


def test_more_than_a_page_counts_is_shown_as_at_least(client, monkeypatch):
    monkeypatch.setattr(waiting, "MOST_WAITING", 2)
    for _ in range(3):
        enqueue("Noop", queue_name="emails")
    assert str(tile_of(client, "Queued").value) == "2+"
    for page in (HOME, f"{QUEUES}_changelist"):
        assert ">2+</a>" in client.get(url(page)).content.decode()


def test_the_page_costs_at_most_twelve_queries_cold(client):
    for name in ("default", "emails", "reports"):
        enqueue("HelloWorldTask", queue_name=name)
    counted("succeeded", 5)

    with CaptureQueriesContext(connection) as queries:
        assert client.get(url(HOME)).status_code == 200

    assert len(queries) <= 12, [query["sql"] for query in queries]
    assert not any("DISTINCT" in query["sql"] for query in queries)


def test_many_pages_read_once_in_a_while():
    clients = [client_of(user_with("view_dashboard", name=f"u{n}")) for n in range(5)]
    clients[0].get(url(HOME))

    with CaptureQueriesContext(connection) as queries:
        for client in clients:
            assert client.get(url(LIVE)).status_code == 200

    reads = [query["sql"] for query in queries if "django_taskstore" in query["sql"]]
    assert not [sql for sql in reads if "FROM" in sql and "auth_" not in sql], reads


@override_settings(TASKSTORE={"ADMIN_CACHE_SECONDS": 0.001})
def test_an_old_overview_is_shown_while_somebody_reads(client):
    client.get(url(HOME))
    cache.add(f"django_taskstore.overview:{__version__}:default:1h:lock", 1)
    task_with_status("queued")

    assert str(tile_of(client, "Queued").value) == "0"
    cache.delete(f"django_taskstore.overview:{__version__}:default:1h:lock")
    assert str(tile_of(client, "Queued").value) == "1"


@override_settings(TASKSTORE={"ADMIN_CACHE_SECONDS": 0.001})
def test_what_is_slow_to_read_is_read_at_most_a_twentieth_of_the_time(client, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(overview, "SLOW_SECONDS", 0.0)
        patched.setattr(overview, "SLOW_REST", 1_000_000)
        client.get(url(HOME))
        task_with_status("queued")
        assert str(tile_of(client, "Queued").value) == "0"
    assert overview.seconds_to_keep(2.0) == 40
    assert overview.seconds_to_keep(0.1) == 0.001


def test_the_part_that_refreshes_says_when_nothing_changed(client):
    first = client.get(url(LIVE))
    tag = first["ETag"]

    again = client.get(url(LIVE), headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    task_with_status("queued")
    cache.clear()
    changed = client.get(url(LIVE), headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed["ETag"] != tag
    assert "<html" not in changed.content.decode()


def test_the_twin_for_programs(client):
    task_with_status("queued")
    counted("failed", 2)

    stats = client.get(url(STATS)).json()

    assert stats["version"] == 1
    assert stats["ok"] is False
    assert [warning["code"] for warning in stats["warnings"]] == ["no_worker"]
    assert stats["totals"]["queued"] == {"n": 1, "exact": True}
    assert stats["last_24h"] == {"succeeded": 0, "failed": 2, "canceled": 0, "retried": 0}


@pytest.mark.parametrize("page", [HOME, LIVE, STATS])
def test_it_needs_its_permission_and_takes_no_post(page):
    viewer, other = user_with("view_dashboard"), user_with("view_queuedtask", name="bob")

    assert client_of(viewer).get(url(page)).status_code == 200
    assert client_of(viewer).post(url(page)).status_code == 405
    assert client_of(other).get(url(page)).status_code == 403
    assert client_of().get(url(page)).status_code == 302


def test_numbers_link_only_where_the_user_may_go():
    task_with_status("running", started_at=timezone.now())
    client = client_of(user_with("view_dashboard"))

    text = client.get(url(HOME)).content.decode().partition('id="content"')[2]

    assert "/queuedtask/" not in text
    assert "/act/" not in text
    assert "Recent actions" not in text


def test_recent_actions_name_who_did_what(client):
    task = task_with_status("queued")
    use(client, "cancel", task)

    assert LogEntry.objects.count() == 1
    text = client.get(url(HOME)).content.decode()
    assert re.search(r"<strong>root</strong> Hello World #\d+: Canceled\.", text)


def test_it_is_in_the_menu_for_those_who_may_see_it():
    assert url(HOME) in client_of(user_with("view_dashboard")).get(url("index")).content.decode()
    other = client_of(user_with("view_queue", name="bob")).get(url("index")).content.decode()
    assert url(HOME) not in other


def test_an_empty_store_says_what_to_do(client):
    TaskDefinition.all_objects.all()._raw_delete("default")

    text = client.get(url(HOME)).content.decode()

    for hint in (
        "No schedule is active",
        "A queue appears",
        "No attempt has failed",
        "Nothing is running",
        "nothing is due",
    ):
        assert hint in text
