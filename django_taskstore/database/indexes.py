"""Indexes that hold only some rows where the database can, and all rows elsewhere.

Owns `PartialIndex`. One migration state serves every database.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Index, Model, Q


class PartialIndex(Index):
    """An index over the rows with one status; MySQL, which has no partial indexes, holds all.

    Django's own ``Index(condition=…)`` does the same and warns (models.W037) at each
    ``migrate``; here the full index on MySQL is what the queries want: its fields begin so
    that the status is part of the search.

    Args:
        only: the status of the rows the index holds.
    """

    def __init__(self, *expressions: Any, only: str, **options: Any) -> None:
        super().__init__(*expressions, **options)
        self.only = only

    def create_sql(self, model: type[Model], schema_editor: Any, *args: Any, **options: Any) -> Any:
        if not schema_editor.connection.features.supports_partial_indexes:
            return super().create_sql(model, schema_editor, *args, **options)
        partial = Index(fields=self.fields, name=self.name, condition=Q(status=self.only))
        return partial.create_sql(model, schema_editor, *args, **options)

    def deconstruct(self) -> Any:
        path, args, options = super().deconstruct()
        return path, args, {**options, "only": self.only}
