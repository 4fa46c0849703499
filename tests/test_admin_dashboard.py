"""The dashboard: tiles, warnings, charts, tables, its cost, and what each user sees of it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore import enqueue
from django_taskstore.admin.dashboard import charts
from django_taskstore.claims import claim_next
from django_taskstore.models import Queue, Schedule, TaskAttempt, TaskDefinition, TaskStat, Worker
from django_taskstore.outcomes import fail
from django_taskstore.rollups import Counts, Histogram, start_of
from tests.admin_pages import client_of, superuser, task_with_status, url, use, user_with

pytestmark = pytest.mark.django_db

HOME = "django_taskstore_dashboard_changelist"
LIVE = "django_taskstore_dashboard_live"
STATS = "django_taskstore_dashboard_stats"


@pytest.fixture(autouse=True)
def _cold():
    """Begin and end with nothing in the cache."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def client():
    """Return a client signed in as a superuser."""
    return client_of(superuser())


def worker_row(queues=("default",), **columns):
    """Make the row of a worker that lives."""
    now = timezone.now()
    facts = {"host": "web01", "pid": 1, "concurrency": 4, "started_at": now, "heartbeat_at": now}
    return Worker.objects.create(queues=list(queues), **{**facts, **columns})


def counted(measure, n, *, ago=timedelta(0), queue_name="default", definition_id=1):
    """Insert counts as a worker would have."""
    for span in TaskStat.Span:
        TaskStat.objects.update_or_create(
            span=span,
            starts_at=start_of(span, timezone.now() - ago),
            queue_name=queue_name,
            definition_id=definition_id,
            measure=measure,
            defaults={"n": n},
        )


def warnings_of(client):
    """Return the codes of the warnings."""
    return [warning.code for warning in client.get(url(HOME)).context["warnings"]]


def tile_of(client, label):
    """Return the tile with this label."""
    return next(tile for tile in client.get(url(HOME)).context["tiles"] if tile.label == label)


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


def test_a_stuck_queue_grows_old_while_nothing_ends(client):
    task_with_status("queued", run_after=timezone.now() - timedelta(minutes=20))
    worker_row()

    assert tile_of(client, "Oldest waiting").value.startswith("20 min")
    assert warnings_of(client) == ["queue_age"]
    page = client.get(url(HOME)).content.decode()
    assert "oldest waiting now: 20 min" in page


def test_what_is_wrong_is_said_first(client):
    task_with_status("queued")
    assert warnings_of(client) == ["no_worker"]
    cache.clear()
    Queue.objects.get(name="default").pause(by="ann", reason="SMTP is down")
    assert warnings_of(client) == ["paused_with_backlog"]
    page = client.get(url(HOME)).content.decode()
    assert "paused by ann: SMTP is down" in page
    assert page.index("SMTP is down") < page.index("ts-tiles")


def test_a_jump_of_failures_is_warned_of(client):
    for hours in range(1, 20):
        counted("succeeded", 100, ago=timedelta(hours=hours))
    counted("succeeded", 10)
    counted("failed", 15)

    assert warnings_of(client) == ["failure_jump"]


@pytest.mark.parametrize(("failed", "ended"), [(5, 5), (20, 400)])
def test_few_or_usual_failures_are_no_jump(client, failed, ended):
    counted("succeeded", ended)
    counted("failed", failed)

    assert warnings_of(client) == []


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


def test_what_runs_longest_is_named(client):
    young = task_with_status("running", started_at=timezone.now())
    old = task_with_status("running", started_at=timezone.now() - timedelta(hours=3))

    rows = client.get(url(HOME)).context["longest"]

    assert [row.task.id for row in rows] == [old.pk, young.pk]
    assert rows[0].runs_for.startswith("3 h")


def a_schedule(name, due, **columns):
    """Make an active schedule that is due at a moment."""
    row = Schedule.objects.create(
        name=name,
        definition=TaskDefinition.objects.get(alias="Noop"),
        recurrence_rule="0 3 * * *",
        status="active",
    )
    Schedule.objects.filter(pk=row.pk).update(next_run_at=due, **columns)


def test_the_next_schedules_are_named_and_late_ones_warned_of(client):
    now = timezone.now()
    a_schedule("tomorrow", now + timedelta(days=1))
    a_schedule("soon", now + timedelta(minutes=1))
    assert [row.run.name for row in client.get(url(HOME)).context["next_runs"]] == [
        "soon",
        "tomorrow",
    ]
    assert warnings_of(client) == []
    cache.clear()
    a_schedule("late", now - timedelta(minutes=5))
    a_schedule("broken", now - timedelta(minutes=9), error="no such definition")
    assert warnings_of(client) == ["schedule_error", "late_schedule"]
    page = client.get(url(HOME)).content.decode()
    assert "The schedule “broken” cannot run: no such definition" in page
    assert "✕</span> Late" in page


def test_queues_have_their_numbers_and_a_switch(client):
    enqueue("Noop", queue_name="emails")
    counted("succeeded", 120, queue_name="emails")
    counted("failed", 30, queue_name="emails")

    (row,) = client.get(url(HOME)).context["queues"]

    assert (row.state.queued, row.per_minute, row.failed) == (1, "2.0", "20 %")
    assert client.get(row.switch_url).status_code == 200


@pytest.mark.parametrize("period", ["1h", "24h", "7d", "30d", "nonsense"])
def test_charts_of_each_period(client, period):
    counted("succeeded", 5)
    counted("wait_3", 5)
    counted("run_2", 5)
    counted("succeeded", 9, queue_name="emails")

    page = client.get(url(HOME), {"period": period, "queue": "default"})

    chart = page.context["throughput"]
    assert chart.succeeded == 5
    assert len(chart.columns) == {"24h": 24, "7d": 168, "30d": 30}.get(period, 60)
    text = page.content.decode()
    assert text.count("<svg") >= 2
    assert len(re.findall(r"<tr><th scope=\"row\">", text)) >= 2 * len(chart.columns)
    assert "0.3 s" in text


def test_numbers_of_a_chart_are_not_written_the_local_way(client):
    counted("succeeded", 5)
    counted("wait_3", 5)

    with override_settings(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True):
        text = client.get(url(LIVE)).content.decode()

    for value in re.findall(r' (?:x|y|x1|y1|width|height)="([^"]*)"', text):
        assert re.fullmatch(r"-?\d+(\.\d+)?%?", value), value


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
    cache.add("django_taskstore.overview:default:1h:lock", 1)
    task_with_status("queued")

    assert str(tile_of(client, "Queued").value) == "0"
    cache.delete("django_taskstore.overview:default:1h:lock")
    assert str(tile_of(client, "Queued").value) == "1"


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


def slots(*numbers):
    """Return slots of a chart with so many successes."""
    now = timezone.now()
    return [(now, Counts({"succeeded": n} if n else {})) for n in numbers]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 2), (1, 2), (2, 2), (3, 4), (7, 8), (11, 20), (999, 1000), (1001, 2000)]
)
def test_an_axis_ends_at_a_round_number(value, top):
    assert charts.nice(value) == top


def test_bars_stay_inside_their_chart():
    chart = charts.throughput(slots(0, 5, 17, 1))

    for column in chart.columns:
        for bar in column.bars:
            assert bar.x >= charts.LEFT
            assert bar.x + bar.width <= charts.WIDTH
            assert bar.y >= charts.TOP
            assert bar.y + bar.height <= charts.TOP + charts.PLOT_HEIGHT + 0.01
            assert bar.height > 0
    assert [len(column.bars) for column in chart.columns] == [0, 1, 1, 1]


def test_a_line_breaks_where_nothing_was_measured():
    known = Counts({}, Histogram({2: 1}), Histogram({1: 1}))
    now = timezone.now()
    chart = charts.latency([(now, known), (now, Counts()), (now, known), (now, known)], None)

    wait = chart.lines[0]
    assert wait.values == [0.1, None, 0.1, 0.1]
    assert len(wait.pieces) == 2
    assert all(len(piece.split()) == 2 for piece in wait.pieces)


@pytest.mark.parametrize("seconds", [0, 1e-9, 1, 1e9, float("inf")])
def test_any_time_has_a_place_on_the_axis(seconds):
    assert charts.TOP <= charts.log_height(seconds) <= charts.TOP + charts.PLOT_HEIGHT
