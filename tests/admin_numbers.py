"""Workers and counts for tests of the dashboard, as they would have written them."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from django_taskstore.models import TaskStat, Worker
from django_taskstore.rollups import start_of
from tests.admin_pages import DASHBOARD, url


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


def tile_of(client, label):
    """Return the tile with this label."""
    return next(
        tile
        for tile in client.get(url(f"{DASHBOARD}_changelist")).context["tiles"]
        if tile.label == label
    )
