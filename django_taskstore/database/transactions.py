"""Opening transactions, and running them again when a race was lost.

Owns `writing`, `will_write` and `repeat_on_conflict`. It may not decide what is written.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from django.db import OperationalError, connections, transaction

from django_taskstore.database.errors import is_conflict

Result = TypeVar("Result")

CONFLICT_TRIES = 8
LONGEST_PAUSE_SECONDS = 0.5
#: Between two looks whether SQLite's one writer is done.
LONGEST_LOOK_SECONDS = 0.001
#: Takes SQLite's write lock and changes nothing. Every AUTOINCREMENT keeps its number in this
#: table, which statements may change as any other (SQLite, Autoincrement).
TOUCH_NOTHING = "DELETE FROM sqlite_sequence WHERE 0"


@contextmanager
def writing(using: str) -> Iterator[None]:
    """Open a transaction that is going to write.

    SQLite takes its write lock at the first statement: a transaction that read first and
    writes later fails at once with SQLITE_BUSY_SNAPSHOT, whatever its timeout (SQLite,
    Isolation). Inside a caller's transaction this is a savepoint.

    Args:
        using: the database's alias.
    """
    connection: Any = connections[using]
    will_write(using)
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic(using=using):
            yield
        return
    connection.ensure_connection()
    # Django's own hook for how SQLite begins a transaction.
    connection._start_transaction_under_autocommit = partial(begin_in_turn, connection)
    try:
        with transaction.atomic(using=using):
            yield
    finally:
        del connection._start_transaction_under_autocommit


def will_write(using: str) -> None:
    """Take SQLite's write lock for the caller's transaction, which reads now and writes later.

    Without ``transaction_mode`` a transaction of the project begins with the lock of a reader.
    Whoever commits between its first read and its first write makes that write fail at once
    (SQLITE_BUSY_SNAPSHOT); a first statement that writes waits its turn instead. Outside a
    transaction, and on other databases, there is nothing to do.

    Args:
        using: the database's alias.

    Raises:
        OperationalError: somebody else wrote all the time that the connection waits, or has
            written since the caller's transaction read something itself.
    """
    connection: Any = connections[using]
    if connection.vendor != "sqlite" or not connection.in_atomic_block:
        return
    try:
        with connection.wrap_database_errors:
            connection.connection.execute(TOUCH_NOTHING)
    except OperationalError as error:
        # A database without tables: the statement that misses one says which.
        if is_conflict(error):
            raise


def begin_in_turn(connection: Any) -> None:
    """Begin a transaction on SQLite, asking for the write lock about each millisecond.

    SQLite itself sleeps up to 0.1 s between two looks (sqlite3_busy_timeout): of four workers
    that wrote all the time one got nothing for seconds.

    Args:
        connection: waits as long as its ``timeout`` says.

    Raises:
        OperationalError: somebody else wrote all that time.
    """
    session = connection.connection
    (patience_ms,) = session.execute("PRAGMA busy_timeout").fetchone()
    until = time.monotonic() + patience_ms / 1000
    session.execute("PRAGMA busy_timeout = 0")
    try:
        while not begins(connection, is_last=time.monotonic() >= until):
            time.sleep(random.uniform(0, LONGEST_LOOK_SECONDS))
    finally:
        session.execute(f"PRAGMA busy_timeout = {patience_ms}")


def begins(connection: Any, *, is_last: bool) -> bool:
    """Ask for SQLite's write lock; return whether it is ours.

    Raises:
        OperationalError: this was the last time, or something else is wrong.
    """
    try:
        # Closed at once: what it holds would outlive its connection.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
    except OperationalError as error:
        if is_last or not is_conflict(error):
            raise
        return False
    return True


def repeat_on_conflict(using: str, transact: Callable[[], Result]) -> Result:
    """Run a transaction, and again when it met a deadlock or a busy lock.

    Inside a caller's transaction it runs once: the database has already undone the caller's
    work, and only the caller can do that again.

    Args:
        using: the database's alias.
        transact: opens its own transaction; everything it does must be undone with it.
    """
    if connections[using].in_atomic_block:
        return transact()
    for tried in range(1, CONFLICT_TRIES):
        try:
            return transact()
        except Exception as error:
            if not is_conflict(error):
                raise
            time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.01 * 2**tried)))
    return transact()
