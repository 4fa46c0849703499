"""Adding to counters in one statement, whether their rows are there or not.

Owns `add`. The ORM's upsert sets a column; a counter that many workers share must be added
to where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.models import Model

#: Rows of one statement.
CHUNK = 500
ON_CONFLICT = "ON CONFLICT ({key}) DO UPDATE SET {n} = {table}.{n} + excluded.{n}"
#: MariaDB knows no other way to name the row that was to be inserted.
ON_DUPLICATE = "ON DUPLICATE KEY UPDATE {n} = {n} + VALUES({n})"


def add(
    model: type[Model],
    counters: Mapping[tuple[Any, ...], int],
    *,
    key: Sequence[str],
    number: str,
    using: str,
) -> None:
    """Add numbers to counters, making those that are missing; call it inside `writing`.

    The rows are written in the order of their keys, so that two workers do not wait for each
    other in a circle.

    Args:
        model: the table.
        counters: what to add, by the values of the key.
        key: the fields of a unique constraint.
        number: the field to add to.
        using: the database's alias.
    """
    connection = connections[using]
    for rows in chunks(sorted(counters.items())):
        fields = [model._meta.get_field(name) for name in (*key, number)]
        quoted = [connection.ops.quote_name(str(field.column)) for field in fields]  # type: ignore[union-attr]
        table = connection.ops.quote_name(model._meta.db_table)
        clause = ON_DUPLICATE if connection.vendor == "mysql" else ON_CONFLICT
        conflict = clause.format(key=", ".join(quoted[:-1]), n=quoted[-1], table=table)
        places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(rows))
        values = [
            field.get_db_prep_save(value, connection)  # type: ignore[union-attr]
            for row_key, n in rows
            for field, value in zip(fields, (*row_key, n), strict=True)
        ]
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(quoted)}) VALUES {places} {conflict}",  # noqa: S608 - names of ours
                values,
            )


def chunks(rows: list[Any]) -> Iterator[list[Any]]:
    """Yield rows in lots that one statement takes."""
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
