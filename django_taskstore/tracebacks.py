"""What an exception says, whatever it is: its name, its text, the end of its traceback.

Owns the reading of exceptions for records and logs. Pure; local variables are never read.
"""

from __future__ import annotations

import traceback

LONGEST_NAME = 255
LONGEST_TRACEBACK = 65_536


def exception_name(exception: BaseException | None) -> str:
    """Return the dotted name of an exception's class, or an empty text."""
    if exception is None:
        return ""
    kind = type(exception)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"[:LONGEST_NAME]


def str_of(exception: BaseException | None) -> str:
    """Return an exception's text, also when its own ``__str__`` fails."""
    if exception is None:
        return ""
    try:
        return str(exception)
    except Exception as error:
        return f"<{type(exception).__name__} whose text fails: {type(error).__name__}>"


def traceback_of(exception: BaseException | None) -> str:
    """Return the end of an exception's traceback, without local variables."""
    if exception is None or exception.__traceback__ is None:
        return ""
    lines = traceback.TracebackException.from_exception(exception).format()
    return "".join(lines)[-LONGEST_TRACEBACK:]
