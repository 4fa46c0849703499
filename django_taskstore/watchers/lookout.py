"""Letting a MariaDB server look whether there is something to claim.

Owns `Lookout` and its statement. A commit tells nobody there, and an idle worker that looks by
itself pays for each look; a block that sleeps and looks on the server (MariaDB manual, BEGIN
NOT ATOMIC) costs two statements a second, and answers sooner. MySQL has no such blocks.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from django.db import connections

from django_taskstore.claims import seeking
from django_taskstore.database.servers import kind
from django_taskstore.watchers.watcher import Sought, Watcher

#: How long one statement looks: what a stop may have to wait for.
ANSWER_SECONDS = 0.5
#: Between two looks the server sleeps from the first to the second of these. A look takes it
#: 0.3 ms of processor time, so that one idle worker costs it 0.7 % of a core.
SHORTEST_SECONDS, LONGEST_SECONDS = 0.01, 0.05
#: Each look is a statement that commits by itself, and so sees what has been committed by then.
BLOCK = """BEGIN NOT ATOMIC
DECLARE pause_seconds DOUBLE DEFAULT {first};
DECLARE slept_seconds DOUBLE DEFAULT 0;
DECLARE is_found INT DEFAULT 0;
WHILE NOT is_found AND slept_seconds < {answer} DO
DO SLEEP(pause_seconds);
SET slept_seconds = slept_seconds + pause_seconds;
SET pause_seconds = LEAST(2 * pause_seconds, {longest});
SET is_found = EXISTS({look});
END WHILE;
SELECT is_found;
END"""


class Lookout(Watcher):
    """Hears that a task could be claimed, while its worker seeks one.

    A pause, a stop or a due time it does not hear of.
    """

    hears_all = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._sought: Sought | None = None
        self._is_sought = threading.Event()
        self._was_in_vain = False

    def seek(self, sought: Sought | None) -> None:
        """Look for what a worker would claim, or for nothing.

        Args:
            sought: None when the worker has found something, or has no room.
        """
        self._sought = sought
        if sought is None:
            self._was_in_vain = False
            self._is_sought.clear()
        else:
            self._is_sought.set()

    def _watch(self) -> None:
        connection = connections[self.using]
        connection.ensure_connection()
        if kind(self.using) != "mariadb":
            connection.close()
            self._stopping.wait()
            return
        self.is_watching = True
        while not self._stopping.is_set():
            if self._is_sought.wait(ANSWER_SECONDS):
                self._look()

    def _look(self) -> None:
        """Look until something is found or nothing is sought."""
        # What was found last is locked by somebody, if its worker could not claim it.
        first = LONGEST_SECONDS if self._was_in_vain else SHORTEST_SECONDS
        while (sought := self._sought) is not None and not self._stopping.is_set():
            if answer(sought, self.using, first_seconds=first):
                self._was_in_vain = True
                self._is_sought.clear()
                self.wake_up(sought.queues[0])
                return
            first = LONGEST_SECONDS


def answer(sought: Sought, using: str, *, first_seconds: float) -> bool:
    """Wait on the server until something could be claimed; tell whether it could.

    Args:
        sought: what would be claimed.
        using: the database's alias.
        first_seconds: how long to sleep before the first look.
    """
    sql, params = block(sought, using, first_seconds)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return bool(cursor.fetchone()[0])


@lru_cache(maxsize=100)
def block(sought: Sought, using: str, first_seconds: float) -> tuple[str, tuple[Any, ...]]:
    """Return the text of the statement that looks, and its parameters."""
    look = seeking(sought.queues, sought.without, using)
    sql = BLOCK.format(
        first=first_seconds, answer=ANSWER_SECONDS, longest=LONGEST_SECONDS, look=look.sql
    )
    return sql, look.params
