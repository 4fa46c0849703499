"""What a registered handler declares of itself, on the page of its definition.

Owns where its code is, and its settings in words. Only handlers of this process are known.
"""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_taskstore.admin.rendering import duration
from django_taskstore.conf import settings
from django_taskstore.models import TaskDefinition
from django_taskstore.registry import registry

HANDLER_FIELDS = (
    "code",
    "home_queue",
    "most_attempts",
    "waits_between",
    "time_limit",
    "when_lost",
    "is_atomic",
)


class HandlerFacts:
    """Fields of a definition's page that its handler answers; shown only where it has one."""

    @admin.display(description=gettext_lazy("code"))
    def code(self, row: TaskDefinition) -> Any:
        """Return where the handler is written."""
        return format_html("<code>{}</code>", place_of(registry.get(row.alias)))

    @admin.display(description=gettext_lazy("queue"))
    def home_queue(self, row: TaskDefinition) -> str:
        """Return the queue that its tasks go to unless somebody says another."""
        return str(registry.get(row.alias).queue_name)

    @admin.display(description=gettext_lazy("most attempts"))
    def most_attempts(self, row: TaskDefinition) -> int:
        """Return how often a task is tried."""
        declared = registry.get(row.alias).max_attempts
        return settings.DEFAULT_MAX_ATTEMPTS if declared is None else declared

    @admin.display(description=gettext_lazy("before a retry"))
    def waits_between(self, row: TaskDefinition) -> str:
        """Return how long a failed task waits."""
        return backoff_words(registry.get(row.alias).backoff)

    @admin.display(description=gettext_lazy("timeout"))
    def time_limit(self, row: TaskDefinition) -> str:
        """Return after how long a task should stop."""
        limit = registry.get(row.alias).timeout
        return _("none") if limit is None else duration(seconds_of(limit))

    @admin.display(description=gettext_lazy("when its worker dies"))
    def when_lost(self, row: TaskDefinition) -> str:
        """Return what becomes of a task whose worker died."""
        is_final = registry.get(row.alias).on_lost == "fail"
        return _("it fails") if is_final else _("it is tried again")

    @admin.display(description=gettext_lazy("in one transaction"))
    def is_atomic(self, row: TaskDefinition) -> str:
        """Return whether its effects and its outcome are committed together."""
        return _("with its outcome") if registry.get(row.alias).atomic else _("no")


def place_of(handler: Any) -> str:
    """Return the module and line of a handler's class or of a task's function."""
    declared = getattr(handler, "declared", None)
    source = inspect.unwrap(getattr(declared, "func", handler))
    try:
        return f"{source.__module__}:{inspect.getsourcelines(source)[1]}"
    except (OSError, TypeError):
        return str(source.__module__)


def backoff_words(backoff: Any) -> str:
    """Return a backoff in words."""
    if backoff is None:
        return _("15 s, then twice as long each time")
    if callable(backoff):
        name = getattr(backoff, "__name__", type(backoff).__name__)
        return _("as %(name)s says") % {"name": name}
    steps = backoff if isinstance(backoff, (list, tuple)) else [backoff]
    return ", ".join(duration(seconds_of(step)) for step in steps)


def seconds_of(length: float | timedelta) -> float:
    """Return a length of time in seconds."""
    return length.total_seconds() if isinstance(length, timedelta) else float(length)
