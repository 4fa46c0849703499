"""Model fields whose columns must behave alike on every database.

Owns `ByteText`: text that compares byte for byte.
"""

from __future__ import annotations

from typing import Any

from django.db.models import CharField


class ByteText(CharField):  # type: ignore[type-arg]
    """Text that tells ``Emails`` from ``emails`` on MySQL too, whose default collation does not."""

    def db_parameters(self, connection: Any) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
