"""Tasks of some days: what the days mean, how they are chosen, and how old ones are found."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_taskstore import enqueue_many
from django_taskstore.admin import exporting, reach
from django_taskstore.admin.selecting import selection_of
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.selection import Selection
from tests.admin_pages import LIST, TASKS, listed, page_of, task_with_status, text_of, url

pytestmark = pytest.mark.django_db


def created(*moments):
    """Make tasks that were created then; return their ids."""
    return [task_with_status("success", created_at=at).pk for at in moments]


@override_settings(TIME_ZONE="Europe/Berlin")
def test_a_day_begins_and_ends_on_the_wall_clock(client):
    eve, dawn, dusk, morrow = created(
        datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 28, 23, 0, tzinfo=UTC),
        datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC),
        datetime(2026, 3, 29, 22, 0, tzinfo=UTC),
    )

    assert listed(client, "?created_from=2026-03-29&created_to=2026-03-29") == [dusk, dawn]
    assert listed(client, "?created_from=2026-03-29") == [morrow, dusk, dawn]
    assert listed(client, "?created_to=2026-03-29") == [dusk, dawn, eve]
    assert listed(client, "?created_from=2026-03-30&created_to=2026-03-28") == []


@pytest.mark.parametrize("name", ["created_from", "created_to"])
@pytest.mark.parametrize("day", ["x", "2026-02-30", "0001-01-01", "9999-12-31", "1"])
def test_what_is_no_day_finds_nothing(client, name, day):
    task_with_status()

    assert listed(client, f"?{name}={day}") == []
    assert [chip.value for chip in page_of(client, f"?{name}={day}").chips] == [day]


def test_an_empty_day_is_none(client):
    task = task_with_status()

    assert listed(client, "?created_from=&created_to=") == [task.pk]
    assert page_of(client, "?created_from=&created_to=").chips == []


def test_of_a_preset_and_a_day_the_later_beginning_holds():
    soon = timezone.now() - timedelta(hours=1)

    both = selection_of({"created": "1h", "created_from": "2020-01-01"})
    assert both.created_since >= soon
    tomorrow = f"{timezone.localdate() + timedelta(days=1):%Y-%m-%d}"
    both = selection_of({"created": "1h", "created_from": tomorrow})
    assert both.created_since > timezone.now()


def test_the_form_keeps_the_other_filters_and_a_preset_takes_the_place_of_days(client):
    address = "?status=failed&q=Tom&created_from=2026-03-29&created_to=2026-03-30&p=1"
    page = client.get(url(LIST) + address).content.decode()
    form = re.search(r'<form method="get" class="ts-days">(.*?)</form>', page, re.DOTALL)[1]

    assert re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', form) == [
        ("status", "failed"),
        ("q", "Tom"),
    ]
    assert 'name="created_from" value="2026-03-29"' in form
    assert 'name="created_to" value="2026-03-30"' in form
    assert 'href="?created=1h&amp;q=Tom&amp;status=failed"' in page
    assert [(chip.title, chip.value) for chip in page_of(client, address).chips] == [
        ("Status", "failed".title()),
        ("Created from", "2026-03-29"),
        ("Created to", "2026-03-30"),
        ("Search", "Tom"),
    ]


@pytest.fixture
def long_ago(monkeypatch):
    """Make 400 tasks, one a day up to now, in a table of which a list looks at 40 ids."""
    monkeypatch.setattr(reach, "REACH", 40)
    monkeypatch.setattr(exporting, "REACH", 40)
    enqueue_many("Noop", [{}] * 400)
    keys = list(QueuedTask.objects.order_by("pk").values_list("pk", flat=True))
    days = {}
    for back, key in enumerate(reversed(keys)):
        day = timezone.localtime() - timedelta(days=back)
        QueuedTask.objects.filter(pk=key).update(created_at=day, status="canceled")
        days[back] = (key, f"{day:%Y-%m-%d}")
    return days


@pytest.mark.parametrize("back", [0, 1, 39, 60, 200, 380, 399])
def test_old_days_are_found_in_a_long_table_at_once(client, long_ago, back):
    key, day = long_ago[back]
    query = f"?created_from={day}&created_to={day}"

    with CaptureQueriesContext(connection) as queries:
        assert listed(client, query) == [key]
    assert len(queries) <= 12, [query["sql"] for query in queries]
    assert str(key) in text_of(client.get(url(f"{TASKS}_export", "json") + query))


def test_a_day_before_all_tasks_and_one_to_come(client, long_ago):
    first, last = long_ago[399][0], long_ago[0][0]

    assert listed(client, "?created_to=1999-01-01") == []
    assert page_of(client, "?created_to=9000-01-01").reach.top == last
    assert reach.top_before(timezone.now() - timedelta(days=9_000), look(), "default") <= first + 60


def look():
    """Return what a list sees of the table."""
    return reach.look("default")


def test_a_gap_in_the_ids_is_no_obstacle(client, long_ago):
    key, day = long_ago[300]
    gone = [long_ago[back][0] for back in (*range(20, 300), *range(301, 398))]
    QueuedTask.objects.filter(pk__in=gone)._raw_delete("default")

    assert listed(client, f"?created_from={day}&created_to={day}") == [key]


def test_what_failed_long_ago_is_found_beside_many_later_failures(client, long_ago, monkeypatch):
    monkeypatch.setattr(reach, "MOST_FOUND", 5)
    key, day = long_ago[200]
    QueuedTask.objects.update(status="failed")
    TaskAttempt.objects.bulk_create(
        TaskAttempt(queued_task_id=long_ago[back][0], claim_seq=1, number=1, outcome="failed")
        for back in range(20)
    )

    assert listed(client, f"?status=failed&created_from={day}&created_to={day}") == [key]


def test_days_survive_storing():
    selection = selection_of({"created_from": "2026-03-29", "created_to": "2026-03-30"})

    assert selection.created_before - selection.created_since == timedelta(days=2)
    assert Selection.from_json(selection.as_json()) == selection
