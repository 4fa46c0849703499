"""From the path in a row to a task, without trusting the row.

Owns the rule that a row decides nothing about what is imported: whoever enqueues a task
function signs its path with the project's SECRET_KEY, and a path that this process has not
declared itself is imported only with that signature. A row that somebody wrote into the
table cannot name any other module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.utils.module_loading import import_string

from django_taskstore.backends.api import Task
from django_taskstore.backends.arguments import are_arguments
from django_taskstore.backends.functions import TaskFunction, registered
from django_taskstore.backends.signing import is_signed
from django_taskstore.backends.tasks import serve
from django_taskstore.exceptions import HandlerImportFailed
from django_taskstore.registry import registry


def find(path: str, parameters: Mapping[str, Any], metadata: Mapping[str, Any]) -> Any:
    """Return the handler for a row's path, or None when the row is not a task function's.

    Raises:
        SuspiciousOperation: the path does not point to a task; unless it is signed, nothing
            was imported to find out.
        HandlerImportFailed: the task's module cannot be imported here, or has it no more.
    """
    known = registered(path)
    if known is not None or not (is_dotted(path) and are_arguments(parameters)):
        return known
    if not is_signed(path, metadata):
        raise SuspiciousOperation(
            f"{path!r} does not point to a task: this process has not declared one there, and the "
            "row has no valid signature of a process that has. Nothing was imported."
        )
    return load(path)


def load(path: str) -> type[TaskFunction]:
    """Import a signed path."""
    try:
        declared = import_string(path)
    except Exception as error:
        raise HandlerImportFailed(
            f"Task function {path!r} cannot be imported: {type(error).__name__}: {error}. Deploy "
            "the code that has it to this worker, or cancel its tasks."
        ) from error
    if not isinstance(declared, Task):
        raise SuspiciousOperation(f"{path!r} does not point to a task.")
    return serve(declared, getattr(declared.get_backend(), "options", {}))


def is_dotted(path: str) -> bool:
    """Tell whether a text is a module's path and a name in it."""
    parts = path.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


registry.add_finder(find)
