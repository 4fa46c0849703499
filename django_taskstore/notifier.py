"""Waking idle workers when something was enqueued or moved.

Owns the wake-up: NOTIFY and LISTEN on PostgreSQL, the file's version number on SQLite; MySQL
has neither and is polled. A wake-up is a hint: polling stays on everywhere, so a lost one
costs at most POLL_SECONDS. It may not read a queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connections, transaction
from django.dispatch import receiver

from django_taskstore import signals
from django_taskstore.conf import settings
from django_taskstore.database.servers import file_version, is_file, is_postgresql

CHANNEL = "django_taskstore"
#: In place of a queue's name: something else changed, such as a pause or a due time.
ANYTHING = ""
#: A commit that carries NOTIFY takes a lock that all commits share, so one a window.
WINDOW_SECONDS = 0.05
#: A look at the version of a SQLite file takes some 10 µs.
VERSION_SECONDS = 0.02

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
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, queue_name])


@receiver(signals.queues_changed, dispatch_uid="django_taskstore.notifier")
def wake_all(*, using: str, **_: Any) -> None:
    """Wake all workers: people have moved tasks or queues."""
    wake(ANYTHING, using)


class Watcher(threading.Thread):
    """Calls back when the database says that something is new.

    It watches on a connection of its own. When that breaks it comes back by itself; until
    then the worker polls.

    Args:
        using: the database's alias.
        wake_up: called with a queue's name or ANYTHING, on this thread; also once after each
            connect, since what came before was missed.

    Attributes:
        is_watching: whether news would be heard now.
    """

    def __init__(self, using: str, wake_up: Callable[[str], None]) -> None:
        super().__init__(name=f"taskstore-{type(self).__name__.lower()}", daemon=True)
        self.using = using
        self.wake_up = wake_up
        self.is_watching = False
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end; it does within half a second."""
        self._stopping.set()

    def run(self) -> None:
        """Watch until stopped, reconnecting after each fault."""
        pause_seconds = 0.5
        while not self._stopping.is_set():
            try:
                self._watch()
                pause_seconds = 0.5
            except Exception:
                self._stopping.wait(pause_seconds)
                pause_seconds = min(10.0, pause_seconds * 2)
            finally:
                self.is_watching = False
                connections[self.using].close()

    def _watch(self) -> None:
        raise NotImplementedError


class Listener(Watcher):
    """Hears PostgreSQL's NOTIFY, on a connection in autocommit that runs nothing else."""

    def _watch(self) -> None:
        wrapper: Any = connections[self.using]
        wrapper.ensure_connection()
        wrapper.set_autocommit(True)
        with wrapper.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self.is_watching = True
        self.wake_up(ANYTHING)
        while not self._stopping.is_set():
            for notice in wrapper.connection.notifies(timeout=0.5):
                self.wake_up(notice.payload)
                if self._stopping.is_set():
                    return


class VersionWatcher(Watcher):
    """Looks at the number that SQLite raises when another connection has committed."""

    def _watch(self) -> None:
        version = None
        while not self._stopping.wait(VERSION_SECONDS):
            known, version = version, file_version(self.using)
            self.is_watching = True
            if version != known:
                self.wake_up(ANYTHING)


def watch(using: str, wake_up: Callable[[str], None]) -> Watcher | None:
    """Start what wakes a worker on this database, or return None where it has to poll."""
    watcher: Watcher
    if is_postgresql(using) and settings.NOTIFY:
        watcher = Listener(using, wake_up)
    elif is_file(using):
        watcher = VersionWatcher(using, wake_up)
    else:
        return None
    watcher.start()
    return watcher
