"""What a project may write in OPTIONS of TASKS.

Owns the names and the rules; `tasks` applies the values. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django_taskstore.backoff import delay_seconds
from django_taskstore.registry import ON_LOST, is_duration
from django_taskstore.validation import validate_max_attempts


def is_attempts(value: Any) -> bool:
    """Tell whether a value is a number of attempts."""
    try:
        return validate_max_attempts(value) > 0
    except ValueError:
        return False


def is_backoff(value: Any) -> bool:
    """Tell whether a value is a backoff; a callable is not called to find out."""
    try:
        return callable(value) or delay_seconds(value, 1) >= 0
    except (TypeError, ValueError):
        return False


#: Each option with its rule, and the rule in words.
OPTIONS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_attempts": (is_attempts, "a whole number from 1"),
    "backoff": (is_backoff, "seconds, a list of them, or a callable(attempt)"),
    "timeout": (is_duration, "seconds above 0, or a timedelta"),
    "on_lost": (lambda value: value in ON_LOST, "'retry' or 'fail'"),
}


def option_problems(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the end of a sentence for each unknown option and each wrong value."""
    for name, value in options.items():
        if name not in OPTIONS:
            yield f"has an unknown key {name!r}; known keys: {', '.join(OPTIONS)}."
        elif value is not None and not OPTIONS[name][0](value):
            yield f"has {name!r} = {value!r}, expected {OPTIONS[name][1]}."
