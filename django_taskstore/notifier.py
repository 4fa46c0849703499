"""Waking idle workers when something was enqueued or moved.

Owns the wake-up: NOTIFY and LISTEN on PostgreSQL, on SQLite the system's word that a file was
written; MySQL has neither and is polled. A wake-up is a hint: polling stays on everywhere, so
a lost one costs at most POLL_SECONDS. It may not read a queue.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any

from django.db import connections, transaction
from django.dispatch import receiver

from django_taskstore import signals
from django_taskstore.conf import settings
from django_taskstore.database.file_events import watching
from django_taskstore.database.servers import is_file, is_pooled, is_postgresql

CHANNEL = "django_taskstore"
#: In place of a queue's name: something else changed, such as a pause or a due time.
ANYTHING = ""
#: A commit that carries NOTIFY takes a lock that all commits share, so one a window.
WINDOW_SECONDS = 0.05
#: A busy worker hears its own writes, so no more often than this.
REST_SECONDS = 0.015
#: How long a listener's own NOTIFY may take to come back, and when a deaf one tries again.
ECHO_SECONDS, DEAF_SECONDS = 2.0, 60.0
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


class Watcher(threading.Thread):
    """Calls back when the database says that something is new.

    It watches on a connection of its own. When that breaks it comes back by itself; until
    then the worker polls.

    Args:
        using: the database's alias.
        wake_up: called with a queue's name or ANYTHING, on this thread; also once after each
            connect, since what came before was missed.
        unheard: called the first time that the database takes wake-ups and brings none.

    Attributes:
        is_watching: whether news would be heard now.
    """

    def __init__(
        self,
        using: str,
        wake_up: Callable[[str], None],
        unheard: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name=f"taskstore-{type(self).__name__.lower()}", daemon=True)
        self.using = using
        self.wake_up = wake_up
        self.unheard: Callable[[], None] | None = unheard
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
    """Hears PostgreSQL's NOTIFY, on a connection in autocommit that runs nothing else.

    A pooler in transaction mode accepts LISTEN and lends the session to somebody else, so the
    listener is believed only once it has heard a NOTIFY that it caused by another connection.
    """

    def _watch(self) -> None:
        wrapper: Any = connections[self.using]
        wrapper.ensure_connection()
        wrapper.set_autocommit(True)
        if not self._hears(wrapper):
            wrapper.close()
            self._poll_for_now()
            return
        with wrapper.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self.is_watching = True
        self.wake_up(ANYTHING)
        while not self._stopping.is_set():
            for notice in wrapper.connection.notifies(timeout=0.5):
                self.wake_up(notice.payload)
                if self._stopping.is_set():
                    return

    def _hears(self, wrapper: Any) -> bool:
        """Tell whether a NOTIFY would come through: behind a pooler, whether one comes back."""
        if not is_pooled(wrapper):
            return True
        echo = f"{CHANNEL}_{uuid.uuid4().hex}"
        with wrapper.cursor() as cursor:
            cursor.execute(f"LISTEN {echo}")
        notify_once(echo, self.using)
        # Closed at once: an open generator keeps the connection locked.
        with closing(wrapper.connection.notifies(timeout=ECHO_SECONDS)) as notices:
            is_heard = any(notice.channel == echo for notice in notices)
        if is_heard:
            with wrapper.cursor() as cursor:
                cursor.execute(f"UNLISTEN {echo}")
        return is_heard

    def _poll_for_now(self) -> None:
        """Leave the worker to its polling, and say so once."""
        unheard, self.unheard = self.unheard, None
        if unheard is not None:
            unheard()
        self._stopping.wait(DEAF_SECONDS)


def notify_once(channel: str, using: str) -> None:
    """Send a NOTIFY on a new connection, which no listener can be."""
    connection = connections.create_connection(using)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [channel])
    finally:
        connection.close()


class FileWatcher(Watcher):
    """Hears that the files of a SQLite database were written, by whomever.

    A runner that was woken looks once more after WINDOW_SECONDS: what was written while this
    thread rested, or had not yet been committed, is found then.
    """

    def _watch(self) -> None:
        with watching(self.using) as files:
            connections[self.using].close()
            self.is_watching = True
            self.wake_up(ANYTHING)
            while not self._stopping.is_set():
                if files.wait(0.5):
                    self.wake_up(ANYTHING)
                    time.sleep(REST_SECONDS)


def watch(
    using: str, wake_up: Callable[[str], None], unheard: Callable[[], None]
) -> Watcher | None:
    """Start what wakes a worker on this database, or return None where it has to poll.

    Args:
        using, wake_up, unheard: as for `Watcher`.
    """
    watcher: Watcher
    if is_postgresql(using) and settings.NOTIFY:
        watcher = Listener(using, wake_up, unheard)
    elif is_file(using):
        watcher = FileWatcher(using, wake_up, unheard)
    else:
        return None
    watcher.start()
    return watcher
