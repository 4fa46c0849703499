"""Show what became of the example's tasks, as the admin would."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from django_taskstore.models import QueuedTask
from newsletter.models import Email

COLUMNS = ("id", "task", "queue", "status", "attempts", "what came of it")
LINE = "{:>4}  {:<22} {:<8} {:<10} {:<9} {}"


class Command(BaseCommand):
    """Prints one line a task and the way to the admin."""

    help = "Show what became of the example's tasks."

    def handle(self, *_: Any, **__: Any) -> None:
        self.stdout.write(LINE.format(*COLUMNS))
        for task in QueuedTask.objects.select_related("definition").order_by("id"):
            self.stdout.write(self.line(task))
        sent = Email.objects.exclude(sent_at=None).count()
        self.stdout.write(f"\n{sent} e-mails sent; they lie in {settings.MAIL_DIR.name}/.")

    def line(self, task: QueuedTask) -> str:
        """Return one task as a line."""
        tried = f"{task.attempts} of {task.max_attempts}"
        last_line = task.details.rpartition("\n")[2].partition(" ")[2].partition(" ")[2]
        found = task.output or last_line or ""
        alias = task.definition.alias
        return LINE.format(task.pk, alias, task.queue_name, task.status, tried, found)
