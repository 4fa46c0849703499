"""Keeping a thread's connections healthy between tasks.

Owns what a task may leave behind on a connection and how it is undone. It may not end a
transaction that was open before the task.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

#: After so long without a task a thread looks whether its connections still answer.
IDLE_SECONDS = 1.0
#: What outlives the transaction it is said in.
CHANGES_SESSION = re.compile(
    r"\s*(SET\s+(?!LOCAL|TRANSACTION|CONSTRAINTS)|RESET|PRAGMA|LISTEN|PREPARE|SELECT\s+set_config"
    r"|LOCK\s+TABLES|CREATE\s+(GLOBAL\s+|LOCAL\s+)?TEMP)",
    re.IGNORECASE,
).match


class Opened(threading.local):
    """The connections that this thread has opened.

    Asking ``django.db.connections`` for them costs ten times as much as a short task.
    """

    def __init__(self) -> None:
        self.connections: list[Any] = []
        self.used_at = time.monotonic()
        self.notes_settings = False


_opened = Opened()


def remember(*, connection: Any, **_: Any) -> None:
    """Note that this thread opened a connection."""
    if connection not in _opened.connections:
        _opened.connections.append(connection)
        if _opened.notes_settings:
            connection.execute_wrappers.append(note_setting)


connection_created.connect(remember, dispatch_uid="django_taskstore.database.hygiene")


def note_settings() -> None:
    """Have this thread notice from now on when a task changes a setting of its session."""
    _opened.notes_settings = True


def note_setting(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
    """Mark the connection when a statement changes what the next task would meet."""
    if not isinstance(sql, str) or CHANGES_SESSION(sql):
        context["connection"].errors_occurred = True
    return execute(sql, params, many, context)


def depths() -> dict[Any, int]:
    """Return how many transactions each open connection of this thread is inside of.

    A connection that has idled may have died meanwhile, which no task should be the one to
    find out; under load, asking would cost each task a round trip.
    """
    if time.monotonic() - _opened.used_at > IDLE_SECONDS:
        for connection in _opened.connections:
            if connection.connection is not None and not connection.in_atomic_block:
                drop_unusable(connection)
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
    _opened.used_at = time.monotonic()


def part(using: str) -> None:
    """Close this thread's connection until it is needed again, unless a transaction is open."""
    connection: Any = connections[using]
    if not connection.in_atomic_block:
        drop(connection)


def distrust() -> None:
    """Mark this thread's connections as broken, so that `tidy` closes them.

    A handler was interrupted, perhaps in the middle of a statement.
    """
    for connection in _opened.connections:
        connection.errors_occurred = True


def drop_unusable(connection: Any) -> None:
    """Close a connection that no longer answers."""
    if not connection.is_usable():
        drop(connection)


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
