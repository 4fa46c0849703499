"""Hearing that SQLite's files were written.

Owns `FileWatcher`. What was written it does not know.
"""

from __future__ import annotations

import time

from django.db import connections

from django_taskstore.database.file_events import watching
from django_taskstore.notifier import ANYTHING
from django_taskstore.watchers.watcher import Watcher

#: A busy worker hears its own writes, so no more often than this.
REST_SECONDS = 0.015


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
