"""INSERTs: of one row, compiled once; of many that differ in one JSON column, as one statement.

Owns `insert_one` and `insert_alike`. What the rows say is the caller's model instance; nothing
here names a column of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import connections, transaction
from django.db.models import Model
from django.db.models.signals import post_save, pre_save

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
    values, chunk = SOURCES[connection.vendor]
    into, returning = words_of_insert(type(row), using)
    keys: list[int] = []
    with connection.cursor() as cursor:
        shared = values_of(row, connection)
        for start in range(0, len(texts), chunk):
            sql, params = values(shared, column, texts[start : start + chunk])
            cursor.execute(f"{into} {sql}{returning}", params)
            if returning:
                keys += [key for (key,) in cursor.fetchall()]
    return keys


def insert_one(row: Model, *, using: str) -> None:
    """Insert a row as its ``save`` does, for half of what the ORM's compiling costs.

    Args:
        row: an unsaved instance; it is given its primary key.
        using: the database's alias.
    """
    connection: Any = connections[using]
    told = {"sender": type(row), "instance": row, "raw": False, "using": using}
    pre_save.send(**told, update_fields=None)
    into, returning = words_of_insert(type(row), using)
    # As for any save: what fails inside the caller's transaction spoils it.
    with transaction.mark_for_rollback_on_error(using), connection.cursor() as cursor:
        values = tuple(values_of(row, connection).values())
        cursor.execute(f"{into} VALUES ({holes(len(values))}){returning}", values)
        if returning:
            (row.pk,) = cursor.fetchone()
        else:
            meta = row._meta
            row.pk = connection.ops.last_insert_id(cursor, meta.db_table, meta.pk.column)
    row._state.adding, row._state.db = False, using
    post_save.send(**told, update_fields=None, created=True)


@lru_cache(maxsize=100)
def words_of_insert(model: type[Model], using: str) -> tuple[str, str]:
    """Return what an INSERT of a whole row begins with and ends with, but for the values."""
    connection: Any = connections[using]
    quote = connection.ops.quote_name
    names = ", ".join(quote(field.column) for field in fields_of(model))
    tells_keys = connection.features.can_return_rows_from_bulk_insert
    returning = f" RETURNING {quote(model._meta.pk.column)}" if tells_keys else ""
    return f"INSERT INTO {quote(model._meta.db_table)} ({names})", returning


def values_of(row: Model, connection: Any) -> dict[str, Any]:
    """Return what a row holds, by the names of its fields, as the driver takes it."""
    return {
        field.name: field.get_db_prep_save(field.pre_save(row, add=True), connection)
        for field in fields_of(type(row))
    }


@lru_cache(maxsize=100)
def fields_of(model: type[Model]) -> Sequence[Any]:
    """Return the fields that an INSERT writes."""
    return [field for field in model._meta.concrete_fields if not field.primary_key]


def holes(count: int) -> str:
    """Return the places of so many parameters."""
    return ", ".join(["%s"] * count)


def select_from(source: str, shared: Mapping[str, Any], column: str, given: Any) -> Bound:
    """Return a SELECT of the shared values beside the texts that a table function yields."""
    places = ", ".join("given.value" if name == column else "%s" for name in shared)
    alike = (value for name, value in shared.items() if name != column)
    return f"SELECT {places} FROM {source}", (*alike, given)  # noqa: S608 - holes and a function


def unnest(shared: Mapping[str, Any], column: str, texts: Sequence[str]) -> Bound:
    """Return the rows of an array (PostgreSQL manual, 9.19 Array Functions).

    The server splits one text, for psycopg would quote text by text. JSON on one line holds no
    line break: in a string it is written as an escape (RFC 8259 §7).
    """
    source = r"unnest(string_to_array(%s, E'\n')::jsonb[]) AS given(value)"
    return select_from(source, shared, column, "\n".join(texts))


def json_each(shared: Mapping[str, Any], column: str, texts: Sequence[str]) -> Bound:
    """Return the rows of a JSON array of texts (SQLite, JSON Functions §4.22)."""
    return select_from("json_each(%s) AS given", shared, column, json.dumps(list(texts)))


def several_values(shared: Mapping[str, Any], column: str, texts: Sequence[str]) -> Bound:
    """Return the rows one by one: INSERT … SELECT would hold the lock of AUTO_INCREMENT."""
    one = f"({holes(len(shared))})"
    params = (text if name == column else value for text in texts for name, value in shared.items())
    return f"VALUES {', '.join(one for _ in texts)}", tuple(params)


#: How each database takes many rows, and how many of them a statement: MySQL refuses a packet
#: larger than max_allowed_packet, 16 MB on MariaDB.
SOURCES: Mapping[str, tuple[Callable[[Mapping[str, Any], str, Sequence[str]], Bound], int]] = {
    "postgresql": (unnest, 5_000),
    "sqlite": (json_each, 5_000),
    "mysql": (several_values, 200),
}
