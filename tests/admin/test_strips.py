"""Pictures of time: the shares of waiting and running, and how the last tasks of a kind ended."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore.admin import reach, strips
from django_taskstore.admin.strips import recent_runs, wait_and_run
from django_taskstore.models import QueuedTask
from tests.admin_pages import (
    DEFINITIONS,
    TASKS,
    client_of,
    definition,
    superuser,
    task_with_status,
    url,
    user_with,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()
SECOND = timedelta(seconds=1)


def task_of(status, *, due=None, started=None, completed=None):
    """Return an unsaved task with times that are so many seconds ago."""
    at = {"run_after": due, "started_at": started, "completed_at": completed}
    times = {name: NOW - ago * SECOND for name, ago in at.items() if ago is not None}
    return QueuedTask(status=status, **times)


@pytest.mark.parametrize(
    ("task", "width", "words"),
    [
        (task_of("success", due=40, started=30, completed=0), "25.0", "waited 10 s, ran 30 s"),
        (task_of("running", due=90, started=60), "33.3", "waited 30 s, ran 1 min 0 s"),
        (task_of("queued", due=15), "100.0", "waited 15 s"),
        (task_of("success", due=9, started=9, completed=8), "1.0", "waited 0 s, ran 1 s"),
        (task_of("success", due=8, started=9, completed=9), "100.0", "waited 0 s, ran 0 s"),
        (task_of("failed", due=90, started=0, completed=0), "99.0", "waited 1 min 30 s, ran 0 s"),
    ],
)
def test_a_bar_says_how_a_task_waited_and_ran(task, width, words):
    shown = wait_and_run(task, NOW)

    assert re.search(r'ts-wait-50" width="([\d.]+)"', shown).group(1) == width
    assert f">{words}<" in shown


def test_what_has_not_begun_has_no_bar():
    assert wait_and_run(task_of("scheduled", due=-60), NOW) == ""
    assert wait_and_run(task_of("canceled", due=60, completed=1), NOW) == ""


def test_a_strip_shows_the_last_tasks_of_a_kind_the_newest_last(monkeypatch):
    monkeypatch.setattr(strips, "MOST_RUNS", 3)
    for _ in range(2):
        task_with_status("success", started_at=NOW - 9 * SECOND, completed_at=NOW)
    failed = task_with_status("failed", started_at=NOW - SECOND, completed_at=NOW)
    task_with_status("success", alias="Noop")
    waiting = task_with_status("queued")
    task_with_status("success", soft_deleted_at=NOW)

    strip = recent_runs("default", lambda key: f"/{key}/", definition_id=definition().pk)

    assert [run.kind for run in strip.runs] == ["success", "failed", "queued"]
    assert strip.runs[1].words == f"#{failed.pk}: Failed, ran 1 s"
    assert strip.runs[2].url == f"/{waiting.pk}/"
    assert strip.summary == "1 of the last 3 failed. Half of them ran within 5 s."


def test_a_strip_looks_no_further_than_a_list(monkeypatch):
    monkeypatch.setattr(reach, "REACH", 2)
    task_with_status("success")
    for _ in range(3):
        task_with_status("success", alias="Noop")

    assert recent_runs("default", str, definition_id=definition().pk) is None


def test_pages_of_a_definition_and_of_a_task_have_the_strip():
    task = task_with_status("failed")
    client = client_of(superuser())

    for page in (url(f"{DEFINITIONS}_change", task.definition_id), url(f"{TASKS}_change", task.pk)):
        text = client.get(page).content.decode()
        assert "1 of the last 1 failed." in text, page
        assert f'href="{url(f"{TASKS}_change", task.pk)}" title="#{task.pk}: Failed"' in text, page


def test_tasks_are_not_told_to_who_may_only_see_definitions():
    task = task_with_status("failed")
    client = client_of(user_with("view_taskdefinition"))

    page = client.get(url(f"{DEFINITIONS}_change", task.definition_id)).content.decode()

    assert "ts-strip" not in page
    assert "/queuedtask/" not in page
