"""Handlers, from none to little work. Each says that it was called: only done work counts."""

from __future__ import annotations

import time

from django.apps import apps

from bench.site.models import Note
from bench.stamps import stamp
from django_taskstore import TaskHandler, register

tally = getattr(apps.get_app_config("bench_site"), "tally", None)


def called() -> None:
    """Count a call of a handler where somebody counts."""
    if tally is not None:
        tally.called()


@register
class Noop(TaskHandler):
    """Does nothing."""

    def handle(self) -> None:
        called()


@register
class Lines(TaskHandler):
    """Logs two lines and sets an output."""

    def handle(self) -> bool:
        called()
        self.log_info("Begun.")
        self.log_success("Done.")
        self.output = {"sent": 1}
        return True


@register
class Read(TaskHandler):
    """Reads one row by the ORM."""

    def handle(self) -> None:
        called()
        Note.objects.get(pk=1)


@register
class Sleep(TaskHandler):
    """Waits as a call of another service would."""

    def handle(self) -> None:
        called()
        time.sleep(0.01)


@register
class Stamp(TaskHandler):
    """Writes down when it began."""

    def handle(self) -> None:
        stamp(self.get_param("path"))
