"""Opening transactions, and running them again when a race was lost.

Owns `writing` and `repeat_on_conflict`. It may not decide what is written.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connections, transaction

from django_taskstore.database.errors import is_conflict

Result = TypeVar("Result")

CONFLICT_TRIES = 8
LONGEST_PAUSE_SECONDS = 0.5


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
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic(using=using):
            yield
        return
    connection.ensure_connection()
    mode, connection.transaction_mode = connection.transaction_mode, "IMMEDIATE"
    try:
        with transaction.atomic(using=using):
            yield
    finally:
        connection.transaction_mode = mode


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
