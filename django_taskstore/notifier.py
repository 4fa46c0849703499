"""Waking idle workers when something was enqueued.

Owns the wake-up by NOTIFY and LISTEN, which PostgreSQL has; the others poll. A wake-up is
a hint: polling stays on everywhere, so a lost one costs at most POLL_SECONDS. It may not
read a queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connections, transaction

from django_taskstore.conf import settings
from django_taskstore.database.servers import is_postgresql

CHANNEL = "django_taskstore"
#: A commit that carries NOTIFY takes a lock that all commits share, so one a window.
WINDOW_SECONDS = 0.05

_last_sent: dict[tuple[str, str], float] = {}
_lock = threading.Lock()


def wake(queue_name: str, using: str) -> None:
    """Wake the workers of a queue once the current transaction has committed.

    A NOTIFY inside the transaction would make every producer wait for the others' commits,
    so it is sent after it, on the same connection and at most once a window.

    Args:
        queue_name: the queue that got work.
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
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, queue_name])


class Listener(threading.Thread):
    """Calls back when a PostgreSQL server says that a queue got work.

    It listens on a connection of its own in autocommit and runs nothing else there. When
    the connection breaks it comes back by itself; until then the worker polls.

    Args:
        using: the database's alias.
        wake_up: called with a queue's name, on this thread; also once after each connect,
            since what came before was missed.
    """

    def __init__(self, using: str, wake_up: Callable[[str], None]) -> None:
        super().__init__(name="taskstore-listener", daemon=True)
        self.using = using
        self.wake_up = wake_up
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end; it does within half a second."""
        self._stopping.set()

    def run(self) -> None:
        """Listen until stopped, reconnecting after each fault."""
        pause_seconds = 0.5
        while not self._stopping.is_set():
            try:
                self._listen()
                pause_seconds = 0.5
            except Exception:
                self._stopping.wait(pause_seconds)
                pause_seconds = min(10.0, pause_seconds * 2)
            finally:
                connections[self.using].close()

    def _listen(self) -> None:
        wrapper: Any = connections[self.using]
        wrapper.ensure_connection()
        wrapper.set_autocommit(True)
        with wrapper.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self.wake_up("")
        while not self._stopping.is_set():
            for notice in wrapper.connection.notifies(timeout=0.5):
                self.wake_up(notice.payload)
                if self._stopping.is_set():
                    return
