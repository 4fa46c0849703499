"""Small SQL expressions that the ORM lacks.

Owns `Literal`, a constant written into the statement's text, and `RowCount`, the number of
rows of a subquery.
"""

from __future__ import annotations

from typing import Any

from django.db.models import CharField, Expression, IntegerField, Subquery


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
