"""Enqueue: what is stored, in whose transaction, and what is refused."""

from __future__ import annotations

import pytest

from django_taskstore import enqueue
from django_taskstore.models import QueuedTask


@pytest.mark.django_db(transaction=True)
def test_enqueue_stores_a_queued_task():
    task = enqueue("HelloWorldTask", {"name": "Tom"}, queue_name="emails")
    stored = QueuedTask.objects.get(pk=task.pk)
    assert (stored.status, stored.queue_name, stored.parameters) == (
        "queued",
        "emails",
        {"name": "Tom"},
    )
