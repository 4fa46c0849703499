"""How long a worker's own connections wait: to connect, for an answer, for a lock.

Owns `Limits` and the thread that looks at them. It changes one thread's connection and nobody
else's: handlers work with the project's own settings.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.signals import connection_created

from django_taskstore.database.servers import is_pooled, kind

#: A statement of a worker's own that takes longer is given up and tried again.
LONGEST_ANSWER_SECONDS = 10.0
#: Who waits longer for a row that somebody has locked holds up what has nothing to do with it.
LONGEST_LOCK_SECONDS = 1.0
LOOK_SECONDS = 0.2


def postgresql_options(seconds: int) -> dict[str, Any]:
    """Return the options of libpq by which a dead peer is noticed (libpq, 34.1.2)."""
    return {
        "connect_timeout": max(2, seconds),
        "keepalives_idle": seconds,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": seconds * 1000,
    }


def mysql_options(seconds: int) -> dict[str, Any]:
    """Return the options of the MySQL client by which a silent peer is given up."""
    return {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}


def lock_seconds(seconds: float) -> float:
    """Return how long to wait for a lock when an answer may take so long."""
    return min(LONGEST_LOCK_SECONDS, seconds / 2)


def postgresql_session(seconds: float) -> dict[str, float]:
    """Return what the server keeps by itself; a worker frozen in a transaction lets go of rows."""
    return {
        "statement_timeout": round(seconds * 900),
        "lock_timeout": round(lock_seconds(seconds) * 1000),
        "idle_in_transaction_session_timeout": round(seconds * 1000),
    }


def mariadb_session(seconds: float) -> dict[str, float]:
    """Return the variables of MariaDB."""
    return {"max_statement_time": seconds * 0.9, **mysql_locks(seconds)}


def mysql_session(seconds: float) -> dict[str, float]:
    """Return the variables of MySQL, whose limit of a statement holds for SELECT alone."""
    return {"max_execution_time": round(seconds * 900), **mysql_locks(seconds)}


def mysql_locks(seconds: float) -> dict[str, float]:
    """Return how long to wait for rows and for tables, in whole seconds."""
    wait = max(1, round(lock_seconds(seconds)))
    return {"innodb_lock_wait_timeout": wait, "lock_wait_timeout": wait}


OPTIONS: dict[str, Callable[[int], dict[str, Any]]] = {
    "postgresql": postgresql_options,
    "mysql": mysql_options,
}
#: A statement ends before the client gives it up, and a lock is waited for half as long at most.
SESSION: dict[str, Callable[[float], dict[str, float]]] = {
    "postgresql": postgresql_session,
    "mariadb": mariadb_session,
    "mysql": mysql_session,
}


class Limits:
    """The patience of one thread with its database, watched from another thread.

    The system notices a peer that is gone; it does not notice one that keeps the connection
    open and says nothing, as a hung server or a proxy does. So a statement's start is noted,
    and the connection is broken by another thread when its answer is overdue.

    Args:
        using: the database's alias.
        answer_seconds: how long a statement may take.
    """

    def __init__(self, using: str, *, answer_seconds: float = LONGEST_ANSWER_SECONDS) -> None:
        self.using = using
        self.answer_seconds = answer_seconds
        self._asked_at: float | None = None
        self._connection: Any = None

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Limit the current thread's connection until the block ends; it connects anew."""
        connection: Any = connections[self.using]
        connection.close()
        before, self._connection = connection.settings_dict, connection
        connection.settings_dict = self._limited(before, connection.vendor)
        connection_created.connect(self._limit_session)
        try:
            with connection.execute_wrapper(self._note), clock.watching(self):
                # Now: on MySQL Django opens, and closes, another one to ask what server it is.
                with contextlib.suppress(DatabaseError):  # The first statement tries again.
                    connection.ensure_connection()
                yield
        finally:
            connection_created.disconnect(self._limit_session)
            self._connection = None
            connection.close()
            connection.settings_dict = before

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Note that the block waits for the database."""
        self._asked_at = time.monotonic()
        try:
            yield
        finally:
            self._asked_at = None

    def give_up(self) -> None:
        """Break the connection if its answer is overdue: who waits for it then gets an error."""
        asked_at, connection = self._asked_at, self._connection
        if asked_at is None or connection is None:
            return
        if time.monotonic() - asked_at > self.answer_seconds:
            hang_up(connection)

    def _limited(self, settings_dict: dict[str, Any], vendor: str) -> dict[str, Any]:
        """Return a connection's settings with the options of the driver added to its own."""
        options = dict(settings_dict["OPTIONS"])
        if vendor in OPTIONS:
            options = {**OPTIONS[vendor](max(1, round(self.answer_seconds))), **options}
        # A pool's connections are shared with handlers, and so would their limits be.
        options.pop("pool", None)
        return {**settings_dict, "OPTIONS": options}

    def _limit_session(self, *, connection: Any, **facts: Any) -> None:
        """Limit the session of a connection that was just made."""
        if connection is not self._connection or connection.vendor not in OPTIONS:
            return
        if is_pooled(connection):
            return  # What a session is told would stay with it when it is lent to others.
        with connection.cursor() as cursor:
            for name, value in SESSION[kind(self.using)](self.answer_seconds).items():
                cursor.execute(f"SET SESSION {name} = {value}")

    def _note(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        if self._asked_at is not None:
            self._asked_at = time.monotonic()
        return execute(sql, params, many, context)


class Clock:
    """The thread that looks at all limits of this process while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: list[Limits] = []

    @contextlib.contextmanager
    def watching(self, limits: Limits) -> Iterator[None]:
        """Have some limits looked at until the block ends."""
        with self._lock:
            self._watched.append(limits)
            if len(self._watched) == 1:
                threading.Thread(target=self._run, name="taskstore-limits", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._watched.remove(limits)

    def _run(self) -> None:
        while watched := self._watched[:]:
            for limits in watched:
                limits.give_up()
            time.sleep(LOOK_SECONDS)


clock = Clock()


def hang_up(connection: Any) -> None:
    """Shut a connection's socket down under the thread that waits on it, where there is one.

    MySQL's client gives up by itself, by its read_timeout; SQLite has no socket.
    """
    if connection.vendor != "postgresql" or connection.connection is None:
        return
    try:
        # A copy: the driver keeps, and closes, its own descriptor.
        descriptor = os.dup(connection.connection.fileno())
    except Exception:
        return  # The connection was closed just now.
    with socket.socket(fileno=descriptor) as copy, contextlib.suppress(OSError):
        copy.shutdown(socket.SHUT_RDWR)
