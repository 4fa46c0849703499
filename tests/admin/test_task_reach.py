"""How far the list of queued tasks looks, and how it leads on to older ones."""

from __future__ import annotations

import pytest

from django_taskstore import enqueue, enqueue_many
from django_taskstore.admin import reach
from django_taskstore.claims import claim_next
from django_taskstore.models import QueuedTask, TaskAttempt
from django_taskstore.outcomes import fail
from tests.admin_pages import LIST, listed, page_of, tabs, task_with_status, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def near(monkeypatch):
    """Let lists look at 20 ids, and find 5 rows of a status."""
    monkeypatch.setattr(reach, "REACH", 20)
    monkeypatch.setattr(reach, "MOST_FOUND", 5)


@pytest.mark.usefixtures("near")
def test_a_filter_looks_at_the_newest_and_leads_on(client):
    old = task_with_status("canceled")
    enqueue_many("Noop", [{}] * 30)

    page = page_of(client, "?status=canceled")
    assert list(page.result_list) == []
    assert "Looked at the tasks #" in page.note
    response = client.get(url(LIST) + page.older_url)
    assert [task.pk for task in response.context["cl"].result_list] == [old.pk]
    assert response.context["cl"].older_url == ""


@pytest.mark.usefixtures("near")
def test_what_runs_or_waits_is_listed_however_old_it_is(client):
    old = [task_with_status("running"), task_with_status("scheduled")]
    for _ in range(30):
        task_with_status("success")

    assert listed(client, "?status=running") == [old[0].pk]
    assert listed(client, "?status=scheduled") == [old[1].pk]
    assert page_of(client, "?status=running").note == ""
    counts = tabs(client)
    assert (counts["running"], counts["scheduled"], counts["success"]) == ("1", "1", "20+")


@pytest.mark.usefixtures("near")
def test_what_failed_is_found_by_its_attempts(client):
    task = enqueue("Failing", {})
    fail(claim_next("default"), ValueError("no"))
    for _ in range(30):
        task_with_status("success")

    assert listed(client, "?status=failed") == [task.pk]


@pytest.mark.usefixtures("near")
def test_many_failures_lead_on_to_all_of_them(client):
    for _ in range(30):
        enqueue("Failing", {})
        fail(claim_next("default"), ValueError("no"))

    page = page_of(client, "?status=failed")
    assert "Found by the latest" in page.note
    seen = [task.pk for task in page.result_list]
    while page.older_url:
        page = page_of(client, page.older_url)
        seen += [task.pk for task in page.result_list]
    assert set(seen) == set(QueuedTask.objects.values_list("pk", flat=True))


@pytest.mark.usefixtures("near")
def test_a_backlog_beyond_the_bound_is_counted_as_such(client):
    enqueue_many("Noop", [{}] * 40)

    assert tabs(client)["queued"] == "5+"
    page, seen = page_of(client, "?status=queued"), []
    while True:
        seen += [task.pk for task in page.result_list]
        if not page.older_url:
            break
        page = page_of(client, page.older_url)
    assert seen == sorted(QueuedTask.objects.values_list("pk", flat=True), reverse=True)


@pytest.mark.usefixtures("near")
def test_a_gap_in_the_ids_is_stepped_over(client):
    old = task_with_status("canceled")
    enqueue_many("Noop", [{}] * 60)
    QueuedTask.objects.filter(status="queued", pk__lte=old.pk + 40)._raw_delete("default")

    page = page_of(client, "?status=canceled")
    response = page_of(client, page.older_url)
    assert [task.pk for task in response.result_list] == [old.pk]


@pytest.mark.usefixtures("near")
def test_what_had_an_error_is_found_by_its_attempts(client):
    task = task_with_status("success", claim_seq=2)
    TaskAttempt.objects.create(queued_task=task, claim_seq=1, number=1, outcome="retried")
    for _ in range(30):
        task_with_status("success")

    assert listed(client, "?error=yes") == [task.pk]
