"""How the arguments of a task function are stored as the parameters of a queued task.

Owns that form. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django_taskstore.backends.api import normalize_json


def write_arguments(args: Iterable[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as a JSON object.

    Raises:
        TypeError, ValueError: JSON cannot hold one of them.
    """
    try:
        return {"args": normalize_json(list(args)), "kwargs": normalize_json(dict(kwargs))}
    except TypeError as error:
        raise TypeError(
            f"{error}. A task's arguments are stored as JSON: pass a datetime as isoformat(), a "
            "model by its id, a UUID or a Decimal as str()."
        ) from error


def are_arguments(parameters: Mapping[str, Any]) -> bool:
    """Tell whether parameters have the form that `write_arguments` gives them."""
    return (
        parameters.keys() == {"args", "kwargs"}
        and isinstance(parameters["args"], list)
        and isinstance(parameters["kwargs"], dict)
    )


def read_arguments(parameters: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return positional and named arguments; an object of any other form holds named ones."""
    if are_arguments(parameters):
        return parameters["args"], parameters["kwargs"]
    return [], dict(parameters)
