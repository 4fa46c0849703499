"""Statements that are compiled once and run many times, and the UPDATE of many different rows.

Owns `Prepared`, a queryset whose statement is kept instead of run, and `Statement`. What is
read or written, and under which guard, is said by the queryset; nothing here names a column
of its own. Compiling costs the ORM about as much as a hundred short tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.db.models.sql import UpdateQuery

from django_taskstore.database.expressions import EACH_TEXT, PREFIX, Given

#: Stands in a compiled SELECT for the number of rows, which Django writes into the text.
NO_LIMIT = 2_147_483_647
LIMIT = f"LIMIT {NO_LIMIT}"
Values = Mapping[str, Sequence[Any]]
#: A piece of SQL and its parameters.
Fragment = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement; EACH_TEXT in it stands for ids that are given when it runs.

    Attributes:
        using: the database's alias.
        sql: its text.
        params: its parameters, adapted to the database.
        names: what a SELECT's columns are called, for `read_one`.
        converted: those that the driver does not give as the ORM does, by their places.
    """

    using: str
    sql: str
    params: tuple[Any, ...]
    names: tuple[str, ...] = ()
    converted: tuple[tuple[int, Any], ...] = ()

    def fetch(self, *, limit: int = NO_LIMIT, **given: Any) -> list[tuple[Any, ...]]:
        """Run a SELECT and return its first rows as the driver gives them.

        Args:
            limit: the most rows.
            **given: values for each `Given`, as the driver has given them before.
        """
        params = self.params
        if given:
            params = tuple(
                given[one.name] if isinstance(one, Given) else one for one in self.params
            )
        with connections[self.using].cursor() as cursor:
            cursor.execute(self.sql.replace(LIMIT, f"LIMIT {limit:d}"), params)
            return list(cursor.fetchall())

    def along(self, index: str) -> Statement:
        """Return the SELECT made to walk an index of its table, in MySQL's words.

        Args:
            index: its name.
        """
        return replace(self, sql=self.sql.replace(" WHERE ", f" FORCE INDEX (`{index}`) WHERE ", 1))

    def fetch_each(self, ids: Iterable[int]) -> list[tuple[Any, ...]]:
        """Run a SELECT and return these rows as the driver gives them."""
        return self._naming(ids).fetch()

    def read_one(self, pk: int) -> dict[str, Any] | None:
        """Run a SELECT and return the row by the names of its columns, as the ORM would."""
        connection: Any = connections[self.using]
        for row in self.fetch_each([pk]):
            values = list(row)
            for place, column in self.converted:
                # Those of a backend belong to a thread's connection, so they are not kept.
                for step in converters(column, connection):
                    values[place] = step(values[place], column, connection)
            return dict(zip(self.names, values, strict=True))
        return None

    def change(self, ids: Iterable[int], **given: Any) -> int:
        """Run an UPDATE of these rows and return how many it changed.

        Args:
            ids: their primary keys.
            **given: values for each `Given`, by the names of the columns.
        """
        connection: Any = connections[self.using]
        params = self.params
        if given:
            params = tuple(
                one.adapted(given, connection) if isinstance(one, Given) else one for one in params
            )
        with connection.cursor() as cursor:
            cursor.execute(self._naming(ids).sql, params)
            return int(cursor.rowcount)

    def _naming(self, ids: Iterable[int]) -> Statement:
        """Return the statement with ids in it: numbers in the text cost no parameter each."""
        listed = ",".join(map(str, ids))
        if connections[self.using].vendor == "postgresql":
            listed = f"'{{{listed}}}'::bigint[]"
        return replace(self, sql=self.sql.replace(EACH_TEXT, listed))

    def of(self, chosen: Statement, *, shown: Fragment) -> Statement:
        """Return an UPDATE of the rows that a SELECT chooses, to be fetched like one.

        PostgreSQL gets the ids as an array: what is locked is then exactly what was chosen,
        since the SELECT runs once and before the UPDATE.

        Args:
            chosen: a SELECT of ids.
            shown: the columns to fetch, as they are after the UPDATE.
        """
        before, _, after = self.sql.partition(EACH_TEXT)
        columns, column_params = shown
        place = before.count("%s")
        is_postgresql = connections[self.using].vendor == "postgresql"
        ids = f"ARRAY({chosen.sql})" if is_postgresql else chosen.sql
        params = (*self.params[:place], *chosen.params, *self.params[place:], *column_params)
        return Statement(self.using, f"{before}{ids}{after} RETURNING {columns}", params)

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
            # A joined UPDATE names its tables before it assigns (MySQL manual, 15.2.17). Left
            # to itself MariaDB walks, and so locks, all running rows while they are few.
            table = target.removeprefix("UPDATE ")
            joined = f"{source} STRAIGHT_JOIN {table} FORCE INDEX (PRIMARY)"
            sql = f"UPDATE {joined} SET {assignments} WHERE {guard}"  # noqa: S608 - our own names
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

    def typed(self, *columns: str) -> Statement:
        """Compile the SELECT of these columns for `Statement.read_one`."""
        compiler = self.values_list(*columns).query.get_compiler(self.db)
        sql, params = compiler.as_sql()
        shown = enumerate(column for column, _, _ in compiler.select)
        connection: Any = connections[self.db]
        converted = tuple(each for each in shown if any(converters(each[1], connection)))
        return Statement(self.db, sql, tuple(params), columns, converted)

    def columns(self, *columns: Any) -> Fragment:
        """Compile these columns alone, for what an UPDATE gives back."""
        compiler = self.values_list(*columns).query.get_compiler(self.db)
        compiler.setup_query()
        parts = [part for _, part, _ in compiler.select]
        return ", ".join(sql for sql, _ in parts), tuple(one for _, own in parts for one in own)

    def update(self, **changes: Any) -> Any:
        """Compile the UPDATE."""
        query: Any = self.query.chain(UpdateQuery)
        query.add_update_values(changes)
        query.clear_ordering(force=True)
        return self._statement(query)

    def _statement(self, query: Any) -> Statement:
        sql, params = query.get_compiler(self.db).as_sql()
        return Statement(self.db, sql, tuple(params))


def converters(column: Any, connection: Any) -> Iterator[Callable[..., Any]]:
    """Return what makes the ORM's value of a driver's, one step after the other."""
    yield from connection.ops.get_db_converters(column)
    yield from column.get_db_converters(connection)


def json_arrays(values: Values) -> tuple[str, tuple[Any, ...]]:
    """Return the rows as a table of texts, read from one JSON array a column.

    PostgreSQL manual, 7.2.1.4 Table Functions. psycopg quotes an array text by text, which for
    an output and a log costs 8 µs a row in place of 2; `Incoming` gives each column its type.
    """
    each = ", ".join(["json_array_elements_text(%s)"] * len(values))
    names = ", ".join(PREFIX + name for name in values)
    texts = tuple(json.dumps(list(column)) for column in values.values())
    return f"ROWS FROM ({each}) AS incoming({names})", texts


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
    "postgresql": json_arrays,
    "mysql": json_table,
    "sqlite": json_each,
}


def is_number(column: Sequence[Any]) -> bool:
    """Tell whether a column of incoming rows holds numbers rather than texts."""
    return isinstance(column[0], int)


def as_json(values: Values) -> str:
    """Return the incoming rows as a JSON array of arrays."""
    return json.dumps(list(zip(*values.values(), strict=True)))
