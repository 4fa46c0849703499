"""What the dashboard warns of: each thing that is wrong, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from django_taskstore import enqueue
from django_taskstore.models import Queue, Schedule, TaskDefinition
from tests.admin_numbers import counted, tile_of, worker_row
from tests.admin_pages import HOME, task_with_status, url
from tests.helpers import add_task, expire

pytestmark = pytest.mark.django_db


def warnings_of(client):
    """Return the codes of the warnings."""
    return [warning.code for warning in client.get(url(HOME)).context["warnings"]]


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


def test_a_task_without_a_handler_and_an_expired_lease_are_warned_of(client):
    worker_row()
    add_task("shop.Unknown", queue_name="default")
    enqueue("Noop", {})
    expire(task_with_status("running"))

    assert warnings_of(client) == ["expired_leases", "no_handler"]
    page = client.get(url(HOME)).content.decode()
    assert "1 waiting task of shop.Unknown has no handler" in page


def test_a_command_in_a_warning_is_code_and_its_names_are_escaped(client):
    task_with_status("queued")
    Queue.objects.get(name="default").pause(by="<b>ann</b>", reason="a & b")

    page = client.get(url(HOME)).content.decode()

    assert "<code>manage.py taskqueue_resume default</code>" in page
    assert "&lt;b&gt;ann&lt;/b&gt;: a &amp; b" in page
