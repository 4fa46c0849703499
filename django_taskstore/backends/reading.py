"""Finding the result of a task by its id.

Owns the reading of one row. An id is opaque text: whatever is no id of ours has no result.
"""

from __future__ import annotations

from typing import Any

from django_taskstore.backends import paths, results
from django_taskstore.backends.api import TaskResultDoesNotExist

#: As many digits as every id of a BigAutoField may have.
LONGEST_ID = 18


def read(result_id: object) -> Any:
    """Return the result with this id.

    Raises:
        TaskResultDoesNotExist: no task function was enqueued under it, or it was purged.
        SuspiciousOperation, HandlerImportFailed: its row's path leads to no task here.
    """
    from django_taskstore.definitions import queue_database  # noqa: PLC0415 - apps are ready now.
    from django_taskstore.models import QueuedTask  # noqa: PLC0415

    text = str(result_id)
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID):
        raise TaskResultDoesNotExist(text)
    rows = QueuedTask.objects.using(queue_database()).select_related("definition")
    row = rows.filter(pk=int(text)).first()
    if row is None:
        raise TaskResultDoesNotExist(text)
    handler = paths.find(row.definition.alias, row.parameters, row.metadata)
    if handler is None:
        raise TaskResultDoesNotExist(f"{text}: {row.definition.alias} is no task function.")
    return results.of_row(row, handler.declared)
