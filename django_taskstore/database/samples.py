"""Aggregates over the first rows of many querysets, in one statement.

Owns `Sample` and `fetch`. The ORM aggregates a queryset with a slice only at once and one at a
time, and compiling a union of hundreds costs it more than the database needs to answer. What
is read is said by the querysets; nothing here names a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models import DateTimeField, QuerySet, Value

from django_taskstore.database.statements import converters

#: How many SELECTs go into one statement: SQLite takes no more than 500 (SQLite, Limits:
#: SQLITE_MAX_COMPOUND_SELECT).
AT_ONCE = 400
NO_TIME = Value(None, output_field=DateTimeField())


@dataclass(frozen=True, slots=True)
class Sample:
    """One SELECT over the rows of a queryset.

    Attributes:
        rows: the queryset, mostly with a slice; `values_list` says its columns.
        select: what is selected from them, by the columns' names.
        params: the parameters in ``select``.
        grouped_by: the column by which it aggregates, if any.
    """

    rows: QuerySet[Any, Any]
    select: str
    params: tuple[Any, ...] = ()
    grouped_by: str = ""

    def compiled(self) -> tuple[str, tuple[Any, ...]]:
        """Return its text and parameters."""
        sql, params = self.rows.query.get_compiler(self.rows.db).as_sql()
        groups = f" GROUP BY {self.grouped_by}" if self.grouped_by else ""
        text = f"SELECT {self.select} FROM ({sql}) sample{groups}"  # noqa: S608 - our own names
        return text, (*self.params, *params)


def fetch(samples: Sequence[Sample], using: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of all samples as the driver gives them, in few statements.

    Args:
        samples: those of one statement have equal columns; the first one says their types.
        using: the database's alias.
    """
    for first in range(0, len(samples), AT_ONCE):
        parts = [sample.compiled() for sample in samples[first : first + AT_ONCE]]
        params = [param for _, own in parts for param in own]
        with connections[using].cursor() as cursor:
            cursor.execute(" UNION ALL ".join(text for text, _ in parts), params)
            yield from cursor.fetchall()


def moment(given: Any, using: str) -> datetime | None:
    """Return the time that a driver gave, as the ORM would.

    Args:
        given: what stands in a fetched row.
        using: the database's alias.
    """
    connection: Any = connections[using]
    for step in converters(NO_TIME, connection):
        given = step(given, NO_TIME, connection)
    return given  # type: ignore[no-any-return]


def adapted(given: datetime, using: str) -> Any:
    """Return a time as the driver takes it for a parameter."""
    connection: Any = connections[using]
    return connection.ops.adapt_datetimefield_value(given)
