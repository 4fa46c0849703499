"""What a database error means: a race to run again, or a connection that is gone.

Owns the drivers' error codes; messages are never searched.
"""

from __future__ import annotations

import sqlite3

from django.db import DatabaseError, InterfaceError, OperationalError

#: serialization_failure, deadlock_detected, lock_not_available (PostgreSQL manual, Appendix A).
POSTGRESQL_CONFLICTS = {"40001", "40P01", "55P03"}
#: read_only_sql_transaction: after a failover, from a server that is not yet the primary.
POSTGRESQL_OUTAGES = {"25006"}
#: ER_CHECKREAD, ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK (MySQL manual, Error Reference).
MYSQL_CONFLICTS = {1020, 1205, 1213}
#: The low byte of an extended result code is the primary one (SQLite, Result Codes §3).
SQLITE_CONFLICTS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_conflict(error: BaseException) -> bool:
    """Tell whether running the transaction again may succeed: a deadlock or a busy lock."""
    cause = error.__cause__ if isinstance(error, DatabaseError) else error
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate in POSTGRESQL_CONFLICTS
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in SQLITE_CONFLICTS
    arguments: tuple[object, ...] = getattr(cause, "args", ())
    return bool(arguments) and arguments[0] in MYSQL_CONFLICTS


def is_outage(error: BaseException) -> bool:
    """Tell whether the database is away, read-only or its connection broken: to be waited out."""
    if getattr(error.__cause__, "sqlstate", None) in POSTGRESQL_OUTAGES:
        return True
    return isinstance(error, (OperationalError, InterfaceError)) and not is_conflict(error)
