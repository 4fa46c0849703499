"""A store with many tasks: finished, waiting and failed ones, with their records and counts."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from django_taskstore import enqueue_many
from django_taskstore.models import QueuedTask, TaskAttempt, TaskStat
from django_taskstore.rollups import start_of
from tests.helpers import add_task
from tests.plans import learn, multiply


def many_tasks(rows):
    """Fill the table with successes, many waiting tasks, and a few of each other kind."""
    few("old")
    add_task(status="success", completed_at=timezone.now())
    multiply("success", rows)
    add_task("Failing", status="failed", queue_name="reports", claim_seq=1, attempts=1)
    multiply("failed", max(10, (rows - 100_000) // 200))
    enqueue_many("Noop", ({} for _ in range(rows // 50)), queue_name="emails")
    few("new")
    record_failures()
    add_counts()
    learn(*(model._meta.db_table for model in (QueuedTask, TaskAttempt, TaskStat)))


def few(name):
    """Insert some tasks of each status, with the records of failed ones."""
    for status in ("failed", "canceled", "paused", "scheduled", "running"):
        enqueue_many("Failing", [{"name": name}] * 10, queue_name="emails")
        made = QueuedTask.objects.order_by("-pk")
        keys = list(made.values_list("pk", flat=True)[:10])
        late = timezone.now() + timedelta(hours=1)
        QueuedTask.objects.filter(pk__in=keys).update(
            status=status, claim_seq=1, attempts=2, started_at=timezone.now(), lease_expires_at=late
        )
    enqueue_many("Noop", [{}] * 20, queue_name="emails")


def record_failures():
    """Write the record of each failed task."""
    failed = QueuedTask.objects.filter(status="failed").values_list("pk", flat=True)
    records = (
        TaskAttempt(
            queued_task_id=key,
            claim_seq=1,
            number=1,
            outcome="failed",
            exception_class="ValueError",
            finished_at=timezone.now(),
        )
        for key in failed
    )
    TaskAttempt.objects.bulk_create(records, batch_size=1_000)


def add_counts():
    """Write the counts of twenty kinds of work: three hours by minute, a week by hour."""
    now = timezone.now()
    spans = (("minute", timedelta(minutes=1), 180), ("hour", timedelta(hours=1), 168))
    counts = (
        TaskStat(
            span=span,
            starts_at=start_of(span, now) - back * step,
            queue_name="emails",
            definition_id=definition_id,
            measure=measure,
            n=7,
        )
        for span, step, bars in spans
        for back in range(bars)
        for definition_id in range(1, 21)
        for measure in ("succeeded", "failed", "wait_3", "wait_5", "run_3", "run_6")
    )
    TaskStat.objects.bulk_create(counts, batch_size=1_000)
