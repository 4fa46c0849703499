"""Whether the queue's database can be worked with, said before anything starts.

Owns the one question that every command asks first, and its exit code.
"""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from django_taskstore.database.servers import too_old
from django_taskstore.definitions import queue_database

NOT_READY = 3
APP = "django_taskstore"


def ready_database() -> str:
    """Return the alias of the queue's database once it answers and has all its tables.

    Raises:
        CommandError: with exit code 3, and what to do.
    """
    using = queue_database()
    try:
        # A question about the server alone opens a session, closes it, and so makes another one.
        connections[using].ensure_connection()
        problem = too_old(using) or missing_migrations(using)
    except DatabaseError as error:
        problem = silence(using, error)
    if problem:
        raise CommandError(problem, returncode=NOT_READY)
    return using


def silence(using: str, error: DatabaseError) -> str:
    """Return a sentence for a database that does not answer."""
    return (
        f"Database {using!r} does not answer: {str(error).strip()}. Check DATABASES in the "
        "settings, and that the server runs."
    )


def missing_migrations(using: str) -> str | None:
    """Return a sentence when this app's tables are older than its code."""
    executor = MigrationExecutor(connections[using])
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
    plan = executor.migration_plan(targets)
    names = [migration.name for migration, _ in plan if migration.app_label == APP]
    if not names:
        return None
    return (
        f"Database {using!r} lacks {len(names)} migration(s) of {APP} ({', '.join(names)}): run "
        "`manage.py migrate` first."
    )
