"""Panels of the project's own on the page of a task, such as a link to where its errors are kept.

Owns how the callables of ADMIN_DETAIL_PANELS are called: whatever one of them does, the page
is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction
from django.http import HttpRequest
from django.utils.html import conditional_escape, format_html
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from django_taskstore.conf import settings
from django_taskstore.models import QueuedTask

logger = logging.getLogger("django_taskstore.admin")


@dataclass(frozen=True, slots=True)
class OwnPanel:
    """A panel as the page shows it."""

    title: Any
    shown: str


def own_panels(task: QueuedTask, request: HttpRequest) -> Iterator[OwnPanel]:
    """Yield the project's panels for a task; one that returns nothing is left out.

    Args:
        task: the row that the page is about.
        request: who asks for the page.
    """
    for path in settings.ADMIN_DETAIL_PANELS:
        try:
            panel = import_string(path)
            with kept_transactions():
                found = panel(task, request)
        except Exception as error:
            logger.exception("The panel %s of task %s failed.", path, task.pk)
            yield OwnPanel(title_of(path), failure(path, error))
        else:
            if found is not None:
                yield OwnPanel(title_of(path, panel), conditional_escape(found))


def kept_transactions() -> ExitStack:
    """Return savepoints in all open transactions: a statement that fails would end the page's."""
    stack = ExitStack()
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            stack.enter_context(transaction.atomic(using=connection.alias))
    return stack


def title_of(path: str, panel: Any = None) -> Any:
    """Return what `admin.display` says of a panel, else its name in words."""
    name = path.rpartition(".")[2].replace("_", " ")
    return getattr(panel, "short_description", None) or capfirst(name)


def failure(path: str, error: Exception) -> SafeString:
    """Return what stands in the place of a panel that failed."""
    said = f"{type(error).__name__}: {error}"
    words = _("This panel failed; the server's log has the traceback.")
    return format_html('{} <span class="ts-quiet"><code>{}</code> {}</span>', words, path, said)
