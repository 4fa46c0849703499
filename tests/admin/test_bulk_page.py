"""The page of a bulk operation: how far it is, refreshing until it has ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_taskstore.admin.live import ENDED
from django_taskstore.models import BulkOperation, QueuedTask
from tests.admin_pages import BULK, client_of, superuser, task_with_status, url, user_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def operation():
    """Make an operation that is half done."""
    ago = timezone.now() - timedelta(seconds=100)
    task = task_with_status("running", alias="taskstore.bulk", started_at=ago)
    return BulkOperation.objects.create(
        verb="requeue", last_id=2_000, done_to_id=1_000, changed=9_000, refused=1, queued_task=task
    )


def live(client, operation, **headers):
    """Return the part that refreshes."""
    return client.get(url(f"{BULK}_live", operation.pk), headers=headers)


def test_it_says_how_far_it_is_and_how_fast(operation):
    client = client_of(superuser())

    page = client.get(url(f"{BULK}_change", operation.pk))
    text = live(client, operation).content.decode()

    assert f'data-ts-url="{url(f"{BULK}_live", operation.pk)}"' in page.content.decode()
    assert "50 %" in text
    assert "9,000" in text
    assert dict(page.context["numbers"])["a second"] == "90"


def test_a_purged_task_leaves_the_page_of_its_operation(operation):
    client = client_of(superuser())
    QueuedTask.objects.filter(pk=operation.queued_task_id)._raw_delete("default")

    page = client.get(url(f"{BULK}_change", operation.pk))
    assert page.status_code == 200
    assert "a second" not in dict(page.context["numbers"])


def test_nothing_new_is_not_sent_again_and_the_end_is_said(operation):
    client = client_of(superuser())
    BulkOperation.objects.update(queued_task=None)
    first = live(client, operation)
    assert ENDED not in first

    again = live(client, operation, **{"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    BulkOperation.objects.update(finished_at=timezone.now(), done_to_id=2_000)
    last = live(client, operation, **{"If-None-Match": first["ETag"]})
    assert (last.status_code, last[ENDED]) == (200, "yes")
    page = client.get(url(f"{BULK}_change", operation.pk)).content.decode()
    assert "data-ts-url" not in page


def test_only_who_may_see_it_gets_the_part(operation):
    viewer, other = user_with("view_bulkoperation"), user_with("view_queuedtask", name="bob")

    assert live(client_of(viewer), operation).status_code == 200
    assert live(client_of(other), operation).status_code == 403
    assert client_of(viewer).post(url(f"{BULK}_live", operation.pk)).status_code == 405
    assert client_of(viewer).get(url(f"{BULK}_live", 2**63)).status_code == 404
