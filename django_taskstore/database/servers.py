"""Which database this is, whether it is new enough, and what it can do.

Owns versions and feature questions. Asking opens a connection.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

#: The oldest versions with SKIP LOCKED (or, on SQLite, RETURNING) and ordered indexes.
REQUIRED = {
    "postgresql": ("PostgreSQL", (14,)),
    "mariadb": ("MariaDB", (10, 11)),
    "mysql": ("MySQL", (8, 0, 14)),
    "sqlite": ("SQLite", (3, 35)),
}


def kind(using: str) -> str:
    """Return postgresql, mysql, mariadb, sqlite, or another vendor's name."""
    connection: Any = connections[using]
    if connection.vendor == "mysql" and connection.mysql_is_mariadb:
        return "mariadb"
    return str(connection.vendor)


def version(using: str) -> tuple[int, ...]:
    """Return the server's version as numbers."""
    return tuple(connections[using].get_database_version())


def describe(using: str) -> str:
    """Return a name for banners, such as ``PostgreSQL 16.4``."""
    name = REQUIRED.get(kind(using), (kind(using), ()))[0]
    return f"{name} {'.'.join(map(str, version(using)))}"


def too_old(using: str) -> str | None:
    """Return a sentence when the database is unknown or older than what claims need."""
    required = REQUIRED.get(kind(using))
    if required is None:
        return (
            f"Database {using!r} is {kind(using)}; django_taskstore runs on PostgreSQL, MySQL, "
            "MariaDB and SQLite."
        )
    if version(using) < required[1]:
        needed = ".".join(map(str, required[1]))
        return (
            f"Database {using!r} is {describe(using)}; {required[0]} {needed} or newer is needed."
        )
    return None


def isolation_warning(using: str) -> str | None:
    """Return a sentence when MySQL runs REPEATABLE READ, under which a claim blocks producers."""
    connection: Any = connections[using]
    if connection.vendor != "mysql":
        return None
    with connection.cursor() as cursor:
        variable = "tx_isolation" if connection.mysql_is_mariadb else "transaction_isolation"
        cursor.execute(f"SELECT @@session.{variable}")
        level = cursor.fetchone()[0]
    if level == "READ-COMMITTED":
        return None
    return (
        f"Database {using!r} runs at {level}: a claim then locks the gap where new tasks are "
        'inserted. Remove "isolation_level" from its OPTIONS (Django uses READ COMMITTED).'
    )


def driver_warning(using: str) -> str | None:
    """Return a sentence when PostgreSQL's driver cannot wait for NOTIFY with a time limit."""
    connection: Any = connections[using]
    if connection.vendor != "postgresql":
        return None
    name, found = connection.Database.__name__, connection.Database.__version__.split()[0]
    if name == "psycopg" and tuple(map(int, found.split(".")[:2])) >= (3, 2):
        return None
    return (
        f"{name} {found} cannot wake workers by NOTIFY, so they poll as on MySQL. "
        "Install psycopg 3.2 or newer: pip install 'django-taskstore[postgresql]'."
    )


def journal_warning(using: str) -> str | None:
    """Return a sentence when SQLite is not in WAL mode, where readers block writers."""
    connection = connections[using]
    if connection.vendor != "sqlite" or connection.is_in_memory_db():  # type: ignore[attr-defined]
        return None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = cursor.fetchone()[0]
    if mode == "wal":
        return None
    return (
        f"SQLite database {using!r} uses journal_mode={mode}; set "
        '"OPTIONS": {"init_command": "PRAGMA journal_mode=WAL"} so that workers and pages do not '
        "wait for each other."
    )


def skips_locked(using: str) -> bool:
    """Tell whether the database can step over rows that another transaction has locked."""
    return bool(connections[using].features.has_select_for_update_skip_locked)


def gives_back_updated(using: str) -> bool:
    """Tell whether an UPDATE can return the rows that it changed, as MySQL's cannot."""
    return connections[using].vendor in ("postgresql", "sqlite")


def is_sqlite(using: str) -> bool:
    """Tell whether the database is a file in this machine, with one writer at a time."""
    return connections[using].vendor == "sqlite"


def is_file(using: str) -> bool:
    """Tell whether the database is a file that other processes write too."""
    connection: Any = connections[using]
    return connection.vendor == "sqlite" and not connection.is_in_memory_db()


def is_postgresql(using: str) -> bool:
    """Tell whether the database can wake a worker by NOTIFY."""
    return connections[using].vendor == "postgresql"


def is_mysql(using: str) -> bool:
    """Tell whether the database is MySQL or MariaDB, without asking it."""
    return connections[using].vendor == "mysql"


def is_pooled(connection: Any) -> bool:
    """Tell whether a pooler stands between: it names a process, and another one answers."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return bool(cursor.fetchone()[0] != connection.connection.info.backend_pid)
