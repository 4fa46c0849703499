"""Statements that are compiled once and run many times, and the UPDATE of many different rows.

Owns `Prepared`, a queryset whose statement is kept instead of run, and `Statement`. What is
read or written, and under which guard, is said by the queryset; nothing here names a column
of its own. Compiling costs the ORM about as much as a hundred short tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.sql import UpdateQuery

from django_taskstore.database.expressions import EACH, EACH_TEXT, PREFIX

#: Stands in a compiled SELECT for the number of rows, which Django writes into the text.
NO_LIMIT = 2_147_483_647
LIMIT = f"LIMIT {NO_LIMIT}"
Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement; EACH in it stands for ids that are given when it runs.

    Attributes:
        using: the database's alias.
        sql: its text.
        params: its parameters, adapted to the database.
    """

    using: str
    sql: str
    params: tuple[Any, ...]

    def fetch(self, *, limit: int) -> list[tuple[Any, ...]]:
        """Run a SELECT and return its first rows as the driver gives them."""
        with connections[self.using].cursor() as cursor:
            cursor.execute(self.sql.replace(LIMIT, f"LIMIT {limit:d}"), self.params)
            return list(cursor.fetchall())

    def change(self, ids: Sequence[int]) -> int:
        """Run an UPDATE of these rows and return how many it changed."""
        listed = ",".join(map(str, ids))
        if EACH in self.params:
            # An array as PostgreSQL writes it: psycopg would quote number by number.
            sql = self.sql
            params = tuple(f"{{{listed}}}" if one is EACH else one for one in self.params)
        else:
            sql, params = self.sql.replace(EACH_TEXT, listed), self.params
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql, params)
            return int(cursor.rowcount)

    def change_each(self, values: Values) -> int:
        """Run an UPDATE that gives every row its own values; return how many it changed.

        Args:
            values: the `Incoming` columns, lists of equal length, of numbers or of texts and
                None; JSON is passed as text.
        """
        connection: Any = connections[self.using]
        source, incoming = SOURCES[connection.vendor](values)
        head, _, guard = self.sql.partition(" WHERE ")
        target, _, assignments = head.partition(" SET ")
        count = assignments.count("%s")
        before, after = self.params[:count], self.params[count:]
        if connection.vendor == "mysql":
            # A joined UPDATE names its tables before it assigns (MySQL manual, 15.2.17).
            sql = f"{target} JOIN {source} SET {assignments} WHERE {guard}"
            params = (*incoming, *before, *after)
        else:
            # SQLite would walk all running rows for each incoming one; the primary key, which
            # is no index there, stays (SQLite, The INDEXED BY Clause).
            hint = " NOT INDEXED" if connection.vendor == "sqlite" else ""
            sql = f"{target}{hint} SET {assignments} FROM {source} WHERE {guard}"
            params = (*before, *incoming, *after)
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return int(cursor.rowcount)


class Prepared(QuerySet[Any]):
    """A queryset that compiles: its verbs return a `Statement` instead of running it."""

    def select(self, *columns: Any) -> Statement:
        """Compile the SELECT of these columns, which arrive as the driver gives them."""
        return self._statement(self.values_list(*columns)[:NO_LIMIT].query)

    def update(self, **changes: Any) -> Any:
        """Compile the UPDATE."""
        query: Any = self.query.chain(UpdateQuery)
        query.add_update_values(changes)
        query.clear_ordering(force=True)
        return self._statement(query)

    def _statement(self, query: Any) -> Statement:
        sql, params = query.get_compiler(self.db).as_sql()
        return Statement(self.db, sql, tuple(params))


def arrays(values: Values) -> tuple[str, tuple[Any, ...]]:
    """Return the rows as one array a column (PostgreSQL manual, 9.19 Array Functions)."""
    casts = ", ".join(
        f"%s::{'bigint' if is_number(each) else 'text'}[]" for each in values.values()
    )
    names = ", ".join(PREFIX + name for name in values)
    return f"unnest({casts}) AS incoming({names})", tuple(map(list, values.values()))


def json_table(values: Values) -> tuple[str, tuple[Any, ...]]:
    """Return the rows as a table read from one JSON text, which MySQL and MariaDB both have."""
    columns = ", ".join(
        f"{PREFIX}{name} {'bigint' if is_number(each) else 'longtext'} PATH '$[{place}]'"
        for place, (name, each) in enumerate(values.items())
    )
    return f"JSON_TABLE(%s, '$[*]' COLUMNS ({columns})) AS incoming", (as_json(values),)


def json_each(values: Values) -> tuple[str, tuple[Any, ...]]:
    """Return the rows as a table read from one JSON text (SQLite, JSON Functions §4.22)."""
    columns = ", ".join(
        f"json_extract(value, '$[{place}]') AS {PREFIX}{name}" for place, name in enumerate(values)
    )
    source = f"(SELECT {columns} FROM json_each(%s)) AS incoming"  # noqa: S608 - our own names
    return source, (as_json(values),)


SOURCES: Mapping[str, Callable[[Values], tuple[str, tuple[Any, ...]]]] = {
    "postgresql": arrays,
    "mysql": json_table,
    "sqlite": json_each,
}


def is_number(column: Sequence[Any]) -> bool:
    """Tell whether a column of incoming rows holds numbers rather than texts."""
    return isinstance(column[0], int)


def as_json(values: Values) -> str:
    """Return the incoming rows as a JSON array of arrays."""
    return json.dumps(list(zip(*values.values(), strict=True)))
