"""What may enter the store: names, priorities, times and JSON.

Owns the rules and their messages. Pure: limits are arguments, no setting and no model.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta
from typing import Any

from django_taskstore.exceptions import (
    InvalidMaxAttempts,
    InvalidOutput,
    InvalidParameters,
    InvalidPriority,
    InvalidQueueName,
    InvalidRunAfter,
)

LONGEST_QUEUE_NAME = 100
LONGEST_ALIAS = 255
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
PRIORITIES = range(-100, 101)
#: NUL and lone surrogates: PostgreSQL's jsonb refuses both (manual, 8.14 JSON Types).
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
DEEPEST_JSON = 64


def is_name(text: object, longest: int) -> bool:
    """Tell whether the text is a name: 1 to ``longest`` of A-Z a-z 0-9 _ . : and -."""
    return isinstance(text, str) and len(text) <= longest and NAME.fullmatch(text) is not None


def validate_queue_name(name: object) -> str:
    """Return the queue's name.

    Raises:
        InvalidQueueName: the name is empty, too long, or has a character that is not allowed.
    """
    if not is_name(name, LONGEST_QUEUE_NAME):
        raise InvalidQueueName(
            f"Queue name {name!r:.120} is not valid: use 1 to {LONGEST_QUEUE_NAME} characters "
            "out of A-Z a-z 0-9 _ . : and -, such as 'emails'."
        )
    return str(name)


def validate_priority(priority: object) -> int:
    """Return the priority.

    Raises:
        InvalidPriority: it is not a whole number from -100 to 100.
    """
    whole = isinstance(priority, int) and not isinstance(priority, bool)
    if not whole or priority not in PRIORITIES:
        raise InvalidPriority(
            f"Priority {priority!r} is not valid: expected a whole number from -100 to 100; the "
            "higher runs first."
        )
    return int(priority)  # type: ignore[call-overload,no-any-return]


def validate_max_attempts(most: object) -> int:
    """Return how often a task may be tried.

    Raises:
        InvalidMaxAttempts: it is not a whole number from 1.
    """
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise InvalidMaxAttempts(f"max_attempts is {most!r}, expected a whole number from 1.")
    return most


def validate_run_after(run_after: object, *, now: datetime) -> datetime:
    """Return the earliest start as an aware datetime.

    Args:
        run_after: an aware datetime, or a timedelta from now.
        now: an aware datetime.

    Raises:
        InvalidRunAfter: it is naive, or neither a datetime nor a timedelta.
    """
    if isinstance(run_after, timedelta):
        try:
            return now + run_after
        except OverflowError:
            raise InvalidRunAfter(
                f"run_after {run_after!r} from now lies beyond the calendar's last year."
            ) from None
    if not isinstance(run_after, datetime):
        raise InvalidRunAfter(
            f"run_after is a {type(run_after).__name__}, expected an aware datetime or a timedelta."
        )
    if run_after.utcoffset() is None:
        raise InvalidRunAfter(
            f"run_after {run_after.isoformat()} has no time zone; use "
            "django.utils.timezone.now() + timedelta(…), or make_aware()."
        )
    return run_after


class Unstorable(ValueError):
    """JSON cannot hold a value unchanged, or it is too large; the message ends a sentence."""


def validate_parameters(parameters: Any, *, limit_bytes: int) -> dict[str, Any]:
    """Return the parameters, a JSON object with text keys.

    Args:
        parameters: the object; None stands for an empty one.
        limit_bytes: the largest size as JSON.

    Raises:
        InvalidParameters: it is no such object, holds something that JSON cannot, or is too large.
    """
    parameters_text(parameters, limit_bytes=limit_bytes)
    return {} if parameters is None else parameters


def parameters_text(parameters: Any, *, limit_bytes: int) -> str:
    """Return the parameters as the JSON text that is stored.

    Args, Raises:
        As `validate_parameters`.
    """
    if parameters is None:
        return "{}"
    if not isinstance(parameters, dict):
        raise InvalidParameters(
            f"Parameters are a {type(parameters).__name__}, expected a dict that becomes a JSON "
            'object, such as {"name": "Tom"}.'
        )
    try:
        return json_text(parameters, limit_bytes=limit_bytes)
    except Unstorable as problem:
        raise InvalidParameters(f"Parameters {problem}.") from None


def output_text(output: Any, *, limit_bytes: int) -> str:
    """Return a handler's output, any JSON value, as the text that is stored.

    Raises:
        InvalidOutput: JSON cannot hold it, or it is too large.
    """
    try:
        return json_text(output, limit_bytes=limit_bytes)
    except Unstorable as problem:
        raise InvalidOutput(f"The output {problem}.") from None


def json_text(value: Any, *, limit_bytes: int) -> str:
    """Return a value as JSON text.

    A value that a round trip would change is refused too: keys that are not text, tuples.

    Raises:
        Unstorable: JSON cannot hold it unchanged, or it is larger than ``limit_bytes``.
    """
    problem = None if is_plain(value) else foreign_part(value)
    if problem:
        raise Unstorable(problem)
    try:
        text = json.dumps(value)
    except ValueError:  # Python refuses to write integers of more than 4,300 digits.
        raise Unstorable(
            "hold a number with more digits than can be written; pass it as text"
        ) from None
    # In ASCII no text is shorter than in UTF-8, and the encoder need not be made anew.
    size = len(text)
    if size > limit_bytes:
        size = len(json.dumps(value, ensure_ascii=False).encode("utf-8"))
    if size > limit_bytes:
        raise Unstorable(
            f"are {size:,} bytes of JSON, more than the {limit_bytes:,} allowed: pass an id or a "
            "file's name"
        )
    return text


def is_plain(value: Any, depth: int = 0) -> bool:
    """Tell whether a value is JSON beyond doubt; `foreign_part` looks closer at the others.

    Nearly all parameters are, and finding a name for each place in them costs more than
    everything else that is done to them.
    """
    kind = type(value)
    if value is None or kind is int or kind is bool:
        return True
    if kind is str:
        return value.isascii() and "\0" not in value
    if depth == DEEPEST_JSON:
        return False
    if kind is dict:
        return all(
            type(key) is str and is_plain(key) and is_plain(item, depth + 1)
            for key, item in value.items()
        )
    return kind is list and all(is_plain(item, depth + 1) for item in value)


def foreign_part(value: Any, path: str = "", depth: int = 0) -> str | None:
    """Return a sentence about the first part that JSON cannot hold unchanged, or None."""
    place = f" at {path}" if path else ""
    if depth > DEEPEST_JSON:
        return f"are nested more than {DEEPEST_JSON} deep{place}"
    if value is None or isinstance(value, (bool, int)):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"hold {value!r}{place}, which JSON does not know"
    if isinstance(value, str):
        return foreign_character(value, place)
    if isinstance(value, dict):
        return foreign_key(value, place) or first(
            foreign_part(item, f"{path}[{key!r}]", depth + 1) for key, item in value.items()
        )
    if isinstance(value, list):
        return first(foreign_part(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value))
    return (
        f"hold a {type(value).__name__}{place}, which JSON cannot hold unchanged: pass text, a "
        "number, True, False, None, a list or a dict"
    )


def foreign_character(text: str, place: str) -> str | None:
    """Return a sentence about the first character that cannot be stored, or None."""
    bad = UNSTORABLE.search(text)
    return f"hold the character {bad.group()!a}{place}, which no database stores" if bad else None


def foreign_key(value: dict[Any, Any], place: str) -> str | None:
    """Return a sentence about the first key that is not storable text, or None."""
    for key in value:
        if not isinstance(key, str):
            return f"have the key {key!r}{place}; the keys of a JSON object are text"
        if UNSTORABLE.search(key):
            return f"have the key {key!a}{place}, which no database stores"
    return None


def first(problems: Any) -> str | None:
    """Return the first problem that is not None."""
    return next((problem for problem in problems if problem), None)


def storable_text(text: str) -> str:
    """Return free text (a log line, a traceback) with what no database stores replaced."""
    if text.isascii() and "\0" not in text:
        return text
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
