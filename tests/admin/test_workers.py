"""The pages of workers: what code they run, what they did, and forgetting one that is lost."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_taskstore.models import Worker
from tests.admin_pages import (
    WORKERS,
    client_of,
    said,
    task_with_status,
    url,
    use,
    user_with,
)
from tests.helpers import add_worker

pytestmark = pytest.mark.django_db

LIST = f"{WORKERS}_changelist"
LOST = timedelta(hours=1)
BEHIND = "not the newest"


def line_of(client, worker):
    """Return the worker's line in the list, as HTML."""
    page = client.get(url(LIST)).content.decode()
    (line,) = [one for one in page.split("<tr") if f"/{worker.pk}/change/" in one]
    return line


def test_a_worker_on_other_code_than_the_newest_is_marked(client):
    old = add_worker("default", pid=1, version="1.0", revision="aaa", age=timedelta(seconds=9))
    older_code = add_worker("default", pid=2, version="0.9", revision="bbb", age=timedelta(0))
    Worker.objects.filter(pk=old.pk).update(started_at=timezone.now() - LOST)
    same = add_worker("default", pid=3, version="0.9", revision="bbb", age=timedelta(seconds=5))

    assert BEHIND in line_of(client, old)
    assert BEHIND not in line_of(client, older_code)
    assert BEHIND not in line_of(client, same)


def test_a_lost_worker_neither_is_behind_nor_makes_others_so(client):
    lost = add_worker("default", pid=1, version="2.0", age=LOST)
    Worker.objects.filter(pk=lost.pk).update(started_at=timezone.now() + LOST)
    live = add_worker("default", pid=2, version="1.0")

    assert BEHIND not in line_of(client, live)
    assert BEHIND not in line_of(client, lost)


def test_the_list_says_what_a_worker_did_and_takes(client):
    worker = add_worker(
        "default",
        version="1.2.3",
        revision="0123456789abcdef",
        succeeded=12_345,
        failed=3,
        memory_bytes=64 * 2**20,
    )

    line = line_of(client, worker)

    for text in ("1.2.3", ">0123456789ab<", "12,345", "3 failed", "64.0\xa0MB"):
        assert text in line
    assert 'title="0123456789abcdef"' in line


def test_a_worker_of_an_older_release_has_dashes(client):
    worker = add_worker("default")

    page = client.get(url(f"{WORKERS}_change", worker.pk)).content.decode()

    assert page.count('<div class="readonly">-</div>') >= 8


def test_a_workers_page_says_how_it_is_set_up(client):
    facts = {
        "lease_seconds": 90.0,
        "poll_seconds": 5.0,
        "python": "3.13.1",
        "django": "5.2.19",
        "database": "PostgreSQL 16.4",
    }
    did = {"succeeded": 12_345, "failed": 0}
    worker = add_worker("default", revision="0123456789abcdef", facts=facts, **did)

    page = client.get(url(f"{WORKERS}_change", worker.pk)).content.decode()

    for text in (
        "12,345",
        "0",
        "0123456789abcdef",
        "1 min 30 s",
        "5 s",
        "3.13.1",
        "5.2.19",
        "PostgreSQL 16.4",
    ):
        assert f'<div class="readonly">{text}</div>' in page


def test_a_workers_page_leads_to_what_it_runs_and_ran(client):
    worker = add_worker("default")
    now = timezone.now()
    running = task_with_status("running", claimed_by=worker.pk, started_at=now)
    ran = task_with_status("failed", claimed_by=worker.pk)
    other = task_with_status("running", claimed_by=uuid.uuid4(), started_at=now)
    address = url(f"{WORKERS}_change", worker.pk)

    response = client.get(address)

    assert [row.task.id for row in response.context["longest"]] == [running.pk]
    assert {run.id for run in response.context["strip"].runs} == {running.pk, ran.pk}
    assert f"#{other.pk}" not in response.content.decode()
    stranger = client_of(user_with("view_worker")).get(address)
    assert "longest" not in stranger.context
    assert f"#{running.pk}" not in stranger.content.decode()


def test_a_worker_that_ran_nothing_says_so(client):
    page = client.get(url(f"{WORKERS}_change", add_worker("default").pk)).content.decode()

    assert "Nothing is running." in page
    assert "ts-strip" not in page


def test_a_lost_worker_is_forgotten_and_it_is_recorded(client):
    worker = add_worker("default", age=LOST)

    response = use(client, "forget", worker, model=WORKERS)

    assert said(response) == "1 forgotten"
    assert response.redirect_chain[-1][0] == url(LIST)
    assert not Worker.objects.exists()
    entry = LogEntry.objects.get(object_id=str(worker.pk))
    assert entry.change_message == "Forgotten."


def test_a_worker_that_lives_is_not_forgotten(client):
    worker = add_worker("default")

    response = use(client, "forget", worker, model=WORKERS)

    assert said(response) == "1 skipped: not lost"
    assert Worker.objects.filter(pk=worker.pk).exists()
    assert not LogEntry.objects.exists()


def test_a_worker_heard_of_after_the_page_was_read_keeps_its_row():
    worker = add_worker("default", age=LOST)
    Worker.objects.filter(pk=worker.pk).update(heartbeat_at=timezone.now())

    assert not worker.forget(silent_since=timezone.now() - timedelta(seconds=45))
    assert Worker.objects.filter(pk=worker.pk).exists()


def test_forgetting_needs_its_own_permission():
    worker = add_worker("default", age=LOST)
    asker = client_of(user_with("view_worker", "change_worker"))

    assert use(asker, "forget", worker, model=WORKERS).status_code == 403
    assert Worker.objects.filter(pk=worker.pk).exists()
    allowed = client_of(user_with("view_worker", "forget_worker", name="bob"))
    assert use(allowed, "forget", worker, model=WORKERS).status_code == 200
    assert not Worker.objects.exists()
