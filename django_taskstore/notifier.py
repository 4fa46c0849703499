"""Telling idle workers that something was enqueued or moved.

Owns the NOTIFY of PostgreSQL, which `watchers` hear; elsewhere nothing has to be sent. A
wake-up is a hint: polling stays on everywhere, so a lost one costs at most POLL_SECONDS. It
may not read a queue.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db import connections, transaction
from django.dispatch import receiver

from django_taskstore import signals
from django_taskstore.conf import settings
from django_taskstore.database.servers import is_postgresql

CHANNEL = "django_taskstore"
#: In place of a queue's name: something else changed, such as a pause or a due time.
ANYTHING = ""
#: A commit that carries NOTIFY takes a lock that all commits share, so one a window.
WINDOW_SECONDS = 0.05
NOTIFY = "SELECT pg_notify(%s, %s)"
#: In a transaction of its own there is nothing to keep: a lost wake-up is a late one, so the
#: commit need not wait for the disk (PostgreSQL manual, 20.5 synchronous_commit).
NOTIFY_NOW = f"{NOTIFY}, set_config('synchronous_commit', 'off', true)"

_last_sent: dict[tuple[str, str], float] = {}
_lock = threading.Lock()


def wake(queue_name: str, using: str) -> None:
    """Wake the workers of a queue once the current transaction has committed.

    A NOTIFY inside the transaction would make every producer wait for the others' commits,
    so it is sent after it, on the same connection and at most once a window.

    Args:
        queue_name: the queue that got work, or ANYTHING.
        using: the database's alias.
    """
    if is_postgresql(using) and settings.NOTIFY:
        transaction.on_commit(lambda: send(queue_name, using), using=using, robust=True)


def send(queue_name: str, using: str) -> None:
    """Send the wake-up unless one was sent within the window."""
    now = time.monotonic()
    with _lock:
        if now - _last_sent.get((using, queue_name), float("-inf")) < WINDOW_SECONDS:
            return
        _last_sent[using, queue_name] = now
    wrapper: Any = connections[using]
    with wrapper.cursor() as cursor:
        cursor.execute(NOTIFY_NOW if wrapper.get_autocommit() else NOTIFY, [CHANNEL, queue_name])


@receiver(signals.queues_changed, dispatch_uid="django_taskstore.notifier")
def wake_all(*, using: str, **_: Any) -> None:
    """Wake all workers: people have moved tasks or queues."""
    wake(ANYTHING, using)


def notify_once(channel: str, using: str) -> None:
    """Send a NOTIFY on a new connection, which no listener can be."""
    connection = connections.create_connection(using)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [channel])
    finally:
        connection.close()
