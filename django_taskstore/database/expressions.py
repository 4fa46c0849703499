"""Small SQL expressions that the ORM lacks.

Owns `Literal`, a constant written into the statement's text; `RowCount`, the number of rows
of a subquery, and `Highest`, the highest number in one; `OneOf`, a test against many whole
numbers that costs one parameter or none; `Incoming`, a column of the rows that a prepared
statement brings along; and `Given`, a value that it is given when it runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import CharField, Expression, F, IntegerField, Lookup, Subquery

Sql = tuple[str, tuple[Any, ...]]


class Each:
    """Stands in a prepared statement for the ids that are given when it runs."""


EACH = Each()
EACH_TEXT = "/* each */"
#: Tells an incoming column from the table's own, which MySQL finds ambiguous in a SET.
PREFIX = "new_"


class Literal(Expression):
    """A word of ours inlined in the SQL, never a user's text.

    A partial index serves a query only when the planner can see that the query implies the
    index's condition, and it cannot look into a parameter (PostgreSQL manual, 11.8; SQLite,
    Partial Indexes §3). Statuses are therefore written out.
    """

    def __init__(self, word: str) -> None:
        if not (word.isascii() and word.isalpha()):
            raise ValueError(f"Literal takes a plain ASCII word, not {word!r}.")
        super().__init__(output_field=CharField())
        self.word = str(word)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[()]]:
        return f"'{self.word}'", ()


class RowCount(Subquery):
    """How many rows a queryset has; with a slice, counting stops at its end."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


class Highest(Subquery):
    """The highest of a queryset's one column of whole numbers.

    MAX of an indexed column is a constant to MySQL's planner, so that a range can end there;
    the first row by falling order is not, and the whole table is read.
    """

    template = "(SELECT MAX(each_row.%(column)s) FROM (%(subquery)s) each_row)"
    output_field = IntegerField()

    def __init__(self, queryset: Any) -> None:
        (column,) = queryset.query.values_select
        super().__init__(queryset, column=column)


class OneOf(Lookup):
    """A condition: a column holds one of many whole numbers.

    Django's ``__in`` prepares, compiles and binds each number by itself, which for the 500
    ids of a round costs more than the statement. PostgreSQL takes them as one array, the
    others as numbers in the text. It is a lookup because Django compares any other condition
    with 1 on MySQL, and that hides the primary key from the planner: it then locks the whole
    backlog by another index.

    Args:
        column: a field's name.
        numbers: at least one; EACH for those given when a prepared statement runs.
    """

    prepare_rhs = False

    def __init__(self, column: Any, numbers: Collection[int] | Each) -> None:
        known = numbers if isinstance(numbers, Each) else [int(one) for one in numbers]
        if not known:
            raise ValueError("OneOf needs at least one number; an empty set matches no row.")
        super().__init__(F(column) if isinstance(column, str) else column, known)

    def as_sql(self, compiler: Any, connection: Any) -> Sql:
        column, params = self.process_lhs(compiler, connection)
        listed = ",".join(map(str, self.rhs)) if isinstance(self.rhs, list) else EACH_TEXT
        return f"{column} IN ({listed})", tuple(params)

    def as_postgresql(self, compiler: Any, connection: Any) -> Sql:
        column, params = self.process_lhs(compiler, connection)
        if isinstance(self.rhs, Each):
            return f"{column} = ANY({EACH_TEXT})", tuple(params)
        return f"{column} = ANY(%s::bigint[])", (*params, self.rhs)


class OfColumn(Expression):
    """Something that takes the place of a column's value, and so its type.

    Args:
        column: a field's name.
    """

    def __init__(self, column: str) -> None:
        super().__init__()
        self.column: Any = F(column)

    def get_source_expressions(self) -> list[Any]:
        return [self.column]

    def set_source_expressions(self, exprs: Any) -> None:
        (self.column,) = exprs

    def _resolve_output_field(self) -> Any:
        return self.column.output_field


class Incoming(OfColumn):
    """A column of the rows that a statement brings along, each for its own row of the table."""

    def as_sql(self, compiler: Any, connection: Any) -> Sql:
        return f"incoming.{PREFIX}{self.column.target.column}", ()

    def as_postgresql(self, compiler: Any, connection: Any) -> Sql:
        sql, params = self.as_sql(compiler, connection)
        return f"{sql}::{self.output_field.cast_db_type(connection)}", params


class Given(OfColumn):
    """A value that a prepared statement is given when it runs, under its column's name."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", (self,)

    def adapted(self, values: Mapping[str, Any], connection: Any) -> Any:
        """Return the column's value among those given, as the driver takes it."""
        return self.column.target.get_db_prep_save(values[self.name], connection)

    @property
    def name(self) -> str:
        """The column's name, under which the value is given."""
        return str(self.column.target.attname)
