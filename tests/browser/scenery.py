"""A store that looks like a working one: for pictures, and for pages that must be readable."""

from __future__ import annotations

import math
from datetime import timedelta

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from django_taskstore import TaskHandler, enqueue
from django_taskstore.claims import claim_next
from django_taskstore.models import (
    BulkOperation,
    Queue,
    QueuedTask,
    TaskAttempt,
    TaskDefinition,
    TaskStat,
    Worker,
)
from django_taskstore.outcomes import fail
from django_taskstore.rollups import start_of

QUEUES = ("default", "emails", "reports")
FACTS = {
    "lease_seconds": 60.0,
    "poll_seconds": 5.0,
    "python": "3.13.1",
    "django": "5.2.19",
    "database": "PostgreSQL 16.4",
}


class LetterForm(forms.Form):
    """What a letter needs."""

    address = forms.EmailField(label="Address")
    language = forms.ChoiceField(choices=[("en", "English"), ("de", "German")], label="Language")
    copies = forms.IntegerField(min_value=1, initial=1, label="Copies")
    api_token = forms.CharField(required=False, label="Token of the mail service")


class WelcomeLetter(TaskHandler):
    """Sends a letter."""

    alias = "shop.WelcomeLetter"
    title = "Welcome letter"
    description = "Sends the letter that greets a new customer."
    queue_name = "emails"
    max_attempts = 3
    form_class = LetterForm

    def handle(self):
        return True


class NightlyReport(TaskHandler):
    """Writes a report."""

    alias = "shop.NightlyReport"
    title = "Nightly report"
    description = "Sums up the day for the shop's owner."
    queue_name = "reports"

    def handle(self):
        return True


class ResizeImage(TaskHandler):
    """Makes images small."""

    alias = "shop.ResizeImage"
    title = "Resize image"
    description = "Makes the sizes that the pages show."

    def handle(self):
        return True


HANDLERS = (WelcomeLetter, NightlyReport, ResizeImage)


def build(user):
    """Fill the store; return the tasks that have pages of their own."""
    now = timezone.now()
    ours = [*(handler.alias for handler in HANDLERS), "taskstore.bulk"]
    TaskDefinition.all_objects.exclude(alias__in=ours)._raw_delete("default")
    for name in QUEUES:
        Queue.objects.get_or_create(name=name)
    grow_old()
    failed = failed_letters()
    worker = workers(now)
    long = running_report(now, worker)
    for number in range(40):
        task = enqueue(ResizeImage, {"image": f"products/{1000 + number}.jpg", "width": 640})
        if number < 30:
            started = now - timedelta(seconds=400 - number * 9)
            QueuedTask.objects.filter(pk=task.pk).update(
                status="success",
                attempts=1,
                claim_seq=1,
                run_after=started - timedelta(seconds=0.2),
                created_at=started - timedelta(seconds=0.2),
                started_at=started,
                completed_at=started + timedelta(seconds=0.4 + number / 50),
            )
    enqueue(NightlyReport, {"day": "2026-11-24"}, run_after=timedelta(hours=5))
    Queue.objects.get(name="emails").pause(by="ann", reason="The mail server is being moved")
    counts(now)
    history(user)
    mover = enqueue("taskstore.bulk", {}, queue_name="reports")
    QueuedTask.objects.filter(pk=mover.pk).update(
        status="running",
        attempts=1,
        claimed_by=worker.pk,
        started_at=now - timedelta(seconds=23),
    )
    operation = BulkOperation.objects.create(
        queued_task=mover,
        verb="requeue",
        selection={"status": "failed", "queue_name": "emails"},
        asked_by=user.get_username(),
        asked_by_id=str(user.pk),
        last_id=40_000,
        done_to_id=27_500,
        changed=27_431,
        skipped=12,
    )
    lonely = BulkOperation.objects.create(
        verb="move",
        selection={"status": "queued", "queue_name": "emails"},
        options={"queue_name": "letters", "priority": 5},
        asked_by=user.get_username(),
        asked_by_id=str(user.pk),
        last_id=40_000,
    )
    return {
        "failed": failed,
        "running": long,
        "operation": operation,
        "lonely": lonely,
        "worker": worker,
    }


def grow_old():
    """Let the next task have an id of nine digits, as it has after some years."""
    first = enqueue(ResizeImage, {})
    QueuedTask.objects.filter(pk=first.pk)._raw_delete("default")
    first.pk = 481_200_000
    QueuedTask.objects.bulk_create([first])
    QueuedTask.objects.filter(pk=first.pk)._raw_delete("default")


def failed_letters():
    """Make letters that failed, one of them after three attempts."""
    errors = [TimeoutError("The mail server did not answer within 30 s")] * 5
    errors.append(ValueError("no@such@address is not an address"))
    task = None
    for number, error in enumerate(errors):
        parameters = {"address": f"customer{number}@example.com", "language": "en", "copies": 1}
        task = enqueue(WelcomeLetter, {**parameters, "api_token": "s3cret"}, queue_name="emails")
        for _attempt in range(3):
            QueuedTask.objects.filter(pk=task.pk).update(status="queued")
            try:
                raise error
            except (TimeoutError, ValueError) as raised:
                fail(claim_next("emails"), raised)
    for _number in range(3):
        enqueue(WelcomeLetter, {"address": "new@example.com", "language": "de", "copies": 1})
    details = (
        "[2026-11-24 03:12:01] INFO: Connecting to mail.example.com:587\n"
        "[2026-11-24 03:12:31] ERROR: No answer within 30 s"
    )
    QueuedTask.objects.filter(pk=task.pk).update(details=details)
    end = timezone.now()
    for late, key in enumerate(QueuedTask.objects.filter(status="failed").values_list("pk")):
        at = end - timedelta(minutes=12 - late)
        QueuedTask.objects.filter(pk=key[0]).update(
            created_at=at - timedelta(minutes=4),
            run_after=at - timedelta(seconds=9),
            started_at=at,
            completed_at=at + timedelta(seconds=30),
        )
        attempts = TaskAttempt.objects.filter(queued_task=key[0]).order_by("-number")
        for back, attempt in enumerate(attempts):
            start = at - timedelta(minutes=back)
            finish = start + timedelta(seconds=30)
            TaskAttempt.objects.filter(pk=attempt.pk).update(started_at=start, finished_at=finish)
    return task


def workers(now):
    """Make rows of workers: one that works, one that is quiet, one that is lost."""
    rows = [
        Worker.objects.create(
            host=host,
            pid=pid,
            queues=queues,
            concurrency=8,
            running=running,
            started_at=now - timedelta(hours=7 if is_quiet else 2),
            heartbeat_at=now - timedelta(seconds=silent),
            quiet_requested_at=now if is_quiet else None,
            version="1.0",
            revision=revision,
            succeeded=running * 41_207,
            failed=running * 12,
            memory_bytes=(71 + running) * 2**20,
            facts=FACTS,
        )
        for host, pid, queues, running, silent, is_quiet, revision in (
            ("web01", 4242, ["default", "reports"], 3, 4, False, "8c41f0aa97d2"),
            ("web02", 1777, ["default"], 0, 9, True, "52e6b3d10f4c"),
            ("web03", 2020, ["emails"], 0, 4_000, False, "52e6b3d10f4c"),
        )
    ]
    return rows[0]


def running_report(now, worker):
    """Make a task that runs and says how far it is."""
    task = enqueue(NightlyReport, {"day": "2026-11-23", "shops": ["Sofia", "Łódź"]})
    QueuedTask.objects.filter(pk=task.pk).update(
        status="running",
        attempts=1,
        claim_seq=1,
        claimed_by=worker.pk,
        created_at=now - timedelta(minutes=13),
        run_after=now - timedelta(minutes=13),
        started_at=now - timedelta(minutes=12),
        lease_expires_at=now + timedelta(seconds=48),
        progress={"done": 740, "total": 1200, "message": "orders"},
        details="[2026-11-24 03:00:02] INFO: 1200 orders\n[2026-11-24 03:06:10] INFO: half of them",
    )
    return QueuedTask.objects.get(pk=task.pk)


def counts(now):
    """Insert the counts of a day: a wave of work, and failures in the last minutes."""
    ids = dict(TaskDefinition.objects.values_list("alias", "pk"))
    rows = []
    places = [("default", ids["shop.ResizeImage"], 40), ("emails", ids["shop.WelcomeLetter"], 14)]
    for span, step, bars in (
        ("minute", timedelta(minutes=1), 60),
        ("hour", timedelta(hours=1), 168),
        ("day", timedelta(days=1), 30),
    ):
        factor = {"minute": 1, "hour": 55, "day": 1200}[span]
        for queue_name, definition_id, size in places:
            for back in range(bars):
                wave = 1 + 0.6 * math.sin(back / 5) + 0.2 * math.sin(back * 1.7)
                done = max(1, round(size * wave * factor))
                bad = round(done * (0.3 if span == "minute" and back < 6 else 0.01))
                at = start_of(span, now) - step * back
                slow = 2 if queue_name == "emails" and back < 12 else 0
                numbers = {
                    "succeeded": done,
                    "failed": bad if queue_name == "emails" else 0,
                    f"wait_{3 + slow}": done * 8 // 10,
                    f"wait_{5 + slow}": done * 2 // 10,
                    "run_3": done * 7 // 10,
                    "run_4": done * 2 // 10,
                    "run_6": done // 10,
                }
                rows += [
                    TaskStat(
                        span=span,
                        starts_at=at,
                        queue_name=queue_name,
                        definition_id=definition_id,
                        measure=measure,
                        n=n,
                    )
                    for measure, n in numbers.items()
                    if n
                ]
    TaskStat.objects.bulk_create(rows, batch_size=500)


def history(user):
    """Write a few lines into the history."""
    queue = Queue.objects.get(name="emails")
    for text in ("Paused: The mail server is being moved", "Resumed."):
        LogEntry.objects.create(
            user=user,
            content_type=ContentType.objects.get_for_model(queue),
            object_id=str(queue.pk),
            object_repr=str(queue),
            action_flag=CHANGE,
            change_message=text,
        )
