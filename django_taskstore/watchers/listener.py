"""Hearing PostgreSQL's NOTIFY.

Owns `Listener`, the other end of `notifier`.
"""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import Any

from django.db import connections

from django_taskstore.database.servers import is_pooled
from django_taskstore.notifier import ANYTHING, CHANNEL, notify_once
from django_taskstore.watchers.watcher import Watcher

#: How long a listener's own NOTIFY may take to come back, and when a deaf one tries again.
ECHO_SECONDS, DEAF_SECONDS = 2.0, 60.0


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
