"""The database's own clock, which alone decides leases and due times.

Owns `DatabaseNow` and its arithmetic. Python's clock is never compared with a row.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.db import connections
from django.db.models import DateTimeField, DurationField, FloatField, Func, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime

READ_NOW = {
    "postgresql": "SELECT STATEMENT_TIMESTAMP()",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "sqlite": "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')",
}


class DatabaseNow(Now):
    """The statement's time in UTC.

    Django's `Now` follows the session's time zone on MySQL, five hours off at +05:00, while
    Django stores UTC; ``UTC_TIMESTAMP(6)`` does not (MySQL manual, Date and Time Functions).
    On SQLite times are texts: one that ends at the millisecond sorts before the same time as
    Django writes it, with six digits, which would be due a moment late.
    """

    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        template = "STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', 'NOW')"
        return self.as_sql(compiler, connection, template=template, **extra_context)

    def as_mysql(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra_context)


class DueNow(DatabaseNow):
    """The time by which a row is due: the database's, unless a test has moved it.

    Attributes:
        shift: how far `testing.travel` has moved it.
    """

    shift: ClassVar[timedelta] = timedelta(0)

    def resolve_expression(self, *args: Any, **options: Any) -> Any:
        if not self.shift:
            return super().resolve_expression(*args, **options)
        return after(self.shift).resolve_expression(*args, **options)


class SecondsSince(Func):
    """How long ago the time in a column was, by the database's clock, as a plain number.

    A driver makes a datetime from each row's text; a number costs nothing to read.
    """

    output_field = FloatField()
    arity = 1

    def as_sqlite(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        # 86,400 seconds a day (SQLite, Date And Time Functions: julianday counts days).
        template = "((julianday('now') - julianday(%(expressions)s)) * 86400.0)"
        return self.as_sql(compiler, connection, template=template, **extra_context)

    def as_postgresql(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        template = "EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - %(expressions)s)::float8"
        return self.as_sql(compiler, connection, template=template, **extra_context)

    def as_mysql(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        template = "(TIMESTAMPDIFF(MICROSECOND, %(expressions)s, UTC_TIMESTAMP(6)) / 1e6)"
        return self.as_sql(compiler, connection, template=template, **extra_context)


def after(delay: timedelta) -> CombinedExpression:
    """Return an expression: the database's time plus a delay."""
    return CombinedExpression(
        DatabaseNow(),
        "+",
        Value(delay, output_field=DurationField()),
        output_field=DateTimeField(),
    )


def read_now(using: str) -> datetime:
    """Ask the database its time, in one round trip.

    Args:
        using: the database's alias.

    Returns:
        An aware datetime in UTC, moved as `DueNow` is.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(READ_NOW[connection.vendor])
        return moment(cursor.fetchone()[0]) + DueNow.shift


def moment(value: Any) -> datetime:
    """Return a time as the database gives or prints it, as an aware datetime in UTC."""
    read: Any = parse_datetime(value) if isinstance(value, str) else value
    in_utc: datetime = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    return in_utc
