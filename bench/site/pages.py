"""``python -m bench.site.pages PAGE ...``: open pages of the admin; print what they took.

Each is opened twice, so that Python has its templates, and the second time with empty caches:
the figures are those of the first operator to look.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import django

PREFIX = "admin:django_taskstore_"


def addresses() -> dict[str, Callable[[], str]]:
    """Return the addresses of the pages by their names; they are worked out when called."""
    from django.urls import reverse

    from bench.stores import QUEUE
    from django_taskstore.models import QueuedTask

    tasks = reverse(PREFIX + "queuedtask_changelist")

    def failed() -> Any:
        return QueuedTask.objects.filter(status="failed").latest("pk").pk

    return {
        "dashboard": lambda: reverse(PREFIX + "dashboard_changelist"),
        "dashboard, 7 days": lambda: reverse(PREFIX + "dashboard_changelist") + "?period=7d",
        "tasks": lambda: tasks,
        "tasks, failed": lambda: f"{tasks}?status=failed",
        "tasks, success": lambda: f"{tasks}?status=success",
        "tasks of a queue": lambda: f"{tasks}?status=queued&queue={QUEUE}",
        "a search": lambda: f"{tasks}?q=nothing+like+it",
        "one task": lambda: reverse(PREFIX + "queuedtask_change", args=[failed()]),
        "queues": lambda: reverse(PREFIX + "queue_changelist"),
        "definitions": lambda: reverse(PREFIX + "taskdefinition_changelist"),
        "schedules": lambda: reverse(PREFIX + "schedule_changelist"),
        "workers": lambda: reverse(PREFIX + "worker_changelist"),
    }


def opened(client: Any, address: str) -> tuple[list[tuple[str, Any]], float]:
    """Open a page with empty caches; return its statements and its seconds."""
    from django.contrib.contenttypes.models import ContentType
    from django.core.cache import cache
    from django.db import connection

    said: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        said.append((sql, params))
        return execute(sql, params, many, context)

    cache.clear()
    ContentType.objects.clear_cache()
    began = time.perf_counter()
    with connection.execute_wrapper(note):
        answer = client.get(address)
    seconds = time.perf_counter() - began
    if answer.status_code != 200:
        raise RuntimeError(f"{address} answered {answer.status_code}, expected 200.")
    return said, seconds


def milliseconds(sql: str, params: Any) -> float:
    """Run a SELECT once more; return its time by the server's own clock where it tells."""
    from django.db import connection

    analyze = {"postgresql": "EXPLAIN (ANALYZE, FORMAT JSON) ", "mysql": "ANALYZE FORMAT=JSON "}
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(analyze.get(connection.vendor, "") + sql, params)
        rows = cursor.fetchall()
    if connection.vendor == "postgresql":
        ((plan,),) = rows[0]
        return float(plan["Planning Time"] + plan["Execution Time"])
    return 1000 * (time.perf_counter() - began)


def figures(client: Any, address: str) -> dict[str, float]:
    """Open a page and return what it took."""
    opened(client, address)
    said, seconds = opened(client, address)
    selects = [one for one in said if one[0].lstrip("(").startswith("SELECT")]
    return {
        "ms in the database": sum(milliseconds(*one) for one in selects),
        "statements": len(said),
        "ms of the page": 1000 * seconds,
    }


def main(*pages: str) -> None:
    """Open pages as a superuser and print their figures by their names."""
    django.setup()

    from django.contrib.auth import get_user_model
    from django.test import Client

    user, _ = get_user_model().objects.get_or_create(
        username="operator", is_staff=True, is_superuser=True
    )
    client = Client()
    client.force_login(user)
    known = addresses()
    print(json.dumps({page: figures(client, known[page]()) for page in pages}))


if __name__ == "__main__":
    main(*sys.argv[1:])
