"""Keeping a thread's connections healthy between tasks.

Owns what a task may leave behind on a connection and how it is undone. It may not end a
transaction that was open before the task.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db.backends.signals import connection_created


class Opened(threading.local):
    """The connections that this thread has opened.

    Asking ``django.db.connections`` for them costs ten times as much as a short task.
    """

    def __init__(self) -> None:
        self.connections: list[Any] = []


_opened = Opened()


def remember(*, connection: Any, **_: Any) -> None:
    """Note that this thread opened a connection."""
    if connection not in _opened.connections:
        _opened.connections.append(connection)


connection_created.connect(remember, dispatch_uid="django_taskstore.database.hygiene")


def depths() -> dict[Any, int]:
    """Return how many transactions each open connection of this thread is inside of."""
    return {connection: len(connection.atomic_blocks) for connection in _opened.connections}


def tidy(found: dict[Any, int]) -> None:
    """Bring this thread's connections back to what they were before a task.

    What the task left open is rolled back, only to the depth that was found, since a test's
    own transaction may be around it. A broken connection is closed. A healthy one is kept
    even where CONN_MAX_AGE is 0: closing it would make every task connect again.

    Args:
        found: what `depths` returned before the task.
    """
    for connection in _opened.connections:
        if connection.connection is None:
            continue
        depth = found.get(connection, 0)
        leaked = len(connection.atomic_blocks) > depth
        while len(connection.atomic_blocks) > depth:
            connection.atomic_blocks[-1].__exit__(RuntimeError, RuntimeError("leaked"), None)
        if depth == 0 and (leaked or connection.errors_occurred or is_altered(connection)):
            drop(connection)


def distrust() -> None:
    """Mark this thread's connections as broken, so that `tidy` closes them.

    A handler was interrupted, perhaps in the middle of a statement.
    """
    for connection in _opened.connections:
        connection.errors_occurred = True


def drop(connection: Any) -> None:
    """Close a connection, also one whose driver refuses to close what is closed (MySQLdb)."""
    try:
        connection.close()
    except Exception:
        connection.connection = None


def is_altered(connection: Any) -> bool:
    """Tell whether autocommit was changed, or the connection outlived a CONN_MAX_AGE above 0."""
    if connection.get_autocommit() != connection.settings_dict["AUTOCOMMIT"]:
        return True
    aged = connection.close_at is not None and connection.settings_dict["CONN_MAX_AGE"]
    return bool(aged) and time.monotonic() >= connection.close_at
