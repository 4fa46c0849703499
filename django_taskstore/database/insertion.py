"""One INSERT for many rows that differ in one JSON column only.

Owns `insert_alike`. What the rows say is the caller's model instance; nothing here names a
column of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.models import Model

Bound = tuple[str, tuple[Any, ...]]


def insert_alike(row: Model, *, column: str, texts: Sequence[str], using: str) -> list[int]:
    """Insert one row for each text; call it in a transaction.

    Args:
        row: an unsaved instance, which says what the rows share.
        column: the name of the JSON field in which they differ.
        texts: its values, as JSON text.
        using: the database's alias.

    Returns:
        The new primary keys in the order of the texts, where the database tells them.
    """
    connection: Any = connections[using]
    quote = connection.ops.quote_name
    values, chunk = SOURCES[connection.vendor]
    fields = [field for field in row._meta.concrete_fields if not field.primary_key]
    names = ", ".join(quote(field.column) for field in fields)
    shared = {
        field.name: field.get_db_prep_save(field.pre_save(row, add=True), connection)
        for field in fields
    }
    into = f"INSERT INTO {quote(row._meta.db_table)} ({names})"
    tells_keys = connection.features.can_return_rows_from_bulk_insert
    returning = f" RETURNING {quote(row._meta.pk.column)}" if tells_keys else ""
    keys: list[int] = []
    with connection.cursor() as cursor:
        for start in range(0, len(texts), chunk):
            sql, params = values(shared, column, texts[start : start + chunk])
            cursor.execute(f"{into} {sql}{returning}", params)
            if tells_keys:
                keys += [key for (key,) in cursor.fetchall()]
    return keys


def select_from(source: str, shared: Mapping[str, Any], column: str, given: Any) -> Bound:
    """Return a SELECT of the shared values beside the texts that a table function yields."""
    holes = ", ".join("given.value" if name == column else "%s" for name in shared)
    alike = (value for name, value in shared.items() if name != column)
    return f"SELECT {holes} FROM {source}", (*alike, given)  # noqa: S608 - holes and a function


def unnest(shared: Mapping[str, Any], column: str, texts: Sequence[str]) -> Bound:
    """Return the rows of an array (PostgreSQL manual, 9.19 Array Functions)."""
    source = "unnest(%s::jsonb[]) AS given(value)"
    return select_from(source, shared, column, list(texts))


def json_each(shared: Mapping[str, Any], column: str, texts: Sequence[str]) -> Bound:
    """Return the rows of a JSON array of texts (SQLite, JSON Functions §4.22)."""
    return select_from("json_each(%s) AS given", shared, column, json.dumps(list(texts)))


def several_values(shared: Mapping[str, Any], column: str, texts: Sequence[str]) -> Bound:
    """Return the rows one by one: INSERT … SELECT would hold the lock of AUTO_INCREMENT."""
    one = f"({', '.join('%s' for _ in shared)})"
    params = (text if name == column else value for text in texts for name, value in shared.items())
    return f"VALUES {', '.join(one for _ in texts)}", tuple(params)


#: How each database takes many rows, and how many of them a statement: MySQL refuses a packet
#: larger than max_allowed_packet, 16 MB on MariaDB.
SOURCES: Mapping[str, tuple[Callable[[Mapping[str, Any], str, Sequence[str]], Bound], int]] = {
    "postgresql": (unnest, 5_000),
    "sqlite": (json_each, 5_000),
    "mysql": (several_values, 200),
}
